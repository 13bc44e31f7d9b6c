//! The same on a real server: whole nights, databases of others, and a clock that is wrong.

use super::Row;
use crate::support::Project;
use crate::support::cluster::ADMIN;
use crate::support::invariants::violations;
use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::json;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const WORKERS: usize = 4;
const STEPS: usize = 4;

#[test]
fn on_a_real_server_nothing_that_is_needed_or_not_ours_is_dropped() {
    let row = Row::begin(
        "retirement_server",
        "retirement on a real server, the same troubles: wrong drops",
        ["10 sequences: 0", "200 sequences: 0"],
    );
    let sequences = row.pick(10, 200);
    let next = AtomicU64::new(0);
    let all = Mutex::new((0, Vec::new()));
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (row, next, all) = (&row, &next, &all);
            scope.spawn(move || {
                let mut place = Place::new(worker);
                loop {
                    let sequence = next.fetch_add(1, Ordering::SeqCst);
                    if sequence >= sequences {
                        break;
                    }
                    let mut rng = row.rng(sequence);
                    let mut bad = Vec::new();
                    for _ in 0..STEPS {
                        bad.extend(place.step(&mut rng));
                    }
                    let mut all = all.lock().unwrap();
                    all.1
                        .extend(bad.iter().map(|bad| format!("sequence {sequence}: {bad}")));
                }
                all.lock().unwrap().0 += place.dropped();
            });
        }
    });
    let (dropped, mut bad) = all.into_inner().unwrap();
    if dropped == 0 {
        bad.push("nothing was dropped at all".to_owned());
    }
    row.end(
        &format!(
            "{sequences} sequences, {dropped} drops: {} wrong",
            bad.len()
        ),
        &json!({"sequences": sequences, "drops": dropped, "wrong": bad.len()}),
        &bad,
    );
}

struct Place {
    project: Project,
    night: usize,
    /// Databases of others, with something in them.
    strangers: Vec<String>,
}

impl Place {
    fn new(worker: usize) -> Place {
        let mut project = Project::new(&format!("retirement_{worker}x"));
        project.env = vec![("OVERNIGHT_RETIRE_AFTER".into(), "0s".into())];
        let mut place = Place {
            project,
            night: 0,
            strangers: Vec::new(),
        };
        place.night();
        place
    }

    fn night(&mut self) {
        self.night += 1;
        self.project.items(10 + self.night, "night");
        // Held after going back: then it is built and waits.
        let code = self.project.run().code;
        assert!([0, 1].contains(&code), "{code}");
    }

    /// One thing that happens, a retirement, and everything that is wrong then.
    fn step(&mut self, rng: &mut SmallRng) -> Vec<String> {
        let name = self.project.name.clone();
        match rng.random_range(0..6) {
            0 | 1 => self.night(),
            2 => {
                self.project
                    .input("items.csv", "id,name,price,seen\nx,bad,1,2026-01-01\n");
                self.project.run().code(1);
            }
            3 => {
                self.project
                    .overnight(&["rollback", &name, "--reason", "x"]);
                self.project.overnight(&["release", &name]);
            }
            4 => self.stranger(rng),
            _ => self.clock(rng),
        }
        let needed = self.project.ledger(
            "select string_agg(database_oid::text, ',') from ledger.build b join ledger.dataset d
             on b.id in (d.live_build, d.previous_build)",
        );
        let told = self.project.overnight(&["retire", &name]);
        let mut bad = Vec::new();
        if told.code != 0 {
            bad.push(format!("{told:?}"));
        }
        let cluster = self.project.cluster();
        let count = format!("select count(*) from pg_database where oid in ({needed})");
        if cluster.one("postgres", &count) != needed.split(',').count().to_string() {
            bad.push(format!("of {needed} not all are left"));
        }
        for stranger in &self.strangers {
            let theirs = cluster.sql_as(ADMIN, stranger, "select x from theirs");
            if theirs.is_err() {
                bad.push(format!("{stranger}: {theirs:?}"));
            }
        }
        // That somebody's databases look like ours is the point here.
        let looks = |what: &String| !self.strangers.iter().any(|name| what.contains(name));
        bad.extend(violations(&self.project).into_iter().filter(looks));
        bad
    }

    /// A database named like a build, of this role or of another.
    fn stranger(&mut self, rng: &mut SmallRng) {
        let cluster = self.project.cluster();
        let at = rng.random_range(10_000_000..99_999_999_u32);
        let name = format!("{}_{at}t060000z", self.project.name);
        let owner = if rng.random() { "overnight" } else { ADMIN };
        let create = format!("create database {name} owner {owner}");
        cluster.sql("postgres", &create).unwrap();
        cluster
            .sql(&name, "create table theirs as select 7 as x")
            .unwrap();
        let close = format!("revoke all on database {name} from public");
        cluster.sql("postgres", &close).unwrap();
        self.strangers.push(name);
    }

    /// The clock was ten years ahead, or behind, when a build was closed.
    fn clock(&self, rng: &mut SmallRng) {
        let years = if rng.random() { 10 } else { -10 };
        let jump = format!(
            "update ledger.build set tombstoned_at = tombstoned_at + {years} * interval '1 year',
                    created_at = created_at + {years} * interval '1 year',
                    published_at = published_at - {years} * interval '1 year'"
        );
        self.project.ledger(&jump);
    }

    fn dropped(&self) -> usize {
        let dropped = "select count(*) from ledger.build where state = 'dropped'";
        self.project.ledger(dropped).parse().unwrap()
    }
}
