//! Guards that a test may switch off, to prove that some other test notices.
//!
//! Only in a program that was built with the feature `switches`, which no release has: there
//! `OVERNIGHT_SWITCH_OFF=name` takes the named guard out. Everywhere else [`on`] is the constant
//! `true`, and the compiler leaves nothing of it.

/// Every guard that can be switched off. `scripts/guards` walks through them; a test compares the
/// list with the source.
pub const NAMES: &[&str] = &[
    "accept.never",
    "accept.reason",
    "approval.gate",
    "approval.wait",
    "audit.hash",
    "brake",
    "brake.free_min",
    "brake.lag",
    "brake.live",
    "brake.max_build",
    "brake.wal",
    "build.public",
    "change.catalog",
    "change.content",
    "change.groups",
    "change.keys",
    "change.profile",
    "change.rows",
    "connect.retry",
    "control.limits",
    "deadline.load",
    "deadline.move",
    "doctor.collation",
    "drain.wait",
    "drop.empty",
    "drop.name",
    "drop.nonce",
    "drop.owner",
    "external.answer",
    "fetch.checksum",
    "fetch.if_match",
    "fetch.same_etag",
    "fetch.same_range",
    "fetch.same_size",
    "fetch.size",
    "flip.consumers",
    "flip.direct_look",
    "flip.epoch",
    "flip.group",
    "flip.held_meanwhile",
    "flip.hold",
    "flip.live_already",
    "flip.live_oid",
    "flip.look",
    "flip.replica_sessions",
    "flip.replicas",
    "flip.stranger",
    "flip.undeclared_replicas",
    "flip.verified",
    "golden.columns",
    "golden.latency",
    "golden.reader",
    "golden.rows",
    "golden.seq_scan",
    "guard.supports",
    "hook.retry",
    "ledger.public",
    "ledger.stranger",
    "ledger.version",
    "load.budget",
    "load.counted",
    "load.records",
    "load.rows",
    "lock.lost",
    "lock.taken",
    "look.build",
    "look.readers",
    "manifest.marker",
    "manifest.missing",
    "manifest.old",
    "manifest.settled",
    "pgbouncer.foreign_alias",
    "pgbouncer.includes",
    "pgbouncer.proof",
    "plan.spare_connections",
    "reconcile.alias",
    "reconcile.closed",
    "reconcile.limit",
    "reconcile.open",
    "resume.derive",
    "resume.stamp",
    "resume.truncate",
    "retire.close",
    "retire.grace",
    "retire.live",
    "retire.previous",
    "retire.replicas",
    "retire.taken_back",
    "run.stranger",
    "run.version",
    "schema.as_declared",
    "seal.closed",
    "subset.deny",
    "subset.digest",
    "subset.limits",
    "subset.live_here",
    "subset.live_server",
    "subset.mask_reference",
    "subset.orphans",
    "subset.rows",
    "subset.same_sql",
    "subset.stranger",
    "verify.catalog",
    "verify.compatibility",
    "verify.least",
    "verify.readers",
    "verify.refuses",
    "verify.rows",
    "verify.stamp",
];

/// Whether a guard is on.
#[cfg(not(feature = "switches"))]
#[inline(always)]
pub const fn on(_name: &str) -> bool {
    true
}

/// Whether a guard is on: unless the variable names it.
#[cfg(feature = "switches")]
pub fn on(name: &str) -> bool {
    std::env::var("OVERNIGHT_SWITCH_OFF").map_or(true, |off| off != name)
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
                for piece in text.split("switch::on(\"").skip(1) {
                    found.insert(piece.split('"').next().unwrap().to_owned());
                }
            }
        }
    }

    #[test]
    fn the_list_names_every_switch_of_the_source() {
        let mut found = BTreeSet::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        collect(&source, &mut found);
        found.retain(|name| !name.is_empty());
        let listed: BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(found, listed);
    }
}
