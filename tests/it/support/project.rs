//! A project of its own for each test: a dataset with one table, its input folder and control
//! database, and the real binary to run on it.

use super::cluster::{ADMIN, Cluster, cluster};
use super::pooler::Pooler;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A small project. The dataset's name is the test's, so tests do not meet on the server.
pub struct Project {
    pub folder: TempDir,
    /// Name of the dataset, and so of the alias.
    pub name: String,
    pub reader: String,
    pub control: String,
    /// More variables for the binary.
    pub env: Vec<(String, String)>,
    /// Services come through the first of these, if there are any.
    pub poolers: Vec<Pooler>,
    /// The alias is a row that services follow.
    pub follows_pointer: bool,
    cluster: &'static Cluster,
}

/// How the binary ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Asserts the exit status and returns itself, for more to assert.
    #[track_caller]
    pub fn code(self, code: i32) -> Ended {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Asserts that stderr holds every text.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Ended {
        for text in texts {
            assert!(
                self.stderr.contains(text),
                "expected `{text}` in:\n{}",
                self.stderr
            );
        }
        self
    }

    /// Stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

pub const TABLE: &str = "create table item (
    id integer primary key,
    name text not null,
    price numeric(8,2),
    seen date
);
create index item_name on item (name);
";

impl Project {
    /// A dataset with the table `item (id, name, price, seen)`, filled from `items*.csv` below
    /// `in/<name>/`, schema version 1.
    pub fn new(name: &str) -> Project {
        Self::on(cluster(), name)
    }

    /// The same on another server.
    pub fn on(cluster: &'static Cluster, name: &str) -> Project {
        let source = "table = \"item\"\nfiles = \"items*\"\n";
        Self::with_schema_on(cluster, name, TABLE, source)
    }

    /// A dataset whose load takes 20 ms for each row with a name that begins with `slow`.
    pub fn slow(name: &str) -> Project {
        Self::with_schema(
            name,
            "create table item (id integer primary key, name text not null, price numeric(8,2), seen date);
             create function slow() returns trigger language plpgsql as
                 $$ begin if new.name ~ '^slow' then perform pg_catalog.pg_sleep(0.02); end if; return new; end $$;
             create trigger slow before insert on item for each row execute function slow();",
            "table = \"item\"\nfiles = \"items*\"\n",
        )
    }

    /// A dataset with other tables, and one source file called `item.toml`.
    pub fn with_schema(name: &str, tables: &str, source: &str) -> Project {
        Self::with_schema_on(cluster(), name, tables, source)
    }

    fn with_schema_on(
        cluster: &'static Cluster,
        name: &str,
        tables: &str,
        source: &str,
    ) -> Project {
        let folder = tempfile::Builder::new()
            .prefix("overnight-project-")
            .tempdir_in("/tmp")
            .unwrap();
        let project = Project {
            folder,
            name: name.to_owned(),
            reader: format!("{name}_reader"),
            control: format!("control_{name}"),
            env: Vec::new(),
            poolers: Vec::new(),
            follows_pointer: false,
            cluster,
        };
        project.write(
            &format!("sources/{name}/dataset.toml"),
            &format!(
                "schema_version = 1\nfiles_under = \"{name}/\"\nreaders = [\"{}\"]\nprobe = {{ user = \"{}\" }}\nkeep = 2\n",
                project.reader, project.reader
            ),
        );
        project.source("item", source);
        project.sql(
            "schema/010_tables.sql",
            &format!("select overnight.declare_version(1);\n{tables}"),
        );
        project
            .cluster()
            .sql("postgres", &format!("create role {} login", project.reader))
            .unwrap();
        project
    }

    /// Puts poolers before the server, each in one of these modes, and makes the tool move them.
    pub fn behind_poolers(&mut self, modes: &[&'static str], more: &str) {
        self.poolers = modes
            .iter()
            .map(|mode| Pooler::start(mode, &[&self.reader]))
            .collect();
        let tables: String = self.poolers.iter().map(Pooler::table).collect();
        self.write(
            "overnight.toml",
            &format!("router = \"pgbouncer\"\n{more}\n{tables}"),
        );
    }

    /// Makes services follow the pointer.
    pub fn behind_pointer(&mut self, more: &str) {
        self.follows_pointer = true;
        self.write("overnight.toml", &format!("router = \"pointer\"\n{more}\n"));
    }

    /// Builds keep their names, and no database has the alias's.
    pub fn keeps_names(&self) -> bool {
        self.follows_pointer || !self.poolers.is_empty()
    }

    /// A query as a service makes it, the way services come.
    pub fn try_service(&self, sql: &str) -> Result<Option<String>, tokio_postgres::Error> {
        if let Some(pooler) = self.poolers.first() {
            return pooler.service(&self.reader, &self.name, sql);
        }
        let first =
            |rows: Vec<Vec<Option<String>>>| rows.into_iter().next().and_then(|row| row[0].clone());
        let mut database = self.name.clone();
        if self.follows_pointer {
            let sql = format!(
                "select database from overnight.alias where dataset = '{}'",
                self.name
            );
            let rows = self.cluster().sql_as(&self.reader, &self.control, &sql)?;
            database = first(rows).unwrap_or(database);
        }
        self.cluster()
            .sql_as(&self.reader, &database, sql)
            .map(first)
    }

    pub fn cluster(&self) -> &'static Cluster {
        self.cluster
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a file of the project.
    pub fn write(&self, path: &str, text: &str) {
        self.write_bytes(path, text.as_bytes());
    }

    pub fn write_bytes(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Writes `sources/<name>/<source>.toml`.
    pub fn source(&self, source: &str, text: &str) {
        self.write(&format!("sources/{}/{source}.toml", self.name), text);
    }

    /// Writes `sql/<name>/<path>`.
    pub fn sql(&self, path: &str, text: &str) {
        self.write(&format!("sql/{}/{path}", self.name), text);
    }

    /// Writes an input file.
    pub fn input(&self, key: &str, bytes: impl AsRef<[u8]>) {
        self.write_bytes(&format!("in/{}/{key}", self.name), bytes.as_ref());
    }

    /// Writes `items.csv` with these many rows, ids from 1, names with the given prefix.
    pub fn items(&self, rows: usize, prefix: &str) {
        self.input("items.csv", items(rows, prefix));
    }

    /// The binary, ready to run on this project.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_overnight"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("OVERNIGHT_PROJECT", self.folder.path())
            .env(
                "OVERNIGHT_TARGET",
                self.cluster().url("postgres", super::cluster::LOADER),
            )
            .env("OVERNIGHT_FROM", self.path("in"))
            .env("OVERNIGHT_CONTROL_DATABASE", &self.control)
            // A story in which a server comes back sets it.
            .env("OVERNIGHT_WAIT_FOR", "0s")
            .stdin(Stdio::null());
        // Set by `scripts/guards` only, and heard only by a program that was built for it.
        if let Some(guard) = std::env::var_os("OVERNIGHT_SWITCH_OFF") {
            command.env("OVERNIGHT_SWITCH_OFF", guard);
        }
        for (name, value) in &self.env {
            command.env(name, value);
        }
        command
    }

    /// Runs the binary to its end.
    pub fn overnight(&self, arguments: &[&str]) -> Ended {
        Self::finish(&mut self.command(arguments))
    }

    /// Runs a prepared command to its end.
    pub fn finish(command: &mut Command) -> Ended {
        let output = command.output().unwrap();
        ended(output)
    }

    /// Starts the binary and does not wait.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// `overnight run <dataset>`.
    pub fn run(&self) -> Ended {
        self.overnight(&["run", &self.name])
    }

    /// A run that must fail with this status and say this, and leave nothing behind but its record:
    /// the alias and every build are as before.
    #[track_caller]
    pub fn refuses(&self, code: i32, texts: &[&str]) -> Ended {
        self.refuses_to(&["run", &self.name], code, texts)
    }

    /// The same for any command line.
    #[track_caller]
    pub fn refuses_to(&self, arguments: &[&str], code: i32, texts: &[&str]) -> Ended {
        let before = self.alias_and_builds();
        let ended = self.overnight(arguments).code(code).says(texts);
        assert_eq!(self.alias_and_builds(), before, "{}", ended.stderr);
        ended
    }

    /// Names and identities of the alias and the builds, without those that gates have refused.
    fn alias_and_builds(&self) -> Vec<Vec<Option<String>>> {
        let sql = format!(
            "select datname, oid from pg_database where datname ~ '^{}(_[0-9]{{8}}t[0-9]{{6}}z.*)?$' order by 1",
            self.name
        );
        let mut rows = self.cluster().sql("postgres", &sql).unwrap();
        let refused = self.refused();
        rows.retain(|row| !refused.iter().any(|name| row[0].as_ref() == Some(name)));
        rows
    }

    /// The builds that gates have refused and that are kept, newest first.
    pub fn refused(&self) -> Vec<String> {
        let there = format!("select from pg_database where datname = '{}'", self.control);
        if self.cluster().sql("postgres", &there).unwrap().is_empty() {
            return Vec::new();
        }
        let refused = "select name from ledger.build where state = 'refused' order by id desc";
        let rows = self.cluster().sql(&self.control, refused).unwrap();
        rows.into_iter().filter_map(|row| row[0].clone()).collect()
    }

    /// What a service sees: a query through the alias as the reader role.
    #[track_caller]
    pub fn service(&self, sql: &str) -> String {
        self.try_service(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
            .unwrap_or_default()
    }

    /// The build behind the alias.
    #[track_caller]
    pub fn live(&self) -> String {
        self.service("select build from overnight.build")
    }

    /// A query in the control database.
    #[track_caller]
    pub fn ledger(&self, sql: &str) -> String {
        self.cluster().one(&self.control, sql)
    }

    /// The alias, and databases that are called like its builds.
    pub fn databases(&self) -> Vec<String> {
        let sql = format!(
            "select datname from pg_database where datname = '{0}' or starts_with(datname, '{0}_') order by 1",
            self.name
        );
        let rows = self.cluster().sql("postgres", &sql).unwrap();
        rows.into_iter().filter_map(|row| row[0].clone()).collect()
    }
}

/// What a finished process said.
pub fn ended(output: std::process::Output) -> Ended {
    use std::os::unix::process::ExitStatusExt;
    Ended {
        code: output
            .status
            .code()
            .unwrap_or_else(|| -output.status.signal().unwrap_or(0)),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `id,name,price,seen` with so many rows.
pub fn items(rows: usize, prefix: &str) -> String {
    let mut text = String::from("id,name,price,seen\n");
    for id in 1..=rows {
        text += &format!(
            "{id},{prefix} {id},{}.{:02},2026-11-{:02}\n",
            id % 1000,
            id % 100,
            id % 28 + 1
        );
    }
    text
}

impl Drop for Project {
    /// Leaves the server as it was, unless the test failed: then everything is kept to look at.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "kept: control database `{}`, databases {:?}",
                self.control,
                self.databases()
            );
            return;
        }
        let mut leftovers = self.databases();
        leftovers.push(self.control.clone());
        for database in leftovers {
            let sql = format!("drop database if exists \"{database}\" with (force)");
            drop(self.cluster().sql_as(ADMIN, "postgres", &sql));
        }
        drop(
            self.cluster()
                .sql("postgres", &format!("drop role if exists {}", self.reader)),
        );
    }
}

/// The repository, for its own fixtures and examples.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
