//! A full disk under the server's data: the load stops, the space comes back, services go on.

use crate::support::Project;
use crate::support::project::TABLE;
use overnight::embedded::{Embedded, Options};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A file system of fixed size, in memory. Mounting needs root, directly or through sudo; without
/// either the test fails, because nothing else makes a disk full.
pub struct SmallDisk {
    path: PathBuf,
}

/// Runs a program as root.
fn as_root(program: &str, arguments: &[&str]) {
    let whoami = Command::new("id").arg("-u").output().unwrap();
    let mut command = match whoami.stdout.as_slice() {
        b"0\n" => Command::new(program),
        _ => {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", program]);
            sudo
        }
    };
    let output = command.args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "this test mounts a small file system and needs root or sudo for it: {program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl SmallDisk {
    pub fn mount(path: &Path, megabytes: usize) -> SmallDisk {
        let size = format!("size={megabytes}m,mode=1777");
        as_root(
            "mount",
            &["-t", "tmpfs", "-o", &size, "tmpfs", path.to_str().unwrap()],
        );
        SmallDisk {
            path: path.to_owned(),
        }
    }

    pub fn free(&self) -> u64 {
        let output = Command::new("df")
            .args(["-B1", "--output=avail", self.path.to_str().unwrap()])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().nth(1).unwrap().trim().parse().unwrap()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        as_root("umount", &["-l", self.path.to_str().unwrap()]);
    }
}

/// An embedded server whose data lie on a small disk, and its log of changes beside it: a server
/// whose log has no room stops as a whole, which is another story.
struct SmallServer {
    runtime: tokio::runtime::Runtime,
    home: tempfile::TempDir,
    server: Embedded,
    disk: Option<SmallDisk>,
}

fn options() -> Options {
    Options {
        path: std::env::var_os("PATH"),
        ..Options::default()
    }
}

impl SmallServer {
    fn start() -> SmallServer {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let home = tempfile::Builder::new()
            .prefix("overnight-disk-")
            .tempdir_in("/tmp")
            .unwrap();
        let begin = || {
            runtime
                .block_on(Embedded::ensure_running(home.path(), &options()))
                .unwrap()
        };
        let server = begin();
        let base = server.data().join("base");
        runtime
            .block_on(overnight::embedded::stop(home.path(), &options()))
            .unwrap();
        // The databases move onto the small disk; everything else stays where it is.
        let aside = home.path().join("base-before");
        as_root("mv", &[base.to_str().unwrap(), aside.to_str().unwrap()]);
        as_root(
            "cp",
            &[
                "-a",
                "--attributes-only",
                "--no-target-directory",
                aside.to_str().unwrap(),
                base.to_str().unwrap(),
            ],
        );
        let disk = SmallDisk::mount(&base, 80);
        as_root(
            "cp",
            &[
                "-a",
                "--no-target-directory",
                aside.to_str().unwrap(),
                base.to_str().unwrap(),
            ],
        );
        let server = begin();
        SmallServer {
            runtime,
            home,
            server,
            disk: Some(disk),
        }
    }

    fn target(&self) -> String {
        self.server.target().url_for("postgres", None)
    }

    fn free(&self) -> u64 {
        self.disk.as_ref().unwrap().free()
    }

    /// One value, as the tool's role.
    fn ask(&self, database: &str, sql: &str) -> String {
        psql(&self.server.target().url_for(database, None), sql)
    }

    /// What only a superuser may arrange.
    fn admin(&self, sql: &str) {
        psql(&self.server.admin_target().url_for("postgres", None), sql);
    }
}

fn psql(url: &str, sql: &str) -> String {
    let output = Command::new("psql")
        .args(["-XAtc", sql, url])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Drop for SmallServer {
    fn drop(&mut self) {
        let stopped = self
            .runtime
            .block_on(overnight::embedded::stop(self.home.path(), &options()));
        drop(self.disk.take());
        if !std::thread::panicking() {
            stopped.unwrap();
        }
    }
}

/// A load that fills the disk under the server's data, twice, between two good nights.
pub fn full_disk() {
    let server = SmallServer::start();
    // The small table has its receipt long before the disk is full; that keeps nothing.
    let tables = format!("{TABLE}create table small (id integer primary key);\n");
    let mut project = Project::with_schema(
        "disk_full",
        &tables,
        "table = \"item\"\nfiles = \"items*\"\n",
    );
    project.source("small", "table = \"small\"\nfiles = \"small*\"\n");
    project.input("small.csv", "id\n1\n");
    project.env = vec![
        ("OVERNIGHT_TARGET".into(), server.target()),
        ("OVERNIGHT_CONTROL_DATABASE".into(), "overnight".into()),
        ("OVERNIGHT_SERVER_CORES".into(), "2".into()),
    ];
    server.admin("create role disk_full_reader login");
    project.items(10, "one");
    project.run().code(0);
    let live = server.ask("disk_full", "select build from overnight.build");
    // What is in the server's memory only would take room later.
    server.admin("checkpoint");
    let free = server.free();
    assert!(free > 20 << 20, "{free} bytes are free before");

    project.input(
        "items.csv",
        crate::support::project::items(900_000, "a row that takes its room"),
    );
    for _ in 0..2 {
        project.run().code(3).says(&["disk", "full"]);
        // The server closes what it has removed within a moment.
        let end = Instant::now() + Duration::from_secs(5);
        while server.free() + (2 << 20) < free {
            assert!(
                Instant::now() < end,
                "{free} bytes were free and {} are",
                server.free()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        let databases = "select count(*) from pg_database where starts_with(datname, 'disk_full_')";
        assert_eq!(server.ask("postgres", databases), "0");
        assert_eq!(
            server.ask(
                "disk_full",
                "select build || count(*) from overnight.build, item group by build"
            ),
            format!("{live}10")
        );
        let last = "select state || ' ' || failure from ledger.build order by id desc limit 1";
        let last = server.ask("overnight", last);
        assert!(
            last.starts_with("failed ") && last.contains("full"),
            "{last}"
        );
    }
    // And with room, the next night is a night like any other.
    project.items(11, "two");
    project.run().code(0);
    assert_eq!(server.ask("disk_full", "select count(*) from item"), "11");
}

#[test]
fn a_file_of_rejects_that_cannot_be_written_is_not_a_success() {
    let project = Project::new("disk_rejects");
    project.source(
        "item",
        "table = \"item\"\nfiles = \"items*\"\n[expect]\nrejects = { max = \"50%\" }\n",
    );
    project.input(
        "items.csv",
        "id,name,price,seen\n1,good,1,2026-11-01\nx,bad,1,2026-11-01\n2,good,1,2026-11-01\n",
    );
    project
        .overnight(&["run", "disk_rejects", "--rejects", "/dev/full"])
        .code(3)
        .says(&["write the rejects", "No space left on device"]);
    // The data were good: what was asked for besides is what failed.
    assert_eq!(project.service("select count(*) from item"), "2");
    let list = project.path("rejects.csv");
    let flags = [
        "run",
        "disk_rejects",
        "--force",
        "--rejects",
        list.to_str().unwrap(),
    ];
    project.overnight(&flags).code(0);
    let listed = std::fs::read_to_string(&list).unwrap();
    assert!(
        listed.contains("items.csv") && listed.contains(",id,"),
        "{listed}"
    );
}
