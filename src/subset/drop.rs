//! Drops databases of subsets, and what commands that were cut short have left of one.

use super::place::{Found, Role, list, working_prefix};
use crate::postgres::{Server, Session, end_sessions, quote_ident, sqlstate};
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// Drops what commands that were cut short have left of the subset at an alias. The caller holds its lock.
pub async fn sweep(server: &Server, session: &Session, dataset: &str, alias: &str) -> Result<()> {
    let prefix = working_prefix(alias);
    for found in list(session, Some(dataset)).await? {
        let unfinished = matches!(found.role, Role::Unfinished | Role::Finished);
        if unfinished && found.name.starts_with(&prefix) {
            tracing::debug!("dropping `{}`, which is not finished", found.name);
            drop_ours(server, session, &found).await?;
        }
    }
    // Killed between CREATE DATABASE and its comment: a name of ours, and nothing inside but what the template had.
    let bare = session
        .query(
            "select d.datname::text from pg_database d join pg_roles r on r.oid = d.datdba
             where r.rolname = current_user and shobj_description(d.oid, 'pg_database') is null
               and left(d.datname, length($1)) = $1
               and substr(d.datname, length($1) + 1) ~ '^[0-9a-f]{8}[a-z]$'",
            &[&prefix],
        )
        .await
        .context("look for leftovers")?;
    for row in bare {
        let name: String = row.try_get(0)?;
        let inside = server.connect(&name, "look before dropping").await?;
        let ours: bool = inside
            .query_one(
                "select to_regclass('overnight.subset') is not null or not exists
                     (select from pg_class where oid >= 16384 and relnamespace::regnamespace::text !~ '^pg_')",
                &[],
            )
            .await?
            .try_get(0)?;
        inside.close().await;
        if ours {
            drop_database(session, &name).await?;
        }
    }
    Ok(())
}

/// Drops a database of ours, after a look inside.
pub async fn drop_ours(server: &Server, session: &Session, found: &Found) -> Result<()> {
    let name = quote_ident(&found.name);
    if found.role != Role::Unfinished {
        if found.role == Role::Template {
            session
                .batch_execute(&format!("alter database {name} allow_connections true"))
                .await?;
        }
        let inside = server.connect(&found.name, "look before dropping").await?;
        let nonces = inside
            .query("select nonce from overnight.subset", &[])
            .await
            .with_context(|| format!("look into `{}` before dropping it", found.name))?;
        inside.close().await;
        let ours = nonces.iter().any(|row| {
            row.try_get::<_, String>(0)
                .is_ok_and(|nonce| nonce == found.nonce)
        });
        if !ours {
            bail!(Problem::refused(format!(
                "`{}` is not dropped: the stamp inside is not the one that its comment names",
                found.name
            )));
        }
    }
    end_sessions(session, found.oid).await?;
    drop_database(session, &found.name).await
}

pub(super) async fn drop_database(session: &Session, name: &str) -> Result<()> {
    for attempt in 0.. {
        let dropped = session
            .batch_execute(&format!("drop database if exists {}", quote_ident(name)))
            .await;
        match dropped {
            Ok(()) => return Ok(()),
            Err(error) if sqlstate(&error) == Some("55006") && attempt < 3 => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) if sqlstate(&error) == Some("55006") => {
                return Err(error).context(
                    Problem::refused(format!("drop `{name}`: somebody is connected to it"))
                        .hint("end those sessions and try again"),
                );
            }
            Err(error) => return Err(error).with_context(|| format!("drop `{name}`")),
        }
    }
    Ok(())
}
