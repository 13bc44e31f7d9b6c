//! The server that a subset goes to: checked first, swept, and given its new database at the end.

use super::Destination;
use crate::capacity::Capacity;
use crate::config::{Config, Env};
use crate::dataset::hex;
use crate::embedded::Embedded;
use crate::operation::options;
use crate::postgres::{Server, Session, Target, check_ident};
use crate::problem::Problem;
use crate::schema::worker::Limits;
use crate::subset::drop;
use crate::subset::head::Head;
use crate::subset::place::{self, Role};
use crate::subset::recipient::Recipient;
use crate::subset::refuse;
use anyhow::{Context, Result, bail};
use rand::Rng;
use std::time::Duration;

/// A database that every server has.
pub(super) const MAINTENANCE: &str = "postgres";

/// The server that a subset goes to, locked for it.
pub struct Recipients {
    pub(super) server: Server,
    pub(super) session: Session,
    dataset: String,
    alias: String,
    readers: Vec<String>,
    limits: Limits,
    stall_limit: Duration,
    /// Ours alone: it keeps a template for clones.
    embedded: bool,
}

/// The embedded server, whatever the target is.
pub(super) async fn embedded(config: &Config, env: Env<'_>) -> Result<(Embedded, Server)> {
    let embedded = Embedded::ensure_running(&config.home, &options(config, env))
        .await
        .context("start the embedded server")?;
    let server = Server::new(embedded.target(), "overnight".into());
    Ok((embedded, server))
}

impl Recipients {
    /// Connects, refuses a server or a name that a subset must not touch, takes the lock and sweeps.
    ///
    /// # Errors
    /// Status 1 where the live alias is, 75 when another command is at work; nothing was changed.
    pub async fn open(
        config: &Config,
        name: &str,
        wanted: &[String],
        to: &Destination,
        env: Env<'_>,
    ) -> Result<Recipients> {
        let (server, session, alias, readers, is_embedded) = match to {
            Destination::Embedded => {
                let (embedded, server) = embedded(config, env).await?;
                refuse::live_here(&server, &config.control_database, name).await?;
                embedded.ensure_readers(wanted).await?;
                let session = server.connect(MAINTENANCE, "subset").await?;
                (server, session, name.to_owned(), wanted.to_vec(), true)
            }
            Destination::Server(text) => {
                let target = Target::resolve(Some(text.expose()), env)
                    .with_context(|| Problem::usage("read --to"))?;
                let alias = target.database().unwrap_or(name).to_owned();
                check_ident(&alias).with_context(|| Problem::usage("read --to"))?;
                let server = Server::new(target, "overnight".into());
                let session = server.connect(MAINTENANCE, "subset").await?;
                refuse::live_server(&server, &session).await?;
                let readers = known(&session, wanted).await?;
                (server, session, alias, readers, false)
            }
            Destination::Artifact(_) => bail!("an artifact is no server"),
        };
        place::lock(&session, &alias).await?;
        refuse::stranger(&session, name, &alias).await?;
        drop::sweep(&server, &session, name, &alias).await?;
        let capacity = Capacity::find(config, server.target(), &session).await?;
        let slots = capacity.slots(config.index_sessions);
        Ok(Recipients {
            limits: Limits::new(&capacity, config.index_sessions, &slots),
            stall_limit: config.load.stall_limit,
            dataset: name.to_owned(),
            embedded: is_embedded,
            server,
            session,
            alias,
            readers,
        })
    }

    /// Makes a database, has it filled by `copied`, and puts it in its place; returns how to connect.
    ///
    /// # Errors
    /// What was begun is dropped again; what was in its place stays.
    pub async fn fill(
        self,
        head: &Head,
        copied: impl AsyncFnOnce(&Recipient<'_>) -> Result<()>,
    ) -> Result<String> {
        let nonce = hex(&rand::rng().random::<[u8; 16]>());
        let recipient = Recipient {
            server: &self.server,
            maintenance: &self.session,
            head,
            name: place::working_name(&self.alias, &nonce, 'n'),
            nonce,
            limits: self.limits.clone(),
            readers: self.readers.clone(),
            stall_limit: self.stall_limit,
        };
        let filled = async {
            let ready = recipient.prepare().await?;
            copied(&recipient).await?;
            recipient.finish(ready).await?;
            place::put_in_place(
                &self.server,
                &self.session,
                &self.dataset,
                &self.alias,
                (&recipient.name, &recipient.nonce),
                self.embedded,
                &self.readers,
            )
            .await
        };
        if let Err(error) = filled.await {
            // The reason of the failure matters more; the next command sweeps again.
            let swept = drop::sweep(&self.server, &self.session, &self.dataset, &self.alias);
            if let Err(also) = swept.await {
                tracing::warn!("{}", crate::postgres::explain_chain(&also));
            }
            return Err(error);
        }
        let url = self.server.target().url_for(&self.alias, None);
        self.session.close().await;
        Ok(url)
    }

    /// Drops the subset of a dataset with its template and clones; returns their names.
    ///
    /// # Errors
    /// Status 1 when one is in use; the others are gone.
    pub async fn clear(self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for found in place::list(&self.session, Some(&self.dataset)).await? {
            drop::drop_ours(&self.server, &self.session, &found).await?;
            if matches!(found.role, Role::Alias | Role::Template | Role::Clone) {
                names.push(found.name);
            }
        }
        self.session.close().await;
        Ok(names)
    }
}

/// The readers that another server has; nobody but its owner makes roles there.
async fn known(session: &Session, readers: &[String]) -> Result<Vec<String>> {
    let rows = session
        .query(
            "select rolname::text from pg_roles where rolname = any ($1)",
            &[&readers],
        )
        .await
        .context("look for the readers")?;
    let known: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    for reader in readers.iter().filter(|reader| !known.contains(reader)) {
        tracing::warn!("the server has no role `{reader}`, which reads the builds");
    }
    Ok(known)
}
