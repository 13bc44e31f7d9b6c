//! SIGKILL at every named point: the alias leads to one complete build at once, and the next
//! start repairs the rest without a human.

use crate::support::cluster::{Cluster, cluster};
use crate::support::invariants::{sessions_end, violations};
use crate::support::{Project, project::items};
use overnight::crashpoint::NAMES;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What was on the server before the run that is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Night {
    /// Nothing, not even the control database.
    First,
    /// A live build and one before it.
    Later,
    /// The same two behind a pooler.
    PooledFirst,
    PooledLater,
}

/// Everything to try: each point where it can be reached; moves of the alias in both states.
fn plan() -> Vec<(Night, &'static str)> {
    let mut plan = Vec::new();
    for name in NAMES {
        let is = |room: &str| name.starts_with(room);
        // No gate refuses these nights; `refused.rs` tells of one that does.
        if is("refuse.") {
            continue;
        }
        let by_record = is("pooler.")
            || is("drain.")
            || ["flip.after_open", "flip.after_direct_look"].contains(name);
        // Readers are let into the ledger once.
        let only_first = is("control.") || is("register.");
        if (only_first || is("flip.")) && !by_record {
            plan.push((Night::First, *name));
        }
        if !only_first && !by_record {
            plan.push((Night::Later, *name));
        }
        if is("flip.") || by_record {
            // Nobody can be on an earlier build, and nothing was there to go back to.
            if !is("drain.") {
                plan.push((Night::PooledFirst, *name));
            }
            plan.push((Night::PooledLater, *name));
        }
    }
    plan
}

const WORKERS: usize = 4;

/// What a walk through all points found.
pub struct Walked {
    pub points: usize,
    pub kills: usize,
    pub bad: Vec<String>,
}

/// Kills a run at each point, so many times, and looks at what is left each time.
pub fn walk(passes: usize) -> Walked {
    let plan = plan().repeat(passes);
    let next = AtomicUsize::new(0);
    let bad = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (plan, next, bad) = (&plan, &next, &bad);
            scope.spawn(move || {
                let mut later: Option<Nights> = None;
                let mut pooled: Option<Nights> = None;
                loop {
                    let item = next.fetch_add(1, Ordering::SeqCst);
                    let Some((night, point)) = plan.get(item).copied() else {
                        break;
                    };
                    let mut fresh = None;
                    let nights = match night {
                        Night::First => {
                            fresh.insert(Nights::none(cluster(), &format!("kill_first_{item}")))
                        }
                        Night::PooledFirst => {
                            fresh.insert(Nights::pooled(&format!("kill_pooled_{item}")))
                        }
                        Night::PooledLater => pooled.get_or_insert_with(|| {
                            Nights::pooled(&format!("kill_pooled_{worker}_{item}")).and_two()
                        }),
                        Night::Later => later.get_or_insert_with(|| {
                            Nights::two(cluster(), &format!("kill_{worker}_{item}"))
                        }),
                    };
                    if let Err(what) = nights.kill_and_repair(point) {
                        bad.lock()
                            .unwrap()
                            .push(format!("{night:?} {point}: {what}"));
                        // What is left may be wrong for the next point.
                        later = None;
                        pooled = None;
                    }
                }
            });
        }
    });
    Walked {
        points: NAMES.len(),
        kills: plan.len(),
        bad: bad.into_inner().unwrap(),
    }
}

/// A project and what its last night published: so many rows with such a name.
pub struct Nights {
    pub project: Project,
    night: usize,
}

/// Somebody who is told, so that the points of telling are reached.
const HOOK: &str = "[[hook]]\nname = \"nobody\"\non = [\"ok\"]\ncommand = [\"true\"]\n";

impl Nights {
    fn none(cluster: &'static Cluster, name: &str) -> Nights {
        let mut project = Project::on(cluster, name);
        project.write("overnight.toml", HOOK);
        project.env = vec![("OVERNIGHT_RETIRE_AFTER".into(), "0s".into())];
        let settings = format!("sources/{name}/dataset.toml");
        let text = std::fs::read_to_string(project.path(&settings)).unwrap();
        project.write(&settings, &format!("{text}consumers_register = true\n"));
        Nights { project, night: 0 }
    }

    /// A live build and one before it, and nothing kept longer than it must be.
    pub fn two(cluster: &'static Cluster, name: &str) -> Nights {
        Nights::none(cluster, name).and_two()
    }

    fn pooled(name: &str) -> Nights {
        let mut nights = Nights::none(cluster(), name);
        nights
            .project
            .behind_poolers(&["transaction"], &format!("drain = \"0s\"\n{HOOK}"));
        nights
    }

    fn and_two(mut self) -> Nights {
        for _ in 0..2 {
            self.another();
            self.project.run().code(0);
        }
        self
    }

    /// New input: one row more, another name.
    pub fn another(&mut self) {
        self.night += 1;
        let text = items(10 + self.night, &format!("night {}", self.night));
        self.project.input("items.csv", text);
    }

    fn expected(&self, night: usize) -> String {
        format!("{} night {night} 1", 10 + night)
    }

    fn kill(&self, point: &str) -> Result<(), String> {
        let mut command = self.project.command(&["run", &self.project.name]);
        let ended = Project::finish(command.env("OVERNIGHT_CRASHPOINT", point));
        match ended.code {
            -9 => Ok(()),
            code => Err(format!("not killed, status {code}: {}", ended.stderr)),
        }
    }

    fn kill_and_repair(&mut self, point: &str) -> Result<(), String> {
        self.another();
        if point.starts_with("resume.") {
            // There must be something to resume.
            self.kill("put_back.before")?;
            if !sessions_end(&self.project) {
                return Err("sessions stay after the first kill".into());
            }
        }
        if point.starts_with("sweep.") {
            // There must be something to sweep.
            self.kill("load.in_copy")?;
            if !sessions_end(&self.project) {
                return Err("sessions stay after the first kill".into());
            }
        }
        if point == "pooler.after_back" {
            self.project.poolers[0].write_main("no_such_setting = 7");
        }
        // Somebody is on the build before, and does not leave by himself.
        let staying = point.starts_with("drain.").then(|| {
            let cluster = self.project.cluster();
            let live = self.project.live();
            cluster
                .block_on(cluster.client(&self.project.reader, &live))
                .unwrap()
        });
        let killed = self.kill(point);
        drop(staying);
        if let Some(pooler) = self.project.poolers.first() {
            pooler.write_main("");
        }
        killed?;
        self.is_told(point)?;
        self.repair()
    }

    /// A run that was killed behind its first stages shows them.
    fn is_told(&self, point: &str) -> Result<(), String> {
        let has_build = [
            "load.",
            "put_back.",
            "derive.",
            "vacuum.",
            "grant.",
            "verify.",
            "seal.",
            "flip.",
        ];
        if !has_build.iter().any(|room| point.starts_with(room)) {
            return Ok(());
        }
        let name = &self.project.name;
        let told = self.project.overnight(&["report", name, "--json"]);
        if told.code != 0 {
            return Err(format!("report: {}", told.stderr));
        }
        let report = told.json();
        let stages = report["run_stages"].as_array().cloned().unwrap_or_default();
        let ended: Vec<&str> = stages
            .iter()
            .filter(|stage| stage["seconds"].is_number())
            .filter_map(|stage| stage["stage"].as_str())
            .collect();
        let parts = report["run_parts"].as_array().map_or(0, Vec::len);
        let all = ["plan", "create", "schema", "rehearse"];
        match all.iter().all(|stage| ended.contains(stage)) && parts > 0 {
            true => Ok(()),
            false => Err(format!("the report knows {ended:?} and {parts} parts")),
        }
    }

    /// After whatever happened to tonight's run: services see the night before or this one, and
    /// the next run publishes this one and leaves everything in order.
    pub fn repair(&self) -> Result<(), String> {
        let old = match self.night {
            1 => None,
            night => Some(self.expected(night - 1)),
        };
        let new = self.expected(self.night);
        let seen = self.look();
        if seen != old && seen.as_ref() != Some(&new) {
            return Err(format!("after the kill a service sees {seen:?}"));
        }
        if !sessions_end(&self.project) {
            return Err("sessions stay after the kill".into());
        }
        let again = self.project.run();
        if again.code != 0 {
            return Err(format!("the next run: {} {}", again.code, again.stderr));
        }
        if self.look() != Some(new) {
            return Err(format!("at the end a service sees {:?}", self.look()));
        }
        let found = violations(&self.project);
        match found.is_empty() {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    }

    /// Whether there is an alias at all.
    fn is_there(&self) -> bool {
        let name = &self.project.name;
        match self.project.poolers.first() {
            Some(pooler) => pooler.leads_to(name).is_some(),
            None => self.project.databases().contains(name),
        }
    }

    /// What a service gets that retries for a few seconds; `None` when there is no alias.
    fn look(&self) -> Option<String> {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let seen = self.project.try_service(
                "select count(*) || ' ' || min(name) from item where (select verified_at is not null from overnight.build)",
            );
            match seen {
                Ok(seen) => return seen,
                Err(_) if !self.is_there() => return None,
                Err(error) => assert!(Instant::now() < end, "{error:?}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
