//! Nights as a service and an operator see them.

use crate::support::Project;

#[test]
fn a_first_night_publishes_and_a_second_one_replaces_it() {
    let project = Project::new("nights_two");
    project.items(100, "first");
    project.run().code(0);
    let first = project.live();
    assert_eq!(
        project.service("select count(*) || ' ' || min(name) from item"),
        "100 first 1"
    );

    project.items(101, "second");
    let told = project.run().code(0);
    assert!(
        told.stdout.contains(&format!("before it `{first}`")),
        "{}",
        told.stdout
    );
    assert_ne!(project.live(), first);
    assert_eq!(
        project.service("select count(*) || ' ' || min(name) from item"),
        "101 second 1"
    );
    // Yesterday's is still there, under its own name.
    assert!(project.databases().contains(&first));
}
