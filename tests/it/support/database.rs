//! An empty database of its own on the shared server, for tests that need no project.

use super::cluster::{ADMIN, Cluster, LOADER, cluster};
use overnight::postgres::{Server, Target};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_postgres::{Client, SimpleQueryMessage};

/// A database that the tool's role owns. It ends with the server.
pub struct Database {
    pub name: String,
}

/// The shared server, also for who is inside a runtime: its start waits, which must not happen there.
pub async fn shared() -> &'static Cluster {
    tokio::task::spawn_blocking(cluster).await.unwrap()
}

impl Database {
    pub async fn new() -> Database {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("scratch_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let client = shared().await.client(LOADER, "postgres").await.unwrap();
        let sql = format!("create database {name} template template0");
        client.batch_execute(&sql).await.unwrap();
        Database { name }
    }

    /// A session of the tool's role.
    pub async fn open(&self) -> Client {
        self.try_open().await.unwrap()
    }

    pub async fn try_open(&self) -> anyhow::Result<Client> {
        Ok(shared().await.client(LOADER, &self.name).await?)
    }

    /// A session of the superuser.
    pub async fn admin(&self) -> Client {
        shared().await.client(ADMIN, &self.name).await.unwrap()
    }

    /// The server as the tool sees it, as a role.
    pub async fn server(&self, role: &str) -> Server {
        let cluster = shared().await;
        let target = Target::resolve(Some(&cluster.url(&self.name, role)), &|_| None).unwrap();
        Server::new(target, "overnight".into())
    }

    /// Runs a file through psql, which stops at the first error.
    pub async fn psql(&self, path: &Path) {
        let cluster = shared().await;
        let output = Command::new(cluster.embedded.programs().unwrap().join("psql"))
            .args(["-qX", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(path)
            .arg(cluster.url(&self.name, LOADER))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
    }
}

/// First column of the first row of `sql`, as text.
pub async fn value(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap();
    messages
        .iter()
        .find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .unwrap_or_default()
}
