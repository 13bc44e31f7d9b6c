//! The databases of subsets on a server: which are ours, how one takes the place of another, how they go.
//!
//! A subset is known by three things that must agree before it is dropped: the comment on its database,
//! which says what it is and carries a nonce, the same nonce in the stamp inside, and its owner. Copies
//! made with `TEMPLATE` do not inherit the comment. The ledger knows nothing of subsets, and a database
//! of the ledger never has such a comment.

use super::drop::{drop_database, drop_ours};
use crate::dataset::MAX_NAME_BYTES;
use crate::postgres::{Server, Session, end_sessions, quote_ident, quote_literal, sqlstate};
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// What a database of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Being filled; swept by the next command.
    Unfinished,
    /// Filled and not in its place yet; swept as well.
    Finished,
    /// What services connect to.
    Alias,
    /// Closed; clones are made of it.
    Template,
    /// A copy for somebody's test.
    Clone,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Role::Unfinished => "unfinished",
            Role::Finished => "finished",
            Role::Alias => "alias",
            Role::Template => "template",
            Role::Clone => "clone",
        }
    }

    fn of(word: &str) -> Option<Role> {
        [
            Role::Unfinished,
            Role::Finished,
            Role::Alias,
            Role::Template,
            Role::Clone,
        ]
        .into_iter()
        .find(|role| role.word() == word)
    }
}

/// A database of a subset, as its comment says.
#[derive(Debug, Clone)]
pub struct Found {
    pub dataset: String,
    pub name: String,
    pub oid: u32,
    pub role: Role,
    pub nonce: String,
}

/// The name of the database that clones of a dataset's subset are made of.
pub fn template_name(alias: &str) -> String {
    format!("{alias}_template")
}

/// What the names of databases begin with that are not in their place yet.
pub(super) fn working_prefix(alias: &str) -> String {
    let alias: String = alias.chars().take(MAX_NAME_BYTES).collect();
    format!("{alias}_subset_")
}

/// A name that is free and tells what the database is. Every database of a subset begins under one, so that
/// one whose command was killed before it was marked is found by its name and its stamp.
pub fn working_name(alias: &str, nonce: &str, purpose: char) -> String {
    let nonce = &nonce[..nonce.len().min(8)];
    format!("{}{nonce}{purpose}", working_prefix(alias))
}

/// Writes what a database is for into its comment.
pub async fn mark(
    session: &Session,
    name: &str,
    dataset: &str,
    role: Role,
    nonce: &str,
) -> Result<()> {
    let text = format!(
        "overnight subset; dataset={dataset}; role={}; nonce={nonce}",
        role.word()
    );
    session
        .batch_execute(&format!(
            "comment on database {} is {}",
            quote_ident(name),
            quote_literal(&text)
        ))
        .await
        .with_context(|| format!("mark `{name}` as a subset"))
}

fn read_mark(text: &str) -> Option<(String, Role, String)> {
    let rest = text.strip_prefix("overnight subset; dataset=")?;
    let (dataset, rest) = rest.split_once("; role=")?;
    let (role, nonce) = rest.split_once("; nonce=")?;
    Some((dataset.to_owned(), Role::of(role)?, nonce.to_owned()))
}

/// The databases of subsets on this server that belong to this role, of one dataset or of all.
pub async fn list(session: &Session, dataset: Option<&str>) -> Result<Vec<Found>> {
    let rows = session
        .query(
            "select d.oid, d.datname::text, shobj_description(d.oid, 'pg_database')
             from pg_database d join pg_roles r on r.oid = d.datdba
             where r.rolname = current_user
               and shobj_description(d.oid, 'pg_database') like 'overnight subset; %' order by 2",
            &[],
        )
        .await
        .context("list the subsets on the server")?;
    let mut found = Vec::new();
    for row in rows {
        let text: String = row.try_get(2)?;
        match read_mark(&text) {
            Some((of, role, nonce)) if dataset.is_none_or(|dataset| of == dataset) => {
                found.push(Found {
                    dataset: of,
                    oid: row.try_get(0)?,
                    name: row.try_get(1)?,
                    role,
                    nonce,
                })
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Keeps other commands away from the subsets of a dataset, for as long as the session lives.
///
/// # Errors
/// Status 75 when another command is at work.
pub async fn lock(session: &Session, dataset: &str) -> Result<()> {
    let got: bool = session
        .query_one(
            "select pg_try_advisory_lock(hashtext('overnight subset'), hashtext($1))",
            &[&dataset],
        )
        .await
        .context("take the lock of subsets")?
        .try_get(0)?;
    busy_unless(got, dataset)
}

/// The same beside others that only add a database each, as clones do.
///
/// # Errors
/// As [`lock`].
pub async fn lock_beside_others(session: &Session, dataset: &str) -> Result<()> {
    let got: bool = session
        .query_one(
            "select pg_try_advisory_lock_shared(hashtext('overnight subset'), hashtext($1))",
            &[&dataset],
        )
        .await
        .context("take the lock of subsets")?
        .try_get(0)?;
    busy_unless(got, dataset)
}

fn busy_unless(got: bool, dataset: &str) -> Result<()> {
    if !got {
        bail!(
            Problem::busy(format!(
                "another command is at work on the subset of `{dataset}`"
            ))
            .hint("wait until it has ended")
        );
    }
    Ok(())
}

/// Puts a finished database in the place of the one before, which is dropped. With `template` it is
/// closed and kept for clones, and the alias is a copy of it.
///
/// # Errors
/// Status 1 when sessions that this role may not end keep the old one busy; it stays as it was.
pub async fn put_in_place(
    server: &Server,
    session: &Session,
    dataset: &str,
    alias: &str,
    (finished, nonce): (&str, &str),
    template: bool,
    readers: &[String],
) -> Result<()> {
    let mut newcomers = vec![(finished.to_owned(), alias.to_owned(), Role::Alias)];
    if template {
        let copy = working_name(alias, nonce, 'a');
        copy_database(session, finished, &copy, (dataset, nonce)).await?;
        newcomers = vec![
            (copy, alias.to_owned(), Role::Alias),
            (finished.to_owned(), template_name(alias), Role::Template),
        ];
    }
    // Before it has its name, so that services are never kept out.
    let_in(session, &newcomers[0].0, readers).await?;
    let before = list(session, Some(dataset)).await?;
    let leaving: Vec<(Found, String)> = before
        .into_iter()
        .filter(|found| newcomers.iter().any(|(_, name, _)| *name == found.name))
        .enumerate()
        .map(|(number, found)| {
            let purpose = if number == 0 { 'y' } else { 'z' };
            (found, working_name(alias, nonce, purpose))
        })
        .collect();
    for attempt in 0.. {
        for (found, _) in &leaving {
            end_sessions(session, found.oid).await?;
        }
        match swap(session, dataset, nonce, &leaving, &newcomers).await {
            Ok(()) => break,
            Err(error) => {
                session.batch_execute("rollback").await?;
                let busy = error
                    .downcast_ref::<tokio_postgres::Error>()
                    .and_then(sqlstate)
                    .is_some_and(|code| code == "55006" || code == "57014");
                if !busy || attempt == 5 {
                    return Err(error).context(
                        Problem::refused(format!(
                            "put the new subset in the place of `{alias}`; the old one is as it was"
                        ))
                        .hint("end the sessions that use it and try again"),
                    );
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
    }
    for (found, name) in leaving {
        let gone = Found {
            name,
            role: Role::Finished,
            ..found
        };
        drop_ours(server, session, &gone).await?;
    }
    Ok(())
}

/// All names change in one transaction, so that the alias is there at every moment.
async fn swap(
    session: &Session,
    dataset: &str,
    nonce: &str,
    leaving: &[(Found, String)],
    newcomers: &[(String, String, Role)],
) -> Result<()> {
    session
        .batch_execute("begin; set local statement_timeout = '2s'")
        .await?;
    for (found, name) in leaving {
        if found.role == Role::Template {
            // Opened, so that a sweep can look inside.
            session
                .batch_execute(&format!(
                    "alter database {} allow_connections true",
                    quote_ident(&found.name)
                ))
                .await?;
        }
        rename(session, &found.name, name).await?;
        mark(session, name, dataset, Role::Finished, &found.nonce).await?;
    }
    for (from, to, role) in newcomers {
        rename(session, from, to).await?;
        mark(session, to, dataset, *role, nonce).await?;
        if *role == Role::Template {
            session
                .batch_execute(&format!(
                    "alter database {} allow_connections false",
                    quote_ident(to)
                ))
                .await?;
        }
    }
    session.batch_execute("commit").await?;
    Ok(())
}

async fn rename(session: &Session, from: &str, to: &str) -> Result<()> {
    session
        .batch_execute(&format!(
            "alter database {} rename to {}",
            quote_ident(from),
            quote_ident(to)
        ))
        .await?;
    Ok(())
}

/// Copies a database that no session uses, marks the copy as finished and closes it to the public like the first.
pub async fn copy_database(
    session: &Session,
    from: &str,
    to: &str,
    (dataset, nonce): (&str, &str),
) -> Result<()> {
    for attempt in 0.. {
        let made = session
            .batch_execute(&format!(
                "create database {} template {}",
                quote_ident(to),
                quote_ident(from)
            ))
            .await;
        match made {
            Ok(()) => break,
            // A session that has just ended is still counted.
            Err(error) if sqlstate(&error) == Some("55006") && attempt < 5 => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error).with_context(|| format!("copy `{from}` to `{to}`")),
        }
    }
    mark(session, to, dataset, Role::Finished, nonce).await?;
    session
        .batch_execute(&format!(
            "revoke all on database {} from public",
            quote_ident(to)
        ))
        .await
        .with_context(|| format!("close `{to}` to the public"))
}

/// Gives a finished copy the name of a clone.
///
/// # Errors
/// Status 1 when the name is taken.
pub async fn name_clone(
    session: &Session,
    copy: &str,
    name: &str,
    (dataset, nonce): (&str, &str),
) -> Result<()> {
    session.batch_execute("begin").await?;
    let named = async {
        rename(session, copy, name).await?;
        mark(session, name, dataset, Role::Clone, nonce).await?;
        Ok(session.batch_execute("commit").await?)
    };
    let error: anyhow::Error = match named.await {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    session.batch_execute("rollback").await?;
    drop_database(session, copy).await?;
    let taken = error
        .downcast_ref::<tokio_postgres::Error>()
        .and_then(sqlstate)
        .is_some_and(|code| code == "42P04");
    match taken {
        true => Err(error).context(
            Problem::refused(format!("a database named `{name}` exists already"))
                .hint("name another one with --name"),
        ),
        false => Err(error),
    }
}

/// Lets the readers in.
pub async fn let_in(session: &Session, name: &str, readers: &[String]) -> Result<()> {
    for reader in readers {
        session
            .batch_execute(&format!(
                "grant connect, temporary on database {} to {}",
                quote_ident(name),
                quote_ident(reader)
            ))
            .await
            .with_context(|| format!("let `{reader}` into `{name}`"))?;
    }
    Ok(())
}

/// The roles that were let into a database, other than its owner.
pub async fn admitted(session: &Session, name: &str) -> Result<Vec<String>> {
    let rows = session
        .query(
            "select distinct r.rolname::text from pg_database d
             cross join lateral aclexplode(d.datacl) a join pg_roles r on r.oid = a.grantee
             where d.datname = $1 and a.privilege_type = 'CONNECT' and a.grantee <> d.datdba order by 1",
            &[&name],
        )
        .await
        .with_context(|| format!("read who may enter `{name}`"))?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_is_written_and_nothing_else_is() {
        let read = read_mark("overnight subset; dataset=plan; role=clone; nonce=ab12");
        assert_eq!(read, Some(("plan".into(), Role::Clone, "ab12".into())));
        for other in [
            "",
            "our subset",
            "overnight subset; dataset=plan; role=live; nonce=x",
        ] {
            assert_eq!(read_mark(other), None, "{other}");
        }
    }

    #[test]
    fn names_stay_within_what_the_server_keeps() {
        let longest = "x".repeat(MAX_NAME_BYTES);
        let nonce = "0123456789abcdef";
        assert!(working_name(&longest, nonce, 'a').len() <= 63);
        assert!(template_name(&longest).len() <= 63);
        assert_eq!(working_name("plan", nonce, 'n'), "plan_subset_01234567n");
    }
}
