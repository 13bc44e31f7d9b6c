//! How an alias is realised, as `overnight.toml` says it.
//!
//! In: `router`, `drain` and the `[[pgbouncer]]` tables as they were typed. Out:
//! [`RouterSettings`], checked against each other. No file is opened and no pooler is asked here:
//! a command that moves nothing must work while a pooler is down.

use super::{Env, dereference};
use crate::problem::Problem;
use crate::secret::Secret;
use crate::units::Span;
use anyhow::{Context, Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// How long sessions may use the previous build, where the move itself does not end them.
const DRAIN: Duration = Duration::from_secs(300);

/// One `[[pgbouncer]]` table: a pooler that services connect through.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PgBouncerTable {
    /// Admin console: libpq URL or key=value text, `env:NAME` or `file:PATH`; the user must be one of `admin_users`
    #[schemars(extend("examples" = ["host=/run/postgresql port=6432 user=overnight"]))]
    admin: String,
    /// The file that overnight alone writes: the pooler's aliases. It must exist before the pooler starts; empty will do
    #[schemars(extend("examples" = ["/etc/pgbouncer/overnight.ini"]))]
    include: PathBuf,
    /// The pooler's own configuration, which must have `%include` with that file
    #[schemars(extend("examples" = ["/etc/pgbouncer/pgbouncer.ini"]))]
    main: PathBuf,
    /// How the pooler reaches the server: host, address or folder of the socket
    #[schemars(extend("x-default" = "the target's", "examples" = ["db.internal"]))]
    host: Option<String>,
    /// How the pooler reaches the server: port
    #[schemars(extend("x-default" = "the target's", "examples" = [5432]))]
    port: Option<u16>,
    /// More settings for the line of each alias, as PgBouncer spells them
    #[schemars(extend("x-default" = "none", "examples" = ["pool_size=40"]))]
    extra: Option<String>,
    /// How a service reaches the pooler, for the look through it: libpq text without a database
    #[schemars(extend("x-default" = "as `admin`", "examples" = ["host=pooler.internal port=6432 sslmode=require"]))]
    through: Option<String>,
}

/// How an alias is realised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RouterKind {
    /// The alias is the name of the live database.
    Rename,
    /// The alias is a line in a pooler's configuration.
    PgBouncer,
    /// The alias is a row that services follow.
    Pointer,
}

/// What a move needs to know about routers.
#[derive(Debug, Clone)]
pub struct RouterSettings {
    pub kind: RouterKind,
    /// How long sessions may use the previous build after a move; then they are ended.
    pub drain: Duration,
    pub poolers: Vec<PoolerSettings>,
}

/// One pooler.
#[derive(Debug, Clone)]
pub struct PoolerSettings {
    /// Connection text of the admin console.
    pub admin: Secret,
    pub include: PathBuf,
    pub main: PathBuf,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub extra: String,
    /// Connection text of a look through the pooler.
    pub through: Secret,
}

impl RouterSettings {
    /// Checks what was typed.
    ///
    /// # Errors
    /// Status 2 for a word that is no router, and for poolers that are missing, unused or share a file.
    pub(super) fn resolve(
        router: Option<&str>,
        drain: Option<String>,
        tables: Option<Vec<PgBouncerTable>>,
        env: Env,
    ) -> Result<RouterSettings> {
        let tables = tables.unwrap_or_default();
        let kind = match router {
            None | Some("rename") => RouterKind::Rename,
            Some("pgbouncer") => RouterKind::PgBouncer,
            Some("pointer") => RouterKind::Pointer,
            Some(other) => bail!(Problem::usage(format!(
                "router = \"{other}\": write rename, pgbouncer or pointer"
            ))),
        };
        match (kind, tables.is_empty()) {
            (RouterKind::PgBouncer, true) => bail!(
                Problem::usage(
                    "router = \"pgbouncer\" needs a [[pgbouncer]] table for each pooler"
                )
                .hint("its keys are admin, include and main")
            ),
            (RouterKind::Rename | RouterKind::Pointer, false) => bail!(
                Problem::usage("[[pgbouncer]] is there, and the router is another one")
                    .hint("write router = \"pgbouncer\", or take the table out")
            ),
            _ => {}
        }
        let drain = match drain {
            Some(text) => {
                text.parse::<Span>()
                    .context(Problem::usage("read `drain`"))?
                    .0
            }
            None if kind == RouterKind::Rename => Duration::ZERO,
            None => DRAIN,
        };
        if kind == RouterKind::Rename && !drain.is_zero() {
            bail!(
                Problem::usage("`drain` is set, and the router `rename` ends sessions itself")
                    .hint("leave it out, or use router = \"pgbouncer\" or \"pointer\"")
            );
        }
        let poolers: Vec<PoolerSettings> = tables
            .into_iter()
            .map(|table| table.resolve(env))
            .collect::<Result<_>>()?;
        for (index, pooler) in poolers.iter().enumerate() {
            if poolers[..index]
                .iter()
                .any(|other| other.include == pooler.include)
            {
                bail!(Problem::usage(format!(
                    "two [[pgbouncer]] tables name the include file `{}`: give each pooler its own",
                    pooler.include.display()
                )));
            }
        }
        Ok(RouterSettings {
            kind,
            drain,
            poolers,
        })
    }
}

impl PgBouncerTable {
    fn resolve(self, env: Env) -> Result<PoolerSettings> {
        for (key, path) in [("include", &self.include), ("main", &self.main)] {
            if !path.is_absolute() {
                bail!(Problem::usage(format!(
                    "pgbouncer.{key} = \"{}\": write a path that begins with `/`",
                    path.display()
                )));
            }
        }
        let extra = self.extra.unwrap_or_default();
        let decided = ["dbname", "host", "port"];
        let words: Vec<&str> = extra
            .split(|c: char| c.is_whitespace() || c == '=')
            .collect();
        if extra.contains(['\n', '\r', ';', '#']) || words.iter().any(|word| decided.contains(word))
        {
            bail!(
                Problem::usage(
                    "pgbouncer.extra: write settings such as `pool_size=40`, on one line"
                )
                .hint("dbname, host and port of an alias are written by overnight")
            );
        }
        let text = |key: &str, text: &str| dereference(key, text, env).map(Secret::new);
        let admin = text("pgbouncer.admin", &self.admin)?;
        Ok(PoolerSettings {
            through: match &self.through {
                Some(through) => text("pgbouncer.through", through)?,
                None => admin.clone(),
            },
            admin,
            include: self.include,
            main: self.main,
            host: self.host,
            port: self.port,
            extra,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(include: &str) -> PgBouncerTable {
        PgBouncerTable {
            admin: "host=/run user=overnight".into(),
            include: include.into(),
            main: "/etc/pgbouncer/pgbouncer.ini".into(),
            ..PgBouncerTable::default()
        }
    }

    fn resolve(router: &str, tables: Vec<PgBouncerTable>) -> Result<RouterSettings> {
        RouterSettings::resolve(Some(router), None, Some(tables), &|_| None)
    }

    #[test]
    fn a_router_and_its_poolers_belong_together() {
        assert!(resolve("pgbouncer", vec![]).is_err());
        assert!(resolve("rename", vec![table("/a")]).is_err());
        assert!(resolve("dns", vec![]).is_err());
        assert!(resolve("pgbouncer", vec![table("a")]).is_err());
        assert!(resolve("pgbouncer", vec![table("/a"), table("/a")]).is_err());
        let settings = resolve("pgbouncer", vec![table("/a"), table("/b")]).unwrap();
        assert_eq!(settings.poolers.len(), 2);
        assert_eq!(settings.drain, DRAIN);
        assert_eq!(
            resolve("rename", vec![]).unwrap().drain,
            Duration::ZERO,
            "a rename has ended the sessions itself"
        );
    }

    #[test]
    fn a_rename_has_nothing_to_wait_for() {
        let drain = |text: &str| RouterSettings::resolve(None, Some(text.into()), None, &|_| None);
        assert!(drain("5m").is_err());
        assert!(drain("0s").is_ok());
    }

    #[test]
    fn the_line_of_an_alias_keeps_its_target() {
        for extra in ["dbname=x", "pool_size=4 host = y", "a=1\nb=2", "a=1 ; b"] {
            let mut table = table("/a");
            table.extra = Some(extra.into());
            assert!(resolve("pgbouncer", vec![table]).is_err(), "{extra}");
        }
    }

    #[test]
    fn a_console_password_is_not_shown() {
        let mut table = table("/a");
        table.admin = "host=/run password=hunter2".into();
        let settings = resolve("pgbouncer", vec![table]).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
