//! Which job is next: the list of jobs as it is worked off.
//!
//! In: jobs, the tables that are still being loaded, sizes of tables as they become known. Out: the
//! most urgent job that may begin. A job may begin when those before it are done, its tables are
//! loaded, and nothing that runs excludes it. Short jobs go first, since others wait for them; then the
//! longest path: the job itself and what can only follow it, by bytes of the table times the weight of
//! the job.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::jobs::{Job, Step};

pub(super) struct Queue {
    jobs: Vec<Job>,
    /// Uppermost tables that are still being loaded.
    absent: BTreeSet<u32>,
    /// Bytes by table.
    sizes: HashMap<u32, u64>,
    /// Positions of jobs that have not begun, the most urgent first.
    waiting: Vec<usize>,
    running: Vec<usize>,
    done: Vec<bool>,
}

impl Queue {
    pub(super) fn new(jobs: Vec<Job>, absent: BTreeSet<u32>, sizes: HashMap<u32, u64>) -> Self {
        let mut queue = Self {
            done: vec![false; jobs.len()],
            waiting: (0..jobs.len()).collect(),
            running: Vec::new(),
            jobs,
            absent,
            sizes,
        };
        queue.order();
        queue
    }

    /// A table is loaded, and these are the bytes of it and of its parts.
    pub(super) fn arrived(&mut self, root: u32, sizes: HashMap<u32, u64>) {
        self.absent.remove(&root);
        self.sizes.extend(sizes);
        self.order();
    }

    fn order(&mut self) {
        let mut paths = vec![0_u64; self.jobs.len()];
        // Every job stands after those it waits for.
        for (at, job) in self.jobs.iter().enumerate().rev() {
            let bytes = self.sizes.get(&job.table_oid).copied().unwrap_or(0);
            let follow = paths.get(at).copied().unwrap_or(0);
            let path = follow.saturating_add(bytes.saturating_mul(job.weight.into()));
            for before in job.after.iter().chain([&at]) {
                if let Some(known) = paths.get_mut(*before) {
                    *known = path.max(*known);
                }
            }
        }
        let jobs = &self.jobs;
        self.waiting.sort_by_key(|at| {
            let long = jobs
                .get(*at)
                .is_none_or(|job| job.step > Step::AddForeignKey);
            (long, Reverse(paths.get(*at).copied()), *at)
        });
    }

    pub(super) fn job(&self, at: usize) -> Option<&Job> {
        self.jobs.get(at)
    }

    /// Nothing waits any more.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Says whether a job may begin now.
    pub(super) fn is_ready(&self) -> bool {
        self.waiting.iter().any(|at| self.may_begin(*at))
    }

    /// Takes the most urgent job that may begin now.
    pub(super) fn start(&mut self) -> Option<(usize, Job)> {
        let place = self.waiting.iter().position(|at| self.may_begin(*at))?;
        let at = self.waiting.remove(place);
        self.running.push(at);
        Some((at, self.jobs.get(at)?.clone()))
    }

    pub(super) fn finish(&mut self, at: usize) {
        self.running.retain(|other| *other != at);
        if let Some(done) = self.done.get_mut(at) {
            *done = true;
        }
    }

    /// Indexes of loaded tables that are being built or wait for it.
    pub(super) fn builds(&self) -> usize {
        let open = self.running.iter().chain(&self.waiting);
        open.filter_map(|at| self.jobs.get(*at))
            .filter(|job| job.step == Step::Build && self.is_here(job))
            .count()
    }

    fn is_here(&self, job: &Job) -> bool {
        !job.locks
            .iter()
            .any(|lock| self.absent.contains(&lock.table_oid))
    }

    fn may_begin(&self, at: usize) -> bool {
        let Some(job) = self.jobs.get(at) else {
            return false;
        };
        let is_done = |other: &usize| self.done.get(*other) == Some(&true);
        let mut others = self
            .running
            .iter()
            .filter_map(|other| self.jobs.get(*other));
        let calm = !job.calm || self.absent.is_empty();
        calm && self.is_here(job)
            && job.after.iter().all(is_done)
            && others.all(|other| job.beside(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::jobs::Lock;

    fn job(name: &str, step: Step, table_oid: u32, weight: u32, after: &[usize]) -> Job {
        Job {
            name: name.into(),
            step,
            table_oid,
            weight,
            statements: Vec::new(),
            after: after.to_vec(),
            calm: false,
            locks: vec![Lock {
                table_oid,
                alone: step != Step::Build,
            }],
        }
    }

    /// Two tables: 1 is large, 2 is small but has more to come.
    fn jobs() -> Vec<Job> {
        vec![
            job("small key", Step::Build, 2, 30, &[]),
            job("large", Step::Build, 1, 30, &[]),
            job("large wide", Step::Build, 1, 60, &[]),
            job("small key done", Step::Finish, 2, 0, &[0]),
            job("small vacuum", Step::Vacuum, 2, 5, &[3]),
            job("large vacuum", Step::Vacuum, 1, 5, &[1, 2]),
        ]
    }

    fn begin(queue: &mut Queue) -> String {
        let started = queue.start();
        started.map_or_else(|| "nothing".into(), |(_, job)| job.name)
    }

    #[test]
    fn the_longest_path_begins_first_and_short_jobs_before_it() {
        let sizes = HashMap::from([(1, 1000), (2, 10)]);
        let mut queue = Queue::new(jobs(), BTreeSet::new(), sizes);
        assert_eq!(queue.builds(), 3);
        assert_eq!(begin(&mut queue), "large wide");
        assert_eq!(begin(&mut queue), "large");
        assert_eq!(begin(&mut queue), "small key");
        assert_eq!(begin(&mut queue), "nothing");
        queue.finish(0);
        assert_eq!(begin(&mut queue), "small key done");
        queue.finish(3);
        // The indexes of the large table are not there yet, so it cannot be vacuumed.
        queue.finish(2);
        assert_eq!(begin(&mut queue), "small vacuum");
        assert_eq!(begin(&mut queue), "nothing");
        queue.finish(1);
        assert_eq!(begin(&mut queue), "large vacuum");
        assert!(queue.is_empty());
    }

    #[test]
    fn a_table_that_is_being_loaded_waits_and_the_others_go_on() {
        let mut queue = Queue::new(jobs(), BTreeSet::from([1, 2]), HashMap::new());
        assert!(!queue.is_ready());
        assert_eq!(queue.builds(), 0);
        queue.arrived(2, HashMap::from([(2, 10)]));
        assert_eq!(begin(&mut queue), "small key");
        assert!(!queue.is_ready());
        queue.arrived(1, HashMap::from([(1, 1000)]));
        queue.finish(0);
        assert_eq!(begin(&mut queue), "small key done");
        assert_eq!(begin(&mut queue), "large wide");
        assert_eq!(begin(&mut queue), "large");
    }

    #[test]
    fn a_calm_job_waits_for_the_end_of_the_load() {
        let mut jobs = vec![job("calm", Step::Vacuum, 1, 5, &[])];
        jobs[0].calm = true;
        let mut queue = Queue::new(jobs, BTreeSet::from([2]), HashMap::new());
        assert!(!queue.is_ready());
        queue.arrived(2, HashMap::new());
        assert_eq!(begin(&mut queue), "calm");
    }

    #[test]
    fn what_follows_counts() {
        let jobs = vec![
            job("alone", Step::Build, 1, 30, &[]),
            job("first", Step::Build, 2, 20, &[]),
            job("then", Step::Validate, 2, 20, &[1]),
        ];
        let sizes = HashMap::from([(1, 100), (2, 100)]);
        let mut queue = Queue::new(jobs, BTreeSet::new(), sizes);
        assert_eq!(begin(&mut queue), "first");
    }
}
