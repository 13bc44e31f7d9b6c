//! The clocks of this machine and of the server: builds are named by one, and aged by the other.

use super::{Notes, Visit};
use anyhow::{Context, Result};
use jiff::Timestamp;
use std::time::Instant;

/// Seconds apart that somebody should look at.
const APART: f64 = 5.0;
/// Seconds apart with which S3 refuses requests.
const REFUSED: f64 = 15.0 * 60.0;

pub(super) async fn look(visit: &Visit<'_>) -> Result<Notes> {
    let mut notes = Notes::new("clock");
    let began = Instant::now();
    let server: f64 = visit
        .session
        .query_one(
            "select extract(epoch from clock_timestamp())::double precision",
            &[],
        )
        .await
        .context("ask the server for the time")?
        .get(0);
    // The answer was made at some instant of the way.
    let way = began.elapsed().as_secs_f64();
    let here = Timestamp::now().as_millisecond() as f64 / 1e3 - way / 2.0;
    let apart = (here - server).abs() - way / 2.0;
    let text = format!(
        "this machine and the server are {:.1} s apart",
        apart.max(0.0)
    );
    match apart {
        apart if apart > REFUSED => {
            notes.problem(text, "set the clocks: S3 refuses requests of another time")
        }
        apart if apart > APART => notes.warn(text, "set the clocks (NTP)"),
        _ => notes.ok(text),
    }
    Ok(notes)
}
