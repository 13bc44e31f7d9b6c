//! What a change of inputs is.
//!
//! In: the configuration, the SQL and the pinned objects of a run. Out: one digest over them, and whether an
//! earlier build was made from the same. Layout and comments are no part of it, neither is `[subset]`.
//!
//! Objects are the same if key, size and version are. A file of a folder has another version after
//! `touch`, a copy or a backup: there the recorded SHA-256 decides, and the file is read only for that.
//! The rule is one for "inputs unchanged", for a build that waits, for a plan and for each table of
//! a build that is resumed.

use crate::dataset::{Dataset, hex};
use crate::fetch::{Digest, Location, RawObject, Version};
use crate::ledger::{Build, Ledger};
use crate::load::InputCount;
use crate::manifest::Manifest;
use crate::schema::files::SqlFiles;
use anyhow::{Context, Result};
use bytes::Bytes;
use std::collections::HashMap;
use tokio::sync::mpsc;

/// Digits of the digest that are of what the rows come from: source files, schema and derive files.
const CONTENT: usize = 32;
/// These and the digits of the check files; the rest are of the objects.
const CONFIGURATION: usize = CONTENT + 16;
/// Digits of the objects.
const OBJECTS: usize = 32;

/// Blocks that wait for the thread that hashes.
const BLOCKS_WAITING: usize = 2;

/// One digest over everything that decides what a build holds and whether its checks pass: of the
/// configuration and the SQL that make its rows, of the check files, and of the objects.
pub fn input_digest(dataset: &Dataset, files: &SqlFiles, manifest: &Manifest) -> String {
    let mut content = ring::digest::Context::new(&ring::digest::SHA256);
    let mut checks = content.clone();
    content.update(dataset.digest.as_bytes());
    for (part, file) in files.all() {
        let line = format!("{part}/{} {}\n", file.name, file.statements_digest);
        match part {
            "checks" => checks.update(line.as_bytes()),
            _ => content.update(line.as_bytes()),
        }
    }
    let first = |digest: &str, digits| digest.chars().take(digits).collect::<String>();
    let content = hex(content.finish().as_ref());
    let checks = hex(checks.finish().as_ref());
    first(&content, CONTENT)
        + &first(&checks, CONFIGURATION - CONTENT)
        + &first(&manifest.digest, OBJECTS)
}

/// Whether builds of two digests get their rows from the same configuration and SQL; their checks may
/// be others.
pub fn same_content(one: &str, other: &str) -> bool {
    one.get(..CONTENT) == other.get(..CONTENT)
}

/// Whether two digests are of the same configuration and SQL.
fn same_configuration(one: &str, other: &str) -> bool {
    one.get(..CONFIGURATION) == other.get(..CONFIGURATION)
}

/// Whether the build was made from the inputs of `manifest`, whose digest is `digest`.
///
/// # Errors
/// The ledger, or a file that has to be read again.
pub async fn made_from(
    ledger: &Ledger,
    build: &Build,
    location: &Location,
    manifest: &Manifest,
    digest: &str,
) -> Result<bool> {
    if build.input_digest == digest {
        return Ok(true);
    }
    if !same_configuration(&build.input_digest, digest) {
        return Ok(false);
    }
    let same = loaded_from(ledger, build, location, manifest).await?;
    if same {
        tracing::info!("`{}` was made from files of the same content", build.name);
    }
    Ok(same)
}

/// Whether the build was loaded from the objects of `manifest`.
///
/// # Errors
/// The ledger, or a file that has to be read again.
pub async fn loaded_from(
    ledger: &Ledger,
    build: &Build,
    location: &Location,
    manifest: &Manifest,
) -> Result<bool> {
    let recorded = ledger.inputs(build).await?;
    if recorded.len() != manifest.objects() {
        return Ok(false);
    }
    for inputs in &manifest.inputs {
        let of_source = recorded
            .iter()
            .filter(|(source, _)| *source == inputs.source);
        let of_source: Vec<&InputCount> = of_source.map(|(_, input)| input).collect();
        if !same_objects(location, &inputs.objects, &of_source).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether objects are those that were recorded for a source.
///
/// # Errors
/// A file that has to be read again.
pub async fn same_objects(
    location: &Location,
    objects: &[RawObject],
    recorded: &[&InputCount],
) -> Result<bool> {
    if objects.len() != recorded.len() {
        return Ok(false);
    }
    let mut to_read = Vec::new();
    let known: HashMap<&str, &InputCount> = recorded
        .iter()
        .map(|input| (input.key.as_str(), *input))
        .collect();
    for object in objects {
        match known.get(object.key.as_str()) {
            Some(known) if known.bytes != object.size => return Ok(false),
            Some(known) if known.version == object.version.to_string() => {}
            Some(known) if matches!(object.version, Version::File { .. }) => {
                to_read.push((object, known));
            }
            _ => return Ok(false),
        }
    }
    for (object, known) in to_read {
        if sha256(location, object).await? != known.sha256 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads an object for its SHA-256, on a thread that may compute.
async fn sha256(location: &Location, object: &RawObject) -> Result<String> {
    let (sender, mut blocks) = mpsc::channel::<Bytes>(BLOCKS_WAITING);
    let mut digest = Digest::new(object);
    let hashing = tokio::task::spawn_blocking(move || {
        while let Some(block) = blocks.blocking_recv() {
            digest.update(&block);
        }
        digest.finish()
    });
    let (read, hashed) = tokio::join!(location.read(object, sender), hashing);
    read?;
    Ok(hashed.context("wait for the hashing thread")??)
}
