//! A private server per test, stopped and removed at the end.

use overnight::{
    embedded::{self, Embedded, Options},
    postgres::{Server, Session, Target},
};
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

/// A home in a temporary folder; whatever server runs there is stopped before the folder goes.
pub struct Home {
    pub path: PathBuf,
    pub options: Options,
    pub folder: TempDir,
}

impl Home {
    pub fn new(below: &str) -> Home {
        let folder = open_folder();
        let options = Options {
            patience: Duration::from_secs(60),
            temp_dir: folder.path().into(),
            ..Options::default()
        };
        Home {
            path: folder.path().join(below),
            options,
            folder,
        }
    }

    pub async fn ensure_running(&self) -> anyhow::Result<Embedded> {
        Embedded::ensure_running(&self.path, &self.options).await
    }

    pub async fn stop(&self) -> bool {
        embedded::stop(&self.path, &self.options).await.unwrap()
    }
}

pub struct Private {
    pub home: Home,
    pub embedded: Embedded,
    pub port: u16,
}

/// A temporary folder that every user may enter, as a home must be.
pub fn open_folder() -> TempDir {
    let folder = tempfile::Builder::new()
        .prefix("overnight-it-")
        .tempdir_in("/tmp")
        .unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Runs a program and returns its output; a program that is missing or fails, fails the test.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output =
        output.unwrap_or_else(|error| panic!("run `{program}` (is it installed?): {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

impl Private {
    pub async fn start() -> Private {
        let home = Home::new("home");
        let embedded = home.ensure_running().await.unwrap();
        Private {
            home,
            embedded,
            port: 5432,
        }
    }

    /// A server that also listens on 127.0.0.1, with these lines in pg_hba.conf after the local one.
    pub async fn start_with_network(rules: &str, settings: &[(&str, &str)]) -> Private {
        let mut private = Private::start().await;
        private.port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let admin = private.admin().await;
        admin
            .batch_execute("ALTER SYSTEM SET listen_addresses = '127.0.0.1'")
            .await
            .unwrap();
        admin
            .batch_execute(&format!("ALTER SYSTEM SET port = {}", private.port))
            .await
            .unwrap();
        for (name, value) in settings {
            admin
                .batch_execute(&format!("ALTER SYSTEM SET {name} = '{value}'"))
                .await
                .unwrap();
        }
        admin.close().await;
        fs::write(
            private.embedded.data().join("pg_hba.conf"),
            format!("local all all trust\n{rules}\n"),
        )
        .unwrap();
        assert!(private.home.stop().await);
        private.embedded = private.home.ensure_running().await.unwrap();
        private
    }

    pub async fn admin(&self) -> Session {
        Server::new(self.embedded.admin_target(), "test".into())
            .connect("postgres", "admin")
            .await
            .unwrap()
    }

    pub fn folder(&self) -> &Path {
        self.home.folder.path()
    }

    pub fn psql(&self) -> PathBuf {
        self.embedded.programs().unwrap().join("psql")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let (path, options) = (self.path.clone(), self.options.clone());
        // Not in the runtime of the test, which may be the reason for the drop.
        let stopped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime
                .block_on(embedded::stop(&path, &options))
                .map(|_| ())
        });
        let stopped = stopped.join().unwrap();
        if !std::thread::panicking() {
            stopped.unwrap();
        }
    }
}

pub fn resolve(text: &str) -> Target {
    Target::resolve(Some(text), &|_| None).unwrap()
}

pub fn server(text: &str) -> Server {
    Server::new(resolve(text), "overnight".into())
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
