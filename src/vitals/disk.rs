//! The file systems that a server writes to, and what is free on them.
//!
//! A server on this machine has folders that can be looked at: those of the embedded server, those
//! that it tells (`data_directory` needs `pg_read_all_settings`), or those that somebody declared. Of
//! a server elsewhere no role can see the disk; then only its declared size is known, and what the
//! databases and the log take of it.

use crate::embedded::disk_space;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use tokio_postgres::Client;

/// A disk, and what is free on it, in bytes.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Space {
    /// What messages call it.
    pub place: String,
    pub size_bytes: u64,
    pub free_bytes: u64,
}

/// Parts of a data directory that are put on disks of their own.
const PARTS: [&str; 2] = ["base", "pg_wal"];

/// Folders of this machine on whose file systems the server writes; empty for a server elsewhere.
pub async fn folders(
    client: &Client,
    local: bool,
    data: Option<PathBuf>,
    declared: &[PathBuf],
) -> Result<Vec<PathBuf>> {
    let mut folders = declared.to_vec();
    let told = match data {
        Some(data) => Some(data),
        None if local => client
            .query_one(
                "select case when pg_has_role('pg_read_all_settings', 'usage')
                             then current_setting('data_directory') end",
                &[],
            )
            .await
            .context("ask for the data directory")?
            .get::<_, Option<String>>(0)
            .map(PathBuf::from),
        None => None,
    };
    // A server in a container tells a folder of its own.
    if let Some(data) = told.filter(|data| data.is_dir()) {
        folders.extend(
            PARTS
                .map(|part| data.join(part))
                .into_iter()
                .filter(|part| part.is_dir()),
        );
        folders.push(data);
    }
    Ok(folders)
}

/// Why nothing can watch the disk of a server on this machine, and what to do about it. `None` where the
/// disk is watched, and for a server elsewhere, whose disk no role can see.
pub async fn unwatched(
    client: &Client,
    local: bool,
    data: Option<PathBuf>,
    declared: &[PathBuf],
) -> Result<Option<(String, String)>> {
    if !local || !folders(client, local, data, declared).await?.is_empty() {
        return Ok(None);
    }
    let row = client
        .query_one(
            "select current_user::text, pg_has_role('pg_read_all_settings', 'usage')",
            &[],
        )
        .await
        .context("ask for the rights of the role")?;
    let role: String = row.get(0);
    Ok(Some(match row.get(1) {
        true => (
            "nothing watches the disk of the server: its data directory is not a folder of this machine".into(),
            "declare `folders` or `server_disk` in [brake]".into(),
        ),
        false => (
            format!("nothing watches the disk of the server, which is on this machine: `{role}` may not ask where its data are"),
            format!("as a superuser: grant pg_monitor to {role}; or declare `folders` in [brake]"),
        ),
    }))
}

/// The disks below some folders.
#[derive(Debug, Default)]
pub struct Disks {
    pub spaces: Vec<Space>,
    /// Why a folder could not be looked at, one text each.
    pub failures: Vec<String>,
}

/// What is free below each folder, each file system once.
pub async fn look(folders: &[PathBuf]) -> Disks {
    let mut devices = BTreeSet::new();
    let mut found = Disks::default();
    for folder in folders {
        let device = std::fs::metadata(folder).map(|about| about.dev());
        if device.is_ok_and(|device| !devices.insert(device)) {
            continue;
        }
        match disk_space(folder).await {
            Ok((size_bytes, free_bytes)) => found.spaces.push(Space {
                place: format!("the disk of `{}`", folder.display()),
                size_bytes,
                free_bytes,
            }),
            Err(error) => found.failures.push(format!("{error:#}")),
        }
    }
    found
}

/// What is left of a disk whose size was declared: without the databases that this role may measure
/// and the log.
pub async fn reckoned(client: &Client, size_bytes: u64, log_bytes: u64) -> Result<Space> {
    let used: i64 = client
        .query_one(
            "select coalesce(sum(pg_database_size(oid)), 0)::bigint from pg_database
             where has_database_privilege(oid, 'connect') or pg_has_role('pg_read_all_stats', 'usage')",
            &[],
        )
        .await
        .context("ask for the sizes of the databases")?
        .get(0);
    let used = used.unsigned_abs() + log_bytes;
    Ok(Space {
        place: "the declared disk of the server".into(),
        size_bytes,
        free_bytes: size_bytes.saturating_sub(used),
    })
}

/// The marks of a disk: below the first a load waits, below the second a run gives up.
pub fn marks(size_bytes: u64, free: Option<u64>, free_min: Option<u64>) -> (u64, u64) {
    const GIB: u64 = 1 << 30;
    let free = free.unwrap_or_else(|| (size_bytes / 20).max(GIB.min(size_bytes / 5)).min(4 * GIB));
    (free, free_min.unwrap_or(free / 2).min(free))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_fit_small_and_large_disks() {
        const MIB: u64 = 1 << 20;
        const GIB: u64 = 1 << 30;
        assert_eq!(marks(100 * MIB, None, None), (20 * MIB, 10 * MIB));
        assert_eq!(marks(10 * GIB, None, None), (GIB, GIB / 2));
        assert_eq!(marks(60 * GIB, None, None), (3 * GIB, 3 * GIB / 2));
        assert_eq!(marks(2048 * GIB, None, None), (4 * GIB, 2 * GIB));
        assert_eq!(marks(GIB, Some(0), None), (0, 0));
        assert_eq!(marks(GIB, Some(10), Some(100)), (10, 10));
    }

    #[tokio::test]
    async fn a_file_system_is_listed_once() {
        let root = PathBuf::from("/");
        let found = look(&[root.clone(), root.clone(), root]).await;
        let [space] = found.spaces.as_slice() else {
            panic!("{found:?}");
        };
        assert!(space.size_bytes >= space.free_bytes && space.free_bytes > 0);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_looked_at_is_named() {
        let found = look(&["/no/such/folder".into()]).await;
        assert!(found.spaces.is_empty(), "{found:?}");
        assert_eq!(
            found.failures,
            ["measure the disk of `/no/such/folder`: No such file or directory (os error 2)"]
        );
    }
}
