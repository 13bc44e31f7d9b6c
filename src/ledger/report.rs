//! Everything that the ledger knows of one build, for a report.

use super::{Build, Ledger};
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

/// One question of a report: its name, and a query for one build that returns objects.
const QUESTIONS: [(&str, &str); 8] = [
    (
        "inputs",
        "select to_jsonb(i) - 'build' from ledger.input i where build = $1 order by source, key",
    ),
    (
        "tables",
        "select to_jsonb(l) - 'build' || coalesce((select jsonb_build_object('seconds', t.seconds) from ledger.table_timing t
                where t.build = l.build and t.table_name = l.table_name), '{}')
         from ledger.loaded l where build = $1 order by table_name",
    ),
    (
        "stages",
        "select to_jsonb(s) - 'build' from ledger.stage s where build = $1 order by position",
    ),
    (
        "findings",
        "select to_jsonb(f) - 'build' from ledger.finding f where build = $1 order by id",
    ),
    (
        "moves",
        "select jsonb_build_object('kind', kind, 'state', state, 'reason', reason, 'actor', actor, 'begun_at', begun_at,
                'confirmed_at', confirmed_at, 'came', to_build = $1) from ledger.flip
         where to_build = $1 or from_build = $1 order by id",
    ),
    (
        "events",
        "select to_jsonb(e) - 'build' from ledger.event e where build = $1 order by id",
    ),
    (
        "profiles",
        "select profile || jsonb_build_object('table', table_name) from ledger.profile where build = $1 order by table_name",
    ),
    (
        "keys",
        "select to_jsonb(k) - 'build' from ledger.key_change k where build = $1 order by table_name",
    ),
];

/// What the ledger knows of one build, by question.
#[derive(Debug, Serialize)]
pub struct Record {
    pub build: Build,
    #[serde(flatten)]
    pub answers: serde_json::Map<String, Value>,
}

impl Ledger {
    /// The build of a name; or the newest of a dataset of that name; without a name, the newest of all.
    pub async fn build_called(&self, name: Option<&str>) -> Result<Option<Build>> {
        let row = self
            .session
            .query_opt(
                "select id from ledger.build where $1::text is null or name = $1 or dataset = $1
                 order by id desc limit 1",
                &[&name],
            )
            .await
            .context("look for the build")?;
        match row {
            Some(row) => self.build(row.get(0)).await.map(Some),
            None => Ok(None),
        }
    }

    /// Everything about one build.
    pub async fn record(&self, build: Build) -> Result<Record> {
        let mut answers = serde_json::Map::new();
        for (name, question) in QUESTIONS {
            let rows = self
                .session
                .query(question, &[&build.id])
                .await
                .with_context(|| format!("read the {name} of a build"))?;
            let list = rows.iter().map(|row| row.get::<_, Value>(0)).collect();
            answers.insert(name.to_owned(), Value::Array(list));
        }
        Ok(Record { build, answers })
    }
}
