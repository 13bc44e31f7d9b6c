//! The run, every stage in order: start reading here.
//!
//! Pin the inputs, create a database, run the numbered SQL, rehearse, load, put indexes and keys
//! back, derive, analyze, grant, verify, seal, move the alias, retire. Until the alias moves
//! nothing that a service can see has changed. A build that fails is recorded with its reason and
//! dropped at once; if that is not possible any more, the next start does it. One whose tables are
//! loaded and that failed for want of S3, the server or time is kept, and the next run goes on with it.

mod approval;
mod bounded;
pub mod brake;
mod early;
mod fill;
pub mod inputs;
mod lost;
mod prepare;
pub mod project;
mod resume;
pub mod together;
mod wait;

pub use prepare::Prepared;
use resume::Resumed;
pub use resume::{Resume, TakenOver};

use crate::build;
use crate::capacity::Capacity;
use crate::config::{Env, LoadSettings};
use crate::crashpoint;
use crate::dataset::Dataset;
use crate::deadline::Deadline;
use crate::fetch::Location;
use crate::gate::Overrides;
use crate::ledger::{Build, Ledger, State};
use crate::load::TableLoad;
use crate::load::throttle::Pause;
use crate::load::timing::{LoadUse, bottleneck};
use crate::manifest::Manifest;
use crate::operation::{Workplace, subset};
use crate::postgres::Session;
use crate::postgres::error as pg_error;
use crate::printable::Printable;
use crate::problem::Problem;
use crate::progress::{Progress, StageTime};
use crate::retire::Retired;
use crate::rotate::probe::Prober;
use crate::rotate::refuse_stranger;
use crate::schema::files::SqlFiles;
use crate::schema::numbered::NumberedFile;
use crate::schema::run as numbered_run;
use crate::switch;
use crate::verify::{Candidate, Passed, VerifiedBuild, verify};
use anyhow::{Context, Result, bail};
use brake::{Brake, LiveLatency};
use jiff::Timestamp;
use serde::Serialize;
use std::time::Instant;

/// What somebody asked of a run.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// Build even when the inputs are those of the live build.
    pub force: bool,
    /// Build and verify, and leave the alias where it is.
    pub no_rotate: bool,
    /// List every reject, also without a budget.
    pub list_rejects: bool,
    /// The build waits for an operator, also where the dataset does not ask for that.
    pub approve: bool,
    /// Gates that somebody accepts this time.
    pub overrides: Overrides,
    /// Whether to go on with the unfinished build of an earlier run.
    pub resume: Resume,
    /// When it must be published.
    pub deadline: Option<Deadline>,
}

/// Objects named in one event, at most.
const MOST_UNUSED: usize = 20;

/// How a run ended well.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The live build was made from exactly these inputs.
    Unchanged { live: String },
    /// The alias leads to this build.
    Published(Report),
    /// Verified and waiting, because `--no-rotate` asked for it, or for an operator's approval.
    Verified(Report),
}

/// What a run did.
#[derive(Debug, Serialize)]
pub struct Report {
    pub build: String,
    pub previous: Option<String>,
    pub seconds: f64,
    pub rows: u64,
    pub bytes: u64,
    pub rejected: u64,
    /// Objects below the prefix that no source asks for.
    pub unused: Vec<String>,
    pub tables: Vec<TableLoad>,
    pub stages: Vec<StageTime>,
    /// What held the load back, in one sentence; `None` when nothing was loaded.
    pub bottleneck: Option<String>,
    pub retired: Retired,
    /// When and why the load waited for the server.
    pub pauses: Vec<Pause>,
    /// How fast the live alias answered while the build was made.
    pub live_latency: Option<LiveLatency>,
    /// The build was made by an earlier run that ended before the move.
    pub resumed: bool,
    /// Until when it waits for an operator, if it does (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approve_until: Option<String>,
    /// What an earlier run had loaded and this one kept.
    pub taken_over: Option<TakenOver>,
}
/// What all stages of one run share.
pub struct Run<'r> {
    pub place: &'r Workplace,
    pub ledger: &'r Ledger,
    pub dataset: &'r Dataset,
    pub files: &'r SqlFiles,
    pub location: &'r Location,
    pub manifest: &'r Manifest,
    pub progress: &'r Progress,
    /// What the server has.
    pub capacity: Capacity,
    /// Where secrets are looked up.
    pub env: Env<'r>,
    /// What holds the load back.
    pub brake: Brake,
}

/// Runs one dataset from its files to the alias.
pub async fn run(
    place: &Workplace,
    dataset: &Dataset,
    options: &Options,
    progress: &Progress,
    env: Env<'_>,
) -> Result<Outcome> {
    let unit = place.config.groups.unit(&dataset.name);
    let alone = std::slice::from_ref(dataset);
    let night = together::run(place, unit, alone, options, progress, env);
    let mut night = Box::pin(night).await?;
    match (night.not_moved, night.outcomes.pop()) {
        (None, Some(outcome)) => outcome,
        (Some(error), _) => Err(error),
        (None, None) => bail!("the run has no outcome"),
    }
}

/// What the stages before the move give.
enum Made {
    /// The live build, of this name, was made from exactly these inputs.
    Unchanged(String),
    Build(Box<Built>),
}

/// A build that may be published, and what is known of it so far.
struct Built {
    verified: VerifiedBuild,
    report: Report,
    /// That could load side by side.
    connections: usize,
}

/// What is known before anything is made.
enum Planned<'r> {
    /// The live build, of this name, was made from exactly these inputs.
    Unchanged(String),
    /// A build of the same inputs waits for its move.
    Waiting(Run<'r>, Box<VerifiedBuild>),
    /// A build has to be made; with who looks at the live database of which name meanwhile.
    Build(Run<'r>, Option<(Prober, String)>),
}

/// Every stage before the move.
async fn make(
    place: &Workplace,
    (dataset, files, ledger): (&Dataset, &SqlFiles, &Ledger),
    options: &Options,
    progress: &Progress,
    env: Env<'_>,
) -> Result<Made> {
    let began = Instant::now();
    let deadline = options.deadline.as_ref();
    let pinning = pin(place, dataset);
    let (location, manifest) = bounded::until(deadline, progress, pinning).await?;
    for key in &manifest.unused {
        tracing::warn!("`{}` is not used by any source", Printable(key));
    }
    let digest = inputs::input_digest(dataset, files, &manifest);
    let live = bounded::until(deadline, progress, live_build(ledger, dataset)).await?;
    let capacity = place.capacity(&ledger.session);
    let this = Run {
        place,
        ledger,
        dataset,
        files,
        location: &location,
        manifest: &manifest,
        progress,
        capacity: bounded::until(deadline, progress, capacity).await?,
        env,
        brake: Brake::default(),
    };
    let planning = this.plan(&digest, live.as_ref(), options);
    let (this, resumed, (verified, tables, taken_over)) =
        match bounded::until(deadline, progress, planning).await? {
            Planned::Unchanged(live) => return Ok(Made::Unchanged(live)),
            Planned::Waiting(this, verified) => (this, true, (*verified, Vec::new(), None)),
            Planned::Build(this, prober) => {
                let building = this.build(&digest, live.as_ref(), options, prober.as_ref(), began);
                let built = building.await?;
                (this, false, built)
            }
        };
    let report = Report {
        build: verified.build().name.clone(),
        previous: live.map(|live| live.name),
        seconds: 0.0,
        rows: tables.iter().map(|table| table.rows).sum(),
        bytes: manifest.bytes(),
        rejected: tables
            .iter()
            .flat_map(|table| &table.inputs)
            .map(|input| input.rejected)
            .sum(),
        unused: manifest.unused.clone(),
        tables,
        stages: Vec::new(),
        bottleneck: None,
        retired: Retired::default(),
        pauses: this.brake.pauses(),
        live_latency: this.brake.live_latency(),
        resumed,
        approve_until: approval::waiting_until(ledger, verified.build()).await?,
        taken_over,
    };
    let connections = this.capacity.connections(place.config.load.connections);
    Ok(Made::Build(Box::new(Built {
        verified,
        report,
        connections,
    })))
}

/// Writes the artifact for developers. It comes last: whatever becomes of it, the build is live.
async fn publish_subset(
    place: &Workplace,
    dataset: &Dataset,
    build: &str,
    progress: &Progress,
    env: crate::config::Env<'_>,
) -> Result<()> {
    if dataset.settings.subset.artifact.is_none() {
        return Ok(());
    }
    progress.stage("subset");
    let made = subset::publish(place, dataset, env)
        .await
        .with_context(|| format!("write the subset of `{build}`, which is live and stays so"))?;
    if let Some(made) = made {
        tracing::info!(
            "{}: {} rows for developers in {}",
            made.dataset,
            made.rows,
            made.at
        );
    }
    Ok(())
}

/// What held the load of this run back.
fn held_back(report: &Report, settings: &LoadSettings, connections: usize) -> Option<String> {
    let load = report.stages.iter().find(|stage| stage.stage == "load")?;
    let tables: Vec<_> = report
        .tables
        .iter()
        // Of a table that an earlier run has loaded, no times are known.
        .filter(|table| table.timing.streams > 0)
        .map(|table| (table.table.as_str(), &table.timing))
        .collect();
    if tables.is_empty() {
        return None;
    }
    let used = LoadUse {
        seconds: load.seconds,
        connections,
        workers: settings.workers,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        copy_format: settings.copy_format,
    };
    Some(bottleneck(&tables, used))
}

/// The build behind the alias.
pub async fn live_build(ledger: &Ledger, dataset: &Dataset) -> Result<Option<Build>> {
    match ledger.dataset(&dataset.name).await?.live_build {
        Some(id) => Ok(Some(ledger.build(id).await?)),
        None => Ok(None),
    }
}

/// Opens the location and lists the inputs.
async fn pin(place: &Workplace, dataset: &Dataset) -> Result<(Location, Manifest)> {
    wait::for_inputs(place.config.wait_for, async || {
        let location = place.location().await?;
        let manifest = Manifest::pin(dataset, &location, Timestamp::now()).await?;
        Ok((location, manifest))
    })
    .await
}

impl<'r> Run<'r> {
    /// Finds out what is to be done tonight.
    async fn plan(
        mut self,
        digest: &str,
        live: Option<&Build>,
        options: &Options,
    ) -> Result<Planned<'r>> {
        let (place, ledger, dataset) = (self.place, self.ledger, self.dataset);
        let same = match live {
            Some(live) if !options.force => {
                inputs::made_from(ledger, live, self.location, self.manifest, digest).await?
            }
            _ => false,
        };
        if let Some(live) = live.filter(|_| same) {
            if options.resume == Resume::Only {
                bail!(Problem::refused(format!(
                    "nothing can be resumed: the inputs are those of `{}`, which is live",
                    live.name
                )));
            }
            let why = "the live build was made from the inputs of the night";
            resume::sweep_unfinished(ledger, &place.server, &dataset.name, why).await?;
            ledger
                .event(&dataset.name, Some(live.id), "unchanged", "")
                .await?;
            return Ok(Planned::Unchanged(live.name.clone()));
        }
        if !options.no_rotate {
            refuse_stranger(ledger, &place.server, &place.router, &dataset.name).await?;
        }
        early::warn(place, ledger, dataset, self.files, options, self.env).await?;
        tracing::info!("{}: the server has {}", dataset.name, self.capacity);
        if let Some(verified) = self.waiting_build(digest, live, options).await? {
            self.progress.build(&verified.build().name);
            let why = "a build of the same inputs is verified";
            resume::sweep_unfinished(ledger, &place.server, &dataset.name, why).await?;
            return Ok(Planned::Waiting(self, Box::new(verified)));
        }
        let left = self.sessions_left().await?;
        self.capacity
            .leave_others(left, place.config.load.connections);
        let prober = match (live, place.prober(dataset, self.env)) {
            (Some(live), Ok(prober)) => {
                let name = place.router.name_of_live(&dataset.name, live);
                Some((prober, name.to_owned()))
            }
            (_, Err(error)) if !options.no_rotate => return Err(error),
            _ => None,
        };
        Ok(Planned::Build(self, prober))
    }
}

impl Run<'_> {
    /// A build of the same inputs that an earlier run verified and did not publish.
    async fn waiting_build(
        &self,
        digest: &str,
        live: Option<&Build>,
        options: &Options,
    ) -> Result<Option<VerifiedBuild>> {
        if options.force || options.resume == Resume::Never {
            return Ok(None);
        }
        let mut waiting = None;
        let builds = self
            .ledger
            .builds(&self.dataset.name)
            .await?
            .into_iter()
            .filter(|build| {
                build.state == State::Verified && live.is_none_or(|live| build.id > live.id)
            });
        for build in builds {
            if self.is_made_from_these(&build, digest).await? && !self.is_too_old(&build).await? {
                waiting = Some(build);
                break;
            }
        }
        if let Some(build) = &waiting {
            self.ask_approval(build, options).await?;
        }
        waiting.map(VerifiedBuild::recorded).transpose()
    }

    /// A file that the supplier has renamed is one that no source asks for.
    async fn record_unused(&self, build: &Build) -> Result<()> {
        let unused = &self.manifest.unused;
        if unused.is_empty() {
            return Ok(());
        }
        let shown: Vec<&str> = unused
            .iter()
            .take(MOST_UNUSED)
            .map(String::as_str)
            .collect();
        let more = match unused.len() - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let detail = format!("no source uses {}{more}", shown.join(", "));
        let dataset = &self.dataset.name;
        let event = self
            .ledger
            .event(dataset, Some(build.id), "unused_objects", &detail);
        event.await
    }

    async fn is_made_from_these(&self, build: &Build, digest: &str) -> Result<bool> {
        inputs::made_from(self.ledger, build, self.location, self.manifest, digest).await
    }

    /// Builds and verifies. A failure leaves nothing but its record, or what the next run can go on
    /// with.
    async fn build(
        &self,
        digest: &str,
        live: Option<&Build>,
        options: &Options,
        prober: Option<&(Prober, String)>,
        began: Instant,
    ) -> Result<(VerifiedBuild, Vec<TableLoad>, Option<TakenOver>)> {
        let beginning = async {
            if let Some(build) = self.unfinished(digest, options).await? {
                return Ok((self.adopt(build, digest).await?, true));
            }
            self.progress.stage("create");
            let locale = &self.place.config.locale;
            let server = &self.place.server;
            let build = build::create(self.ledger, server, self.dataset, digest, locale).await?;
            self.record_unused(&build).await?;
            Ok((build, false))
        };
        let deadline = options.deadline.as_ref();
        let (build, goes_on) = bounded::until(deadline, self.progress, beginning).await?;
        self.progress.build(&build.name);
        match self
            .make(&build, goes_on, live, options, prober, began)
            .await
        {
            Ok(made) => Ok(made),
            Err(error) => {
                self.keep_or_abandon(&build, &error).await;
                Err(error)
            }
        }
    }

    /// Drops a database that was never meant to become a build.
    pub async fn discard(&self, build: &Build) {
        let swept = async {
            build::sweep(self.ledger, &self.place.server, build).await?;
            self.ledger.set_state(build, State::Dropped).await
        };
        if let Err(error) = swept.await {
            let why = pg_error::explain_chain(&error);
            tracing::warn!(build = %build.name, "{why}; the next start drops the scratch database");
        }
    }

    /// Records the reason and drops the database. What does not succeed here is only logged: the
    /// reason of the failure matters more, and the next start repeats the rest.
    pub async fn abandon(&self, build: &Build, error: &anyhow::Error) {
        let reason = pg_error::explain_chain(error);
        let swept = build::fail_and_sweep(self.ledger, &self.place.server, build, &reason);
        if let Err(error) = swept.await {
            let why = pg_error::explain_chain(&error);
            tracing::warn!(build = %build.name, "{why}; the next start drops the unfinished build");
        }
    }

    async fn make(
        &self,
        build: &Build,
        goes_on: bool,
        live: Option<&Build>,
        options: &Options,
        prober: Option<&(Prober, String)>,
        began: Instant,
    ) -> Result<(VerifiedBuild, Vec<TableLoad>, Option<TakenOver>)> {
        let making = self.fill_and_verify(build, goes_on, options);
        let making = self.watched(build, prober, making);
        let (passed, keeper, loads, taken_over) = self
            .bounded(making, live, options.deadline.as_ref())
            .await?;
        let recording = async {
            self.record(build, &loads, began).await?;
            // Before the seal: a build that is found sealed must not be published without it.
            self.ask_approval(build, options).await
        };
        bounded::until(options.deadline.as_ref(), self.progress, recording).await?;
        self.progress.stage("seal");
        let sealing = passed.seal(self.ledger, keeper);
        let verified = bounded::until(options.deadline.as_ref(), self.progress, sealing).await?;
        Ok((verified, loads, taken_over))
    }

    async fn fill_and_verify(
        &self,
        build: &Build,
        goes_on: bool,
        options: &Options,
    ) -> Result<(Passed, Session, Vec<TableLoad>, Option<TakenOver>)> {
        let server = &self.place.server;
        let resumed = match goes_on {
            true => self.take_over(build).await?,
            false => {
                let mut prepared = self.prepare(build).await?;
                let keeper = self.open(build, "build").await?;
                crashpoint::reached("set_aside.before");
                self.set_aside(&mut prepared, &keeper)
                    .await
                    .context("set indexes and keys aside")?;
                crashpoint::reached("set_aside.after");
                Resumed::anew(prepared, keeper)
            }
        };
        let taken_over = goes_on.then_some(resumed.taken);
        let (keeper, mut loads) = (resumed.keeper, resumed.kept);
        if let Some(prepared) = resumed.prepared {
            let list_rejects = options.list_rejects;
            loads.extend(self.fill(build, prepared, &keeper, list_rejects).await?);
            build::grant_readers(&keeper, &self.dataset.settings.readers).await?;
            crashpoint::reached("grant.after");
            build::unfinished::mark_filled(&keeper, &self.place.config.locale).await?;
        }

        self.progress.stage("verify");
        crashpoint::reached("verify.before");
        let candidate = Candidate {
            ledger: self.ledger,
            server,
            session: &keeper,
            dataset: self.dataset,
            files: self.files,
            build,
            prober: &self.place.prober(self.dataset, self.env)?,
            env: self.env,
        };
        let findings = verify(&candidate, &options.overrides).await?;
        let passed = findings.proof(build)?;
        crashpoint::reached("verify.after");
        Ok((passed, keeper, loads, taken_over))
    }

    /// A session of the owner in the build, whose statements have the declared limit.
    pub(super) async fn open(&self, build: &Build, purpose: &str) -> Result<Session> {
        let session = self.place.server.connect(&build.name, purpose).await?;
        if let Some(limit) = self.place.config.statement_limit
            && switch::on("files.statement_limit")
        {
            session.limit(limit, limit).await?;
        }
        Ok(session)
    }

    /// Runs files in order, each on a fresh session.
    pub(super) async fn run_files(
        &self,
        build: &Build,
        part: &str,
        files: &[NumberedFile],
    ) -> Result<()> {
        for file in files {
            let session = self.open(build, &format!("{part} {}", file.name)).await?;
            let began = Instant::now();
            numbered_run::run(&session, file)
                .await
                .with_context(|| format!("run `{part}/{}`", file.name))?;
            tracing::debug!(
                "ran {part}/{} in {:.2} s",
                file.name,
                began.elapsed().as_secs_f64()
            );
        }
        Ok(())
    }

    async fn record(&self, build: &Build, loads: &[TableLoad], began: Instant) -> Result<()> {
        let inputs = || loads.iter().flat_map(|load| &load.inputs);
        let records = inputs().map(|input| input.records_read).sum();
        let rows = loads.iter().map(|load| load.rows).sum();
        let bytes = inputs().map(|input| input.bytes).sum();
        self.ledger
            .record_counts(build, records, rows, bytes, began.elapsed().as_secs_f64())
            .await?;
        self.ledger.record_loads(build, loads).await
    }
}
