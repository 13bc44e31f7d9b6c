//! Which builds go: from what was read of the ledger and the catalog, without asking anybody.
//!
//! In: the ledger's rows and the database that has a build's OID now. Out: what is to be done.
//! The rule that is easy to break: what somebody needs to go back to is decided by sequence, and a
//! clock only makes a drop later, never earlier than the grace time it shows.

use crate::build::Database;
use crate::ledger::{Build, DatasetRow, State};
use crate::switch;
use std::time::Duration;

/// What becomes of a build beyond retention.
#[derive(Debug, PartialEq, Eq)]
pub enum Close {
    Yes,
    /// It still has the alias's name, which another router does not use.
    HasAlias,
    /// There is nothing to close.
    Absent,
    /// It is not, or not surely, ours.
    No(String),
}

/// What becomes of a closed build.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Stays,
    /// Somebody has opened it again, to keep it; it is published again then.
    TakenBack,
    Goes,
}

/// The build behind the alias and the one that a rollback would lead to.
fn protects(row: &DatasetRow, build: &Build) -> bool {
    row.live_build == Some(build.id) && switch::on("retire.live")
        || row.previous_build == Some(build.id) && switch::on("retire.previous")
}

/// The builds that may go. `builds` is newest first.
///
/// A verified build that was never published waits for `overnight rotate` as long as it is the
/// newest and newer than the live one: a dataset that is held for weeks must not fill the disk.
pub fn beyond_retention(builds: &[Build], row: &DatasetRow, keep: usize) -> Vec<Build> {
    let mut published = 0;
    let mut rolled_back = 0;
    let mut waiting = 0;
    let mut beyond = Vec::new();
    for build in builds {
        let goes = match build.state {
            // A build that was rolled back takes no place from the good ones. The newest of them stays
            // as long as a good one of its age would: a rollback by mistake can be undone.
            State::Published if build.rolled_back_at.is_some() => {
                rolled_back += 1;
                rolled_back > 1 || published >= keep
            }
            State::Published => {
                published += 1;
                published > keep
            }
            State::Verified => {
                waiting += 1;
                waiting > 1 || row.live_build.is_some_and(|live| build.id < live)
            }
            State::Creating
            | State::Loading
            | State::Refused
            | State::Tombstone
            | State::Dropped
            | State::Failed => false,
        };
        if goes && !protects(row, build) {
            beyond.push(build.clone());
        }
    }
    beyond
}

/// The refused builds that may go: all but the newest, and that one too once it is as old as `keep`.
/// `builds` is newest first.
pub fn refused_beyond(builds: &[Build], keep: Duration) -> Vec<Build> {
    let refused = builds
        .iter()
        .filter(|build| build.state == State::Refused)
        .enumerate();
    let old = |build: &Build| {
        build
            .refused_age
            .is_none_or(|age| age >= keep.as_secs_f64())
    };
    refused
        .filter(|(place, build)| *place > 0 || old(build))
        .map(|(_, build)| build.clone())
        .collect()
}

/// Whether a build beyond retention is closed. `database` is the one with its OID.
pub fn close(build: &Build, database: Option<&Database>) -> Close {
    match database {
        None => Close::Absent,
        // Its name when it was live, while the router was `rename`.
        Some(database) if database.owned && database.name == build.dataset => Close::HasAlias,
        Some(database)
            if (database.name != build.name || !database.owned) && switch::on("retire.close") =>
        {
            Close::No("its database has another name or owner".to_owned())
        }
        Some(_) => Close::Yes,
    }
}

/// Whether a closed build is dropped. `database` is the one with its OID; what only a look inside
/// can tell is asked later, by whoever drops it.
pub fn end(build: &Build, row: &DatasetRow, database: Option<&Database>, grace: Duration) -> End {
    if build.state != State::Tombstone {
        return End::Stays;
    }
    // Postgres leaves it so when a drop was cut short: nobody can use it any more.
    let half_dropped = database.is_some_and(|database| database.connection_limit == -2);
    let open = database.is_some_and(|database| database.allow_connections);
    if open && !half_dropped && switch::on("retire.taken_back") {
        return End::TakenBack;
    }
    let old_enough = build
        .tombstone_age
        .is_some_and(|age| age >= grace.as_secs_f64())
        || half_dropped
        || !switch::on("retire.grace");
    match old_enough && !protects(row, build) {
        true => End::Goes,
        false => End::Stays,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(id: i64, state: State) -> Build {
        Build {
            id,
            dataset: "d".into(),
            name: format!("d_{id}"),
            nonce: String::new(),
            database_oid: Some(id as u32),
            state,
            schema_version: 1,
            input_digest: String::new(),
            created_at: String::new(),
            verified_at: None,
            published_at: None,
            rolled_back_at: None,
            tombstoned_at: None,
            tombstone_age: None,
            refused_at: None,
            refused_age: None,
            refused_beside: None,
            failure: None,
            rows_loaded: None,
            bytes_read: None,
            seconds: None,
        }
    }

    fn row(live: i64, previous: i64) -> DatasetRow {
        DatasetRow {
            dataset: "d".into(),
            live_build: Some(live),
            previous_build: Some(previous),
            epoch: 1,
            held: false,
            hold_reason: None,
            held_by: None,
        }
    }

    fn ids(builds: &[Build]) -> Vec<i64> {
        builds.iter().map(|build| build.id).collect()
    }

    #[test]
    fn the_live_and_the_previous_build_never_go() {
        let builds: Vec<Build> = (1..=6)
            .rev()
            .map(|id| build(id, State::Published))
            .collect();
        assert_eq!(ids(&beyond_retention(&builds, &row(6, 5), 3)), [3, 2, 1]);
        // Rolled back to the oldest: it and what it came from stay, whatever `keep` says.
        assert_eq!(ids(&beyond_retention(&builds, &row(1, 6), 2)), [4, 3, 2]);
    }

    #[test]
    fn a_rolled_back_build_is_not_the_next_to_go() {
        let published = |ids: &[i64]| -> Vec<Build> {
            ids.iter().map(|id| build(*id, State::Published)).collect()
        };
        let rolled_back = |id: i64| Build {
            rolled_back_at: Some("x".into()),
            ..build(id, State::Published)
        };
        // 5 was rolled back to 4, and 6 was published since: all three nights and 5 are there.
        let mut builds = published(&[6]);
        builds.push(rolled_back(5));
        builds.extend(published(&[4, 3]));
        assert_eq!(
            ids(&beyond_retention(&builds, &row(6, 4), 3)),
            Vec::<i64>::new()
        );
        // It is as old as a build beyond retention: it goes with it.
        let mut builds = published(&[8, 7, 6]);
        builds.push(rolled_back(5));
        builds.extend(published(&[4]));
        assert_eq!(ids(&beyond_retention(&builds, &row(8, 7), 3)), [5, 4]);
        // Bad nights do not push the good ones out.
        let mut builds = published(&[9]);
        builds.extend([8, 7].map(rolled_back));
        builds.extend(published(&[6, 5]));
        assert_eq!(ids(&beyond_retention(&builds, &row(9, 6), 3)), [7]);
    }

    #[test]
    fn the_newest_refused_build_stays_for_its_time() {
        let refused = |id: i64, age: f64| Build {
            refused_age: Some(age),
            ..build(id, State::Refused)
        };
        let builds = [
            build(5, State::Verified),
            refused(4, 50.0),
            build(3, State::Published),
            refused(2, 90.0),
        ];
        let beyond = |seconds| ids(&refused_beyond(&builds, Duration::from_secs(seconds)));
        assert_eq!(beyond(60), [2]);
        assert_eq!(beyond(50), [4, 2]);
        assert_eq!(ids(&beyond_retention(&builds, &row(3, 1), 2)), [0; 0]);
    }

    #[test]
    fn failed_builds_do_not_count_and_a_waiting_build_stays() {
        let mut builds: Vec<Build> = (10..30).rev().map(|id| build(id, State::Failed)).collect();
        builds.push(build(9, State::Verified));
        builds.extend([8, 7, 6].map(|id| build(id, State::Published)));
        builds.push(build(5, State::Verified));
        assert_eq!(ids(&beyond_retention(&builds, &row(8, 7), 2)), [6, 5]);
        // Only the newest of those that wait is of use.
        builds.insert(0, build(30, State::Verified));
        assert_eq!(ids(&beyond_retention(&builds, &row(8, 7), 2)), [9, 6, 5]);
    }
}
