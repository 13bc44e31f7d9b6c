//! What a run would be refused for hours later is said in its first second.

use crate::support::Project;

/// A server that does not answer: what is said all the same was known without one.
const NO_SERVER: (&str, &str) = ("OVERNIGHT_TARGET", "postgres://nobody@127.0.0.1:1/postgres");

#[test]
fn a_gate_that_does_not_exist_cannot_be_accepted() {
    let mut project = Project::new("pre_accept");
    project.items(10, "x");
    project.source(
        "item",
        "table = \"item\"\nfiles = \"items*\"\n[expect]\nrows = { change = \"10%\" }\n\
         keys = { added = \"50%\" }\ngroups = [{ by = [\"seen\", \"price\"], change = \"1%\" }]\n",
    );
    project.sql("checks/010_price.sql", "select 1 where false;\n");
    project.sql("golden/010_all.sql", "select id from item;\n");
    project.sql(
        "derive/110_total.sql",
        "create table item_total as select count(*) as n from item;\n",
    );
    let name = project.name.clone();
    project.env.push((NO_SERVER.0.into(), NO_SERVER.1.into()));
    for command in ["run", "rotate", "rollback"] {
        for gate in ["change", "check 020_price.sql", "profile of nothing", ""] {
            project
                .overnight(&[
                    command,
                    &name,
                    "--accept",
                    gate,
                    "--reason",
                    "a typing error",
                ])
                .code(2)
                .says(&[
                    &format!("no gate is called `{gate}`"),
                    "`change of item`",
                    "`check 010_price.sql`",
                ]);
        }
    }
    project.env.pop();

    // Every gate that was asked can be named, and one that passes is no error.
    project.run().code(0);
    project.items(20, "y");
    project.run().code(1);
    let asked = "select string_agg(distinct gate, '|') from ledger.finding where gate not in ('stamp', 'hold')";
    let asked = project.ledger(asked);
    assert!(asked.contains("groups of item by seen,price|"), "{asked}");
    let mut command = vec!["run", &name, "--reason", "known"];
    for gate in asked.split('|') {
        command.extend(["--accept", gate]);
    }
    for gate in ["profile of item_total", "content of item_total", "group"] {
        command.extend(["--accept", gate]);
    }
    project.overnight(&command).code(0);
    assert_eq!(project.service("select n from item_total"), "20");
}

#[test]
fn a_dataset_cannot_have_the_name_of_a_database_with_another_purpose() {
    let mut project = Project::new("pre_names");
    project.env.push((NO_SERVER.0.into(), NO_SERVER.1.into()));
    for (name, text) in [
        ("postgres", "is a database of every server"),
        ("template0", "is a database of every server"),
        ("template1", "is a database of every server"),
        ("control_pre_names", "is the control database"),
    ] {
        let dataset = format!("sources/{name}/dataset.toml");
        project.write(&dataset, "schema_version = 1\n");
        for command in ["check", "run", "rollback"] {
            let text = format!("`{name}` cannot name a dataset: it {text}");
            let ended = project.overnight(&[command, name]).code(2);
            ended.says(&[&text, "hint: give the folders"]);
        }
        std::fs::remove_dir_all(project.path(&format!("sources/{name}"))).unwrap();
    }
}

#[test]
fn two_projects_do_not_publish_to_one_alias() {
    let project = Project::new("pre_projects");
    project.items(10, "shop");
    project.run().code(0);
    let live = project.live();
    let copy = |name: &str| {
        let to = project.path(name);
        for part in ["sources", "sql"] {
            let from = project.path(part);
            std::fs::create_dir_all(&to).unwrap();
            let copied = std::process::Command::new("cp")
                .arg("-r")
                .arg(from)
                .arg(&to)
                .status();
            assert!(copied.unwrap().success());
        }
        to
    };
    let run = |folder: &std::path::Path, more: &[&str]| {
        let mut command = project.command(&["run", "pre_projects", "--force"]);
        Project::finish(command.args(more).env("OVERNIGHT_PROJECT", folder))
    };
    let other = copy("bazaar");
    let both = format!(
        "project: `pre_projects` was built by the project `{}` on ",
        project.folder.path().display()
    );
    let here = format!("and this is `{}` on ", other.display());
    run(&other, &[])
        .code(1)
        .says(&[&both, &here, "--accept project --reason TEXT"]);
    assert_eq!(project.live(), live);
    assert_eq!(project.ledger("select count(*) from ledger.build"), "1");
    // It is accepted once, and then the dataset is of the other project.
    run(
        &other,
        &["--accept", "project", "--reason", "the shop has moved"],
    )
    .code(0);
    run(&other, &[]).code(0);
    let kept = project.ledger("select detail from ledger.event where kind = 'accepted'");
    assert!(
        kept.starts_with(&both) && kept.ends_with("(the shop has moved)"),
        "{kept}"
    );
    run(project.folder.path(), &[]).code(1);
    // A checkout that was moved needs no word: where it was, the dataset is no more.
    let moved = project.path("elsewhere");
    std::fs::rename(&other, &moved).unwrap();
    run(&moved, &[]).code(0);
}
