//! A dataset over years, in memory: the ledger, the databases of the server, their true makers,
//! and a clock that somebody sets wrong. What goes is decided by the real code; what may go is said
//! here a second time, in other words, from what is true and not from what the ledger believes.

use overnight::build::{Database, Inside, not_ours, strange_inside};
use overnight::ledger::{Build, DatasetRow, State};
use overnight::retire::decide::{Close, End, beyond_retention, close, end};
use rand::Rng;
use rand::rngs::SmallRng;
use std::collections::BTreeMap;
use std::time::Duration;

const YEARS: i64 = 10 * 365 * 86_400;

/// A database, and which build it truly is, if any.
#[derive(Clone)]
struct Real {
    seen: Database,
    inside: Inside,
    of: Option<i64>,
}

pub struct Model {
    builds: Vec<Build>,
    row: DatasetRow,
    databases: BTreeMap<u32, Real>,
    next_oid: u32,
    /// What the server's clock shows, and whether it ran evenly since a build was closed.
    clock: i64,
    closed_at: BTreeMap<i64, i64>,
    jumped_since: BTreeMap<i64, bool>,
    pub drops: usize,
    pub wrong: Vec<String>,
}

impl Model {
    pub fn new() -> Model {
        Model {
            builds: Vec::new(),
            row: DatasetRow {
                dataset: "d".into(),
                live_build: None,
                previous_build: None,
                epoch: 0,
                held: false,
                hold_reason: None,
                held_by: None,
            },
            databases: BTreeMap::new(),
            next_oid: 1_000,
            clock: 1_700_000_000,
            closed_at: BTreeMap::new(),
            jumped_since: BTreeMap::new(),
            drops: 0,
            wrong: Vec::new(),
        }
    }

    /// One thing that happens.
    pub fn step(&mut self, rng: &mut SmallRng) {
        match rng.random_range(0..20) {
            0..=4 => self.night(true),
            5 => self.night(false),
            6 => {
                for _ in 0..rng.random_range(1..40) {
                    self.failed_night(rng);
                }
            }
            7 => self.roll_back(),
            8 => self.row.held = false,
            9 => self.rotate(rng),
            10 => self.jump(if rng.random() { YEARS } else { -YEARS }),
            11 => self.clock += rng.random_range(0..200_000),
            12 | 13 => self.look_alike(rng),
            14 => self.meddle(rng),
            _ => {
                let keep = rng.random_range(1..5);
                let grace = [0, 3_600, 86_400][rng.random_range(0..3)];
                self.retire(keep, grace);
            }
        }
    }

    fn jump(&mut self, seconds: i64) {
        self.clock += seconds;
        self.jumped_since
            .values_mut()
            .for_each(|jumped| *jumped = true);
    }

    fn reserve(&mut self, state: State) -> Build {
        let id = self.builds.first().map_or(1, |newest| newest.id + 1);
        let build = Build {
            id,
            dataset: "d".into(),
            name: format!("d_{id:08}"),
            nonce: format!("nonce {id}"),
            database_oid: None,
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
        };
        self.builds.insert(0, build.clone());
        build
    }

    fn create(&mut self, name: &str, inside: Inside, of: Option<i64>) -> u32 {
        self.next_oid += 1;
        let seen = Database {
            oid: self.next_oid,
            name: name.to_owned(),
            owned: true,
            allow_connections: true,
            connection_limit: -1,
        };
        self.databases
            .insert(self.next_oid, Real { seen, inside, of });
        self.next_oid
    }

    fn stamped(nonce: &str) -> Inside {
        Inside {
            nonces: Some(vec![nonce.to_owned()]),
            relations: 12,
        }
    }

    fn by_id(&mut self, id: i64) -> &mut Build {
        self.builds.iter_mut().find(|build| build.id == id).unwrap()
    }

    fn night(&mut self, rotates: bool) {
        let build = self.reserve(State::Verified);
        let oid = self.create(&build.name, Self::stamped(&build.nonce), Some(build.id));
        self.by_id(build.id).database_oid = Some(oid);
        self.databases.get_mut(&oid).unwrap().seen.allow_connections = false;
        if rotates && !self.row.held {
            self.publish(build.id);
        }
    }

    fn failed_night(&mut self, rng: &mut SmallRng) {
        let build = self.reserve(State::Failed);
        if rng.random_bool(0.1) {
            // The sweep did not come through.
            let oid = self.create(&build.name, Self::stamped(&build.nonce), Some(build.id));
            self.by_id(build.id).database_oid = Some(oid);
        }
    }

    /// The alias moves: its database is called by the alias, the one before by its own name.
    fn publish(&mut self, id: i64) {
        let from = self.row.live_build;
        for (build, name) in [from.map(|from| (from, None)), Some((id, Some("d")))]
            .into_iter()
            .flatten()
        {
            let own = self.by_id(build).name.clone();
            let oid = self.by_id(build).database_oid.unwrap();
            if let Some(real) = self.databases.get_mut(&oid) {
                real.seen.name = name.map_or(own, str::to_owned);
                real.seen.allow_connections = true;
            }
        }
        let build = self.by_id(id);
        build.state = State::Published;
        build.published_at = Some("once".into());
        build.rolled_back_at = None;
        self.row.previous_build = from;
        self.row.live_build = Some(id);
        self.row.epoch += 1;
    }

    /// Whether a build can stand behind the alias: its database is there under its own name.
    fn can_be_live(&self, build: &Build) -> bool {
        matches!(build.state, State::Verified | State::Published)
            && self.row.live_build != Some(build.id)
            && self.real(build).is_some_and(|real| {
                real.of == Some(build.id) && real.seen.name == build.name && real.seen.owned
            })
    }

    fn real(&self, build: &Build) -> Option<&Real> {
        self.databases.get(&build.database_oid?)
    }

    fn roll_back(&mut self) {
        let Some(live) = self.row.live_build else {
            return;
        };
        let to = self.builds.iter().find(|build| {
            build.state == State::Published
                && build.rolled_back_at.is_none()
                && build.id < live
                && self.can_be_live(build)
        });
        if let Some(to) = to.map(|build| build.id) {
            self.publish(to);
            self.by_id(live).rolled_back_at = Some("once".into());
            self.row.held = true;
        }
    }

    fn rotate(&mut self, rng: &mut SmallRng) {
        let can: Vec<i64> = self
            .builds
            .iter()
            .filter(|build| self.can_be_live(build))
            .map(|build| build.id)
            .collect();
        if !self.row.held && !can.is_empty() {
            self.publish(can[rng.random_range(0..can.len())]);
        }
    }

    /// A database that is called like a build, made by somebody else.
    fn look_alike(&mut self, rng: &mut SmallRng) {
        let absent = |build: &&Build| self.real(build).is_none();
        let names: Vec<String> = self
            .builds
            .iter()
            .filter(absent)
            .map(|build| build.name.clone())
            .collect();
        let name = match names.is_empty() || rng.random() {
            true => format!("d_{:08}", rng.random_range(0..99_999_999)),
            false => names[rng.random_range(0..names.len())].clone(),
        };
        let taken = self.databases.values().any(|real| real.seen.name == name);
        if !taken {
            let inside = Self::strange(rng);
            let oid = self.create(&name, inside, None);
            self.databases.get_mut(&oid).unwrap().seen.owned = rng.random();
        }
    }

    fn strange(rng: &mut SmallRng) -> Inside {
        match rng.random_range(0..3) {
            0 => Self::stamped("of another tool"),
            1 => Inside {
                nonces: None,
                relations: 3,
            },
            _ => Inside {
                nonces: None,
                relations: 0,
            },
        }
    }

    /// Somebody does something by hand to a database that is not behind the alias.
    fn meddle(&mut self, rng: &mut SmallRng) {
        let oids: Vec<u32> = self
            .builds
            .iter()
            .filter(|build| self.row.live_build != Some(build.id))
            .filter_map(|build| build.database_oid)
            .filter(|oid| self.databases.contains_key(oid))
            .collect();
        if oids.is_empty() {
            return;
        }
        let oid = oids[rng.random_range(0..oids.len())];
        let strange = Self::strange(rng);
        let real = self.databases.get_mut(&oid).unwrap();
        match rng.random_range(0..6) {
            0 => real.seen.name = format!("kept_{oid}"),
            1 => real.seen.owned = false,
            2 => real.seen.allow_connections = true,
            3 => drop(self.databases.remove(&oid)),
            // A server that was restored or moved gives a number again, and even the name.
            4 => {
                real.of = None;
                real.inside = strange;
            }
            _ => {
                real.of = None;
                real.inside = strange;
                real.seen.name = "theirs".to_owned();
            }
        }
    }

    /// What the start of a command records of databases that are gone.
    fn reconcile(&mut self) {
        for at in 0..self.builds.len() {
            let build = self.builds[at].clone();
            let held = matches!(
                build.state,
                State::Verified | State::Published | State::Tombstone
            );
            if held && self.real(&build).is_none() {
                self.builds[at].state = State::Dropped;
                if self.row.previous_build == Some(build.id) {
                    self.row.previous_build = self
                        .builds
                        .iter()
                        .find(|other| {
                            other.state == State::Published
                                && other.rolled_back_at.is_none()
                                && self.row.live_build.is_some_and(|live| other.id < live)
                        })
                        .map(|other| other.id);
                }
            }
        }
    }

    /// `overnight retire`, with the server and the ledger in memory.
    pub fn retire(&mut self, keep: usize, grace: i64) {
        self.reconcile();
        for build in beyond_retention(&self.builds, &self.row, keep) {
            let database = self.real(&build).map(|real| real.seen.clone());
            if close(&build, database.as_ref()) == Close::Yes {
                self.judge_close(&build, keep);
                let oid = build.database_oid.unwrap();
                self.databases.get_mut(&oid).unwrap().seen.allow_connections = false;
                self.by_id(build.id).state = State::Tombstone;
                self.closed_at.insert(build.id, self.clock);
                self.jumped_since.insert(build.id, false);
            }
        }
        for mut build in self.builds.clone() {
            let age = self.closed_at.get(&build.id).map(|at| self.clock - at);
            build.tombstone_age = age.map(|age| age as f64);
            let Some(real) = self.real(&build).cloned() else {
                continue;
            };
            match end(
                &build,
                &self.row,
                Some(&real.seen),
                Duration::from_secs(grace as u64),
            ) {
                End::Stays => {}
                End::TakenBack => self.by_id(build.id).state = State::Published,
                End::Goes => {
                    if not_ours(&build, &real.seen).is_none()
                        && strange_inside(&build, &real.inside).is_none()
                    {
                        self.judge_drop(&build, &real, grace);
                        self.databases.remove(&real.seen.oid);
                        self.by_id(build.id).state = State::Dropped;
                        self.drops += 1;
                    }
                }
            }
        }
    }

    /// Closed are only builds that nobody needs to go back to: not the live one, not the previous
    /// one, none of the newest `keep` that were published and stayed, and none that waits alone.
    fn judge_close(&mut self, build: &Build, keep: usize) {
        let newer_good = self
            .builds
            .iter()
            .filter(|other| other.id > build.id)
            .filter(|other| other.state == State::Published && other.rolled_back_at.is_none())
            .count();
        let newer_rolled_back = self.builds.iter().any(|other| {
            other.id > build.id && other.state == State::Published && other.rolled_back_at.is_some()
        });
        let newer_waits = self
            .builds
            .iter()
            .any(|other| other.id > build.id && other.state == State::Verified);
        let superseded = newer_waits || self.row.live_build.is_some_and(|live| live > build.id);
        let beyond = match build.state {
            // The newest that was rolled back stays as long as a good one of its age.
            State::Published if build.rolled_back_at.is_some() => {
                newer_rolled_back || newer_good >= keep
            }
            State::Published => newer_good >= keep,
            State::Verified => superseded,
            _ => false,
        };
        // Whoever renames a database or gives it away wants to keep it.
        let taken = self
            .real(build)
            .is_some_and(|real| real.seen.name != build.name || !real.seen.owned);
        if !beyond || taken || self.is_needed(build) {
            self.wrong.push(format!("{} was closed", build.name));
        }
    }

    /// Dropped is only the true database of a build, under its own name and owner, that was closed,
    /// is still closed, was shown to be so for the grace time, and is neither live nor previous.
    fn judge_drop(&mut self, build: &Build, real: &Real, grace: i64) {
        let age = self.closed_at.get(&build.id).map(|at| self.clock - at);
        let open = real.seen.allow_connections;
        let mut why = Vec::new();
        if real.of != Some(build.id) {
            why.push("was somebody else's");
        }
        // Whoever renames a database or gives it away wants to keep it.
        if real.seen.name != build.name || !real.seen.owned {
            why.push("was renamed or given away");
        }
        if self.is_needed(build) {
            why.push("was needed");
        }
        if build.state != State::Tombstone || open {
            why.push("was not closed");
        }
        if age.is_none_or(|age| age < grace) {
            why.push("was closed only just now");
        }
        for why in why {
            self.wrong.push(format!("{} {why}", build.name));
        }
    }

    fn is_needed(&self, build: &Build) -> bool {
        [self.row.live_build, self.row.previous_build].contains(&Some(build.id))
    }

    /// What is left once nobody meddles and time passes: the server does not fill up.
    pub fn is_tidy(&mut self, keep: usize) -> bool {
        self.jump(100 * YEARS);
        self.retire(keep, 0);
        self.jump(86_400);
        self.retire(keep, 0);
        let ours = |build: &&Build| {
            self.real(build).is_some_and(|real| {
                real.of == Some(build.id)
                    && real.seen.owned
                    && [build.name.as_str(), "d"].contains(&real.seen.name.as_str())
            })
        };
        let left = self
            .builds
            .iter()
            .filter(|build| build.state != State::Failed)
            .filter(ours)
            .count();
        // Those that are kept, the live one, the previous one, one that was rolled back, and one that waits.
        left <= keep + 4
    }
}
