//! How somebody outside is written in a TOML file, checked without looking any secret up.

use super::{Call, What};
use crate::config::{Env, dereference};
use crate::problem::Problem;
use crate::secret::Secret;
use crate::units::Span;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Variables of this process that a command gets too: where programs, files and texts are. Everything
/// else, secrets above all, is named under `env`.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "TZ",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_MONETARY",
    "LC_NUMERIC",
    "LC_TIME",
];

/// The keys that say whom to ask; borrowed from the table that has them.
#[derive(Debug, Clone, Copy)]
pub struct Typed<'t> {
    /// The table, for messages: `[external]`.
    pub table: &'t str,
    pub command: &'t [String],
    pub url: Option<&'t str>,
    pub timeout: Option<Span>,
    pub env: &'t BTreeMap<String, String>,
    pub headers: &'t BTreeMap<String, String>,
}

/// Checks what can be checked without a secret and without asking anybody.
///
/// # Errors
/// Status 2: both or neither of `command` and `url`, or keys that do not belong to the one there is.
pub fn check(typed: Typed<'_>) -> Result<()> {
    let table = typed.table;
    let wrong = match (typed.command, typed.url) {
        ([], None) => "needs `command = [\"PROGRAM\", …]` or `url = \"https://…\"`",
        ([_, ..], Some(_)) => "has both `command` and `url`: write two tables, or one of them",
        ([program, ..], None) if program.is_empty() => "has an empty program name in `command`",
        ([_, ..], None) if !typed.headers.is_empty() => "has `headers`, which only a `url` has",
        ([], Some(_)) if !typed.env.is_empty() => "has `env`, which only a `command` has",
        ([], Some(url)) if !is_url(url) => {
            "has a `url` that begins with neither https:// nor http://, env: or file:"
        }
        _ if typed
            .timeout
            .is_some_and(|timeout| timeout.0 < Duration::from_millis(100)) =>
        {
            "has a `timeout` below 100ms"
        }
        _ => return Ok(()),
    };
    bail!(Problem::usage(format!("{table} {wrong}")))
}

fn is_url(url: &str) -> bool {
    ["https://", "http://", "env:", "file:"]
        .iter()
        .any(|start| url.starts_with(start))
}

impl Typed<'_> {
    /// Looks the secrets up. `folder` is the project, where commands run.
    ///
    /// # Errors
    /// Status 2: a variable that is not set, or a file that cannot be read.
    pub fn call(self, folder: &Path, default: Duration, env: Env<'_>) -> Result<Call> {
        check(self)?;
        let secrets = |typed: &BTreeMap<String, String>| -> Result<Vec<(String, Secret)>> {
            let each = typed.iter().map(|(name, text)| {
                let secret = dereference(&format!("{} {name}", self.table), text, env)?;
                Ok((name.clone(), Secret::new(secret)))
            });
            each.collect()
        };
        let what = match self.url {
            Some(url) => What::Url {
                url: Secret::new(dereference(&format!("{} url", self.table), url, env)?),
                headers: secrets(self.headers)?,
            },
            None => What::Command {
                argv: self.command.to_vec(),
                env: inherited(env).chain(secrets(self.env)?).collect(),
                folder: std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()),
            },
        };
        Ok(Call {
            what,
            timeout: self.timeout.map_or(default, |timeout| timeout.0),
        })
    }
}

/// What a command gets of the environment without being asked.
fn inherited(env: Env<'_>) -> impl Iterator<Item = (String, Secret)> {
    let found = |name: &&str| Some(((*name).to_owned(), Secret::new(env(name)?)));
    INHERITED.iter().filter_map(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed<'t>(
        command: &'t [String],
        url: Option<&'t str>,
        maps: &'t [BTreeMap<String, String>; 2],
    ) -> Typed<'t> {
        Typed {
            table: "[external]",
            command,
            url,
            timeout: None,
            env: &maps[0],
            headers: &maps[1],
        }
    }

    #[test]
    fn one_way_of_asking_and_only_its_keys() {
        let none = [BTreeMap::new(), BTreeMap::new()];
        let some: BTreeMap<_, _> = [("A".to_owned(), "env:B".to_owned())].into();
        let run = ["./gate".to_owned()];
        let url = Some("https://example.test/gate");
        assert!(check(typed(&run, None, &none)).is_ok());
        assert!(check(typed(&[], url, &none)).is_ok());
        assert!(check(typed(&[], Some("env:GATE_URL"), &none)).is_ok());
        for (wrong, said) in [
            (typed(&[], None, &none), "needs `command"),
            (typed(&run, url, &none), "has both"),
            (
                typed(&[String::new()], None, &none),
                "an empty program name",
            ),
            (
                typed(&run, None, &[BTreeMap::new(), some.clone()]),
                "has `headers`",
            ),
            (
                typed(&[], url, &[some.clone(), BTreeMap::new()]),
                "has `env`",
            ),
            (
                typed(&[], Some("example.test"), &none),
                "begins with neither",
            ),
        ] {
            let error = format!("{:#}", check(wrong).unwrap_err());
            assert!(
                error.starts_with("[external] ") && error.contains(said),
                "{error}"
            );
        }
    }

    #[test]
    fn a_secret_that_is_not_there_is_named_and_one_that_is_not_shown() {
        let maps = [
            [("PGPASSWORD".to_owned(), "env:GATE_PASSWORD".to_owned())].into(),
            BTreeMap::new(),
        ];
        let run = ["./gate".to_owned()];
        let call = |env: Env<'_>| {
            typed(&run, None, &maps).call(Path::new("/"), Duration::from_secs(1), env)
        };
        let error = format!("{:#}", call(&|_| None).unwrap_err());
        assert!(error.contains("GATE_PASSWORD"), "{error}");
        let call = call(&|_| Some("hunter2".into())).unwrap();
        assert!(!format!("{call:?}").contains("hunter2"));
    }

    #[test]
    fn a_command_gets_what_is_named_and_nothing_else() {
        let maps = [
            [("TOKEN".to_owned(), "env:GATE_TOKEN".to_owned())].into(),
            BTreeMap::new(),
        ];
        let run = ["./gate".to_owned()];
        // An environment in which every variable is set.
        let call = typed(&run, None, &maps)
            .call(Path::new("/"), Duration::from_secs(1), &|name| {
                Some(format!("value of {name}"))
            })
            .unwrap();
        let What::Command { env, .. } = call.what else {
            panic!("{call:?}");
        };
        let token = env.iter().find(|(name, _)| name == "TOKEN").unwrap();
        assert_eq!(token.1.expose(), "value of GATE_TOKEN");
        let others = env.iter().filter(|(name, _)| name != "TOKEN");
        let others: Vec<&str> = others.map(|(name, _)| name.as_str()).collect();
        assert_eq!(others, INHERITED);
    }
}
