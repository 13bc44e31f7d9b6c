//! Datasets of the ledger that the project does not have: another project's, or renamed ones.

use super::{Known, Notes, Visit, present};
use crate::units::Bytes;
use anyhow::{Context, Result};

pub(super) async fn look(visit: &Visit<'_>, beyond: &[Known]) -> Result<Notes> {
    let mut notes = Notes::new("datasets");
    let here = std::path::absolute(&visit.config.project).context("find the project")?;
    let here = here.display().to_string();
    for known in beyond {
        let oids = present(std::slice::from_ref(known));
        let row = visit
            .session
            .query_one(
                "select count(*), coalesce(sum(pg_database_size(oid)) filter (where has_database_privilege(oid, 'connect')), 0)::bigint
                 from pg_database where oid = any($1)",
                &[&oids],
            )
            .await
            .context("ask for the size of builds")?;
        let (count, bytes): (i64, i64) = (row.get(0), row.get(1));
        let name = &known.row.dataset;
        let project = match visit.ledger {
            Some(ledger) => ledger.project_of(name).await?,
            None => None,
        };
        let size = format!("{count} databases, {}", Bytes(bytes.unsigned_abs()));
        let text = format!("the ledger has `{name}`, and this project does not");
        match project.filter(|project| project.folder != here) {
            _ if count == 0 => {}
            Some(project) => notes.ok(format!(
                "{text}: it is of `{}` on {}; {size}",
                project.folder, project.host
            )),
            None => notes.warn(
                format!("{text}: {size}"),
                "if it was renamed or given up, its builds stay until they are retired",
            ),
        }
    }
    Ok(notes.or_ok("the project has every dataset of the ledger"))
}
