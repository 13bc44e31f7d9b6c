//! Looks at everything that a night needs, and changes nothing.
//!
//! In: a [`Visit`]: server, ledger, configuration. Out: [`Finding`]s, each with one line and what to do
//! about it. A subject that cannot be looked at is a finding too: silence would pass for health.

mod clock;
mod datasets;
mod disk;
mod inputs;
mod leftovers;
mod public;
mod replicas;
mod rights;
mod secrets;
mod settings;
mod versions;

use crate::config::Config;
use crate::dataset::Dataset;
use crate::ledger::{Build, DatasetRow, Ledger, State};
use crate::postgres::{Server, Session, explain_chain};
use crate::problem::hint_of;
use crate::rotate::Router;
use crate::rotate::preconditions::{Obstacle, Preconditions};
use crate::rotate::probe::Prober;
use anyhow::Result;
use serde::Serialize;
use std::path::PathBuf;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Ok,
    /// Works, and somebody should change it.
    Warning,
    /// A night will fail of it, or data are in danger.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub subject: &'static str,
    pub level: Level,
    pub finding: String,
    /// What to do; none where all is well.
    pub todo: Option<String>,
}

impl Finding {
    /// A file of the project that is wrong: a run would end at it.
    pub fn broken(error: &anyhow::Error) -> Finding {
        Finding {
            subject: "files",
            level: Level::Problem,
            finding: explain_chain(error),
            todo: Some(hint_of(error).unwrap_or("correct the file").to_owned()),
        }
    }
}

/// What is looked at.
pub struct Visit<'v> {
    pub config: &'v Config,
    pub server: &'v Server,
    /// A session in the database that is always there.
    pub session: &'v Session,
    pub router: &'v Router,
    /// None before the first run.
    pub ledger: Option<&'v Ledger>,
    pub datasets: &'v [Dataset],
    /// How each of them is looked at by a reader, in the same order.
    pub looks: &'v [Look],
    /// Every dataset of the project, also those that are not asked about.
    pub project: &'v [String],
    /// The data directory of the embedded server.
    pub data: Option<PathBuf>,
}

/// What the gates of a dataset need of a reader.
#[derive(Debug)]
pub struct Look {
    pub prober: Prober,
    /// Whether there are golden queries.
    pub golden: bool,
}

/// A dataset in the ledger.
struct Known {
    row: DatasetRow,
    builds: Vec<Build>,
}

impl Known {
    fn live(&self) -> Option<&Build> {
        let live = |build: &&Build| Some(build.id) == self.row.live_build;
        self.builds.iter().find(live)
    }
}

/// Collects the findings of one subject.
struct Notes {
    subject: &'static str,
    findings: Vec<Finding>,
}

impl Notes {
    fn new(subject: &'static str) -> Notes {
        Notes {
            subject,
            findings: Vec::new(),
        }
    }

    fn ok(&mut self, finding: impl Into<String>) {
        self.add(Level::Ok, finding.into(), None);
    }

    fn warn(&mut self, finding: impl Into<String>, todo: impl Into<String>) {
        self.add(Level::Warning, finding.into(), Some(todo.into()));
    }

    fn problem(&mut self, finding: impl Into<String>, todo: impl Into<String>) {
        self.add(Level::Problem, finding.into(), Some(todo.into()));
    }

    /// Something that could not be looked at: silence would pass for health.
    fn unknown(&mut self, what: &str, error: &anyhow::Error) {
        let todo = hint_of(error).unwrap_or("see the message");
        let finding = format!("{what} could not be looked at: {}", explain_chain(error));
        self.add(Level::Problem, finding, Some(todo.to_owned()));
    }

    fn add(&mut self, level: Level, finding: String, todo: Option<String>) {
        self.findings.push(Finding {
            subject: self.subject,
            level,
            finding,
            todo,
        });
    }

    /// One line that all is well, if nothing was found.
    fn or_ok(mut self, finding: &str) -> Notes {
        if self.findings.is_empty() {
            self.ok(finding);
        }
        self
    }
}

/// Looks at everything.
///
/// # Errors
/// Only when the ledger cannot be read.
pub async fn examine(visit: &Visit<'_>) -> Result<Vec<Finding>> {
    // Datasets of another project have a router, readers and files that are not known here.
    let (mut known, mut beyond) = (Vec::new(), Vec::new());
    if let Some(ledger) = visit.ledger {
        for name in ledger.datasets().await? {
            let list = match visit.datasets.iter().any(|dataset| dataset.name == name) {
                true => &mut known,
                false if visit.project.contains(&name) => continue,
                false => &mut beyond,
            };
            list.push(Known {
                row: ledger.dataset(&name).await?,
                builds: ledger.builds(&name).await?,
            });
        }
    }
    let mut all = Vec::new();
    take(&mut all, "rights", rights::look(visit, &known).await);
    take(&mut all, "schemas", public::look(visit, &known).await);
    take(&mut all, "secrets", secrets::look(visit));
    take(&mut all, "settings", settings::look(visit, &known).await);
    take(&mut all, "disk", disk::look(visit, &known).await);
    take(&mut all, "log", disk::look_at_log(visit, &known).await);
    take(&mut all, "versions", versions::look(visit, &known).await);
    take(&mut all, "replicas", replicas::look(visit, &known).await);
    take(&mut all, "router", poolers(visit, &known).await);
    take(
        &mut all,
        "leftovers",
        leftovers::look(visit, &known, &beyond).await,
    );
    take(&mut all, "datasets", datasets::look(visit, &beyond).await);
    take(&mut all, "inputs", inputs::look(visit).await);
    take(&mut all, "clock", clock::look(visit).await);
    all.extend(obstacles(visit).await);
    Ok(all)
}

/// What a run would warn of at its start: here it is a problem.
async fn obstacles(visit: &Visit<'_>) -> Vec<Finding> {
    let preconditions = Preconditions {
        session: visit.session,
        ledger: visit.ledger,
        server: visit.server,
        router: visit.router,
        groups: &visit.config.groups,
    };
    let mut all: Vec<Obstacle> = preconditions.of_server().await;
    for (dataset, look) in visit.datasets.iter().zip(visit.looks) {
        let found = preconditions.of_dataset(dataset, &look.prober, look.golden);
        for obstacle in found.await {
            // Members of a group share their holds.
            if !all.iter().any(|other| other.finding == obstacle.finding) {
                all.push(obstacle);
            }
        }
    }
    let problem = |obstacle: Obstacle| Finding {
        subject: obstacle.subject,
        level: Level::Problem,
        finding: obstacle.finding,
        todo: Some(obstacle.todo),
    };
    all.into_iter().map(problem).collect()
}

fn take(all: &mut Vec<Finding>, subject: &'static str, notes: Result<Notes>) {
    let notes = notes.unwrap_or_else(|error| {
        let mut notes = Notes::new(subject);
        notes.unknown("it", &error);
        notes
    });
    all.extend(notes.findings);
}

/// Where each alias leads, at every place that decides it: the server, the pointer, each pooler.
async fn poolers(visit: &Visit<'_>, known: &[Known]) -> Result<Notes> {
    let mut notes = Notes::new("router");
    let Some(ledger) = visit.ledger else {
        return Ok(notes.or_ok("nothing was ever run"));
    };
    for known in known {
        let Some(live) = known.live() else { continue };
        let alias = &known.row.dataset;
        let expected = visit.router.name_of_live(alias, live);
        let observed = match visit.router.observe(ledger, alias).await {
            Ok(observed) => observed,
            Err(error) => {
                notes.unknown(&format!("`{alias}`"), &error);
                continue;
            }
        };
        for seen in observed {
            let place = &seen.place;
            // What does not answer is among the preconditions of a move.
            let is_right = seen.database.as_deref() == Some(expected);
            if seen.error.is_none() && !is_right {
                notes.problem(
                    format!(
                        "`{alias}` leads to `{}` at {place}, and `{expected}` is live",
                        seen.database.as_deref().unwrap_or("nothing")
                    ),
                    format!(
                        "`overnight run {}` puts it right, or says why not",
                        visit.config.groups.typed_for(alias)
                    ),
                );
            }
        }
    }
    let way = format!(
        "every alias leads to its live build ({})",
        visit.router.word()
    );
    Ok(notes.or_ok(&way))
}

/// Databases of builds that should be there.
fn present(known: &[Known]) -> Vec<u32> {
    let gone = |build: &&Build| !matches!(build.state, State::Dropped | State::Failed);
    let builds = known.iter().flat_map(|known| &known.builds);
    builds
        .filter(gone)
        .filter_map(|build| build.database_oid)
        .collect()
}
