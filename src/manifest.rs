//! Which raw objects a run reads, pinned before the first byte is read.
//!
//! In: a [`Dataset`] and the [`Location`] of its files. Out: a [`Manifest`]: for each source its
//! objects with version and size, and one digest over all of it. Every later read asks for
//! exactly this version, so a file that is replaced during the run ends the run instead of
//! mixing two nights.

use crate::dataset::{Dataset, Ready, Source, hex};
use crate::fetch::{Listed, Location, REQUESTS_AT_ONCE, RawObject};
use crate::nearest::nearest;
use crate::printable::Printable;
use crate::problem::Problem;
use crate::switch;
use crate::units::age;
use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use std::collections::HashSet;

/// The inputs of one run.
#[derive(Debug)]
pub struct Manifest {
    /// The same order as `Dataset::sources`.
    pub inputs: Vec<SourceInputs>,
    /// SHA-256 over source, key, version and size of every object.
    pub digest: String,
    /// Keys below the prefix that no source asks for.
    pub unused: Vec<String>,
}

/// The objects of one source, by key.
#[derive(Debug)]
pub struct SourceInputs {
    pub source: String,
    pub objects: Vec<RawObject>,
}

impl SourceInputs {
    /// Sum of the sizes, in bytes as stored.
    pub fn bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.size).sum()
    }
}

impl Manifest {
    /// Lists, checks readiness and age, and pins.
    ///
    /// # Errors
    /// Status 1 when inputs are missing, incomplete or too old; status 3 when the place of the
    /// files cannot be read.
    pub async fn pin(dataset: &Dataset, location: &Location, now: Timestamp) -> Result<Manifest> {
        let prefix = &dataset.settings.files_under;
        let mut listed = location
            .list(prefix)
            .await
            .with_context(|| format!("list the inputs of `{}`", dataset.name))?;
        if let Some(Ready::Marker(marker)) = &dataset.settings.ready_when {
            let key = format!("{prefix}{marker}");
            if !listed.iter().any(|object| object.key == key) && switch::on("manifest.marker") {
                let there = what_is_there(location, prefix, &key, &listed).await?;
                bail!(
                    Problem::refused(format!(
                        "the inputs of `{}` are not complete: the marker `{}` is missing",
                        dataset.name,
                        location.address(&key)
                    ))
                    .hint(format!(
                        "{there}; the supplier writes the marker last; nothing was built"
                    ))
                );
            }
            listed.retain(|object| object.key != key);
        }
        let mut wanted: Vec<(&Source, &Listed)> = Vec::new();
        for source in &dataset.sources {
            let before = wanted.len();
            wanted.extend(
                listed
                    .iter()
                    .filter(|object| matches(source, prefix, &object.key))
                    .map(|object| (source, object)),
            );
            if wanted.len() == before && switch::on("manifest.missing") {
                let wanted = format!("{prefix}{}", source.files);
                let there = what_is_there(location, prefix, &wanted, &listed).await?;
                bail!(
                    Problem::refused(format!(
                        "source `{}` of `{}`: no object matches `{}`",
                        source.name,
                        dataset.name,
                        location.address(&wanted)
                    ))
                    .hint(format!("{there}; nothing was built"))
                );
            }
        }
        check_age(dataset, &wanted, now)?;
        let used: HashSet<&str> = wanted.iter().map(|(_, used)| used.key.as_str()).collect();
        let unused = listed
            .iter()
            .filter(|object| !used.contains(object.key.as_str()))
            .map(|object| object.key.clone())
            .collect();
        let pinned: Vec<(String, RawObject)> = stream::iter(wanted)
            .map(|(source, object)| async {
                let pinned = location.pin(object).await.with_context(|| {
                    format!(
                        "pin `{}` for source `{}`",
                        Printable(&object.key),
                        source.name
                    )
                })?;
                anyhow::Ok((source.name.clone(), pinned))
            })
            .buffered(REQUESTS_AT_ONCE)
            .try_collect()
            .await?;
        Ok(Self::from_pinned(dataset, pinned, unused))
    }

    fn from_pinned(
        dataset: &Dataset,
        pinned: Vec<(String, RawObject)>,
        unused: Vec<String>,
    ) -> Manifest {
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        for (source, object) in &pinned {
            let line = format!(
                "{source}\t{}\t{}\t{}\n",
                object.key, object.version, object.size
            );
            digest.update(line.as_bytes());
        }
        let mut inputs: Vec<SourceInputs> = dataset
            .sources
            .iter()
            .map(|source| SourceInputs {
                source: source.name.clone(),
                objects: Vec::new(),
            })
            .collect();
        for (source, object) in pinned {
            if let Some(input) = inputs.iter_mut().find(|input| input.source == source) {
                input.objects.push(object);
            }
        }
        Manifest {
            inputs,
            digest: hex(digest.finish().as_ref()),
            unused,
        }
    }

    /// Sum of the sizes of all objects, in bytes as stored.
    pub fn bytes(&self) -> u64 {
        self.inputs.iter().map(SourceInputs::bytes).sum()
    }

    /// Number of objects.
    pub fn objects(&self) -> usize {
        self.inputs.iter().map(|input| input.objects.len()).sum()
    }
}

/// What there is in place of `wanted`: the objects below the prefix that are named most like it, or
/// else what lies at the location.
async fn what_is_there(
    location: &Location,
    prefix: &str,
    wanted: &str,
    listed: &[Listed],
) -> Result<String> {
    let below = location.address(prefix);
    if let Some(names) = nearest(wanted, listed.iter().map(|object| object.key.as_str())) {
        return Ok(format!("below `{below}` there is {names}"));
    }
    if !prefix.is_empty() {
        let names = location.names().await?;
        if let Some(names) = nearest(prefix, names.iter().map(String::as_str)) {
            let above = location.address("");
            return Ok(format!(
                "nothing is below `{below}`; below `{above}` there is {names}"
            ));
        }
    }
    Ok(format!("nothing is below `{below}`"))
}

fn matches(source: &Source, prefix: &str, key: &str) -> bool {
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    key.strip_prefix(prefix)
        .is_some_and(|rest| source.files.matches_with(rest, options))
}

fn check_age(dataset: &Dataset, wanted: &[(&Source, &Listed)], now: Timestamp) -> Result<()> {
    let newest = wanted
        .iter()
        .map(|(_, object)| object)
        .max_by_key(|object| object.modified);
    let Some(newest) = newest else { return Ok(()) };
    let age_seconds = now.as_second() - newest.modified.as_second();
    if let Some(Ready::Settled(settled)) = &dataset.settings.ready_when
        && age_seconds < settled.min_age.0.as_secs() as i64
        && switch::on("manifest.settled")
    {
        bail!(
            Problem::refused(format!(
                "`{}` changed {age_seconds} s ago, and the inputs of `{}` count as complete only after {} s without change",
                newest.key, dataset.name, settled.min_age.0.as_secs()
            ))
            .hint("run again later; nothing was built")
        );
    }
    if let Some(max_age) = dataset.settings.max_age
        && age_seconds > max_age.0.as_secs() as i64
        && switch::on("manifest.old")
    {
        bail!(
            Problem::refused(format!(
                "the newest input of `{}`, `{}`, was delivered {} ({} ago), and max_age allows {}",
                dataset.name,
                newest.key,
                newest.modified.strftime("%Y-%m-%dT%H:%M:%SZ"),
                age(age_seconds),
                age(max_age.0.as_secs() as i64)
            ))
            .hint("ask whoever delivers the files; nothing was built")
        );
    }
    Ok(())
}
