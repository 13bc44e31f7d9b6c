//! What is wrong with a build stops it; what is only another night does not.

use super::Row;
use crate::change::corruptions::{afterwards, by_night};
use crate::change::{night, project};
use serde_json::json;

#[test]
fn every_corruption_is_stopped_and_no_clean_build_is() {
    let row = Row::begin(
        "corruptions",
        "injected corruptions of a finished build stopped by the gates",
        [
            "all of 30 and more; 3 clean builds",
            "all x 5; 50 clean builds without a false alarm",
        ],
    );
    let (mut made, mut bad) = (0, Vec::new());
    for pass in 0..row.pick(1, 5) {
        for (count, missed) in [
            afterwards(&format!("corrupt_after_{pass}"), pass),
            by_night(&format!("corrupt_night_{pass}"), pass),
        ] {
            made += count;
            bad.extend(missed);
        }
    }
    let stopped = made - bad.len();
    if made < 30 {
        bad.push(format!("only {made} corruptions were made"));
    }
    let clean = row.pick(3, 50);
    let project = project("corrupt_clean");
    let mut alarms = 0;
    for number in 0..clean {
        night(&project, number);
        let ended = project.run();
        if ended.code != 0 {
            alarms += 1;
            bad.push(format!("clean night {number}: {}", ended.stderr));
        }
    }
    row.end(
        &format!("{stopped} of {made} stopped; {alarms} alarms in {clean} clean builds"),
        &json!({ "made": made, "stopped": stopped, "clean": clean, "false_alarms": alarms }),
        &bad,
    );
}
