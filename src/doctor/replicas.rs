//! Whether each declared replica answers, follows, and lets sessions be ended; and who else follows.

use super::{Known, Notes, Visit};
use crate::postgres::explain_chain;
use crate::rotate::replicas;
use anyhow::Result;

pub(super) async fn look(visit: &Visit<'_>, known: &[Known]) -> Result<Notes> {
    let mut notes = Notes::new("replicas");
    let standbys = visit.server.standbys();
    let Some(ledger) = visit.ledger else {
        return Ok(notes.or_ok("nothing was ever run"));
    };
    if let Some(found) = replicas::undeclared(ledger, &standbys.declared).await? {
        match standbys.ignore_undeclared {
            true => notes.ok(format!("{found} (ignored)")),
            false => notes.problem(found, replicas::DECLARE),
        }
    }
    for standby in &standbys.declared {
        let mut well = true;
        for known in known {
            let Some(live) = known.live() else { continue };
            let alias = visit.router.name_of_live(&known.row.dataset, live);
            if let Err(error) = replicas::has_live(ledger, standby, alias, live).await {
                well = false;
                notes.problem(explain_chain(&error), replicas::BRING_BACK);
                break;
            }
        }
        if !well {
            continue;
        }
        match may_end(standby).await {
            Ok(true) => notes.ok(format!("`{}` has every live build", standby.name)),
            Ok(false) => notes.problem(
                format!(
                    "sessions on `{}` cannot be ended after a move",
                    standby.name
                ),
                "grant pg_signal_backend to the role that its target names",
            ),
            Err(error) => notes.problem(explain_chain(&error), "bring it back"),
        }
    }
    Ok(notes.or_ok("none is declared, and none follows the server"))
}

async fn may_end(standby: &crate::postgres::Standby) -> Result<bool> {
    let session = standby.connect("doctor").await?;
    let row = session
        .query_one("select pg_has_role('pg_signal_backend', 'usage')", &[])
        .await?;
    Ok(row.get(0))
}
