//! Schema `public` of the live builds: closed to PUBLIC.
//!
//! A role that may create a function there can make a gate of the next run call it as the owner.

use super::{Known, Notes, Visit};
use anyhow::{Context, Result};

pub(super) async fn look(visit: &Visit<'_>, known: &[Known]) -> Result<Notes> {
    let mut notes = Notes::new("schemas");
    for known in known {
        let Some(live) = known.live() else { continue };
        let name = visit.router.name_of_live(&known.row.dataset, live);
        let session = visit.server.connect(name, "doctor").await?;
        let open: bool = session
            .query_one(
                "select exists (select from pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
                                 where n.nspname = 'public' and a.grantee = 0 and a.privilege_type = 'CREATE')",
                &[],
            )
            .await
            .context("ask who may create in schema public")?
            .get(0);
        if open {
            notes.problem(
                format!("every role may create objects in schema public of `{name}`, and gates could call them as the owner"),
                format!("revoke create on schema public from public, in `{name}`"),
            );
        }
    }
    Ok(notes.or_ok("schema public of the live builds is closed to PUBLIC"))
}
