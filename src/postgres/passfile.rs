//! Finds a password in the password file.
//!
//! In: the lines `host:port:database:user:password`. Out: the password of the first line that fits a
//! connection. A file that others may read is not used, with a warning, as libpq does.
//!
//! Looked up at connect time, not once: the database is part of the key and overnight uses several.
//!
//! Source: <https://www.postgresql.org/docs/current/libpq-pgpass.html>.

use crate::secret::Secret;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// The lines of a password file, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Passfile {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// host, port, database, user; `None` stands for `*`.
    keys: [Option<String>; 4],
    password: Secret,
}

impl Passfile {
    /// Reads the file. A missing one is an empty one; trouble becomes a warning, never an error.
    pub(super) fn read(path: &Path, warnings: &mut Vec<String>) -> Passfile {
        let mut ignore = |why: String| {
            warnings.push(format!(
                "password file `{}` is ignored: {why}",
                path.display()
            ));
            Passfile::default()
        };
        let Ok(about) = fs::metadata(path) else {
            return Passfile::default();
        };
        if !about.is_file() {
            return ignore("it is not a plain file".into());
        }
        let mode = about.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return ignore(format!(
                "others may read it (mode {mode:04o}); run `chmod 0600` on it"
            ));
        }
        match fs::read_to_string(path) {
            Ok(text) => Passfile {
                entries: text.lines().filter_map(entry).collect(),
            },
            Err(error) => ignore(error.to_string()),
        }
    }

    /// The password of the first line that fits.
    pub(super) fn find(
        &self,
        host: &str,
        port: u16,
        database: &str,
        user: &str,
    ) -> Option<&Secret> {
        let port = port.to_string();
        let wanted = [host, &port, database, user];
        let fits = |entry: &&Entry| {
            entry
                .keys
                .iter()
                .zip(wanted)
                .all(|(key, wanted)| key.as_deref().is_none_or(|key| key == wanted))
        };
        self.entries.iter().find(fits).map(|entry| &entry.password)
    }
}

fn entry(line: &str) -> Option<Entry> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line.trim_end_matches('\r');
    let mut keys = [const { None }; 4];
    for key in &mut keys {
        let end = unescaped_colon(rest)?;
        let (text, after) = rest.split_at(end);
        *key = (text != "*").then(|| unescape(text));
        rest = after.strip_prefix(':')?;
    }
    // A colon after the password would begin a field of the future; libpq stops there too.
    let end = unescaped_colon(rest).unwrap_or(rest.len());
    let (password, _) = rest.split_at(end);
    (!password.is_empty()).then(|| Entry {
        keys,
        password: Secret::new(unescape(password)),
    })
}

fn unescaped_colon(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, character)| {
        let ends = character == ':' && !escaped;
        escaped = character == '\\' && !escaped;
        ends.then_some(at)
    })
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passfile(text: &str, mode: u32) -> (Passfile, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgpass");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let mut warnings = Vec::new();
        let passfile = Passfile::read(&path, &mut warnings);
        (passfile, warnings)
    }

    #[test]
    fn the_first_line_that_fits_wins() {
        let text = "# c\nnonsense\nh:5432:db:u:first\nh:*:*:u:second\n/run\\:x:*:*:*:a\\:b\\\\c\n*:*:*:*:last\n";
        let (file, warnings) = passfile(text, 0o600);
        assert!(warnings.is_empty());
        let found =
            |host, port, database, user| file.find(host, port, database, user).unwrap().expose();
        assert_eq!(found("h", 5432, "db", "u"), "first");
        assert_eq!(found("h", 5433, "db", "u"), "second");
        assert_eq!(found("/run:x", 1, "d", "e"), "a:b\\c");
        assert_eq!(found("z", 1, "d", "e"), "last");
    }

    #[test]
    fn a_file_that_others_may_read_is_ignored_with_a_warning() {
        let (file, warnings) = passfile("*:*:*:*:canary\n", 0o640);
        assert!(file.find("h", 1, "d", "u").is_none());
        assert!(warnings.concat().contains("mode 0640"), "{warnings:?}");
        assert!(
            !format!("{warnings:?} {:?}", passfile("*:*:*:*:canary\n", 0o600)).contains("canary")
        );
    }
}
