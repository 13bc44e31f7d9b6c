//! One open connection.
//!
//! In: what the driver hands out after login. Out: a [`Session`], which is the driver's client plus
//! what the client alone forgets: why the connection was lost, and the server's notices.
//!
//! Dropping a session ends it: politely when idle; with a statement still running, that statement is
//! cancelled first, because the server would otherwise finish it for nobody.

use super::Server;
use super::error::{explain, explain_answer};
use futures_util::future::poll_fn;
use std::{
    collections::VecDeque,
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, oneshot},
    task::JoinHandle,
};
use tokio_postgres::{
    AsyncMessage, CancelToken, Client, Connection, NoTls, Socket, error::DbError,
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Notices kept until they are taken; the oldest go first.
const MAX_NOTICES: usize = 200;
/// A server needs no longer than this to see a goodbye or a cancel request.
const GRACE: Duration = Duration::from_secs(2);

/// An open connection; use it as a [`tokio_postgres::Client`].
#[derive(Debug)]
pub struct Session {
    pub(super) client: Client,
    /// Whom the watchdog asks, where there is one.
    watchdog: Option<Server>,
    facts: Facts,
    shared: Arc<Shared>,
    canceller: Canceller,
    /// Dropped with the session, which tells the driver to finish.
    _open: oneshot::Sender<()>,
    driver: JoinHandle<()>,
}

/// What is known of the connection.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub database: String,
    pub user: String,
    pub backend_pid: i32,
    pub server_version: String,
    pub server_major: u32,
}

/// A message of the server that is no error, such as RAISE NOTICE.
#[derive(Debug, Clone)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, …
    pub severity: String,
    /// Five characters.
    pub sqlstate: String,
    /// Free text of whoever raised it: it may hold data, so it is not for logs or ledgers unless
    /// asked for. [`Notice::explain`] is.
    pub message: String,
    explained: String,
}

impl Notice {
    /// The notice without free text that may hold data.
    pub fn explain(&self) -> &str {
        &self.explained
    }
}

#[derive(Debug, Default)]
struct Shared {
    lost: Mutex<Option<String>>,
    /// Ends the driver, and with it everything that waits for an answer.
    cut: Notify,
    notices: Mutex<VecDeque<Notice>>,
}

impl Shared {
    fn lose(&self, why: String) {
        self.lost
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(why);
    }

    fn note(&self, notice: &DbError) {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        if notices.len() == MAX_NOTICES {
            notices.pop_front();
        }
        notices.push_back(Notice {
            severity: notice.severity().to_owned(),
            sqlstate: notice.code().code().to_owned(),
            message: notice.message().chars().take(1000).collect(),
            explained: explain_answer(notice),
        });
    }
}

/// Cancels what a session is doing, from outside of it.
#[derive(Clone)]
pub struct Canceller {
    token: CancelToken,
    tls: Option<MakeRustlsConnect>,
}

impl fmt::Debug for Canceller {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Canceller")
    }
}

impl Canceller {
    pub(super) fn new(client: &Client, tls: Option<MakeRustlsConnect>) -> Canceller {
        Canceller {
            token: client.cancel_token(),
            tls,
        }
    }

    /// Asks the server to cancel the running statement, through a connection of its own. The server
    /// may have finished it already: only the statement's own result tells.
    ///
    /// # Errors
    /// The server cannot be reached, or not within two seconds.
    pub async fn cancel(&self) -> anyhow::Result<()> {
        let request = async {
            match &self.tls {
                Some(tls) => self.token.cancel_query(tls.clone()).await,
                None => self.token.cancel_query(NoTls).await,
            }
        };
        match tokio::time::timeout(GRACE, request).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => anyhow::bail!("cancel a statement: {}", explain(&error)),
            Err(_) => anyhow::bail!("cancel a statement: no answer in time"),
        }
    }
}

/// The half of a session that moves the bytes.
pub(super) struct Line {
    shared: Arc<Shared>,
    open: oneshot::Sender<()>,
    driver: JoinHandle<()>,
}

impl Line {
    /// Starts to drive a connection.
    pub(super) fn start<T>(mut connection: Connection<Socket, T>, canceller: Canceller) -> Line
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let shared = Arc::new(Shared::default());
        let (open, mut closed) = oneshot::channel::<()>();
        let seen = shared.clone();
        let driver = tokio::spawn(async move {
            let drive = async {
                loop {
                    match poll_fn(|context| connection.poll_message(context)).await {
                        Some(Ok(AsyncMessage::Notice(notice))) => seen.note(&notice),
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return seen.lose(explain(&error)),
                        None => return,
                    }
                }
            };
            let give_up = async {
                // Nothing is ever sent: this waits for the session to be dropped.
                let _ = (&mut closed).await;
                tokio::time::sleep(GRACE / 10).await;
                let _ = canceller.cancel().await;
                tokio::time::sleep(GRACE).await;
            };
            tokio::select! {
                () = drive => {}
                () = give_up => {}
                () = seen.cut.notified() => {}
            }
        });
        Line {
            shared,
            open,
            driver,
        }
    }
}

impl Session {
    pub(super) fn new(client: Client, line: Line, canceller: Canceller, facts: Facts) -> Session {
        Session {
            client,
            watchdog: None,
            facts,
            shared: line.shared,
            canceller,
            _open: line.open,
            driver: line.driver,
        }
    }

    /// Lets a watchdog ask the server about this session while a statement has no answer.
    pub(super) fn watched_by(self, server: Server) -> Session {
        Session {
            watchdog: Some(server),
            ..self
        }
    }

    /// Whom the watchdog asks.
    pub(super) fn server(&self) -> Option<&Server> {
        self.watchdog.as_ref()
    }

    /// Gives the connection up: what waits for an answer fails as on a lost connection.
    pub(super) fn cut(&self, why: &str) {
        self.shared.lose(why.to_owned());
        self.shared.cut.notify_one();
    }

    /// Limits every later statement, and how long one may wait for a lock; a statement may set its own.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn limit(&self, statement: Duration, lock: Duration) -> anyhow::Result<()> {
        let (statement, lock) = (statement.as_millis(), lock.as_millis());
        let script = format!("set statement_timeout = {statement}; set lock_timeout = {lock}");
        let set = self.batch_execute(&script).await;
        set.map_err(|error| anyhow::anyhow!("limit the time of statements: {}", explain(&error)))
    }

    /// Why the connection was lost, once it is.
    pub fn lost(&self) -> Option<String> {
        let lost = self
            .shared
            .lost
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        lost.or_else(|| {
            self.client
                .is_closed()
                .then(|| "connection closed".to_owned())
        })
    }

    /// The notices since the last call, oldest first, 200 at most.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.shared
            .notices
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
            .collect()
    }

    /// The process id of the server process behind this session.
    pub fn backend_pid(&self) -> i32 {
        self.facts.backend_pid
    }

    /// The database this session is in.
    pub fn database(&self) -> &str {
        &self.facts.database
    }

    /// The role this session logged in as.
    pub fn user(&self) -> &str {
        &self.facts.user
    }

    /// The server's version as it spells it, `15.18 (Debian 15.18-0+deb12u1)`.
    pub fn server_version(&self) -> &str {
        &self.facts.server_version
    }

    /// The server's major version, 15 or above.
    pub fn server_major(&self) -> u32 {
        self.facts.server_major
    }

    /// A handle that cancels what this session is doing.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Ends the session and waits until its connection is closed, a few seconds at most. The server
    /// process may outlive it by a moment.
    pub async fn close(self) {
        let Session {
            client,
            _open: open,
            driver,
            ..
        } = self;
        drop(client);
        drop(open);
        // The driver ends by itself in bounded time; a panic in it has nobody left to tell.
        let _ = driver.await;
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// Lets code that only needs a client take a session.
impl std::borrow::Borrow<Client> for Session {
    fn borrow(&self) -> &Client {
        self
    }
}
