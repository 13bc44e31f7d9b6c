//! Why a connection was not made, in words that say what to do.
//!
//! In: what the driver or the server answered. Out: a [`Refusal`], one line with the place and a
//! hint. A caller that waits for a server or creates a missing database looks at its [`Reason`].

use super::{
    error::{explain, sqlstate},
    target::SslMode,
};
use std::{error::Error as _, io};

/// The class of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nothing listens there, or the host is not known.
    NoServer,
    /// No answer within `connect_timeout`.
    Timeout,
    /// The server wants another password, or any.
    Password,
    /// The server does not let this role, host or encryption in (`pg_hba.conf`, CONNECT privilege).
    NotAllowed,
    /// There is no such database.
    DatabaseMissing,
    /// The database is closed to connections.
    DatabaseClosed,
    /// No connection is left.
    TooManyConnections,
    /// The server is starting, stopping or recovering.
    NotReady,
    /// The server has no TLS, or its certificate was not accepted.
    Tls,
    /// The server cannot be used: its version, or it is read-only.
    Unsuitable,
    /// Anything else.
    Other,
}

impl Reason {
    /// Whether trying again later can help.
    pub fn may_pass(self) -> bool {
        matches!(
            self,
            Reason::NoServer | Reason::Timeout | Reason::TooManyConnections | Reason::NotReady
        )
    }
}

/// A connection that was not made.
#[derive(Debug, Clone, thiserror::Error)]
#[error("connect to database `{database}` as `{user}` at {place}: {message} (hint: {hint})")]
pub struct Refusal {
    /// The class, for callers that branch.
    pub reason: Reason,
    pub(super) database: String,
    pub(super) user: String,
    pub(super) place: String,
    pub(super) message: String,
    pub(super) hint: String,
}

/// What the driver says of a server that is read only, where one that can be written was asked for.
const READ_ONLY: &str = "database does not allow writes";

/// What is known of an attempt that failed.
pub(super) struct Attempt<'a> {
    pub database: &'a str,
    pub user: &'a str,
    pub place: String,
    pub mode: SslMode,
    pub is_socket: bool,
    /// The console of a pooler, or a session through one, is what is wanted.
    pub bare: bool,
}

impl Attempt<'_> {
    pub(super) fn refused(
        &self,
        reason: Reason,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Refusal {
        Refusal {
            reason,
            database: self.database.into(),
            user: self.user.into(),
            place: self.place.clone(),
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// Finds the class of an error of the driver.
    pub(super) fn classify(&self, error: &tokio_postgres::Error) -> Refusal {
        match sqlstate(error) {
            Some(code) => self.classify_answer(code, explain(error)),
            None => self.classify_failure(error),
        }
    }

    fn classify_answer(&self, code: &str, message: String) -> Refusal {
        let user = self.user;
        let (reason, hint) = match code {
            "28P01" => (
                Reason::Password,
                "the password comes from the connection string, PGPASSWORD, or the password file"
                    .into(),
            ),
            // PgBouncer's words; the server says that a database "does not exist".
            _ if message.contains("no such database: ") && !self.bare => {
                return self.refused(
                    Reason::Unsuitable,
                    format!("a connection pooler answers there, and it has no database `{}`", self.database),
                    "let the target lead to the Postgres server itself; services may go on using the pooler",
                );
            }
            "28000" if message.contains("rejects connection") => (
                Reason::NotAllowed,
                format!(
                    "a `reject` line of pg_hba.conf matches role `{user}`, this database and this address"
                ),
            ),
            "28000"
                if matches!(self.mode, SslMode::Disable | SslMode::Allow)
                    && (message.contains("no encryption") || message.contains("SSL off")) =>
            {
                (
                    Reason::NotAllowed,
                    "if pg_hba.conf has a `hostssl` line for it, set `sslmode=require` or more"
                        .into(),
                )
            }
            "28000" => (
                Reason::NotAllowed,
                format!("check that role `{user}` exists and that pg_hba.conf lets it in"),
            ),
            "3D000" => (
                Reason::DatabaseMissing,
                "check the name in the target".into(),
            ),
            "42501" => (
                Reason::NotAllowed,
                format!(
                    "grant role `{user}` the right to CONNECT to `{}`",
                    self.database
                ),
            ),
            "55000" => (
                Reason::DatabaseClosed,
                "a sealed or retired build takes no connections".into(),
            ),
            "53300" => (
                Reason::TooManyConnections,
                "close sessions, or raise max_connections".into(),
            ),
            "57P03" => (Reason::NotReady, "wait until it has started".into()),
            _ => (Reason::Other, "see the log of the server".into()),
        };
        self.refused(reason, message, hint)
    }

    fn classify_failure(&self, error: &tokio_postgres::Error) -> Refusal {
        let cause = error
            .source()
            .map(|source| source.to_string())
            .unwrap_or_default();
        let kind = error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>())
            .map(io::Error::kind);
        match (error.to_string().as_str(), kind) {
            ("error performing TLS handshake", _) if cause == "server does not support TLS" => self.refused(
                Reason::Tls,
                "the server does not offer TLS",
                format!("`sslmode={}` was in force; turn TLS on, or accept plain text with `sslmode=disable`", self.mode.as_str()),
            ),
            ("error performing TLS handshake", _) => self.refused(
                Reason::Tls,
                format!("the TLS handshake failed: {}", innermost(error)),
                format!(
                    "`sslmode={}` is in force; name the authority's certificate with `sslrootcert`, or give up checking \
                     with `sslmode=require`",
                    self.mode.as_str()
                ),
            ),
            ("error connecting to server", Some(io::ErrorKind::ConnectionRefused)) => {
                self.refused(Reason::NoServer, "connection refused", "check that the server runs and listens there")
            }
            ("error connecting to server", Some(io::ErrorKind::NotFound)) if self.is_socket => self.refused(
                Reason::NoServer,
                "there is no such socket",
                "check that the server runs, and its unix_socket_directories",
            ),
            // The driver's words for `target_session_attrs`; they come with the same kind.
            ("error connecting to server", Some(io::ErrorKind::PermissionDenied))
                if self.is_socket && cause != READ_ONLY =>
            {
                self.refused(Reason::NotAllowed, "permission denied", "this user may not open the socket")
            }
            ("error connecting to server", Some(io::ErrorKind::PermissionDenied)) => {
                let message = match cause.as_str() {
                    READ_ONLY => "is a standby, which is read only",
                    cause => cause,
                };
                self.refused(
                    Reason::Unsuitable,
                    message,
                    "`target_session_attrs` asks for a server that can be written: name the primary, or list every server",
                )
            }
            ("error connecting to server", Some(io::ErrorKind::TimedOut)) => self.timed_out(),
            ("error connecting to server", _) => {
                self.refused(Reason::NoServer, cause, "check the name of the host and the network")
            }
            ("invalid configuration", _) if cause == "password missing" => self.refused(
                Reason::Password,
                "the server wants a password and none is configured",
                "set PGPASSWORD, or add a line to the password file",
            ),
            _ => self.refused(
                Reason::Other,
                explain(error),
                "check that a Postgres server listens there, and its log",
            ),
        }
    }

    pub(super) fn timed_out(&self) -> Refusal {
        self.refused(
            Reason::Timeout,
            "no answer in time",
            "check the network, or raise `connect_timeout`",
        )
    }
}

fn innermost(error: &tokio_postgres::Error) -> String {
    let mut link: &dyn std::error::Error = error;
    while let Some(source) = link.source() {
        link = source;
    }
    link.to_string()
}
