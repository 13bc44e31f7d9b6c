//! The alias as a line in the configuration of each pooler.
//!
//! In: the ledger, which already says what is live. Out: every pooler leads there, one after the
//! other, and has proven it. Nothing that a pooler answers is believed: RELOAD says success when the
//! file is broken, when an alias is missing from it and when its database does not exist. Proof is
//! the line in SHOW DATABASES, and later a look through the pooler.
//!
//! All aliases of the ledger share one file for each pooler, so it is written under a lock, from
//! what the ledger says at that moment.

mod console;
mod file;
mod main_file;

pub use console::Line;
pub use file::Aliases;

use crate::config::{Env, PoolerSettings};
use crate::crashpoint;
use crate::ledger::Ledger;
use crate::postgres::{Server, Session, Target, explain_chain};
use crate::problem::Problem;
use crate::secret::Secret;
use crate::switch;
use anyhow::{Context, Result, bail};
use console::Console;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// A pooler that has read its files shows it at once; this is for one that is busy.
const PROOF: Duration = Duration::from_secs(2);

/// All poolers of a server, in the order in which they are moved.
#[derive(Debug)]
pub struct Poolers {
    list: Vec<Pooler>,
}

/// One pooler.
#[derive(Debug)]
pub struct Pooler {
    settings: PoolerSettings,
    console: Server,
    through: Server,
    line: file::Server,
}

impl Poolers {
    /// Reads the connection texts; opens nothing.
    ///
    /// # Errors
    /// Status 2 when one of them cannot be read.
    pub fn new(settings: &[PoolerSettings], target: &Target, env: Env) -> Result<Poolers> {
        // A pooler shows the name of the last client on a session that it keeps: it must not look like
        // a session of ours.
        let server = |key: &str, text: &Secret| {
            Target::resolve(Some(text.expose()), env)
                .with_context(|| Problem::usage(format!("read `{key}`")))
                .map(|target| Server::new(target, "overnight-pooler".into()))
        };
        let (host, port) = target.first_place().unwrap_or_default();
        let list = settings.iter().map(|settings| {
            Ok(Pooler {
                console: server("pgbouncer.admin", &settings.admin)?,
                through: server("pgbouncer.through", &settings.through)?,
                line: file::Server {
                    host: settings.host.clone().unwrap_or_else(|| host.clone()),
                    port: settings.port.unwrap_or(port),
                    extra: settings.extra.clone(),
                },
                settings: settings.clone(),
            })
        });
        Ok(Poolers {
            list: list.collect::<Result<_>>()?,
        })
    }

    /// Each of them.
    pub fn all(&self) -> &[Pooler] {
        &self.list
    }

    /// Asks whether a move could work, before anything is touched: every console answers, every
    /// configuration includes our file, and no line in it is somebody else's.
    ///
    /// # Errors
    /// Names the pooler; nothing was changed.
    pub async fn ready(&self, ledger: &Ledger) -> Result<()> {
        self.unready(ledger)
            .await?
            .into_iter()
            .next()
            .map_or(Ok(()), Err)
    }

    /// Why each pooler could not be moved; empty where all could.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn unready(&self, ledger: &Ledger) -> Result<Vec<anyhow::Error>> {
        let known: BTreeSet<String> = ledger.datasets().await?.into_iter().collect();
        let mut unready = Vec::new();
        for pooler in &self.list {
            let ready = pooler.ready(&known).await;
            let ready = ready.with_context(|| format!("prepare the pooler at {}", pooler.place()));
            unready.extend(ready.err());
        }
        Ok(unready)
    }

    /// Leads aliases where the ledger says they are live, in one pooler after the other, and in each
    /// all of them at once.
    ///
    /// # Errors
    /// The first pooler that cannot prove it; those before it have moved, and the caller takes
    /// all of them back.
    pub async fn lead(&self, ledger: &Ledger, aliases: &[&str], limit: Duration) -> Result<()> {
        for pooler in &self.list {
            let place = pooler.place();
            let began = Instant::now();
            pooler.catch_up(ledger, aliases).await?;
            for alias in aliases {
                tracing::info!(alias, "the pooler at {place} leads to the new build");
            }
            crashpoint::reached("pooler.before_wait");
            for alias in aliases {
                if !pooler.wait_close(alias, limit).await {
                    tracing::warn!(
                        alias,
                        "the pooler at {place} still has connections to the old build after {:.1} s",
                        began.elapsed().as_secs_f64()
                    );
                }
            }
            crashpoint::reached("pooler.after_wait");
        }
        Ok(())
    }

    /// Leads each alias back to its database, or to nothing, whatever the ledger says; the caller
    /// holds the lock of the aliases. Returns what could not be taken back: a pooler that is gone will
    /// start with the file that was written.
    pub async fn lead_back(
        &self,
        ledger: &Ledger,
        before: &[(&str, Option<String>)],
    ) -> Result<Vec<String>> {
        let mut aliases = ledger.live_aliases().await?;
        for (alias, database) in before {
            match database {
                Some(database) => aliases.insert((*alias).to_owned(), database.clone()),
                None => aliases.remove(*alias),
            };
        }
        let moved: Vec<&str> = before.iter().map(|(alias, _)| *alias).collect();
        let mut left = Vec::new();
        for pooler in &self.list {
            if let Err(error) = pooler.write(&aliases, &moved).await {
                left.push(format!(
                    "the pooler at {}: {}",
                    pooler.place(),
                    explain_chain(&error)
                ));
            }
        }
        Ok(left)
    }
}

impl Pooler {
    /// Host and port, for messages.
    pub fn place(&self) -> String {
        self.console.target().place()
    }

    /// Leads aliases where the ledger says that they are live.
    pub async fn catch_up(&self, ledger: &Ledger, aliases: &[&str]) -> Result<()> {
        ledger.lock_aliases().await?;
        let led = async {
            let live = ledger.live_aliases().await?;
            self.write(&live, aliases).await
        };
        let led = led.await;
        ledger.unlock_aliases().await?;
        led.with_context(|| {
            format!(
                "move `{}` in the pooler at {}",
                aliases.join("`, `"),
                self.place()
            )
        })
    }

    /// What the pooler shows of an alias.
    pub async fn line(&self, alias: &str) -> Result<Option<Line>> {
        let lines = Console::open(&self.console).await?.lines().await?;
        Ok(lines.into_iter().find(|line| line.alias == alias))
    }

    /// A session as a service gets it.
    pub async fn session(
        &self,
        alias: &str,
        user: &str,
        password: Option<&Secret>,
    ) -> Result<Session> {
        self.through
            .connect_bare(alias, Some(user), password, "look through the pooler")
            .await
    }

    /// A URL that leads a service through the pooler, without a password.
    pub fn url_for(&self, alias: &str, role: Option<&str>) -> String {
        self.through.target().url_for(alias, role)
    }

    /// Lets the clients of an alias go on, where a tool or a person that is gone has paused them.
    /// Returns what was done. Under the lock of the moves, so nobody is at work.
    pub async fn resume(&self, alias: &str) -> Result<Option<String>> {
        let console = Console::open(&self.console).await?;
        if console.all_paused().await {
            console.resume(None).await?;
            return Ok(Some(format!(
                "the pooler at {} was paused and was resumed",
                self.place()
            )));
        }
        let paused = console
            .lines()
            .await?
            .iter()
            .any(|line| line.alias == alias && line.paused);
        if !paused {
            return Ok(None);
        }
        console.resume(Some(alias)).await?;
        Ok(Some(format!(
            "`{alias}` was paused in the pooler at {} and was resumed",
            self.place()
        )))
    }

    async fn ready(&self, known: &BTreeSet<String>) -> Result<()> {
        if switch::on("pgbouncer.includes") {
            main_file::check(&self.settings.main, &self.settings.include)?;
        }
        file::refuse_foreign(&self.settings.include, known)?;
        let console = Console::open(&self.console).await?;
        if let Some(read) = console.configuration_file().await?
            && Path::new(&read).is_absolute()
            && !same_file(Path::new(&read), &self.settings.main)
        {
            bail!(
                Problem::usage(format!(
                    "it reads `{read}`, and pgbouncer.main is `{}`",
                    self.settings.main.display()
                ))
                .hint("the files must be those of the pooler whose console `admin` names")
            );
        }
        Ok(())
    }

    /// Writes the file and makes the pooler prove that it has read it.
    async fn write(&self, aliases: &Aliases, moved: &[&str]) -> Result<()> {
        let text = file::render(aliases, &self.line)?;
        let path = self.settings.include.clone();
        crashpoint::reached("pooler.before_write");
        tokio::task::spawn_blocking(move || file::replace(&path, &text))
            .await
            .context("write the include file")??;
        let console = Console::open(&self.console).await?;
        console.reload().await?;
        crashpoint::reached("pooler.after_reload");
        let end = Instant::now() + PROOF;
        loop {
            let lines = console.lines().await?;
            let fault = |alias: &&str| self.fault(aliases, alias, &lines);
            let Some(fault) = moved.iter().find_map(fault) else {
                return Ok(());
            };
            if !switch::on("pgbouncer.proof") {
                return Ok(());
            }
            if Instant::now() >= end {
                bail!(
                    Problem::dependency(format!("RELOAD changed nothing: {fault}"))
                        .hint("the log of PgBouncer says which line of its configuration is wrong")
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What the pooler shows unlike the file: of this alias everything, of the others that they
    /// are there.
    fn fault(&self, aliases: &Aliases, alias: &str, lines: &[Line]) -> Option<String> {
        let shown = |alias: &str| lines.iter().find(|line| line.alias == alias);
        let gone: Vec<&str> = aliases
            .keys()
            .map(String::as_str)
            .filter(|alias| shown(alias).is_none())
            .collect();
        if !gone.is_empty() {
            return Some(format!("SHOW DATABASES lacks {}", gone.join(", ")));
        }
        match (aliases.get(alias), shown(alias)) {
            (Some(database), Some(line)) => {
                let there = &line.database == database
                    && line.host == self.line.host
                    && line.port == self.line.port.to_string();
                if !there {
                    return Some(format!(
                        "`{alias}` leads to `{}` at {}:{}, not to `{database}` at {}:{}",
                        line.database, line.host, line.port, self.line.host, self.line.port
                    ));
                }
                let state = match (line.paused, line.disabled) {
                    (true, _) => "paused",
                    (_, true) => "disabled",
                    _ => return None,
                };
                Some(format!("`{alias}` is {state}"))
            }
            // A catch-all of the pooler may answer for it, with the alias as the database.
            (None, Some(line)) if line.database != alias => {
                Some(format!("`{alias}` still leads to `{}`", line.database))
            }
            _ => None,
        }
    }

    /// False when connections to the old build are left after the limit.
    async fn wait_close(&self, alias: &str, limit: Duration) -> bool {
        let waited = async {
            let console = Console::open(&self.console).await?;
            console.wait_close(alias, limit).await
        };
        waited.await.unwrap_or_else(|error: anyhow::Error| {
            tracing::warn!(alias, "{}", explain_chain(&error));
            false
        })
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
