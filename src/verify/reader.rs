//! A session with the rights of the reader role, in the live build or in one that waits.
//!
//! In: who may look ([`Prober`]). Out: a session in which that role's rights count. First our own
//! session becomes the reader; where we may not, the login of `probe` connects, and a build that is not
//! published lets that one role in until `Reader::close`. Neither is an error: asking with the owner's
//! rights would prove nothing.

use crate::dataset::Dataset;
use crate::ledger::{Build, State};
use crate::postgres::{Server, Session, quote_ident, sqlstate};
use crate::problem::Problem;
use crate::rotate::probe::Prober;
use crate::switch;
use anyhow::{Context, Result, bail};

/// A session that looks with a reader's eyes.
pub struct Reader {
    pub session: Session,
    /// The role whose rights count, for the finding.
    pub role: String,
    /// Who was let into a build that is not published.
    let_in: Option<String>,
}

impl std::borrow::Borrow<Session> for Reader {
    fn borrow(&self) -> &Session {
        &self.session
    }
}

/// Where to look.
pub struct Place<'p> {
    pub server: &'p Server,
    pub prober: &'p Prober,
    pub database: &'p str,
    /// A session of the owner, in a build that readers cannot connect to yet.
    pub closed: Option<&'p Session>,
}

impl Place<'_> {
    /// # Errors
    /// Status 2 when we may neither become the reader nor log in as one.
    pub async fn look(&self) -> Result<Reader> {
        let Some(role) = self.prober.readers.first() else {
            let session = self.server.connect(self.database, "golden").await?;
            return Ok(Reader {
                role: session.user().to_owned(),
                session,
                let_in: None,
            });
        };
        let session = self.server.connect(self.database, "golden").await?;
        if become_reader(&session, role).await? {
            return Ok(Reader {
                session,
                role: role.clone(),
                let_in: None,
            });
        }
        session.close().await;
        let Some((user, password)) = &self.prober.login else {
            bail!(cannot_become(self.server.target().user(), role));
        };
        let let_in = match self.closed {
            Some(owner) => {
                self.door(owner, "grant", "to", user).await?;
                Some(user.clone())
            }
            None => None,
        };
        let connected = self
            .server
            .connect_as(self.database, user, password.as_ref(), "golden")
            .await
            .with_context(|| format!("connect to `{}` as `{user}`", self.database));
        match connected {
            Ok(session) => Ok(Reader {
                session,
                role: user.clone(),
                let_in,
            }),
            Err(error) => {
                if let (Some(owner), Some(user)) = (self.closed, &let_in) {
                    self.door(owner, "revoke", "from", user).await?;
                }
                Err(error)
            }
        }
    }

    /// Ends the look; whoever was let in is shut out again.
    pub async fn close(&self, reader: Reader) -> Result<()> {
        reader.session.close().await;
        match (self.closed, reader.let_in) {
            (Some(owner), Some(user)) => self.door(owner, "revoke", "from", &user).await,
            _ => Ok(()),
        }
    }

    async fn door(&self, owner: &Session, verb: &str, word: &str, user: &str) -> Result<()> {
        let database = quote_ident(self.database);
        let sql = format!(
            "{verb} connect on database {database} {word} {}",
            quote_ident(user)
        );
        owner
            .batch_execute(&sql)
            .await
            .with_context(|| format!("{verb} CONNECT on `{}` {word} `{user}`", self.database))
    }
}

/// Whether our session has the reader's rights now, and only those.
async fn become_reader(session: &Session, role: &str) -> Result<bool> {
    if !switch::on("golden.reader") {
        return Ok(true);
    }
    match session
        .batch_execute(&format!("set role {}", quote_ident(role)))
        .await
    {
        Ok(()) => Ok(true),
        Err(error) if sqlstate(&error) == Some("42501") => Ok(false),
        Err(error) => Err(error).with_context(|| format!("become the reader `{role}`")),
    }
}

fn cannot_become(user: &str, role: &str) -> Problem {
    Problem::usage(format!(
        "golden queries run as the reader `{role}`, and `{user}` may neither become it nor knows a login"
    ))
    .hint(format!(
        "`grant {role} to {user}`, or name a login with `probe = {{ user = \"{role}\", … }}` in dataset.toml"
    ))
}

/// Asks before the load what would stop the golden queries behind it.
///
/// # Errors
/// As for [`Place::look`].
pub async fn refuse_without_reader(
    session: &Session,
    dataset: &Dataset,
    has_login: bool,
) -> Result<()> {
    let Some(role) = dataset.settings.readers.first() else {
        return Ok(());
    };
    if become_reader(session, role).await? {
        return Ok(session.batch_execute("reset role").await?);
    }
    match has_login {
        true => Ok(()),
        false => bail!(cannot_become(session.user(), role)),
    }
}

/// Whether readers cannot connect to a build by themselves yet.
pub fn is_closed(build: &Build) -> bool {
    build.state != State::Published
}
