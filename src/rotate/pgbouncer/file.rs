//! The include file of a pooler: one line for each alias, written by overnight alone.
//!
//! In: where every alias leads. Out: a text that was read back before it is written, and a file
//! that is the old one or the new one at any instant, whatever dies.
//!
//! A pooler cuts every client of an alias that is missing from the file, and answers RELOAD with
//! success while it does so; so a line that this ledger does not know is never dropped.

use crate::crashpoint;
use crate::problem::Problem;
use crate::switch;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;

/// Where aliases lead: alias to database.
pub type Aliases = BTreeMap<String, String>;

/// What every line says beside the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub extra: String,
}

const HEAD: &str =
    "; Written by overnight. A change by hand is lost with the next move of an alias.
[databases]
";

/// The text of the file, read back.
///
/// # Errors
/// When reading it back does not give the same aliases: nothing is written then.
pub fn render(aliases: &Aliases, server: &Server) -> Result<String> {
    let mut text = HEAD.to_owned();
    for (alias, database) in aliases {
        let line = format!(
            "{alias} = host={} port={} dbname={} {}",
            quoted(&server.host),
            server.port,
            quoted(database),
            server.extra
        );
        text += line.trim_end();
        text.push('\n');
    }
    let read = parse(&text)?;
    if &read != aliases {
        bail!("the aliases that were written are not those that are read back");
    }
    Ok(text)
}

/// In quotes, which are doubled inside, as in the connection strings of PgBouncer's manual.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// Reads aliases and their databases.
///
/// # Errors
/// A line that overnight does not write.
pub fn parse(text: &str) -> Result<Aliases> {
    let mut aliases = Aliases::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with([';', '#']) || line == "[databases]" {
            continue;
        }
        let strange = || {
            Problem::usage(format!("line {number} is not one that overnight writes"))
                .hint("overnight alone writes this file: move what is yours into the main file")
        };
        let (alias, settings) = line.split_once('=').with_context(strange)?;
        let database = database_in(settings).with_context(strange)?;
        if aliases.insert(alias.trim().to_owned(), database).is_some() {
            bail!(strange());
        }
    }
    Ok(aliases)
}

/// The value of `dbname` in a connection string.
fn database_in(settings: &str) -> Option<String> {
    let mut rest = settings.trim_start();
    let mut found = None;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, left) = match after.strip_prefix('\'') {
            None => match after.split_once(char::is_whitespace) {
                Some((value, left)) => (value.to_owned(), left),
                None => (after.to_owned(), ""),
            },
            Some(inside) => {
                let mut value = String::new();
                let mut letters = inside.char_indices().peekable();
                loop {
                    match (letters.next()?, letters.peek()) {
                        ((_, '\''), Some((_, '\''))) => {
                            letters.next();
                            value.push('\'');
                        }
                        ((at, '\''), _) => break (value, &inside[at + 1..]),
                        ((_, letter), _) => value.push(letter),
                    }
                }
            }
        };
        if key.trim() == "dbname" {
            found = Some(value);
        }
        rest = left.trim_start();
    }
    found
}

/// Refuses to write when the file has an alias that this ledger does not know: another ledger's
/// aliases would vanish, and their clients with them.
///
/// # Errors
/// Status 2 that names the aliases; status 3 when the file cannot be read.
pub fn refuse_foreign(path: &Path, known: &BTreeSet<String>) -> Result<()> {
    let text = read(path)?;
    let found = parse(&text).with_context(|| format!("read `{}`", path.display()))?;
    let foreign: Vec<&str> = found
        .keys()
        .filter(|alias| !known.contains(*alias))
        .map(String::as_str)
        .collect();
    if !foreign.is_empty() && switch::on("pgbouncer.foreign_alias") {
        bail!(
            Problem::usage(format!(
                "`{}` has the alias {}, which this ledger does not know",
                path.display(),
                foreign.join(", ")
            ))
            .hint("give each ledger an include file of its own, or take the line out by hand")
        );
    }
    Ok(())
}

/// The file as it is; one that is not there is empty.
pub fn read(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| {
            Problem::dependency(format!("read the include file `{}`", path.display()))
        }),
    }
}

/// Replaces the file in one step that survives a crash of the machine. Who may read it stays as it
/// was; a new file may be read by everybody, since it holds no secret.
///
/// # Errors
/// Status 3 when the folder may not be written; the file is as it was then.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    let why = || {
        Problem::dependency(format!("write the include file `{}`", path.display()))
            .hint("the tool needs to write this file and its folder; nothing was changed")
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = folder.join(name);
    // What a run that died has left; whoever writes here holds the lock of the aliases.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(why);
        }
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .with_context(why)?;
    file.write_all(text.as_bytes()).with_context(why)?;
    let mode = match fs::metadata(path) {
        Ok(old) => {
            // Only root may give a file away; for anybody else the file was his or is now.
            if let Err(error) = chown(&new, Some(old.uid()), Some(old.gid())) {
                tracing::debug!(%error, "keep the owner of the include file");
            }
            old.permissions().mode() & 0o777
        }
        Err(_) => 0o644,
    };
    file.set_permissions(fs::Permissions::from_mode(mode))
        .with_context(why)?;
    file.sync_all().with_context(why)?;
    crashpoint::reached("pooler.before_replace");
    fs::rename(&new, path).with_context(why)?;
    crashpoint::reached("pooler.after_replace");
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases(of: &[(&str, &str)]) -> Aliases {
        of.iter()
            .map(|(alias, database)| ((*alias).to_owned(), (*database).to_owned()))
            .collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let server = Server {
            host: "/run/it's".into(),
            port: 5432,
            extra: "pool_size=4 auth_user='a b'".into(),
        };
        let aliases = aliases(&[("druginfo", "druginfo_1"), ("planinfo", "plan 'x'")]);
        let text = render(&aliases, &server).unwrap();
        assert_eq!(
            text.lines().last().unwrap(),
            "planinfo = host='/run/it''s' port=5432 dbname='plan ''x''' pool_size=4 auth_user='a b'"
        );
        assert_eq!(parse(&text).unwrap(), aliases);
        assert_eq!(parse("").unwrap(), Aliases::new());
    }

    #[test]
    fn what_would_not_be_read_back_is_not_written() {
        let server = Server {
            host: "db".into(),
            port: 5432,
            extra: "dbname=other".into(),
        };
        assert!(render(&aliases(&[("a", "b")]), &server).is_err());
        let server = Server {
            extra: String::new(),
            ..server
        };
        assert!(render(&aliases(&[("a", "b\nc = host=x")]), &server).is_err());
        assert!(render(&aliases(&[("a b=", "x")]), &server).is_err());
    }

    #[test]
    fn a_line_of_somebody_else_is_refused() {
        for text in [
            "x",
            "x = host=y",
            "[pgbouncer]",
            "%include z",
            "x = dbname='y",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aliases.ini");
        fs::write(&path, "a = dbname=a_1\nb = dbname=b_1\n").unwrap();
        let known = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        refuse_foreign(&path, &known(&["a", "b", "c"])).unwrap();
        let error = refuse_foreign(&path, &known(&["a"])).unwrap_err();
        assert!(error.to_string().contains("the alias b,"), "{error}");
    }

    #[test]
    fn a_file_keeps_its_mode_and_leaves_no_other_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aliases.ini");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        replace(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
