//! SIGKILL before and after each effect that outlives the process.

use super::Row;
use crate::kill;
use serde_json::json;

#[test]
fn a_kill_at_any_point_leaves_one_complete_build_and_is_repaired_by_the_next_start() {
    let row = Row::begin(
        "crash_points",
        "SIGKILL before and after each external effect: wrong alias, ledger unlike the catalog, or a human needed",
        ["all points x 2: 0", "all points x 20: 0"],
    );
    let passes = row.pick(2, 20);
    let walked = kill::walk(passes);
    let (points, kills, bad) = (walked.points, walked.kills, walked.bad.len());
    row.end(
        &format!("{points} points x {passes}, {kills} kills: {bad} bad"),
        &json!({"points": points, "passes": passes, "kills": kills, "bad": bad}),
        &walked.bad,
    );
}
