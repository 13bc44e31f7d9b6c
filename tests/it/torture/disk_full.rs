//! The volume under the server's data is full.

use super::Row;
use crate::disk;
use serde_json::json;

#[test]
fn a_full_disk_stops_the_load_gives_the_space_back_and_leaves_the_live_build_alone() {
    let row = Row::begin(
        "disk_full",
        "disk full on the data volume: the live build stays up, the space is returned, the next night is good",
        ["1 of 1", "5 of 5"],
    );
    let times = row.pick(1, 5);
    // Each fills the disk twice, between two good nights; the first that does not hold fails here.
    for _ in 0..times {
        disk::full_disk();
    }
    row.end(
        &format!("{times} of {times}"),
        &json!({"held": times, "of": times, "times_full": 2 * times}),
        &[],
    );
}
