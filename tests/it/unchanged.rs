//! What counts as a change of inputs, and what does not.

use crate::support::Project;
use crate::support::project::items;
use std::fs::{File, FileTimes, OpenOptions};
use std::io::Write;
use std::time::{Duration, SystemTime};

fn is_unchanged(project: &Project, what: &str) {
    let planned = project
        .overnight(&["plan", &project.name, "--json"])
        .code(0);
    assert_eq!(planned.json()["unchanged"], true, "{what}");
    let told = project.run().code(0).stdout;
    assert!(
        told.contains("inputs unchanged, nothing to do"),
        "{what}: {told}"
    );
}

#[test]
fn comments_layout_subset_keys_and_touched_files_are_no_change_of_inputs() {
    let project = Project::new("unchanged_layout");
    project.input("items.csv", items(20, "a"));
    project.run().code(0);
    let live = project.live();
    let append = |path: &str, text: &str| {
        let mut file = OpenOptions::new()
            .append(true)
            .open(project.path(path))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    append("sources/unchanged_layout/dataset.toml", "# A comment.\n");
    append("sources/unchanged_layout/item.toml", "\n# A comment.\n");
    is_unchanged(&project, "a comment in TOML");
    append(
        "sources/unchanged_layout/dataset.toml",
        "[subset]\nmax_rows = 500\n",
    );
    is_unchanged(&project, "a key of [subset]");
    let schema = "sql/unchanged_layout/schema/010_tables.sql";
    let text = std::fs::read_to_string(project.path(schema)).unwrap();
    let other = text
        .replace(
            "create table item (",
            "/* What\n is sold. */\nCREATE_TABLE item\n(\n\n",
        )
        .replace("CREATE_TABLE", "create   table")
        + "-- The end.\n";
    project.write(schema, &other);
    is_unchanged(&project, "comments and layout in SQL");
    let input = project.path("in/unchanged_layout/items.csv");
    let later = SystemTime::now() + Duration::from_secs(100);
    let file = File::options().write(true).open(&input).unwrap();
    file.set_times(FileTimes::new().set_modified(later))
        .unwrap();
    is_unchanged(&project, "a touched file");
    assert_eq!(project.live(), live);
}

#[test]
fn a_file_that_was_rewritten_with_its_old_size_and_time_is_a_change_of_inputs() {
    let project = Project::new("unchanged_rewritten");
    project.input("items.csv", items(20, "a"));
    project.run().code(0);
    let live = project.live();
    let input = project.path("in/unchanged_rewritten/items.csv");
    let modified = input.metadata().unwrap().modified().unwrap();
    let text = std::fs::read_to_string(&input).unwrap();
    let other = text.replacen(",a", ",b", 1);
    assert!(other != text && other.len() == text.len());
    let mut file = File::options().write(true).open(&input).unwrap();
    file.write_all(other.as_bytes()).unwrap();
    file.set_times(FileTimes::new().set_modified(modified))
        .unwrap();
    drop(file);
    project.run().code(0);
    assert_ne!(project.live(), live);
    assert_eq!(
        project.service("select count(*) from item where name like 'b%'"),
        "1"
    );
}

#[test]
fn a_string_a_header_and_a_key_are_changes_of_inputs() {
    let project = Project::new("unchanged_not");
    project.input("items.csv", items(20, "a"));
    project.sql(
        "checks/010_none.sql",
        "-- overnight: max = 3\nselect 1 where 'a  b' = ''\n",
    );
    project.run().code(0);
    let mut live = project.live();
    for (what, path, text) in [
        (
            "space in a string",
            "sql/unchanged_not/checks/010_none.sql",
            "-- overnight: max = 3\nselect 1 where 'a b' = ''\n",
        ),
        (
            "a header",
            "sql/unchanged_not/checks/010_none.sql",
            "-- overnight: max = 4\nselect 1 where 'a b' = ''\n",
        ),
        (
            "a key",
            "sources/unchanged_not/item.toml",
            "table = \"item\"\nfiles = \"items*\"\n[expect]\nrows = { min = 2 }\n",
        ),
    ] {
        project.write(path, text);
        project.run().code(0);
        assert_ne!(project.live(), live, "{what}");
        live = project.live();
    }
}
