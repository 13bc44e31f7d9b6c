//! Copies of a subset for tests: made of the closed template in a moment, dropped when done.

use super::Destination;
use super::recipients::{MAINTENANCE, Recipients, embedded};
use crate::config::{Config, Env};
use crate::dataset::{check_name, hex};
use crate::postgres::check_ident;
use crate::problem::Problem;
use crate::subset::drop;
use crate::subset::place::{self, Role};
use anyhow::{Context, Result, bail};
use rand::Rng;
use serde::Serialize;

/// A copy for a test.
#[derive(Debug, Serialize)]
pub struct Cloned {
    pub dataset: String,
    pub name: String,
    pub url: String,
    pub seconds: f64,
}

/// Makes a copy under a name, or under one that nobody has.
///
/// # Errors
/// Status 1 without a subset on the embedded server, or when the name is taken.
pub async fn clone(
    config: &Config,
    dataset: &str,
    name: Option<&str>,
    env: Env<'_>,
) -> Result<Cloned> {
    let began = std::time::Instant::now();
    let (_, server) = embedded(config, env).await?;
    let session = server.connect(MAINTENANCE, "subset clone").await?;
    // No other command may take the copy for a leftover meanwhile.
    place::lock_beside_others(&session, dataset).await?;
    let all = place::list(&session, Some(dataset)).await?;
    let template = all
        .iter()
        .find(|one| one.role == Role::Template)
        .with_context(|| {
            Problem::refused(format!(
                "the embedded server has no subset of `{}` to clone",
                dataset
            ))
            .hint(format!(
                "`overnight subset pull {0}` or `overnight subset {0}` makes one",
                dataset
            ))
        })?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => {
            let some = hex(&rand::rng().random::<[u8; 4]>());
            format!("{}_clone_{some}", dataset)
        }
    };
    check_ident(&name).with_context(|| Problem::usage("read --name"))?;
    // Each copy has a name of its own until it is complete.
    let own = hex(&rand::rng().random::<[u8; 4]>());
    let copy = place::working_name(dataset, &own, 'c');
    let of = (dataset, template.nonce.as_str());
    place::copy_database(&session, &template.name, &copy, of).await?;
    place::name_clone(&session, &copy, &name, of).await?;
    // The template is closed to the readers; the alias is not.
    if let Some(alias) = all.iter().find(|one| one.role == Role::Alias) {
        let readers = place::admitted(&session, &alias.name).await?;
        place::let_in(&session, &name, &readers).await?;
    }
    session.close().await;
    Ok(Cloned {
        dataset: dataset.to_owned(),
        url: server.target().url_for(&name, None),
        name,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Drops a copy; sessions that still use it are ended.
///
/// # Errors
/// Status 1 for a database that is no clone of this dataset's subset.
pub async fn drop_clone(config: &Config, dataset: &str, name: &str, env: Env<'_>) -> Result<()> {
    let (_, server) = embedded(config, env).await?;
    let session = server.connect(MAINTENANCE, "subset clone").await?;
    let all = place::list(&session, Some(dataset)).await?;
    let found = all.into_iter().find(|one| one.name == name);
    let Some(found) = found.filter(|one| one.role == Role::Clone) else {
        bail!(
            Problem::refused(format!(
                "`{name}` is no clone of the subset of `{}`; nothing was dropped",
                dataset
            ))
            .hint(format!(
                "`overnight subset drop {}` drops the subset with all its clones",
                dataset
            ))
        );
    };
    drop::drop_ours(&server, &session, &found).await?;
    session.close().await;
    Ok(())
}

/// Drops the subset on the embedded server, its template and its clones.
///
/// # Errors
/// As for taking one.
pub async fn drop_all(config: &Config, dataset: &str, env: Env<'_>) -> Result<Vec<String>> {
    check_name(dataset)?;
    let recipients = Recipients::open(config, dataset, &[], &Destination::Embedded, env).await?;
    recipients.clear().await
}
