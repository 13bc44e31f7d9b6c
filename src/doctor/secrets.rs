//! Files with secrets that other users of this machine may read.

use super::{Notes, Visit};
use crate::config::exposed;
use anyhow::Result;

pub(super) fn look(visit: &Visit<'_>) -> Result<Notes> {
    let mut notes = Notes::new("secrets");
    for file in exposed::files(&visit.config.project)? {
        let path = file.display();
        notes.warn(
            format!("`{path}` holds a secret, and every user of this machine may read it"),
            format!("chmod o-r {path}"),
        );
    }
    Ok(notes.or_ok("no secret of the configuration is open to other users"))
}
