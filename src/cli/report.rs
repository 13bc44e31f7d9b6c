//! `overnight report`: everything about one build on one page.

use super::run::SHORTEST_PART;
use super::status::{last_run, running};
use super::{Desk, output};
use crate::ledger::runs::RunState;
use crate::operation::report::{Rejects, Report, report};
use crate::units::{Bytes, grouped};
use anyhow::Result;
use serde_json::Value;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A build, or a dataset for its newest build; default: the newest of all
    build: Option<String>,
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let place = desk.workplace().await?;
    let found = report(&place, args.build.as_deref()).await?;
    if desk.json {
        output::json(&found)?;
    } else {
        output::line(&page(&found))?;
    }
    Ok(0)
}

/// The whole page, a paragraph for each thing that there is.
fn page(report: &Report) -> String {
    let mut parts = vec![head(report)];
    let mut add = |title: &str, heads: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            parts.push(format!("{title}\n{}", output::table(heads, &rows)));
        }
    };
    add(
        "GATES",
        &["", "at", "gate", "finding", "why, and by whom"],
        rows(report, "findings", finding),
    );
    add(
        "INPUTS",
        &["source", "object", "bytes", "records", "rows", "rejects"],
        rows(report, "inputs", |input| {
            let bytes = input["bytes"].as_u64().map(Bytes);
            vec![
                text(&input["source"]),
                text(&input["key"]),
                bytes.map_or_else(String::new, |bytes| bytes.to_string()),
                number(&input["records_read"]),
                number(&input["rows_loaded"]),
                number(&input["rejected"]),
            ]
        }),
    );
    add(
        "TABLES",
        &["table", "rows", "seconds"],
        rows(report, "tables", |table| {
            vec![
                text(&table["table_name"]),
                number(&table["rows_loaded"]),
                seconds(&table["seconds"]),
            ]
        }),
    );
    if let Some(rejects) = &report.rejects {
        let rejects: Vec<Vec<String>> = rejects.iter().map(reject).collect();
        add("REJECTS", &["source", "column", "what", "records"], rejects);
    }
    let mut stages = rows(report, "stages", |stage| {
        vec![
            text(&stage["stage"]),
            seconds(&stage["seconds"]),
            number(&stage["rows_done"]),
        ]
    });
    // A run that failed or was killed has counted nothing; when its stages began is known.
    if stages.is_empty() {
        let begun = report.run_stages.iter();
        stages.extend(begun.map(|stage| {
            let took = match seconds(&stage["seconds"]) {
                unended if unended.is_empty() => "not ended".to_owned(),
                took => took,
            };
            vec![text(&stage["stage"]), took, String::new()]
        }));
    }
    add("STAGES", &["stage", "seconds", "rows"], stages);
    let long = |part: &&Value| part["seconds"].as_f64() >= Some(SHORTEST_PART);
    let timed = report.run_parts.iter().filter(long).map(|part| {
        vec![
            text(&part["stage"]),
            text(&part["part"]),
            seconds(&part["seconds"]),
        ]
    });
    add("PARTS", &["stage", "part", "seconds"], timed.collect());
    add(
        "KEYS",
        &["table", "added", "removed", "changed", "unchanged"],
        rows(report, "keys", |keys| {
            let count = |what: &str| number(&keys[what]);
            vec![
                text(&keys["table_name"]),
                count("added"),
                count("removed"),
                count("changed"),
                count("unchanged"),
            ]
        }),
    );
    add(
        "COLUMNS",
        &["table", "column", "type", "nulls", "different", "renewed"],
        columns(report),
    );
    add(
        "MOVES OF THE ALIAS",
        &["begun", "what", "state", "reason", "by"],
        rows(report, "moves", |step| {
            let to = if step["came"] == true {
                "to it"
            } else {
                "away from it"
            };
            vec![
                time(&step["begun_at"]),
                format!("{} {to}", text(&step["kind"])),
                text(&step["state"]),
                text(&step["reason"]),
                text(&step["actor"]),
            ]
        }),
    );
    parts.join("\n\n")
}

fn head(report: &Report) -> String {
    let build = &report.record.build;
    let mut out = format!(
        "{}: {} of {}, schema version {}",
        build.name,
        build.state.word(),
        build.dataset,
        build.schema_version
    );
    let mut say = |what: &str, value: Option<String>| {
        if let Some(value) = value {
            out += &format!("\n  {what:<12} {value}");
        }
    };
    say("created", Some(build.created_at.clone()));
    say("verified", build.verified_at.clone());
    say("published", build.published_at.clone());
    say("rolled back", build.rolled_back_at.clone());
    say("closed", build.tombstoned_at.clone());
    say("rows", build.rows_loaded.map(|rows| grouped(rows as u64)));
    say(
        "read",
        build
            .bytes_read
            .map(|bytes| Bytes(bytes as u64).to_string()),
    );
    say(
        "seconds",
        build.seconds.map(|seconds| format!("{seconds:.1}")),
    );
    say("FAILED", build.failure.clone());
    for run in &report.runs {
        say(
            "run",
            Some(match run.state {
                RunState::Running => format!("{}: {}", run.id, running(run)),
                _ => format!("{}: {}, by {}", run.id, last_run(run), run.actor),
            }),
        );
    }
    out
}

fn rows(report: &Report, what: &str, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    let list = report.record.answers.get(what).and_then(Value::as_array);
    list.into_iter().flatten().map(row).collect()
}

fn reject(reject: &Rejects) -> Vec<String> {
    vec![
        reject.source.clone(),
        reject.column.clone().unwrap_or_default(),
        reject.kind.clone(),
        grouped(reject.records as u64),
    ]
}

fn finding(finding: &Value) -> Vec<String> {
    let verdict = match text(&finding["verdict"]).as_str() {
        "passed" => "ok".to_owned(),
        "failed" => "FAILED".to_owned(),
        other => other.to_owned(),
    };
    let why = match text(&finding["reason"]) {
        none if none.is_empty() => none,
        reason => format!("{reason} ({})", text(&finding["actor"])),
    };
    vec![
        verdict,
        text(&finding["stage"]),
        text(&finding["gate"]),
        text(&finding["finding"]),
        why,
    ]
}

fn columns(report: &Report) -> Vec<Vec<String>> {
    let tables = report
        .record
        .answers
        .get("profiles")
        .and_then(Value::as_array);
    let mut out = Vec::new();
    for table in tables.into_iter().flatten() {
        let rows = table["rows"].as_u64().unwrap_or_default();
        for column in table["columns"].as_array().into_iter().flatten() {
            let nulls = column["nulls"].as_u64().unwrap_or_default();
            let share = |part: f64| format!("{:.1}%", part * 100.0);
            let distinct = column["distinct"].as_f64();
            let renewed = column["moved"]["renewed"].as_f64();
            out.push(vec![
                text(&table["table"]),
                text(&column["name"]),
                text(&column["data_type"]),
                share(nulls as f64 / rows.max(1) as f64),
                distinct.map_or_else(String::new, |count| grouped(count as u64)),
                renewed.map_or_else(String::new, share),
            ]);
        }
    }
    out
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> String {
    value.as_u64().map_or_else(String::new, grouped)
}

fn seconds(value: &Value) -> String {
    value
        .as_f64()
        .map_or_else(String::new, |seconds| format!("{seconds:.2}"))
}

/// `2026-11-21T05:10:02.123456+00:00` without what nobody reads.
fn time(value: &Value) -> String {
    let text = text(value);
    let end = text.find('.').unwrap_or(text.len());
    format!("{}Z", text.get(..end).unwrap_or_default())
}
