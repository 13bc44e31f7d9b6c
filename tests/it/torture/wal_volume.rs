//! The volume under the server's data and its log is about to be full.

use super::Row;
use crate::brake;
use serde_json::json;

#[test]
fn the_brake_engages_before_a_server_that_cannot_write_its_log_stops_for_everybody() {
    let row = Row::begin(
        "wal_volume",
        "disk full on a volume shared with the WAL: the live build stays up, the space is returned, the brake engages before PANIC",
        ["1 of 1", "5 of 5"],
    );
    let times = row.pick(1, 5);
    // The first that does not hold fails here.
    for _ in 0..times {
        brake::full_log_volume();
    }
    row.end(
        &format!("{times} of {times}"),
        &json!({ "held": times, "of": times }),
        &[],
    );
}
