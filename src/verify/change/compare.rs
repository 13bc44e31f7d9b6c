//! Compares the figures of a table with those of the build before.
//!
//! In: two profiles, those of the nights before, and limits. Out: [`Alarm`]s in words, with shares and
//! factors and never a value. What differs wildly from night to night in one table and never in another
//! (how many rows have another value) has no limit of its own: it is compared with what the last nights
//! did. Tables of fewer than [`FEW_ROWS`] rows raise no alarm, because every share of theirs jumps.

use crate::dataset::{Change, ExpectColumn, Level};
use crate::measure::{ColumnProfile, FEW_ROWS, KEYS, Moved, TableProfile, TextFigures};
use crate::units::grouped;

/// Rows that a table may have, where its source does not say it: a halved and a doubled one are found.
const ROWS: (f64, f64) = (0.6, 1.8);

/// Points that a share may move where nothing else is said.
const POINTS: f64 = 20.0;

/// Something that was never there may come to this many points.
const NEVER_POINTS: f64 = 5.0;

/// Average size of numbers, in decimal digits.
const MAGNITUDE: f64 = 0.5;

/// Average day, in days.
const DAYS: f64 = 3.0 * 365.0;

/// Points of the commonest value that vanished, above what the nights before had.
const VANISHED_POINTS: f64 = 5.0;

/// Without earlier nights to learn from, so much is only said.
const UNLEARNED: f64 = 0.6;

/// One figure that has moved too far.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// `None`: the whole table.
    pub column: Option<String>,
    pub text: String,
    /// There was no earlier night to learn from: it only warns.
    pub unlearned: bool,
}

/// Fills in how `new` differs from `old` where only the nights before can tell what is usual.
pub fn note_moves(old: &TableProfile, new: &mut TableProfile) {
    let same_rows = (&old.method, old.sample_shift, old.server_shift)
        == (&new.method, new.sample_shift, new.server_shift);
    if same_rows && same_sample(old, new) {
        let renewed = |name: &str| {
            let sketches = old.sketches.get(name).zip(new.sketches.get(name));
            sketches.and_then(|(old, new)| old.renewed_in(new))
        };
        new.renewed = renewed(KEYS);
        for column in &mut new.columns {
            if same_column(old, column).is_some() {
                column.moved.renewed = renewed(&column.name);
            }
        }
    }
    // Without samples the hashes are of another server, or long ago.
    if old.rows < FEW_ROWS || new.rows < FEW_ROWS || old.sketches.is_empty() {
        return;
    }
    for column in &mut new.columns {
        if let Some(before) = same_column(old, column) {
            column.moved.common = Some(apart(&before.common, &column.common));
            column.moved.vanished = Some(vanished(before, column, new.rows));
        }
    }
}

/// Whether rows are known by the same columns, so that the same rows are in both samples.
fn same_sample(old: &TableProfile, new: &TableProfile) -> bool {
    let known_by = |table: &TableProfile| -> Vec<(String, String)> {
        let columns = table.columns.iter();
        let own = columns.filter(|c| table.key.is_empty() || table.key.contains(&c.name));
        own.map(|c| (c.name.clone(), c.data_type.clone())).collect()
    };
    old.key == new.key && known_by(old) == known_by(new)
}

/// The column of the same name and type.
fn same_column<'p>(table: &'p TableProfile, column: &ColumnProfile) -> Option<&'p ColumnProfile> {
    let same =
        |other: &&ColumnProfile| other.name == column.name && other.data_type == column.data_type;
    table.columns.iter().find(same)
}

/// Share of the rows that have another one of the commonest values. A value that is on one list only may
/// be just below the other, so it counts only as far as it is above its end.
fn apart(old: &[(i64, f64)], new: &[(i64, f64)]) -> f64 {
    let one_way = |from: &[(i64, f64)], to: &[(i64, f64)]| -> f64 {
        let complete = to.iter().map(|(_, share)| share).sum::<f64>() > 0.95;
        let end = match complete || to.is_empty() {
            true => 0.0,
            false => to.iter().map(|(_, share)| *share).fold(1.0, f64::min),
        };
        let gone = from.iter().map(|(hash, share)| {
            let there = to.iter().find(|(other, _)| other == hash);
            (share - there.map_or(end, |(_, share)| *share)).max(0.0)
        });
        gone.sum()
    };
    one_way(old, new).max(one_way(new, old)).min(1.0)
}

/// Share of the commonest value of `old` that `new` does not have among its own, where those are all.
fn vanished(old: &ColumnProfile, new: &ColumnProfile, rows: u64) -> f64 {
    let nulls = new.nulls as f64 / rows as f64;
    let listed: f64 = new.common.iter().map(|(_, share)| share).sum();
    if listed + nulls < 0.98 {
        return 0.0;
    }
    let gone = old
        .common
        .iter()
        .filter(|(hash, _)| !new.common.iter().any(|(other, _)| other == hash));
    gone.map(|(_, share)| *share).fold(0.0, f64::max)
}

/// What has moved too far. `earlier` are the published nights before, the one of `old` among them.
pub fn alarms<'l>(
    old: &TableProfile,
    new: &TableProfile,
    earlier: &[&TableProfile],
    rows_declared: bool,
    limits: impl Fn(&str) -> Option<&'l ExpectColumn>,
) -> Vec<Alarm> {
    let mut found = Vec::new();
    let mut say = |column: Option<&str>, unlearned: bool, text: String| {
        found.push(Alarm {
            column: column.map(str::to_owned),
            text,
            unlearned,
        });
    };
    if old.rows < FEW_ROWS {
        return found;
    }
    let ratio = new.rows as f64 / old.rows as f64;
    if !rows_declared && !(ROWS.0..=ROWS.1).contains(&ratio) {
        say(
            None,
            false,
            format!(
                "{} rows instead of {} ({:+.0}%)",
                grouped(new.rows),
                grouped(old.rows),
                Change::percent(old.rows, new.rows)
            ),
        );
    }
    if new.rows < FEW_ROWS {
        return found;
    }
    let usual = |of: &dyn Fn(&TableProfile) -> Option<f64>| {
        earlier
            .iter()
            .filter_map(|night| of(night))
            .reduce(f64::max)
    };
    let judged = |now: f64, before: Option<f64>, points: f64| match before {
        Some(before) if now > before + points / 100.0 => Some(false),
        None if now > UNLEARNED.max(points / 100.0) => Some(true),
        _ => None,
    };
    let compared = usual(&|night| night.renewed);
    if let Some(now) = new.renewed
        && let Some(unlearned) = judged(now, compared, 30.0)
    {
        let usually = usually(compared);
        say(
            None,
            unlearned,
            format!(
                "{:.0}% of the keys or rows are others{usually}",
                now * 100.0
            ),
        );
    }
    // Where the keys are others, all else that is compared by key would only repeat it.
    let keys_stay = new.renewed.is_none_or(|renewed| renewed < 0.7);
    for column in &new.columns {
        let Some(before) = same_column(old, column) else {
            continue;
        };
        let name = column.name.as_str();
        let limit = limits(name);
        if limit.is_some_and(|limit| limit.profile == Some(Level::Off)) {
            continue;
        }
        for text in fixed_limits(before, old.rows, column, new.rows, limit) {
            say(Some(name), false, text);
        }
        let past = |of: fn(&Moved) -> Option<f64>| {
            usual(&|night| same_column(night, column).and_then(|column| of(&column.moved)))
        };
        let mut learn = |what: &str, now: Option<f64>, before: Option<f64>, points: f64| {
            if let Some(now) = now
                && let Some(unlearned) = judged(now, before, points)
            {
                let usually = usually(before);
                let text = format!("{:.0}% of the rows {what}{usually}", now * 100.0);
                say(Some(name), unlearned, text);
            }
        };
        let points = limit.and_then(|limit| limit.renewed).map_or(30.0, |p| p.0);
        let renewed = column.moved.renewed.filter(|_| keys_stay);
        learn("have another value", renewed, past(|m| m.renewed), points);
        let common = past(|m| m.common);
        learn(
            "have moved between common values",
            column.moved.common,
            common,
            30.0,
        );
        // Without a night to learn from, a date that is new every night would look like this.
        if let Some(before) = past(|m| m.vanished) {
            let now = column.moved.vanished;
            let what = "had a value that is gone";
            learn(what, now, Some(before), VANISHED_POINTS);
        }
    }
    found
}

fn usually(before: Option<f64>) -> String {
    before.map_or_else(
        || ", and there is no earlier night to compare that with".to_owned(),
        |before| format!(", at most {:.0}% in earlier nights", before * 100.0),
    )
}

/// Figures that are alike every night, whatever the table.
fn fixed_limits(
    old: &ColumnProfile,
    old_rows: u64,
    new: &ColumnProfile,
    new_rows: u64,
    limit: Option<&ExpectColumn>,
) -> Vec<String> {
    let mut found = Vec::new();
    let percent = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
    let nulls = (percent(old.nulls, old_rows), percent(new.nulls, new_rows));
    let points = limit.and_then(|limit| limit.nulls).map_or(POINTS, |p| p.0);
    let mut moved = |what: &str, (before, now): (f64, f64), points: f64, never: f64| {
        let most = if before == 0.0 {
            points.min(never)
        } else {
            points
        };
        if (now - before).abs() > most {
            found.push(format!("{what} {before:.1}% -> {now:.1}%"));
        }
    };
    moved("nulls", nulls, points, 100.0);
    let first = |column: &ColumnProfile| {
        column
            .common
            .first()
            .map_or(0.0, |(_, share)| share * 100.0)
    };
    let points = limit.and_then(|limit| limit.common).map_or(30.0, |p| p.0);
    moved("commonest value", (first(old), first(new)), points, 100.0);
    let (had, has) = (old.looked_at, new.looked_at);
    if had < FEW_ROWS || has < FEW_ROWS {
        return found;
    }
    if let (Some(a), Some(b)) = (&old.text, &new.text) {
        let share = |of: fn(&TextFigures) -> u64| (percent(of(a), had), percent(of(b), has));
        moved("beyond ASCII", share(|t| t.wide), POINTS, 100.0);
        moved(
            "white space at an end",
            share(|t| t.padded),
            POINTS,
            NEVER_POINTS,
        );
        moved("in capitals", share(|t| t.upper), POINTS, 100.0);
        let garbled = (percent(a.garbled, a.wide), percent(b.garbled, b.wide));
        if b.garbled >= 10 && garbled.1 > garbled.0 + 25.0 {
            found.push(format!(
                "texts that look read in the wrong encoding {} -> {}",
                grouped(a.garbled),
                grouped(b.garbled)
            ));
        }
        let average = (a.bytes as f64 / had as f64, b.bytes as f64 / has as f64);
        let factor = 1.0
            + limit
                .and_then(|limit| limit.length)
                .map_or(0.5, |p| p.0 / 100.0);
        if (average.0 - average.1).abs() > 1.0 && beyond(average.0, average.1, factor) {
            found.push(format!(
                "average length {:.1} -> {:.1}",
                average.0, average.1
            ));
        }
        // One long text less is no news; that all are shorter is.
        if b.longest * 2 < a.longest && average.1 < average.0 * 0.95 {
            found.push(format!("longest text {} -> {}", a.longest, b.longest));
        }
    }
    let mut moved = |what: &str, (before, now): (f64, f64), points: f64| {
        if (now - before).abs() > points {
            found.push(format!("{what} {before:.1}% -> {now:.1}%"));
        }
    };
    if let (Some(a), Some(b)) = (&old.number, &new.number) {
        moved(
            "below zero",
            (percent(a.negative, had), percent(b.negative, has)),
            POINTS,
        );
        moved("zero", (percent(a.zero, had), percent(b.zero, has)), POINTS);
        moved(
            "with a fraction",
            (percent(a.broken, had), percent(b.broken, has)),
            POINTS,
        );
        if let (Some(a), Some(b)) = (a.magnitude, b.magnitude)
            && (a - b).abs() > MAGNITUDE
        {
            found.push(format!(
                "typical size times {}",
                factor_in_words(10f64.powf(b - a))
            ));
        }
    }
    if let (Some(a), Some(b)) = (old.day, new.day)
        && (a - b).abs() > DAYS
    {
        found.push(format!("days moved by {:+.0} on average", b - a));
    }
    let factor = limit.and_then(|limit| limit.distinct).unwrap_or(5.0);
    if let (Some(a), Some(b)) = (old.distinct, new.distinct)
        && beyond(a, b, factor)
    {
        found.push(format!("different values {a:.0} -> {b:.0}"));
    }
    found
}

/// Whether two figures are further apart than a factor.
fn beyond(a: f64, b: f64, factor: f64) -> bool {
    a > b * factor || b > a * factor
}

fn factor_in_words(factor: f64) -> String {
    match factor >= 1.0 {
        true => format!("{factor:.1}"),
        false => format!("1/{:.1}", 1.0 / factor),
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
