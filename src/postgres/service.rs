//! Looks a service name up in the connection service files.
//!
//! In: the name and where the files may be. Out: the pairs of its section. The user's file is read
//! first, then the system's; a service that is in neither is an error, never an empty result.
//!
//! Source: <https://www.postgresql.org/docs/current/libpq-pgservice.html>.

use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where distributions keep the system-wide file: Debian, then Red Hat.
const SYSTEM_FOLDERS: [&str; 2] = ["/etc/postgresql-common", "/etc/sysconfig/pgsql"];

/// Where to look for service files.
pub(super) struct Places {
    /// Set by the user: must exist.
    pub explicit: Option<PathBuf>,
    pub home: Option<PathBuf>,
    /// Replaces the folders of the distribution.
    pub system_folder: Option<PathBuf>,
}

/// The pairs of service `name`.
///
/// # Errors
/// A file that was named but cannot be read, a malformed file, a service that is not defined.
pub(super) fn look_up(name: &str, places: &Places) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    match &places.explicit {
        Some(path) => files.push(path.clone()),
        None => files.extend(
            places
                .home
                .iter()
                .map(|home| home.join(".pg_service.conf"))
                .filter(|path| path.exists()),
        ),
    }
    let folders = match &places.system_folder {
        Some(folder) => vec![folder.clone()],
        None => SYSTEM_FOLDERS.map(PathBuf::from).to_vec(),
    };
    files.extend(
        folders
            .iter()
            .map(|folder| folder.join("pg_service.conf"))
            .filter(|path| path.exists()),
    );
    for path in &files {
        let text = fs::read_to_string(path)
            .with_context(|| format!("read the service file `{}`", path.display()))?;
        if let Some(pairs) = section(&text, name, path)? {
            return Ok(pairs);
        }
    }
    let looked: Vec<_> = files
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    bail!(
        "look up service `{name}`: it is not defined in {}",
        if looked.is_empty() {
            "any service file (none exists)".into()
        } else {
            looked.join(" or ")
        }
    )
}

/// The pairs of section `[name]`. The first setting of a key wins, as in libpq.
fn section(text: &str, name: &str, path: &Path) -> Result<Option<Vec<(String, String)>>> {
    let mut found: Option<Vec<(String, String)>> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let place = || {
            format!(
                "read the service file `{}`, line {}",
                path.display(),
                index + 1
            )
        };
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('[') {
            if found.is_some() {
                break;
            }
            if line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
                == Some(name)
            {
                found = Some(Vec::new());
            }
            continue;
        }
        let Some(pairs) = found.as_mut() else {
            continue;
        };
        if line.starts_with("ldap") {
            bail!(
                "{}: looking connections up in LDAP is not supported",
                place()
            );
        }
        let (key, value) = line
            .split_once('=')
            .with_context(|| format!("{}: there is no `=`", place()))?;
        if key.starts_with("service") {
            bail!("{}: a service may not name another one", place());
        }
        if !pairs.iter().any(|(known, _)| known == key) {
            pairs.push((key.into(), value.into()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_at_the_next_one_and_the_first_setting_wins() {
        let text = "# x\n[a]\nhost=one\n\n[b]\n host=two \nport=1\nport=2\n[a]\nuser=late\n";
        let pairs = section(text, "b", Path::new("f")).unwrap().unwrap();
        assert_eq!(
            pairs,
            [("host".into(), "two".into()), ("port".into(), "1".into())]
        );
        assert_eq!(
            section(text, "a", Path::new("f")).unwrap().unwrap().len(),
            1
        );
        assert_eq!(section(text, "c", Path::new("f")).unwrap(), None);
    }

    #[test]
    fn malformed_sections_are_errors_with_the_line() {
        for (text, says) in [
            ("[a]\nhost", "line 2: there is no `=`"),
            ("[a]\nservice=b", "may not name another"),
            ("[a]\nldap://x/y", "LDAP"),
        ] {
            let error = section(text, "a", Path::new("f")).unwrap_err();
            assert!(format!("{error:#}").contains(says), "{error:#}");
        }
    }
}
