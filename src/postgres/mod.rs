//! Connections to Postgres.
//!
//! In: a [`Target`], resolved from what the user configured. Out: [`Session`]s that all behave the
//! same, whatever the server, the role or the database preset; and errors that can be shown.
//!
//! A connection is used by one task for one purpose, which is its `application_name`. There is no
//! pool: a loader knows how many connections it needs.

mod conninfo;
pub mod error;
mod keyword;
mod lexer;
mod passfile;
mod quote;
mod refusal;
mod service;
mod session;
mod settings;
pub mod sql;
mod standby;
mod target;
mod tls;
mod url;
mod watchdog;

pub use error::{
    CopyPosition, copy_position_of, explain, explain_chain, find as find_error, is_cancelled,
    is_connection_lost, is_lock_not_available, sqlstate,
};
pub use quote::{MAX_IDENTIFIER_BYTES, check_ident, quote_ident, quote_literal};
pub use refusal::{Reason, Refusal};
pub use session::{Canceller, Notice, Session};
pub use standby::{LOOK, Standby, Standbys};
pub use target::{Host, SslMode, Target};
pub use watchdog::NoAnswer;

use crate::secret::Secret;
use anyhow::Context;
use refusal::Attempt;
use session::{Facts, Line};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use target::{ChannelBinding, Place};
use tokio::sync::OnceCell;
use tokio_postgres::{
    Client, Config, Connection, NoTls, Socket,
    config::{
        ChannelBinding as DriverChannelBinding, SslMode as DriverMode, SslNegotiation,
        TargetSessionAttrs,
    },
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The oldest server overnight works with: `DROP DATABASE … WITH (FORCE)` came with 13.
pub(crate) const OLDEST_MAJOR: u32 = 15;

/// How long a server without a free connection is asked again.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(30);

/// A server to connect to. Cloning is cheap and clones share the TLS set-up.
#[derive(Debug, Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    target: Target,
    application: String,
    tls: OnceCell<MakeRustlsConnect>,
    standbys: Standbys,
    /// How long it is asked again while it has no connection left.
    patience: Duration,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.target.fmt(out)
    }
}

/// Whom a connection is for.
#[derive(Clone, Copy)]
struct Login<'a> {
    database: &'a str,
    user: &'a str,
    password: Option<&'a Secret>,
    purpose: &'a str,
    /// Nothing is set, and no version asked for.
    bare: bool,
}

impl Server {
    /// A server; `application` begins every `application_name`. Opens no connection.
    pub fn new(target: Target, application: String) -> Server {
        Self::made(target, application, Standbys::default(), Duration::ZERO)
    }

    /// A server that these standbys follow, and that is asked again for a while when it has no
    /// connection left.
    pub fn followed(target: Target, application: String, standbys: Standbys) -> Server {
        Self::made(target, application, standbys, CONNECTION_PATIENCE)
    }

    fn made(target: Target, application: String, standbys: Standbys, patience: Duration) -> Server {
        Server {
            inner: Arc::new(Inner {
                target,
                application,
                tls: OnceCell::new(),
                standbys,
                patience,
            }),
        }
    }

    /// The standbys that somebody declared.
    pub fn standbys(&self) -> &Standbys {
        &self.inner.standbys
    }

    /// Where this server is and how to log in.
    pub fn target(&self) -> &Target {
        &self.inner.target
    }

    /// Connects as the configured role. `purpose` is a few words for `application_name`, which the
    /// server shows in `pg_stat_activity`, cut at 63 bytes.
    ///
    /// # Errors
    /// A [`Refusal`] when no host lets us in; otherwise certificates that cannot be read, settings
    /// that do not stick.
    pub async fn connect(&self, database: &str, purpose: &str) -> anyhow::Result<Session> {
        let user = &self.inner.target.user;
        self.open(Login {
            database,
            user,
            password: None,
            purpose,
            bare: false,
        })
        .await
    }

    /// Connects as another role. Without a password the password file is asked, never the password of
    /// the configured role.
    ///
    /// # Errors
    /// As for [`Server::connect`].
    pub async fn connect_as(
        &self,
        database: &str,
        user: &str,
        password: Option<&Secret>,
        purpose: &str,
    ) -> anyhow::Result<Session> {
        self.open(Login {
            database,
            user,
            password,
            purpose,
            bare: false,
        })
        .await
    }

    /// Connects to a pooler, or through one: nothing is set in the session, because a pooler hands
    /// it on to others, and a console of a pooler knows no settings. Only
    /// [`simple_query`](tokio_postgres::Client::simple_query) may be used, since the next statement may
    /// run in another session of the server.
    ///
    /// # Errors
    /// As for [`Server::connect`].
    pub async fn connect_bare(
        &self,
        database: &str,
        user: Option<&str>,
        password: Option<&Secret>,
        purpose: &str,
    ) -> anyhow::Result<Session> {
        self.open(Login {
            database,
            user: user.unwrap_or(&self.inner.target.user),
            password,
            purpose,
            bare: true,
        })
        .await
    }

    /// Connects once, without the patience of [`Server::connect`] and without a watchdog.
    async fn connect_once(&self, database: &str, purpose: &str) -> anyhow::Result<Session> {
        self.open_once(Login {
            database,
            user: &self.inner.target.user,
            password: None,
            purpose,
            bare: false,
        })
        .await
    }

    /// Opens a session; a server that has no connection left is asked again for a while, because
    /// services come and go.
    async fn open(&self, login: Login<'_>) -> anyhow::Result<Session> {
        let end = Instant::now() + self.inner.patience;
        let mut pause = Duration::from_millis(250);
        let mut warned = false;
        loop {
            let error = match self.open_once(login).await {
                // A console of a pooler, or a session behind one, says nothing about a server process.
                Ok(session) if login.bare => return Ok(session),
                Ok(session) => return Ok(session.watched_by(self.clone())),
                Err(error) => error,
            };
            let full = error
                .downcast_ref::<Refusal>()
                .is_some_and(|refusal| refusal.reason == Reason::TooManyConnections);
            if !full || Instant::now() + pause >= end || !crate::switch::on("connect.retry") {
                return Err(error);
            }
            if !warned {
                warned = true;
                tracing::warn!(
                    "no connection is left for `{}`; trying again for {} s",
                    login.purpose,
                    self.inner.patience.as_secs()
                );
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(4));
        }
    }

    async fn open_once(&self, login: Login<'_>) -> anyhow::Result<Session> {
        let mut refusals: Vec<Refusal> = Vec::new();
        for host in self.inner.target.hosts() {
            match self.try_host(host, login).await {
                Ok(session) => return Ok(session),
                Err(error) => refusals.push(error.downcast::<Refusal>()?),
            }
        }
        // With several hosts the last word is the first host's, as it is the preferred one.
        let others: Vec<_> = refusals
            .iter()
            .skip(1)
            .map(|other| format!("; {}: {}", other.place, other.message))
            .collect();
        let mut first = refusals
            .into_iter()
            .next()
            .ok_or_else(|| anyhow::anyhow!("connect: no host is configured"))?;
        first.message.push_str(&others.concat());
        Err(first.into())
    }

    /// Tries one host in the order its TLS mode asks for.
    async fn try_host(&self, host: &Host, login: Login<'_>) -> anyhow::Result<Session> {
        let is_socket = matches!(host.place, Place::Socket(_));
        let mode = self.inner.target.tls.mode;
        // As in libpq, TLS is never used on a socket, and `prefer` and `allow` have a second try.
        let tries: &[DriverMode] = match mode {
            _ if is_socket => &[DriverMode::Disable],
            SslMode::Disable => &[DriverMode::Disable],
            SslMode::Allow => &[DriverMode::Disable, DriverMode::Require],
            SslMode::Prefer => &[DriverMode::Prefer, DriverMode::Disable],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[DriverMode::Require],
        };
        let attempt = Attempt {
            database: login.database,
            user: login.user,
            place: host.to_string(),
            mode,
            is_socket,
            bare: login.bare,
        };
        let mut first: Option<anyhow::Error> = None;
        for driver_mode in tries {
            let opening = self.try_once(host, *driver_mode, login, &attempt);
            let opened = match self.inner.target.connect_timeout {
                Some(time) => tokio::time::timeout(time, opening)
                    .await
                    .unwrap_or_else(|_| Err(attempt.timed_out().into())),
                None => opening.await,
            };
            let error = match opened {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            let reason = error
                .downcast_ref::<Refusal>()
                .map(|refusal| refusal.reason);
            if !matches!(reason, Some(Reason::NotAllowed | Reason::Tls)) {
                return Err(error);
            }
            first.get_or_insert(error);
        }
        Err(first.unwrap_or_else(|| anyhow::anyhow!("connect: no way to try")))
    }

    async fn try_once(
        &self,
        host: &Host,
        mode: DriverMode,
        login: Login<'_>,
        attempt: &Attempt<'_>,
    ) -> anyhow::Result<Session> {
        let config = self.config(host, mode, login);
        if mode == DriverMode::Disable {
            let (client, connection) = config
                .connect(NoTls)
                .await
                .map_err(|error| attempt.classify(&error))?;
            return greet(client, connection, None, login, attempt).await;
        }
        // Reading the certificates of the operating system takes milliseconds: once per server.
        let make = async { tls::connector(&self.inner.target.tls) };
        let tls = self.inner.tls.get_or_try_init(|| make).await?.clone();
        let connected = config.connect(tls.clone()).await;
        let (client, connection) = connected.map_err(|error| attempt.classify(&error))?;
        greet(client, connection, Some(tls), login, attempt).await
    }

    fn config(&self, host: &Host, mode: DriverMode, login: Login<'_>) -> Config {
        let target = &self.inner.target;
        let mut config = Config::new();
        match &host.place {
            Place::Socket(folder) => config.host_path(folder),
            Place::Network { name, address } => {
                config.host(name);
                address.map(|address| config.hostaddr(address));
                &mut config
            }
        };
        config
            .port(host.port)
            .user(login.user)
            .dbname(login.database)
            .application_name(application_name(&self.inner.application, login.purpose))
            .ssl_mode(mode)
            // Load balancers forget an idle flow after a few minutes, the kernel looks after two hours.
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(60));
        if let Some(time) = target.connect_timeout {
            config.connect_timeout(time);
        }
        if let Some(password) = login
            .password
            .or_else(|| target.password(host, login.database, login.user))
        {
            config.password(password.expose());
        }
        // Poolers refuse the one, and answer the other from any session.
        if let Some(options) = target.options.as_ref().filter(|_| !login.bare) {
            config.options(options);
        }
        if target.writable_only && !login.bare {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if target.tls.direct && mode == DriverMode::Require {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        match target.channel_binding {
            Some(ChannelBinding::Disable) => config.channel_binding(DriverChannelBinding::Disable),
            Some(ChannelBinding::Require) => config.channel_binding(DriverChannelBinding::Require),
            None => &mut config,
        };
        config
    }
}

/// Checks the version, starts the driver, applies the settings.
async fn greet<T>(
    client: Client,
    connection: Connection<Socket, T>,
    tls: Option<MakeRustlsConnect>,
    login: Login<'_>,
    attempt: &Attempt<'_>,
) -> anyhow::Result<Session>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let server_version = connection
        .parameter("server_version")
        .unwrap_or_default()
        .to_owned();
    let server_major = major_of(&server_version);
    if server_major < OLDEST_MAJOR && !login.bare {
        let message = format!("the server is PostgreSQL {server_version}");
        let hint = format!("overnight works with PostgreSQL {OLDEST_MAJOR} and newer");
        return Err(attempt.refused(Reason::Unsuitable, message, hint).into());
    }
    let canceller = Canceller::new(&client, tls);
    let line = Line::start(connection, canceller.clone());
    let backend_pid = match login.bare {
        // A pooler's server processes come and go.
        true => 0,
        false => settings::apply(&client, server_major)
            .await
            .map_err(|error| {
                attempt.refused(
                    Reason::Other,
                    format!("{error:#}"),
                    "a direct connection to the server is needed",
                )
            })?,
    };
    let facts = Facts {
        database: login.database.into(),
        user: login.user.into(),
        backend_pid,
        server_version,
        server_major,
    };
    Ok(Session::new(client, line, canceller, facts))
}

/// The number that `15.18 (Debian …)` or `17beta1` begins with; 0 when there is none.
fn major_of(version: &str) -> u32 {
    let digits = version
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(version.len());
    version
        .get(..digits)
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

/// `overnight copy`, at most 63 bytes: the server would cut it, perhaps inside a character.
fn application_name(application: &str, purpose: &str) -> String {
    let mut name = format!("{application} {purpose}");
    name.truncate(name.floor_char_boundary(MAX_IDENTIFIER_BYTES));
    name
}

/// Ends the sessions of a database that this role may end: its own, and with pg_signal_backend
/// those of all roles but superusers. One that it may not end would make the statement fail.
pub async fn end_sessions(session: &Session, oid: u32) -> anyhow::Result<()> {
    session
        .query(
            "select pg_terminate_backend(a.pid) from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
             where a.datid = $1 and a.pid <> pg_backend_pid() and not r.rolsuper
               and (pg_has_role(a.usesysid, 'usage') or pg_has_role('pg_signal_backend', 'usage'))",
            &[&oid],
        )
        .await
        .context("end the sessions of a database")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(major_of("15.18 (Debian 15.18-0+deb12u1)"), 15);
        assert_eq!(major_of("17beta1"), 17);
        assert_eq!(major_of("9.6.24"), 9);
        assert_eq!(major_of("?"), 0);
    }

    #[test]
    fn application_names_are_cut_between_characters() {
        let name = application_name("overnight", &"ä".repeat(40));
        assert!(name.len() <= 63 && name.ends_with('ä'), "{name}");
    }
}
