//! The pooler's own configuration file, which is only read: does it include ours, and safely?
//!
//! A pooler that does not include the file would answer RELOAD with success and change nothing.
//! And an included file ends with its section open: a setting of the pooler that stands behind the
//! `%include` would be read as an alias.

use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// Checks that `main` includes `include`.
///
/// # Errors
/// Status 2 when it does not, or when something stands behind that belongs elsewhere; status 3 when
/// it cannot be read.
pub fn check(main: &Path, include: &Path) -> Result<()> {
    let text = fs::read_to_string(main).with_context(|| {
        Problem::dependency(format!(
            "read the pooler's configuration `{}`",
            main.display()
        ))
        .hint("pgbouncer.main names it; the tool must be allowed to read it")
    })?;
    let mut section = "";
    let mut included = false;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with([';', '#']) {
            continue;
        }
        if line.starts_with('[') {
            section = line;
            if included {
                return Ok(());
            }
        } else if let Some(path) = line.strip_prefix("%include") {
            included |= same(main, path.trim(), include);
        } else if included && section != "[databases]" {
            bail!(
                Problem::usage(format!(
                    "in `{}` settings stand behind `%include {}`; PgBouncer would take them for aliases",
                    main.display(),
                    include.display()
                ))
                .hint("move the %include to the end of the file")
            );
        }
    }
    if !included {
        bail!(
            Problem::usage(format!(
                "`{}` does not include `{}`",
                main.display(),
                include.display()
            ))
            .hint(format!("add the line: %include {}", include.display()))
        );
    }
    Ok(())
}

/// Whether an included path is our file. One that is not absolute is taken from the folder of the
/// main file, where PgBouncer is usually started.
fn same(main: &Path, written: &str, include: &Path) -> bool {
    let written = main.parent().unwrap_or(Path::new("/")).join(written);
    if written == include {
        return true;
    }
    match (fs::canonicalize(&written), fs::canonicalize(include)) {
        (Ok(written), Ok(include)) => written == include,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_include_must_be_there_and_nothing_of_the_pooler_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("pgbouncer.ini");
        let include = folder.path().join("aliases.ini");
        let check = |text: &str| {
            fs::write(&main, text).unwrap();
            check(&main, &include)
        };
        let line = format!("%include {}", include.display());
        assert!(check("[pgbouncer]\nlisten_port = 6432\n").is_err());
        assert!(check("; %include aliases.ini\n").is_err());
        assert!(check("%include other.ini\n").is_err());
        assert!(check(&format!("[pgbouncer]\n{line}\nlisten_port = 6432\n")).is_err());
        check(&format!(
            "[pgbouncer]\nlisten_port = 6432\n\n{line}\n; end\n"
        ))
        .unwrap();
        check(&format!(
            "[databases]\n{line}\nx = dbname=y\n[pgbouncer]\na = 1\n"
        ))
        .unwrap();
        check(&format!("{line}\n[pgbouncer]\nlisten_port = 6432\n")).unwrap();
        check("[pgbouncer]\n%include aliases.ini\n").unwrap();
    }
}
