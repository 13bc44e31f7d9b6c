//! The promises as figures: each row of the table that `scripts/torture` prints is a story here.
//!
//! In: `OVERNIGHT_TORTURE` (`long` for the long form), `OVERNIGHT_TORTURE_SEED` and
//! `OVERNIGHT_TORTURE_REPORT`, a folder for one JSON file a row. Only the script sets them; without
//! it each story runs in its short form with a seed of its own, which a failure names.
//! A new row is a file here, a line below and a line in `scripts/torture`.

mod corruptions;
mod crash_points;
mod disk_full;
mod ledger_lost;
mod live_moves;
mod pgbouncer_flip;
mod random_kills;
mod reader_locks;
mod rename_flip;
mod replicas;
mod retirement;
mod retirement_model;
mod retirement_server;
mod rollback;
mod s3_faults;
mod server_crashes;
mod stalled_move;
mod start_race;
mod wal_volume;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};
use std::io::Write;
use std::time::{Duration, Instant};

/// One row of the table while its story is told.
pub struct Row {
    key: &'static str,
    what: &'static str,
    limit: &'static str,
    long: bool,
    pub seed: u64,
    began: Instant,
}

impl Row {
    /// `limits`: what must be found in the short form and in the long one, in words.
    pub fn begin(key: &'static str, what: &'static str, limits: [&'static str; 2]) -> Row {
        let long = std::env::var("OVERNIGHT_TORTURE").is_ok_and(|form| form == "long");
        let seed = match std::env::var("OVERNIGHT_TORTURE_SEED") {
            Ok(seed) => seed.parse().expect("the seed is a number"),
            Err(_) => u64::from(rand::random::<u32>()),
        };
        Row {
            key,
            what,
            limit: limits[usize::from(long)],
            long,
            seed,
            began: Instant::now(),
        }
    }

    /// What belongs to this form.
    pub fn pick<T>(&self, short: T, long: T) -> T {
        if self.long { long } else { short }
    }

    /// Numbers that are the same for the same seed; each `part` has its own.
    pub fn rng(&self, part: u64) -> SmallRng {
        SmallRng::seed_from_u64(self.seed.wrapping_mul(1_000_003).wrapping_add(part))
    }

    /// Prints and records what was found; fails with everything that is bad.
    #[track_caller]
    pub fn end(&self, found: &str, figures: &Value, bad: &[String]) {
        let seconds = (self.began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        // Past the capture of the test harness, so that every run of the tests shows it.
        let shown = writeln!(
            std::io::stderr(),
            "torture {}: {found} (seed {}, {seconds} s)",
            self.key,
            self.seed
        );
        shown.unwrap();
        if let Some(folder) = std::env::var_os("OVERNIGHT_TORTURE_REPORT") {
            let row = json!({
                "what": self.what,
                "form": if self.long { "long" } else { "short" },
                "limit": self.limit,
                "found": found,
                "figures": figures,
                "bad": bad,
                "seed": self.seed,
                "seconds": seconds,
                "ok": bad.is_empty(),
            });
            let file = std::path::Path::new(&folder).join(format!("{}.json", self.key));
            std::fs::write(file, row.to_string()).unwrap();
        }
        assert!(
            bad.is_empty(),
            "{} with seed {}: {bad:#?}",
            self.key,
            self.seed
        );
    }
}

/// The longest of the shortest `share` of all; the 99th percentile for 0.99.
pub fn percentile(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// Seconds for people.
pub fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

#[test]
fn a_percentile_is_one_of_the_times() {
    let times: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
    assert_eq!(percentile(&times, 0.99), Duration::from_millis(99));
    assert_eq!(percentile(&times, 1.0), Duration::from_millis(100));
    assert_eq!(percentile(&times[..1], 0.99), Duration::from_millis(100));
}

/// The script finds a story by its row's name, and would never tell one that it does not know.
#[test]
fn each_story_is_named_for_its_row_and_known_to_the_script() {
    let root = crate::support::project::repository();
    let script = std::fs::read_to_string(root.join("scripts/torture")).unwrap();
    let mut stories = 0;
    for entry in std::fs::read_dir(root.join("tests/it/torture")).unwrap() {
        let path = entry.unwrap().path();
        let story = std::fs::read_to_string(&path).unwrap();
        let Some(key) = story.split("Row::begin(\n        \"").nth(1) else {
            continue;
        };
        let key = key.split('"').next().unwrap();
        assert_eq!(path.file_stem().unwrap(), key);
        assert!(script.contains(&format!("\n    \"{key}\": ")), "{key}");
        stories += 1;
    }
    assert!(stories >= 10, "{stories}");
}
