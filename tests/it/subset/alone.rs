//! A developer has an artifact and the program: no project, and no server of builds.

use super::{books, forget, on_a_laptop};
use crate::support::Project;
use crate::support::project::Ended;
use std::fs;
use std::path::Path;

const RULES: &str = "
[subset]
artifact = \"small/\"
[subset.tables]
book = { percent = 1 }
item = { all = true }
";

/// Runs the binary in a folder that is part of no project.
fn alone(project: &Project, folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = project.command(arguments);
    command.current_dir(folder);
    for variable in ["OVERNIGHT_TARGET", "OVERNIGHT_PROJECT", "OVERNIGHT_FROM"] {
        command.env_remove(variable);
    }
    Project::finish(&mut command)
}

#[test]
fn an_artifact_is_all_that_a_developer_needs() {
    let mut project = books("subset_alone", RULES);
    project.run().code(0);
    let live = project.live();
    let laptop = on_a_laptop(&mut project);
    let elsewhere = tempfile::tempdir().unwrap();
    let alone = |arguments: &[&str]| alone(&project, elsewhere.path(), arguments);

    alone(&["url", "subset_alone"]).code(1).says(&[
        "has no subset of `subset_alone`",
        "subset pull subset_alone",
    ]);
    alone(&["subset", "pull", "subset_alone"])
        .code(2)
        .says(&["where is it?", "subset pull s3://"]);
    let place = format!("{}/", project.path("small").display());
    let url = alone(&["subset", "pull", &place]).code(0).stdout;
    assert_eq!(url.trim(), laptop.url("subset_alone", "overnight"));
    assert_eq!(alone(&["url", "subset_alone"]).code(0).stdout, url);
    // The readers of the builds read it, and a clone of it as well.
    let as_reader = |database: &str| {
        let rows = laptop.sql_as(&project.reader, database, "select count(*) from item");
        rows.unwrap()[0][0].clone()
    };
    assert_eq!(as_reader("subset_alone").as_deref(), Some("500"));
    let clone = [
        "subset",
        "clone",
        "subset_alone",
        "--name",
        "subset_alone_1",
    ];
    alone(&clone).code(0);
    assert_eq!(as_reader("subset_alone_1").as_deref(), Some("500"));

    let status = alone(&["status"]).code(0).stdout;
    assert!(
        status.contains(&format!(
            "subset_alone: `subset_alone` is a subset of `{live}`; `overnight subset drop subset_alone` removes it\n  clones     1"
        )),
        "{status}"
    );
    let json = alone(&["status", "subset_alone", "--json"]).code(0).json();
    assert_eq!(json["subsets"][0]["build"], live.as_str());

    // With the project at hand, a run on the same server says what is in its way.
    let mut command = project.command(&["run", "subset_alone"]);
    command.env_remove("OVERNIGHT_TARGET");
    Project::finish(&mut command).code(1).says(&[
        "the database `subset_alone` is a subset",
        "`overnight subset drop subset_alone` removes it",
    ]);

    let dropped = alone(&["subset", "drop", "subset_alone"]).code(0).stdout;
    for name in ["subset_alone", "subset_alone_1", "subset_alone_template"] {
        assert!(
            dropped.contains(&format!("`{name}` was dropped")),
            "{dropped}"
        );
    }
    alone(&["subset", "drop", "subset_alone"]).code(0);
    forget(laptop, "subset_alone");
    drop(laptop.sql(
        "postgres",
        &format!("drop database {} with (force)", project.control),
    ));
}

#[test]
fn a_place_with_artifacts_of_two_datasets_asks_which() {
    let mut project = books("subset_which", RULES);
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    let small = project.path("small");
    let other = small.join("another_20261121t051002z.tar.zst");
    fs::write(&other, "not looked at").unwrap();
    let place = format!("{}/", small.display());
    let elsewhere = tempfile::tempdir().unwrap();
    let alone = |arguments: &[&str]| alone(&project, elsewhere.path(), arguments);
    alone(&["subset", "pull", &place]).code(2).says(&[
        "holds artifacts of 2 datasets: another, subset_which",
        "overnight subset pull another --from-artifact",
    ]);
    let named = ["subset", "pull", "subset_which", "--from-artifact", &place];
    alone(&named).code(0);
    alone(&["subset", "pull", &place, "--from-artifact", &place])
        .code(2)
        .says(&["two places of an artifact"]);
    alone(&["subset", "pull", other.to_str().unwrap()]).code(1);
    forget(laptop, "subset_which");
}
