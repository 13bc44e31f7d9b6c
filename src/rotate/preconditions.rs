//! What must be true so that an alias can move, as far as it can be asked before a build is made.
//!
//! In: a server, its ledger if there is one, a dataset. Out: [`Obstacle`]s. A run asks when it begins
//! and warns, because hours of building lie before the move; the doctor asks the same and reports
//! problems. Nothing is changed. A question that cannot be asked is an obstacle too.

use super::probe::Prober;
use super::router::{Router, Way};
use super::{consumers, replicas};
use crate::build::has_stamp;
use crate::config::groups::Groups;
use crate::dataset::Dataset;
use crate::ledger::{Build, Ledger};
use crate::postgres::{Reason, Refusal, Server, Session, explain_chain};
use crate::problem::{Problem, hint_of};
use crate::verify::reader::refuse_without_reader;
use anyhow::{Context, Result, bail};

/// Something that would keep an alias from moving.
#[derive(Debug, Clone)]
pub struct Obstacle {
    /// What it is about, as the doctor sorts its findings.
    pub subject: &'static str,
    pub finding: String,
    /// What to do about it.
    pub todo: String,
}

/// What is asked, and how.
pub struct Preconditions<'p> {
    /// Any session of the tool's role.
    pub session: &'p Session,
    /// None before the first run.
    pub ledger: Option<&'p Ledger>,
    pub server: &'p Server,
    pub router: &'p Router,
    pub groups: &'p Groups,
}

/// Collects obstacles of one subject.
struct Obstacles(Vec<Obstacle>);

impl Obstacles {
    fn add(&mut self, subject: &'static str, finding: impl Into<String>, todo: impl Into<String>) {
        self.0.push(Obstacle {
            subject,
            finding: finding.into(),
            todo: todo.into(),
        });
    }

    /// A question that could not be asked.
    fn take(&mut self, subject: &'static str, what: &str, asked: Result<()>) {
        if let Err(error) = asked {
            let finding = format!("{what}: {}", explain_chain(&error));
            let todo = hint_of(&error).unwrap_or("see the message").to_owned();
            self.add(subject, finding, todo);
        }
    }
}

impl Preconditions<'_> {
    /// Warns of everything that would keep the alias of a dataset from moving.
    pub async fn warn(&self, dataset: &Dataset, prober: &Prober, golden: bool) {
        let mut all = self.of_server().await;
        all.extend(self.of_replicas(dataset).await);
        all.extend(self.of_dataset(dataset, prober, golden).await);
        for obstacle in all {
            let Obstacle { finding, todo, .. } = obstacle;
            tracing::warn!(
                "{}: the move would be refused: {finding} (hint: {todo})",
                dataset.name
            );
        }
    }

    /// What concerns every alias of the server but its replicas: rights, and poolers.
    pub async fn of_server(&self) -> Vec<Obstacle> {
        let mut all = Obstacles(Vec::new());
        let rights = self.rights(&mut all).await;
        all.take("rights", "ask for the rights of the role", rights);
        if let (Way::PgBouncer(poolers), Some(ledger)) = (&self.router.way, self.ledger) {
            match poolers.unready(ledger).await {
                Ok(errors) => {
                    for error in errors {
                        let todo =
                            "bring it back, or correct its files; until then no alias is moved";
                        let todo = hint_of(&error).unwrap_or(todo).to_owned();
                        all.add("router", explain_chain(&error), todo);
                    }
                }
                Err(error) => all.take("router", "ask the poolers", Err(error)),
            }
        }
        all.0
    }

    /// Standbys that would keep the alias of a dataset where it is.
    async fn of_replicas(&self, dataset: &Dataset) -> Vec<Obstacle> {
        let mut all = Obstacles(Vec::new());
        let asked = async {
            let Some(ledger) = self.ledger else {
                return Ok(());
            };
            let standbys = self.server.standbys();
            if !standbys.ignore_undeclared
                && let Some(found) = replicas::undeclared(ledger, &standbys.declared).await?
            {
                all.add("replicas", found, replicas::DECLARE);
            }
            let live = self.live(ledger, dataset).await?;
            for standby in &standbys.declared {
                let asked = match &live {
                    Some(live) => {
                        let name = self.router.name_of_live(&dataset.name, live);
                        replicas::has_live(ledger, standby, name, live).await
                    }
                    None => standby.connect("look at a replica").await.map(drop),
                };
                if let Err(error) = asked {
                    all.add("replicas", explain_chain(&error), replicas::BRING_BACK);
                }
            }
            anyhow::Ok(())
        };
        let asked = asked.await;
        all.take("replicas", "ask the replicas", asked);
        all.0
    }

    /// What concerns one alias: holds, who has its name, who is connected, who may look, who reads it.
    pub async fn of_dataset(
        &self,
        dataset: &Dataset,
        prober: &Prober,
        golden: bool,
    ) -> Vec<Obstacle> {
        let mut all = Obstacles(Vec::new());
        let holds = self.holds(dataset, &mut all).await;
        all.take("leftovers", "ask for holds", holds);
        let name = self.name(dataset, &mut all).await;
        all.take("leftovers", "ask who has the name of the alias", name);
        let sessions = self.sessions(dataset, &mut all).await;
        all.take(
            "sessions",
            "ask who is connected to the live database",
            sessions,
        );
        let readers = self.readers(dataset, prober, golden, &mut all).await;
        all.take("rights", "ask as a reader", readers);
        let services = self.services(dataset, &mut all).await;
        all.take("services", "ask which services read it", services);
        all.0
    }

    async fn live(&self, ledger: &Ledger, dataset: &Dataset) -> Result<Option<Build>> {
        if !ledger.datasets().await?.contains(&dataset.name) {
            return Ok(None);
        }
        match ledger.dataset(&dataset.name).await?.live_build {
            Some(id) => Ok(Some(ledger.build(id).await?)),
            None => Ok(None),
        }
    }

    /// A rename needs CREATEDB, and the end of sessions that are in its way.
    async fn rights(&self, all: &mut Obstacles) -> Result<()> {
        if let Err(error) = refuse_without_createdb(self.session).await {
            let todo = hint_of(&error).unwrap_or("see the message").to_owned();
            all.add("rights", explain_chain(&error), todo);
        }
        let role = self.session.user();
        let may_end: bool = self
            .session
            .query_one("select pg_has_role('pg_signal_backend', 'usage')", &[])
            .await
            .context("ask who may end sessions")?
            .get(0);
        if !may_end {
            all.add(
                "rights",
                format!("the role `{role}` may not end sessions of services, so that it cannot move the alias"),
                format!("as a superuser: grant pg_signal_backend to {role}"),
            );
        }
        Ok(())
    }

    /// A hold of the dataset, or of another member of its group.
    async fn holds(&self, dataset: &Dataset, all: &mut Obstacles) -> Result<()> {
        let Some(ledger) = self.ledger else {
            return Ok(());
        };
        let group = self.groups.of(&dataset.name);
        let own = std::slice::from_ref(&dataset.name);
        let known = ledger.datasets().await?;
        for name in group.map_or(own, |group| &group.members) {
            if !known.contains(name) {
                continue;
            }
            let row = ledger.dataset(name).await?;
            if row.held {
                all.add(
                    "leftovers",
                    format!(
                        "`{name}` is held by {} ({})",
                        row.held_by.as_deref().unwrap_or("an unknown role"),
                        row.hold_reason.as_deref().unwrap_or("no reason given")
                    ),
                    format!(
                        "`overnight release {}` when the cause is gone",
                        self.groups.typed_for(name)
                    ),
                );
            }
        }
        Ok(())
    }

    /// A database with the name of the alias, where nothing is live.
    async fn name(&self, dataset: &Dataset, all: &mut Obstacles) -> Result<()> {
        if !matches!(self.router.way, Way::Rename) {
            return Ok(());
        }
        if let Some(ledger) = self.ledger
            && self.live(ledger, dataset).await?.is_some()
        {
            return Ok(());
        }
        let name = &dataset.name;
        let found = self
            .session
            .query_opt("select from pg_database where datname = $1", &[name])
            .await
            .context("look for a database of that name")?;
        if found.is_none() {
            return Ok(());
        }
        match has_stamp(self.server, name).await {
            true => all.add(
                "leftovers",
                format!("the database `{name}` carries the stamp of overnight, and the ledger does not know it"),
                "`overnight reconcile --adopt` puts it back into the ledger",
            ),
            false => all.add(
                "leftovers",
                format!("a database named `{name}` exists and overnight did not make it"),
                "rename it if services no longer need it, or call the dataset otherwise",
            ),
        }
        Ok(())
    }

    /// Sessions in the live database that a rename could not end.
    async fn sessions(&self, dataset: &Dataset, all: &mut Obstacles) -> Result<()> {
        let (Way::Rename, Some(ledger)) = (&self.router.way, self.ledger) else {
            return Ok(());
        };
        let Some(live) = self.live(ledger, dataset).await? else {
            return Ok(());
        };
        let rows = self
            .session
            .query(
                "select format('%s (%s, process %s, superuser)', a.usename,
                               coalesce(nullif(a.application_name, ''), 'unnamed'), a.pid)
                 from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
                 where a.datid = $1 and r.rolsuper
                   and not (select rolsuper from pg_roles where rolname = current_user)
                 order by a.pid",
                &[&live.database_oid],
            )
            .await
            .context("list the sessions")?;
        let who: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        if !who.is_empty() {
            all.add(
                "sessions",
                format!(
                    "the live `{}` is in use by {}, and only a superuser may end that",
                    dataset.name,
                    who.join(", ")
                ),
                "end the session, and connect to the alias with roles that are no superusers",
            );
        }
        Ok(())
    }

    /// Golden queries need the reader, and the look through the alias needs its login.
    async fn readers(
        &self,
        dataset: &Dataset,
        prober: &Prober,
        golden: bool,
        all: &mut Obstacles,
    ) -> Result<()> {
        let reader = dataset.settings.readers.first();
        let there = self
            .session
            .query_opt("select from pg_roles where rolname = $1", &[&reader])
            .await
            .context("look for the reader")?;
        let has_login = prober.login.is_some();
        if golden && there.is_some() {
            let may = refuse_without_reader(self.session, dataset, has_login).await;
            if let Err(error) = may {
                let todo = hint_of(&error).unwrap_or("see the message").to_owned();
                all.add("rights", explain_chain(&error), todo);
            }
        }
        let (Some(ledger), Some((user, _))) = (self.ledger, &prober.login) else {
            return Ok(());
        };
        if matches!(self.router.way, Way::PgBouncer(_)) {
            return Ok(());
        }
        let Some(live) = self.live(ledger, dataset).await? else {
            return Ok(());
        };
        let name = self.router.name_of_live(&dataset.name, &live);
        let Err(error) = prober.ask(self.server, name).await else {
            return Ok(());
        };
        // Other causes have their own lines, or are of this moment.
        let refused = error
            .chain()
            .find_map(|cause| cause.downcast_ref::<Refusal>());
        if refused.is_some_and(|refusal| refusal.reason == Reason::Password) {
            all.add(
                "rights",
                explain_chain(&error),
                format!(
                    "the move looks through the alias as `{user}`: correct `probe` in dataset.toml"
                ),
            );
        }
        Ok(())
    }

    /// Registered services that cannot read the schema version.
    async fn services(&self, dataset: &Dataset, all: &mut Obstacles) -> Result<()> {
        let Some(ledger) = self.ledger else {
            return Ok(());
        };
        let gate = consumers::early(ledger, dataset).await?;
        if gate.stops() {
            all.add("services", gate.finding, consumers::hint(&dataset.name));
        }
        Ok(())
    }
}

/// `ALTER DATABASE … RENAME` needs the same right as CREATE DATABASE.
///
/// # Errors
/// Status 2 with what to type.
pub async fn refuse_without_createdb(session: &Session) -> Result<()> {
    let may: bool = session
        .query_one(
            "select rolcreatedb or rolsuper from pg_roles where rolname = current_user",
            &[],
        )
        .await
        .context("ask for the attributes of the role")?
        .get(0);
    if may {
        return Ok(());
    }
    let role = session.user();
    bail!(
        Problem::usage(format!(
            "the role `{role}` may not create databases, nor rename one"
        ))
        .hint(format!("as a superuser: alter role {role} createdb"))
    )
}
