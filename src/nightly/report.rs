//! What a run did and how it ended.

use super::brake::LiveLatency;
use super::resume::TakenOver;
use crate::config::LoadSettings;
use crate::load::TableLoad;
use crate::load::throttle::Pause;
use crate::load::timing::{LoadUse, bottleneck};
use crate::progress::{PartTime, StageTime};
use crate::retire::Retired;
use serde::Serialize;

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
    /// How long files of SQL, indexes and gates took, in the order in which they ended.
    pub parts: Vec<PartTime>,
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

/// What held the load of a run back, in one sentence.
pub(super) fn held_back(
    report: &Report,
    settings: &LoadSettings,
    connections: usize,
) -> Option<String> {
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
