//! The clocks of this machine and of the server: builds are named by one, and aged by the other.

use super::{Notes, Visit};
use crate::vitals::clock;
use anyhow::Result;

/// Seconds apart that an operator should know of.
const APART: f64 = 5.0;
/// Seconds apart with which S3 refuses requests.
const REFUSED: f64 = 15.0 * 60.0;

pub(super) async fn look(visit: &Visit<'_>) -> Result<Notes> {
    let mut notes = Notes::new("clock");
    let apart = clock::apart(visit.session).await?;
    let text = format!("this machine and the server are {apart:.1} s apart");
    match apart {
        apart if apart > REFUSED => {
            notes.problem(text, "set the clocks: S3 refuses requests of another time")
        }
        apart if apart > APART => notes.warn(text, "set the clocks (NTP)"),
        _ => notes.ok(text),
    }
    Ok(notes)
}
