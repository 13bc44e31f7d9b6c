//! What `overnight check` finds without a server, and what it does not mind.

use crate::support::Project;

#[test]
fn a_declared_version_that_is_not_the_datasets_is_found_without_a_server() {
    let project = Project::new("check_version");
    project.overnight(&["check"]).code(0);
    project.sql(
        "schema/010_tables.sql",
        "select overnight.declare_version(2); -- overnight.declare_version(1)\ncreate table item (id integer);\n",
    );
    project.overnight(&["check"]).code(2).says(&[
        "010_tables.sql` line 1 declares schema version 2",
        "schema_version = 1",
    ]);
}

#[test]
fn what_an_editor_leaves_does_not_end_a_run() {
    let project = Project::new("check_editor");
    project.items(3, "item");
    for path in [
        "sources/check_editor/item.toml~",
        "sources/check_editor/#item.toml#",
        "sources/check_editor/.item.toml.swp",
        "sql/check_editor/schema/010_tables.sql~",
        "sql/check_editor/notes.sql~",
    ] {
        project.write(path, "table = \"another\"\n");
    }
    let checked = project.overnight(&["check"]).code(0);
    checked.says(&["item.toml~` is not read: an editor left it"]);
    project.run().code(0);
    project.write("sources/check_editor/item.tmol", "table = \"another\"\n");
    project
        .overnight(&["check"])
        .code(2)
        .says(&["is not a source file"]);
}

#[test]
fn a_list_that_is_written_as_one_word_is_told_how_to_write_it() {
    let project = Project::new("check_list");
    project.source(
        "item",
        "table = \"item\"\nfiles = \"items*\"\n[columns]\nid = { parse = \"boolean\", true = [\"Ja\"], false = \"Nein\" }\n",
    );
    let ended = project.overnight(&["check"]).code(2);
    let stderr = ended.stderr;
    assert!(
        stderr.contains("line 4: columns.id.false: write a list: [\"Nein\"]"),
        "{stderr}"
    );
    assert_eq!(stderr.matches("item.toml").count(), 1, "{stderr}");
}
