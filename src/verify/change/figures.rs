//! The figures of all tables of a build: measured once, kept, compared.
//!
//! In: a candidate and the nights before. Out: a gate `profile of TABLE` for each table that can be
//! compared with the last published build, and, for a build that was measured before, `content of TABLE`:
//! whether each column still holds what it held then. A table that the load has measured on the way in is not read again;
//! the server is asked about tables that SQL has written.

use super::compare::{Alarm, alarms, note_moves};
use super::finished;
use super::measure::{self, Table};
use super::{columns_of, is_new, level_of, source_of};
use crate::crashpoint;
use crate::dataset::{Dataset, Level};
use crate::gate::Gate;
use crate::ledger::profiles::ProfileRow;
use crate::ledger::{Build, Ledger};
use crate::measure::{METHOD, Sketch, TableProfile};
use crate::postgres::Session;
use crate::switch;
use crate::units::grouped;
use crate::verify::Candidate;
use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt};
use std::collections::{BTreeMap, BTreeSet};

/// Tables that are measured side by side.
const SESSIONS: usize = 2;

/// Alarms that a message tells; the rest are counted.
const SHOWN: usize = 8;

/// Figures of a build, by table.
pub type Figures = BTreeMap<String, TableProfile>;

/// Measures or remeasures, and asks every table.
pub(super) async fn gates(candidate: &Candidate<'_>, earlier: &[Build]) -> Result<Vec<Gate>> {
    let mut gates = finished::gates(candidate).await?;
    let mut nights = Vec::new();
    for build in earlier {
        nights.push(comparable(candidate, build).await?);
    }
    let empty = Figures::new();
    let before = nights.first().unwrap_or(&empty);
    let known = figures_of(candidate.ledger, candidate.build.id).await?;
    let new = is_new(candidate.build);
    if !new && known.is_empty() {
        return Ok(gates);
    }
    let tables = to_measure(candidate, &known).await?;
    let by_load = match new {
        true => measured_by_load(candidate.session).await?,
        false => Figures::new(),
    };
    let looking = Looking {
        candidate,
        known: &known,
        by_load: &by_load,
        before,
    };
    let mut now = looking.at_all(tables).await?;
    let figures = match new {
        true => {
            crashpoint::reached("measure.before");
            for (table, profile) in &mut now {
                if let Some(old) = before.get(table) {
                    note_moves(old, profile);
                }
                let row = written(table, profile)?;
                candidate
                    .ledger
                    .record_profile(candidate.build, &row)
                    .await?;
            }
            crashpoint::reached("measure.after");
            &now
        }
        false => {
            let measured = candidate.ledger.measured(candidate.build.id).await?;
            let major = candidate.session.server_major() as i32;
            if measured.is_some_and(|measured| measured.server_major == major) {
                let tables = known.iter().filter(|(_, then)| then.method == METHOD);
                gates.extend(tables.map(|(table, then)| content(table, then, now.get(table))));
            }
            &known
        }
    };
    gates.extend(unknown_columns(candidate.dataset, figures));
    let Some(measure) = earlier.first() else {
        return Ok(gates);
    };
    for (table, profile) in figures {
        let level = level_of(candidate.dataset, table);
        if level == Level::Off {
            continue;
        }
        let Some(old) = before.get(table) else {
            continue;
        };
        let past: Vec<&TableProfile> = nights.iter().filter_map(|night| night.get(table)).collect();
        let found = compared(candidate.dataset, table, old, profile, &past);
        gates.push(verdict(
            candidate.dataset,
            table,
            level,
            &found,
            &measure.name,
        ));
    }
    Ok(gates)
}

/// The alarms of one table under the limits of its source.
fn compared(
    dataset: &Dataset,
    table: &str,
    old: &TableProfile,
    new: &TableProfile,
    past: &[&TableProfile],
) -> Vec<Alarm> {
    let declared = source_of(dataset, table).is_some_and(|s| s.expect.rows.change.is_some());
    let columns = columns_of(dataset, table);
    alarms(old, new, past, declared, |column| columns?.get(column))
}

fn verdict(dataset: &Dataset, table: &str, level: Level, found: &[Alarm], measure: &str) -> Gate {
    let name = format!("profile of {table}");
    if found.is_empty() || !switch::on("change.profile") {
        return Gate::new(name, true, format!("like `{measure}`"));
    }
    let columns = columns_of(dataset, table);
    let stops = |alarm: &Alarm| {
        let own = alarm
            .column
            .as_ref()
            .and_then(|column| columns?.get(column)?.profile);
        !alarm.unlearned && own.unwrap_or(level) == Level::Refuse
    };
    let mut texts: Vec<String> = found
        .iter()
        .take(SHOWN)
        .map(|alarm| match &alarm.column {
            Some(column) => format!("{column}: {}", alarm.text),
            None => alarm.text.clone(),
        })
        .collect();
    if found.len() > SHOWN {
        texts.push(format!("and {} more", found.len() - SHOWN));
    }
    let finding = format!("against `{measure}`: {}", texts.join("; "));
    let gate = Gate::new(name, false, finding);
    match found.iter().any(stops) {
        true => gate,
        false => gate.only_warns(),
    }
}

/// Whether a table still holds what it held when it was measured.
fn content(table: &str, then: &TableProfile, now: Option<&TableProfile>) -> Gate {
    let name = format!("content of {table}");
    let Some(now) = now else {
        return Gate::new(name, false, "the table is gone");
    };
    if !switch::on("change.content") {
        return Gate::new(name, true, "not compared");
    }
    let mut differs = Vec::new();
    if then.rows != now.rows {
        let rows = (grouped(now.rows), grouped(then.rows));
        differs.push(format!("{} rows instead of {}", rows.0, rows.1));
    }
    for column in &then.columns {
        match now.columns.iter().find(|other| other.name == column.name) {
            None => differs.push(format!("column {} is gone", column.name)),
            Some(other) if other.digest != column.digest || other.nulls != column.nulls => {
                differs.push(format!("column {} holds other values", column.name));
            }
            Some(_) => {}
        }
    }
    let digests = |profile: &TableProfile| (profile.digest.clone(), profile.server_digest.clone());
    if differs.is_empty() && digests(then) != digests(now) {
        differs.push("the values of the columns belong to other rows".to_owned());
    }
    match differs.is_empty() {
        true => Gate::new(
            name,
            true,
            format!("{} rows as measured", grouped(now.rows)),
        ),
        false => Gate::new(
            name,
            false,
            format!("since it was measured: {}", differs.join(", ")),
        ),
    }
}

/// A limit for a column that is not there would never be looked at.
fn unknown_columns(dataset: &Dataset, figures: &Figures) -> Vec<Gate> {
    let mut gates = Vec::new();
    for source in &dataset.sources {
        let table = source.full_table();
        let Some(profile) = figures.get(&table) else {
            continue;
        };
        let there: BTreeSet<&str> = profile.columns.iter().map(|c| c.name.as_str()).collect();
        let mut declared = source.expect.columns.keys();
        if let Some(name) = declared.find(|name| !there.contains(name.as_str())) {
            let finding = format!("`[expect.columns.{name}]`: `{table}` has no such column");
            gates.push(Gate::new(format!("limits of {table}"), false, finding));
        }
    }
    gates
}

/// The tables to measure. A build that was measured before is measured again in the same tables.
async fn to_measure(candidate: &Candidate<'_>, known: &Figures) -> Result<Vec<Table>> {
    let mut tables = measure::tables(candidate.session).await?;
    tables.retain(|table| {
        let name = table.full();
        let measured = known.is_empty() || known.contains_key(&name);
        measured && level_of(candidate.dataset, &name) != Level::Off
    });
    Ok(tables)
}

/// What the load has measured and no SQL has changed since, by table.
async fn measured_by_load(session: &Session) -> Result<Figures> {
    // The stamp of a build that an older release began has no such columns.
    let rows = session
        .query(
            "select l.table_name, to_jsonb(l) -> 'profile', to_jsonb(l) -> 'sketches'
             from overnight.loaded l where to_jsonb(l) ->> 'profile' is not null",
            &[],
        )
        .await
        .context("read what the load has measured")?;
    let row = |row: &tokio_postgres::Row| {
        read(ProfileRow {
            table: row.try_get(0)?,
            profile: row.try_get(1)?,
            sketches: row.try_get(2)?,
        })
    };
    rows.iter().map(row).collect()
}

/// Who looks at the tables, and what is known already.
struct Looking<'l> {
    candidate: &'l Candidate<'l>,
    /// What was measured of this build before.
    known: &'l Figures,
    /// What the load has measured.
    by_load: &'l Figures,
    /// What the build had that this one is compared with.
    before: &'l Figures,
}

impl Looking<'_> {
    async fn at_all(&self, tables: Vec<Table>) -> Result<Figures> {
        futures_util::stream::iter(tables)
            .map(|table| self.at(table))
            .buffer_unordered(SESSIONS)
            .try_collect()
            .await
    }

    async fn at(&self, table: Table) -> Result<(String, TableProfile)> {
        let name = table.full();
        let shown: BTreeSet<&str> = columns_of(self.candidate.dataset, &name)
            .into_iter()
            .flatten()
            .filter(|(_, limits)| limits.show)
            .map(|(column, _)| column.as_str())
            .collect();
        let database = self.candidate.session.database();
        let session = self.candidate.server.connect(database, "measure").await?;
        let began = std::time::Instant::now();
        let by_load = self.by_load.get(&name).filter(|profile| {
            let columns = profile.columns.iter().map(|column| column.name.as_str());
            columns.eq(table.columns().map(|(name, _)| name))
        });
        let mut profile = match (self.known.get(&name), by_load) {
            (Some(then), _) => measure::measure_again(&session, &table, then).await?,
            (None, Some(by_load)) => by_load.clone(),
            (None, None) => measure::measure(&session, &table, self.before.get(&name)).await?,
        };
        measure::describe(&session, &table, &shown, &mut profile).await?;
        let took = began.elapsed().as_secs_f64();
        tracing::debug!("measured {name} in {took:.2} s");
        session.close().await;
        Ok((name, profile))
    }
}

/// The figures of an earlier build, without the samples that another release or another server has chosen.
async fn comparable(candidate: &Candidate<'_>, build: &Build) -> Result<Figures> {
    let mut figures = figures_of(candidate.ledger, build.id).await?;
    let measured = candidate.ledger.measured(build.id).await?;
    let major = candidate.session.server_major() as i32;
    let same_server = measured.is_some_and(|measured| measured.server_major == major);
    for profile in figures.values_mut() {
        // The hashes of common values come from the server, also where the load has measured.
        if profile.method != METHOD || !same_server {
            profile.sketches.clear();
        }
    }
    Ok(figures)
}

/// What the ledger knows of the tables of a build.
pub async fn figures_of(ledger: &Ledger, build: i64) -> Result<Figures> {
    let rows = ledger.profiles(build).await?;
    rows.into_iter().map(read).collect()
}

fn read(row: ProfileRow) -> Result<(String, TableProfile)> {
    let mut profile: TableProfile =
        serde_json::from_value(row.profile).context("read the figures of a table")?;
    let sketches: BTreeMap<String, String> = match row.sketches {
        Some(value) => serde_json::from_value(value).context("read the samples of a table")?,
        None => BTreeMap::new(),
    };
    let sketches = sketches.into_iter();
    profile.sketches = sketches
        .filter_map(|(column, hex)| Some((column, Sketch::from_hex(&hex)?)))
        .collect();
    Ok((row.table, profile))
}

fn written(table: &str, profile: &TableProfile) -> Result<ProfileRow> {
    Ok(ProfileRow {
        table: table.to_owned(),
        profile: serde_json::to_value(profile).context("write the figures of a table")?,
        sketches: Some(profile.sketches_as_json()),
    })
}

/// What moved between two builds, under the limits of the dataset: for whoever compares them by hand.
pub fn alarms_between(dataset: &Dataset, table: &str, old: &Figures, new: &Figures) -> Vec<Alarm> {
    match (old.get(table), new.get(table)) {
        (Some(old), Some(new)) => {
            let mut new = new.clone();
            note_moves(old, &mut new);
            compared(dataset, table, old, &new, &[])
        }
        _ => Vec::new(),
    }
}
