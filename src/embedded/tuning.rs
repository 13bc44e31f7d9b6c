//! The configuration of the private server: tuned for bulk loads, silent about data.
//!
//! In: what the machine has. Out: the text of a configuration file, written anew at every start. A
//! user's own settings belong into `ALTER SYSTEM`, which beats this file.
//!
//! The data is kept, so `fsync` stays on. The log holds no statement and no error of a session:
//! their messages would repeat values.

use anyhow::{Context, Result};
use std::{fs, path::Path, time::Duration};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// How long a file system may take to tell its size.
const ANSWER: Duration = Duration::from_secs(5);

/// What the settings depend on.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub memory_bytes: u64,
    pub cores: u64,
    pub free_disk_bytes: u64,
    /// The size of `/dev/shm`, where there is one.
    pub shared_memory_bytes: Option<u64>,
}

impl Machine {
    /// Looks at this machine; `data` lies on the disk that matters.
    pub(super) async fn look(data: &Path) -> Machine {
        let shared = Path::new("/dev/shm");
        Machine {
            memory_bytes: memory_bytes(),
            cores: std::thread::available_parallelism()
                .map_or(1, |cores| cores.get())
                .try_into()
                .unwrap_or(1),
            free_disk_bytes: disk_space(data).await.map_or(4 * GIB, |(_, free)| free),
            shared_memory_bytes: if shared.exists() {
                disk_space(shared).await.ok().map(|(size, _)| size)
            } else {
                None
            },
        }
    }
}

/// The configuration file.
pub(super) fn configuration(machine: &Machine, socket_folder: &Path) -> String {
    let megabytes = |bytes: u64| format!("{}MB", bytes / MIB);
    let cores = machine.cores.clamp(1, 16);
    let wal = (machine.free_disk_bytes / 4).clamp(256 * MIB, 16 * GIB);
    let buffers = (machine.memory_bytes / 4).clamp(32 * MIB, 4 * GIB);
    let maintenance = (machine.memory_bytes / 16).clamp(64 * MIB, GIB);
    let mut settings = vec![
        ("listen_addresses", "''".to_owned()),
        ("port", super::PORT.to_string()),
        ("unix_socket_directories", quote_folder(socket_folder)),
        ("max_connections", "100".into()),
        ("wal_level", "minimal".into()),
        ("max_wal_senders", "0".into()),
        ("max_wal_size", megabytes(wal)),
        ("checkpoint_timeout", "30min".into()),
        ("shared_buffers", megabytes(buffers)),
        ("maintenance_work_mem", megabytes(maintenance)),
        ("max_worker_processes", (cores + 8).to_string()),
        ("max_parallel_workers", cores.to_string()),
        ("max_parallel_maintenance_workers", cores.min(8).to_string()),
        ("autovacuum", "on".into()),
        ("jit", "off".into()),
        ("timezone", "'UTC'".into()),
        ("log_timezone", "'UTC'".into()),
        ("logging_collector", "off".into()),
        ("log_destination", "'stderr'".into()),
        // In the log's own order LOG comes after ERROR: starts, crashes and checkpoints are kept.
        ("log_min_messages", "log".into()),
        ("log_min_error_statement", "panic".into()),
        ("log_error_verbosity", "terse".into()),
        ("log_statement", "none".into()),
        ("log_min_duration_statement", "-1".into()),
        ("log_lock_waits", "off".into()),
        ("log_parameter_max_length_on_error", "0".into()),
        ("client_connection_check_interval", "30s".into()),
    ];
    // Parallel index builds share memory there; containers often give 64 MB and builds then fail.
    if machine
        .shared_memory_bytes
        .is_some_and(|bytes| bytes < 256 * MIB)
    {
        settings.push(("dynamic_shared_memory_type", "mmap".into()));
    }
    let lines = settings
        .iter()
        .map(|(name, value)| format!("{name} = {value}\n"));
    let head = "# Written by overnight at every start of the server. Use ALTER SYSTEM for settings of your own.\n";
    std::iter::once(head.to_owned()).chain(lines).collect()
}

/// A folder as an entry of a list setting: double quotes within single quotes.
fn quote_folder(folder: &Path) -> String {
    let listed = folder.display().to_string().replace('"', "\"\"");
    format!("'\"{}\"'", listed.replace('\\', "\\\\").replace('\'', "''"))
}

/// The memory of this machine, or the limit of the container.
pub fn memory_bytes() -> u64 {
    let limits = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let limit = limits
        .iter()
        .find_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    let installed = match fs::read_to_string("/proc/meminfo") {
        Ok(text) => text
            .lines()
            .find_map(|line| {
                line.strip_prefix("MemTotal:")?
                    .trim()
                    .strip_suffix(" kB")?
                    .parse::<u64>()
                    .ok()
            })
            .map(|kilobytes| kilobytes * 1024),
        // A system without it gets the settings of a small machine; ALTER SYSTEM raises them.
        Err(_) => None,
    };
    installed.unwrap_or(GIB).min(limit.unwrap_or(u64::MAX))
}

/// Size of the file system below `path`, and what is free on it for users other than root, in bytes.
///
/// # Errors
/// The path does not exist or may not be entered, or the file system does not answer within
/// a few seconds, as that of a network share whose server is gone.
pub async fn disk_space(path: &Path) -> Result<(u64, u64)> {
    let what = || format!("measure the disk of `{}`", path.display());
    let path = path.to_owned();
    let asked = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&path));
    let found = tokio::time::timeout(ANSWER, asked)
        .await
        .with_context(what)?
        .with_context(what)?
        .with_context(what)?;
    Ok((
        found.f_blocks.saturating_mul(found.f_frsize),
        found.f_bavail.saturating_mul(found.f_frsize),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(machine: &Machine, name: &str) -> String {
        let text = configuration(machine, Path::new("/run/it's, here"));
        text.lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default()
            .to_owned()
    }

    #[test]
    fn settings_follow_the_machine_within_bounds() {
        let big = Machine {
            memory_bytes: 64 * GIB,
            cores: 64,
            free_disk_bytes: 1000 * GIB,
            shared_memory_bytes: Some(GIB),
        };
        assert_eq!(line(&big, "shared_buffers"), "shared_buffers = 4096MB");
        assert_eq!(line(&big, "max_wal_size"), "max_wal_size = 16384MB");
        assert_eq!(
            line(&big, "max_parallel_maintenance_workers"),
            "max_parallel_maintenance_workers = 8"
        );
        assert_eq!(line(&big, "dynamic_shared_memory_type"), "");
        let small = Machine {
            memory_bytes: GIB,
            cores: 1,
            free_disk_bytes: 8 * GIB,
            shared_memory_bytes: Some(64 * MIB),
        };
        assert_eq!(line(&small, "shared_buffers"), "shared_buffers = 256MB");
        assert_eq!(line(&small, "max_wal_size"), "max_wal_size = 2048MB");
        assert_eq!(
            line(&small, "dynamic_shared_memory_type"),
            "dynamic_shared_memory_type = mmap"
        );
        assert_eq!(
            line(&small, "unix_socket_directories"),
            "unix_socket_directories = '\"/run/it''s, here\"'"
        );
    }

    #[tokio::test]
    async fn this_machine_has_memory_and_disk() {
        let machine = Machine::look(Path::new("/")).await;
        assert!(
            machine.memory_bytes > 100 * MIB && machine.cores > 0,
            "{machine:?}"
        );
        assert!(disk_space(Path::new("/")).await.is_ok());
    }
}
