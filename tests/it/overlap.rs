//! Two runs with the same list of datasets at the same time.

use crate::support::project::{ended, items};
use crate::support::{Project, cluster::cluster};
use std::time::{Duration, Instant};

#[test]
fn two_lists_that_overlap_both_end_well() {
    let slow = Project::slow("overlap_a");
    let mut quick = Project::new("overlap_b");
    for part in ["sources", "sql"] {
        let inside = format!("{part}/overlap_b");
        std::fs::rename(quick.path(&inside), slow.path(&inside)).unwrap();
    }
    quick.control.clone_from(&slow.control);
    slow.items(150, "slow");
    slow.write("in/overlap_b/items.csv", &items(10, "one"));
    let list = ["run", "overlap_a", "overlap_b"];
    let first = slow.start(&list);
    let loading = "select count(*) from pg_database where datname like 'overlap_a_2%'";
    let end = Instant::now() + Duration::from_secs(60);
    while cluster().one("postgres", loading) == "0" {
        assert!(Instant::now() < end, "the first run does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Alone it is told at once; in a list it comes last.
    slow.overnight(&["run", "overlap_a"])
        .code(75)
        .says(&["`overlap_a` is locked by"]);
    let second = slow.overnight(&list).code(0).says(&[
        "`overlap_a` is locked by `overnight run overlap_a`",
        "the other datasets of the list are run meanwhile",
        "overlap_a: inputs unchanged",
    ]);
    assert!(
        second.stdout.contains("overlap_b: `overlap_b_2"),
        "{}",
        second.stdout
    );
    let first = ended(first.wait_with_output().unwrap()).code(0);
    assert!(
        first.stdout.contains("overlap_b: inputs unchanged"),
        "{}",
        first.stdout
    );
    for name in ["overlap_a", "overlap_b"] {
        let builds = format!("select count(*) from ledger.build where dataset = '{name}'");
        assert_eq!(slow.ledger(&builds), "1");
    }
}
