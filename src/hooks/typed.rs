//! `[[hook]]` of overnight.toml.
//!
//! In: its TOML. Out: [`Hook`]s, checked. A secret that is not there is no error here: it is told at the
//! delivery, because a hook must never keep anybody from rolling back.

use crate::config::Env;
use crate::outside::{Call, Typed};
use crate::problem::Problem;
use crate::units::Span;
use anyhow::{Context, Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// What a hook can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The alias has moved to a build and the move is confirmed.
    Rotated,
    /// The alias has moved back.
    RolledBack,
    /// A build is verified and waits for an operator.
    Verified,
    /// The inputs are those of the live build.
    Unchanged,
    /// A run came to nothing.
    Failed,
    /// A run found another at work.
    Busy,
    /// `rotated` or `unchanged`: all is well.
    Ok,
}

impl Kind {
    /// As written in documents.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Rotated => "rotated",
            Kind::RolledBack => "rolled_back",
            Kind::Verified => "verified",
            Kind::Unchanged => "unchanged",
            Kind::Failed => "failed",
            Kind::Busy => "busy",
            Kind::Ok => "ok",
        }
    }

    /// Whether the live data is what it should be.
    pub fn is_ok(self) -> bool {
        matches!(self, Kind::Rotated | Kind::Unchanged | Kind::Ok)
    }
}

/// Somebody who is told what has happened.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookFile {
    /// A name of its own, for the ledger and for messages.
    #[schemars(extend("examples" = ["pager"]))]
    pub name: String,
    /// What it is told: `rotated`, `rolled_back`, `verified`, `unchanged`, `failed`, `busy`; `ok` is `rotated` or `unchanged`.
    #[schemars(extend("examples" = [["failed"]]))]
    pub on: Vec<Kind>,
    /// Only of these datasets.
    #[schemars(extend("x-default" = "all", "examples" = [["planinfo"]]))]
    #[serde(default)]
    pub datasets: Vec<String>,
    /// A program and its arguments; it gets the event as JSON on standard input.
    #[schemars(extend("default" = [], "examples" = [["./hooks/page"]]))]
    #[serde(default)]
    pub command: Vec<String>,
    /// A URL that the event is posted to as JSON. `env:NAME` or `file:PATH` where it is a secret.
    #[schemars(extend("x-default" = "none", "examples" = ["env:PAGER_URL"]))]
    pub url: Option<String>,
    /// When one attempt must be done.
    #[schemars(extend("default" = "10s", "examples" = ["30s"]))]
    pub timeout: Option<Span>,
    /// How long one command goes on trying; the next one tries again.
    #[schemars(extend("default" = "15s", "examples" = ["1m"]))]
    pub try_for: Option<Span>,
    /// After how long an event that nobody took is given up.
    #[schemars(extend("default" = "24h", "examples" = ["7d"]))]
    pub give_up_after: Option<Span>,
    /// More variables for the command: texts, `env:NAME` or `file:PATH`.
    #[schemars(extend("default" = {}, "examples" = [{ "TOKEN": "env:PAGER_TOKEN" }]))]
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Headers for the URL: texts, `env:NAME` or `file:PATH`.
    #[schemars(extend("default" = {}, "examples" = [{ "Authorization": "env:PAGER_TOKEN" }]))]
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// A hook, ready to be told.
#[derive(Debug, Clone)]
pub struct Hook {
    pub name: String,
    pub on: Vec<Kind>,
    pub datasets: Vec<String>,
    /// Why it cannot be told at all, where a secret is not there.
    pub call: Result<Call, String>,
    pub try_for: Duration,
    pub give_up_after: Duration,
}

impl Hook {
    /// Whether it wants to know.
    pub fn wants(&self, dataset: &str, kind: Kind) -> bool {
        let dataset_fits =
            self.datasets.is_empty() || self.datasets.iter().any(|one| one == dataset);
        let wants_ok = kind.is_ok() && self.on.contains(&Kind::Ok);
        dataset_fits && (self.on.contains(&kind) || wants_ok)
    }
}

/// Checks the hooks of a project.
///
/// # Errors
/// Status 2: a name twice, nothing to tell, or no way to tell it.
pub fn resolve(files: Vec<HookFile>, project: &Path, env: Env<'_>) -> Result<Vec<Hook>> {
    let mut names = BTreeSet::new();
    let mut hooks = Vec::new();
    for file in files {
        let table = format!("[[hook]] `{}`", file.name);
        if file.name.trim().is_empty() || !names.insert(file.name.clone()) {
            bail!(Problem::usage(format!("{table} needs a name of its own")));
        }
        if file.on.is_empty() {
            bail!(Problem::usage(format!(
                "{table} is told nothing: write `on = [\"failed\"]`"
            )));
        }
        let typed = Typed {
            table: &table,
            command: &file.command,
            url: file.url.as_deref(),
            timeout: file.timeout,
            env: &file.env,
            headers: &file.headers,
        };
        crate::outside::check(typed).context(Problem::usage("read `overnight.toml`"))?;
        let call = typed.call(project, Duration::from_secs(10), env);
        let seconds =
            |span: Option<Span>, default| span.map_or(Duration::from_secs(default), |span| span.0);
        hooks.push(Hook {
            call: call.map_err(|error| format!("{error:#}")),
            name: file.name,
            on: file.on,
            datasets: file.datasets,
            try_for: seconds(file.try_for, 15),
            give_up_after: seconds(file.give_up_after, 24 * 3600),
        });
    }
    Ok(hooks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(text: &str) -> Result<Vec<Hook>> {
        #[derive(Deserialize)]
        struct File {
            hook: Vec<HookFile>,
        }
        let file: File = toml::from_str(text)?;
        resolve(file.hook, Path::new("/"), &|_| None)
    }

    #[test]
    fn a_hook_is_told_what_it_asks_for() {
        let found = hooks(
            "[[hook]]\nname = \"a\"\non = [\"ok\"]\ndatasets = [\"d\"]\ncommand = [\"true\"]\n\
             [[hook]]\nname = \"b\"\non = [\"rotated\", \"failed\"]\nurl = \"env:NOT_SET\"\n",
        )
        .unwrap();
        let (ok, other) = (&found[0], &found[1]);
        assert!(ok.wants("d", Kind::Rotated) && ok.wants("d", Kind::Unchanged));
        assert!(!ok.wants("e", Kind::Rotated) && !ok.wants("d", Kind::RolledBack));
        assert!(!ok.wants("d", Kind::Verified) && !ok.wants("d", Kind::Failed));
        assert!(other.wants("e", Kind::Failed) && !other.wants("e", Kind::Unchanged));
        // A secret that is missing is told when it is needed.
        assert!(other.call.as_ref().unwrap_err().contains("NOT_SET"));
    }

    #[test]
    fn a_hook_that_could_not_work_is_refused() {
        for (text, said) in [
            (
                "name = \"a\"\non = []\ncommand = [\"x\"]",
                "is told nothing",
            ),
            (
                "name = \"\"\non = [\"ok\"]\ncommand = [\"x\"]",
                "a name of its own",
            ),
            ("name = \"a\"\non = [\"ok\"]", "needs `command"),
            (
                "name = \"a\"\non = [\"okay\"]\ncommand = [\"x\"]",
                "unknown variant `okay`",
            ),
            (
                "name = \"a\"\non = [\"ok\"]\ncommand = [\"x\"]\n[[hook]]\nname = \"a\"\non = [\"ok\"]\ncommand = [\"x\"]",
                "a name of its own",
            ),
        ] {
            let error = format!("{:#}", hooks(&format!("[[hook]]\n{text}\n")).unwrap_err());
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
