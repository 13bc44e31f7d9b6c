//! `overnight diff`: two builds, table by table.

use super::{Desk, output};
use crate::operation::diff::{Presence, TableDiff, Wanted, diff};
use crate::units::grouped;
use anyhow::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A dataset of the project: a folder below sources/
    dataset: String,
    /// The older build; default: the live one, or the one before it when no newer build waits
    old: Option<String>,
    /// The newer build; default: the one that waits for `rotate`, or the live one
    new: Option<String>,
    /// Only this table
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Print so many keys of each kind: they are values of the data
    #[arg(long, value_name = "N", default_value_t = 0)]
    samples: usize,
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(&args.dataset)?;
    let place = desk.workplace().await?;
    let wanted = Wanted {
        old: args.old.clone(),
        new: args.new.clone(),
        table: args.table.clone(),
        samples: args.samples,
    };
    let found = diff(&place, &dataset, &wanted).await?;
    if desk.json {
        output::json(&found)?;
        return Ok(0);
    }
    let rows: Vec<Vec<String>> = found.tables.iter().map(row).collect();
    let heads = ["table", "rows", "were", "added", "removed", "changed"];
    let mut out = format!(
        "{} against {}\n{}",
        found.new,
        found.old,
        output::table(&heads, &rows)
    );
    for table in &found.tables {
        for line in notes(table) {
            out += &format!("\n{}: {line}", table.table);
        }
    }
    output::line(&out)?;
    Ok(0)
}

fn row(table: &TableDiff) -> Vec<String> {
    let mut cells = vec![table.table.clone()];
    if let (Some(rows), Some(difference)) = (table.rows, &table.difference) {
        let counts = difference.counts;
        let counts = [
            rows.new,
            rows.old,
            counts.added,
            counts.removed,
            counts.changed,
        ];
        cells.extend(counts.map(grouped));
        if difference.key.is_empty() && !difference.by_digest {
            // Whole rows were compared.
            cells[5] = String::new();
        }
    }
    cells.resize(6, String::new());
    cells
}

fn notes(table: &TableDiff) -> Vec<String> {
    let mut lines = Vec::new();
    match table.presence {
        Presence::OnlyNew => lines.push("only in the newer build".to_owned()),
        Presence::OnlyOld => lines.push("only in the older build".to_owned()),
        Presence::Both => {}
    }
    if let Some(difference) = &table.difference {
        if difference.key.is_empty() {
            lines.push("has no common primary key: whole rows were compared".to_owned());
        }
        if !difference.only_in_one.is_empty() {
            let columns = difference.only_in_one.join(", ");
            lines.push(format!("only one of them has {columns}: not compared"));
        }
        let samples = &difference.samples;
        for (what, keys) in [
            ("added", &samples.added),
            ("removed", &samples.removed),
            ("changed", &samples.changed),
        ] {
            if !keys.is_empty() {
                lines.push(format!(
                    "{what} {}: {}",
                    difference.key.join(","),
                    keys.join(" ")
                ));
            }
        }
    }
    lines.extend(table.figures.iter().cloned());
    lines
}
