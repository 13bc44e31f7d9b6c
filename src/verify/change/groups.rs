//! Rows per group, where a source file declares groups.
//!
//! The ledger knows a group by the hash of its value, so that the next night needs no look at the old
//! build. A group is named only where every column that makes it is declared with `show = true`.

use super::is_new;
use crate::dataset::{Change, ExpectGroups, Level, Source};
use crate::gate::{Gate, Verdict};
use crate::ledger::Build;
use crate::ledger::profiles::GroupRow;
use crate::postgres::quote_ident;
use crate::problem::Problem;
use crate::switch;
use crate::units::grouped;
use crate::verify::Candidate;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

/// What has more groups is no grouping, but a list of keys.
const MOST_GROUPS: usize = 20_000;

/// Groups that a message names; the rest are counted.
const SHOWN: usize = 5;

/// One gate for each declared grouping; the first night has nothing to compare with.
pub(super) async fn gates(candidate: &Candidate<'_>, measure: Option<&Build>) -> Result<Vec<Gate>> {
    let mut gates = Vec::new();
    for source in &candidate.dataset.sources {
        for declared in &source.expect.groups {
            let table = source.full_table();
            let columns = declared.by.0.join(",");
            let now = count(candidate, source, declared).await?;
            if is_new(candidate.build) {
                let ledger = candidate.ledger;
                ledger
                    .record_groups(candidate.build, &table, &columns, &now)
                    .await?;
            }
            let Some(measure) = measure else {
                continue;
            };
            let ledger = candidate.ledger;
            let before = ledger.groups(measure.id, &table, &columns).await?;
            if before.is_empty() {
                // The night before did not declare it.
                continue;
            }
            let gate = format!("groups of {table} by {columns}");
            let (verdict, finding) = judge(declared, &before, &now);
            gates.push(Gate {
                gate,
                verdict,
                finding: format!("{finding}, against `{}`", measure.name),
            });
        }
    }
    Ok(gates)
}

async fn count(
    candidate: &Candidate<'_>,
    source: &Source,
    declared: &ExpectGroups,
) -> Result<Vec<GroupRow>> {
    let table = source.full_table();
    let columns = &declared.by.0;
    let texts: Vec<String> = columns
        .iter()
        .map(|column| format!("t.{}::text", quote_ident(column)))
        .collect();
    let show = columns.iter().all(|column| {
        let limits = source.expect.columns.get(column);
        limits.is_some_and(|limits| limits.show)
    });
    let rows = candidate
        .session
        .query(
            &format!(
                "select hashtextextended(g.value collate \"C\", 0), case when {show} then g.value end, g.rows
                 from (select array[{}]::text as value, count(*) as rows from {}.{} t group by 1 limit {}) g",
                texts.join(", "),
                quote_ident(&source.schema),
                quote_ident(&source.table),
                MOST_GROUPS + 1
            ),
            &[],
        )
        .await
        .with_context(|| format!("count the rows of `{table}` by {}", columns.join(", ")))?;
    if rows.len() > MOST_GROUPS {
        bail!(
            Problem::usage(format!(
                "`{table}` has more than {} groups by {}",
                grouped(MOST_GROUPS as u64),
                columns.join(", ")
            ))
            .hint("declare `groups` by columns of few values")
        );
    }
    let group = |row: &tokio_postgres::Row| GroupRow {
        hash: row.get(0),
        label: row.get(1),
        rows: row.get(2),
    };
    Ok(rows.iter().map(group).collect())
}

fn judge(
    declared: &ExpectGroups,
    before: &BTreeMap<i64, GroupRow>,
    now: &[GroupRow],
) -> (Verdict, String) {
    let counted: BTreeMap<i64, i64> = now.iter().map(|group| (group.hash, group.rows)).collect();
    let mut missing = Vec::new();
    let mut moved = Vec::new();
    let large = before
        .values()
        .filter(|group| group.rows as u64 >= declared.min);
    for old in large {
        match counted.get(&old.hash) {
            None => missing.push((old, -100.0)),
            Some(rows) => {
                let percent = Change::percent(old.rows as u64, *rows as u64);
                let allowed = declared
                    .change
                    .is_none_or(|change| change.allows(old.rows as u64, *rows as u64));
                if !allowed {
                    moved.push((old, percent));
                }
            }
        }
    }
    let groups = |count: usize| match count {
        1 => "1 group".to_owned(),
        count => format!("{} groups", grouped(count as u64)),
    };
    let new = now.iter().filter(|group| !before.contains_key(&group.hash));
    let mut said = vec![format!("{}, {} new", groups(now.len()), new.count())];
    let mut verdict = Verdict::Passed;
    if !missing.is_empty() && declared.missing != Level::Off && switch::on("change.groups") {
        said.push(format!(
            "{} missing{}",
            groups(missing.len()),
            names(&missing)
        ));
        verdict = match declared.missing {
            Level::Refuse => Verdict::Failed,
            Level::Warn | Level::Off => Verdict::Warned,
        };
    }
    if let Some(change) = declared.change.filter(|_| !moved.is_empty()) {
        let most = moved
            .iter()
            .map(|(_, percent)| *percent)
            .fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        said.push(format!(
            "{} moved by more than {change}, the most by {most:+.0}%{}",
            groups(moved.len()),
            names(&moved)
        ));
        verdict = Verdict::Failed;
    }
    (verdict, said.join(", "))
}

/// Which groups, as far as they may be named.
fn names(groups: &[(&GroupRow, f64)]) -> String {
    let mut labels: Vec<&str> = groups
        .iter()
        .filter_map(|(group, _)| group.label.as_deref())
        .collect();
    if labels.is_empty() {
        return String::new();
    }
    labels.sort_unstable();
    labels.truncate(SHOWN);
    format!(" ({})", labels.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(hash: i64, rows: i64) -> GroupRow {
        GroupRow {
            hash,
            label: (hash == 3).then(|| "{TX}".to_owned()),
            rows,
        }
    }

    fn asked(toml: &str, now: &[GroupRow]) -> (Verdict, String) {
        let declared: ExpectGroups = toml::from_str(toml).unwrap();
        let before = [group(1, 100), group(2, 9), group(3, 50)];
        let before = before.map(|group| (group.hash, group)).into();
        judge(&declared, &before, now)
    }

    #[test]
    fn a_group_that_is_gone_is_named_only_where_it_may_be() {
        let toml = "by = 'state'\nchange = '30%'";
        let all = [group(1, 80), group(3, 51), group(9, 1)];
        assert_eq!(asked(toml, &all).0, Verdict::Passed);
        let (verdict, said) = asked(toml, &[group(3, 50)]);
        assert_eq!(verdict, Verdict::Failed);
        assert_eq!(said, "1 group, 0 new, 1 group missing");
        let (_, said) = asked(toml, &[group(1, 40)]);
        assert!(said.contains("1 group missing ({TX})"), "{said}");
        assert!(
            said.contains("1 group moved by more than 30%, the most by -60%"),
            "{said}"
        );
        let warn = "by = ['state']\nmissing = 'warn'";
        assert_eq!(asked(warn, &[group(1, 4)]).0, Verdict::Warned);
    }
}
