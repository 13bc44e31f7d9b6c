//! Time zones by name, from the database of the operating system.
//!
//! In: a name such as `America/New_York`. Out: the rules of its clocks. They are looked for where
//! systems put the compiled time zone database (`man 5 tzfile`); nothing is bundled, because its rules
//! change several times a year and the system keeps it up to date.

use crate::read::value::Zone;
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;

/// Where the compiled database may be.
const FOLDERS: [&str; 4] = [
    "/usr/share/zoneinfo",
    "/usr/lib/zoneinfo",
    "/usr/share/lib/zoneinfo",
    "/etc/zoneinfo",
];

/// Reads the zone of this name.
///
/// # Errors
/// No such zone, or no database at all.
pub fn named(name: &str) -> Result<Zone> {
    named_in(name, &FOLDERS)
}

fn named_in(name: &str, folders: &[&str]) -> Result<Zone> {
    let clean = |part: &str| {
        let letters = part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-+".contains(&byte));
        letters && !part.is_empty()
    };
    ensure!(
        name.split('/').all(clean),
        "`zone = \"{name}\"`: write UTC, an offset such as -06:00, or a name such as America/New_York"
    );
    let mut there = None;
    for folder in folders
        .iter()
        .map(Path::new)
        .filter(|folder| folder.is_dir())
    {
        there = Some(folder);
        let path = folder.join(name);
        if path.is_file() {
            let bytes =
                std::fs::read(&path).with_context(|| format!("read `{}`", path.display()))?;
            return Zone::new(name, &bytes).with_context(|| format!("read `{}`", path.display()));
        }
    }
    match there {
        Some(folder) => bail!(
            "`zone = \"{name}\"` is not in the time zone database at `{}`: write UTC, an offset such as -06:00, or a name such as America/New_York",
            folder.display()
        ),
        None => bail!(
            "`zone = \"{name}\"` needs the time zone database of the system, and none of {} is there: install the package tzdata, or write an offset such as -06:00",
            folders.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_that_is_not_there_is_told_from_a_database_that_is_not_there() {
        assert!(named("America/New_York").is_ok());
        let said = |error: Result<Zone>| format!("{:#}", error.unwrap_err());
        let unknown = said(named("America/Neverland"));
        assert!(
            unknown.contains("not in the time zone database at `/"),
            "{unknown}"
        );
        let none = said(named_in("America/New_York", &["/nowhere/zoneinfo"]));
        assert!(none.contains("install the package tzdata"), "{none}");
        for name in [
            "../../etc/passwd",
            "/etc/localtime",
            "",
            "America//x",
            "-06:00x",
        ] {
            let wrong = said(named(name));
            assert!(wrong.contains("write UTC, an offset"), "{name}: {wrong}");
        }
        // A file of the folder that is no zone.
        let other = said(named_in("proc/version", &["/"]));
        assert!(other.contains("read the rules of the time zone"), "{other}");
    }
}
