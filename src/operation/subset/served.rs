//! The subsets that a server has under the name of an alias.

use super::recipients::MAINTENANCE;
use crate::postgres::Server;
use crate::subset::place::{self, Role};
use anyhow::Result;
use serde::Serialize;

/// A subset that services of this server see.
#[derive(Debug, Serialize)]
pub struct Served {
    pub dataset: String,
    pub database: String,
    /// The build that it was taken from.
    pub build: Option<String>,
    /// Databases that were made of it.
    pub clones: usize,
}

/// Lists the subsets of a server that this role has made; of one dataset or of all.
///
/// # Errors
/// The server's.
pub async fn served(server: &Server, dataset: Option<&str>) -> Result<Vec<Served>> {
    let session = server.connect(MAINTENANCE, "list subsets").await?;
    let all = place::list(&session, dataset).await?;
    session.close().await;
    let mut found = Vec::new();
    for one in all.iter().filter(|one| one.role == Role::Alias) {
        let clones = all
            .iter()
            .filter(|other| other.role == Role::Clone && other.dataset == one.dataset);
        found.push(Served {
            dataset: one.dataset.clone(),
            database: one.name.clone(),
            build: build(server, &one.name).await,
            clones: clones.count(),
        });
    }
    Ok(found)
}

/// The build that the stamp of a subset names; a subset that cannot be entered is listed without one.
async fn build(server: &Server, database: &str) -> Option<String> {
    let session = server.connect(database, "read a subset").await.ok()?;
    let row = session
        .query_opt("select build from overnight.build", &[])
        .await;
    session.close().await;
    row.ok().flatten()?.try_get(0).ok()
}
