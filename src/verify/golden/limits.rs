//! What the header of a golden file allows, against what was found.

use super::side::{Side, of_rows, seconds};
use crate::schema::header::GoldenHeader;
use crate::switch;
use crate::units::grouped;

impl GoldenHeader {
    /// Whether the columns are others than on the live build.
    pub(super) fn columns(&self, new: &Side<'_>, live: Option<&Side<'_>>) -> Option<String> {
        let live = live?;
        let changed = new.columns != live.columns && switch::on("golden.columns");
        changed.then(|| {
            format!(
                "columns ({}), live ({})",
                new.columns.join(", "),
                live.columns.join(", ")
            )
        })
    }

    /// Whether there are too few rows, or too many.
    pub(super) fn rows(&self, new: &Side<'_>, live: Option<&Side<'_>>) -> Option<String> {
        if !switch::on("golden.rows") {
            return None;
        }
        let rows = new.rows;
        if let Some(min) = self.min.filter(|min| rows < *min) {
            return Some(format!(
                "{}, at least {} expected",
                of_rows(rows),
                grouped(min)
            ));
        }
        if let Some(max) = self.max.filter(|max| rows > *max) {
            return Some(format!(
                "{}, at most {} expected",
                of_rows(rows),
                grouped(max)
            ));
        }
        let before = live?.rows;
        let Some(allowed) = self.rows else {
            let vanished = rows == 0 && before > 0 && self.min.is_none();
            return vanished.then(|| format!("no row, {} on live", grouped(before)));
        };
        let percent = match (before, rows) {
            (0, 0) => 0.0,
            (0, _) => f64::INFINITY,
            _ => (rows as f64 - before as f64) * 100.0 / before as f64,
        };
        (percent.abs() > allowed.0).then(|| {
            format!(
                "{}, {} on live: {percent:+.2}%, allowed {allowed}",
                of_rows(rows),
                grouped(before)
            )
        })
    }

    /// Whether the factor against the live build, or the budget, is exceeded.
    pub(super) fn is_slow(&self, new: &Side<'_>, live: Option<&Side<'_>>) -> bool {
        let over = |live: &Side<'_>| {
            let limit = live.median().mul_f64(self.slower());
            new.median() > limit.max(self.floor())
        };
        live.is_some_and(over) || self.budget.is_some_and(|budget| new.median() > budget.0)
    }

    /// Whether the query takes too long.
    pub(super) fn time(&self, new: &Side<'_>, live: Option<&Side<'_>>) -> Option<String> {
        if !self.is_slow(new, live) || !switch::on("golden.latency") {
            return None;
        }
        let took = seconds(new.median());
        match (self.budget, live) {
            (Some(budget), _) if new.median() > budget.0 => {
                Some(format!("{took}, the budget is {}", seconds(budget.0)))
            }
            (_, Some(live)) => Some(format!(
                "{took}, {} on live, at most {} times as long is allowed",
                seconds(live.median()),
                self.slower()
            )),
            _ => None,
        }
    }
}
