//! Named points at which a test may kill the process.
//!
//! A point stands before and after every effect that outlives the process. The variable
//! `OVERNIGHT_CRASHPOINT=name` (or `name:2` for the second time) makes the process send itself
//! SIGKILL there: nothing is flushed, dropped or rolled back by us, as when the machine dies.
//! `name:1:stop` sends SIGSTOP instead: the process freezes with its connections open, as when the
//! machine is paused, and continues from there on SIGCONT.
//! Always compiled in, so that what is tested is what runs; unarmed, a point costs one comparison.

use rustix::process::Signal;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Every point, in the order of a run. A test compares this list with the source.
pub const NAMES: &[&str] = &[
    "control.before_create",
    "control.after_create",
    "control.after_schema",
    "build.before_intent",
    "build.after_intent",
    "build.after_create",
    "build.after_revoke",
    "build.after_stamp",
    "schema.before_files",
    "schema.after_files",
    "rehearse.after",
    "set_aside.before",
    "set_aside.after",
    "resume.before",
    "resume.before_commit",
    "resume.after",
    "load.before_copy",
    "load.in_copy",
    "load.before_commit",
    "load.before_last_commit",
    "load.after_commit",
    "put_back.before",
    "put_back.after",
    "derive.before",
    "derive.after",
    "vacuum.after",
    "grant.after",
    "verify.before",
    "measure.before",
    "measure.after",
    "verify.after",
    "refuse.before_commit",
    "refuse.after_commit",
    "seal.before_commit",
    "seal.after_commit",
    "register.before_grant",
    "register.after_grant",
    "flip.before_intent",
    "flip.after_intent",
    "flip.after_open",
    "flip.after_direct_look",
    "flip.after_begin",
    "flip.before_commit",
    "flip.after_commit",
    "pooler.before_write",
    "pooler.before_replace",
    "pooler.after_replace",
    "pooler.after_reload",
    "pooler.before_wait",
    "pooler.after_wait",
    "pooler.after_back",
    "flip.after_probe",
    "drain.before_end",
    "drain.after_end",
    "flip.after_confirm",
    "hook.before_record",
    "hook.after_record",
    "hook.before_delivery",
    "hook.after_delivery",
    "retire.before_tombstone",
    "retire.after_tombstone",
    "retire.in_look",
    "retire.before_drop",
    "retire.after_drop",
    "sweep.before_drop",
    "sweep.after_drop",
];

struct Armed {
    name: String,
    nth: u32,
    stop: bool,
    seen: AtomicU32,
}

fn armed() -> Option<&'static Armed> {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    ARMED
        .get_or_init(|| {
            let text = std::env::var("OVERNIGHT_CRASHPOINT").ok()?;
            let mut parts = text.split(':');
            let name = parts.next().unwrap_or_default().to_owned();
            let nth = parts.next().and_then(|nth| nth.parse().ok()).unwrap_or(1);
            let stop = parts.next() == Some("stop");
            Some(Armed {
                name,
                nth,
                stop,
                seen: AtomicU32::new(0),
            })
        })
        .as_ref()
}

/// Kills or stops the process here if this point is armed.
pub fn reached(name: &str) {
    let Some(armed) = armed() else { return };
    if armed.name == name && armed.seen.fetch_add(1, Ordering::SeqCst) + 1 == armed.nth {
        let signal = if armed.stop {
            Signal::STOP
        } else {
            Signal::KILL
        };
        let sent = rustix::process::kill_process(rustix::process::getpid(), signal);
        if armed.stop {
            return;
        }
        // SIGKILL does not come back; if it could not be sent, dying in another way is next best.
        if sent.is_err() {
            std::process::abort();
        }
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
}

#[cfg(test)]
mod tests {
    use super::NAMES;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn collect(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for piece in text.split("crashpoint::reached(\"").skip(1) {
                    found.insert(piece.split('"').next().unwrap().to_owned());
                }
            }
        }
    }

    #[test]
    fn the_list_names_every_point_of_the_source() {
        let mut found = BTreeSet::new();
        collect(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut found,
        );
        found.retain(|name| !name.is_empty());
        let listed: BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(found, listed);
    }
}
