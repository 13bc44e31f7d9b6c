//! Looks at raw files and proposes how to load them.
//!
//! In: the place of a file or of a folder. Out: the source files, the SQL and what speaks for them.
//! Reads the first bytes of each file that it looks at (all of a zip, a workbook or a Parquet file, which
//! have their directory at the end); files of a folder whose names differ only in digits are
//! one source, of which the last is looked at.

use crate::fetch::{Listed, Location, RawObject, S3Options};
use crate::infer::{self, Proposal, Subject, container, name};
use crate::printable::Printable;
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A file whose directory stands at its end is read whole up to this size.
const MOST_WHOLE_BYTES: u64 = 1 << 30;

/// Sources of one dataset, at most: their SQL files have numbers of three digits.
const MOST_SOURCES: usize = 99;

/// What was proposed.
#[derive(Debug, Serialize)]
pub struct Inferred {
    pub dataset: String,
    /// The location that the keys are relative to.
    pub from: String,
    pub sources: Vec<InferredSource>,
    /// Keys that nothing could be proposed for, and why.
    pub left_out: Vec<(String, String)>,
    /// Paths below the project, with their texts.
    pub files: BTreeMap<String, String>,
}

/// One source.
#[derive(Debug, Serialize)]
pub struct InferredSource {
    pub table: String,
    /// The file that was looked at, and the glob of those that are called alike.
    pub key: String,
    pub files: String,
    pub matched: usize,
    #[serde(flatten)]
    pub proposal: Proposal,
}

/// Files that are called alike.
struct Group {
    looked_at: Listed,
    glob: String,
    matched: usize,
}

/// Looks at what is in `place`. `existing`: the project that the sources are added to, where it has the
/// dataset already.
///
/// # Errors
/// Status 2 where there is nothing, or a name is none; status 1 where a file is no table.
pub async fn infer(
    place: &str,
    dataset: Option<&str>,
    existing: Option<&Path>,
    s3: &S3Options,
) -> Result<Inferred> {
    // What stands behind a `!` means members of archives.
    let after_folder = place.rfind('/').map_or(0, |slash| slash + 1);
    let (place, member) = match place[after_folder..].split_once('!') {
        Some((file, member)) => (&place[..after_folder + file.len()], Some(member)),
        None => (place, None),
    };
    let wanted = match member {
        Some(member) => Some(
            glob::Pattern::new(member)
                .with_context(|| Problem::usage(format!("`{member}` is not a glob")))?,
        ),
        None => None,
    };
    let (location, from, groups, is_folder) = find(place, s3).await?;
    let dataset = match dataset {
        Some(name) => name.to_owned(),
        None => name::of_file(place),
    };
    crate::dataset::check_name(&dataset)?;
    let mut sources: Vec<InferredSource> = Vec::new();
    let mut left_out = Vec::new();
    let mut tables = BTreeSet::from(["dataset".to_owned()]);
    for group in groups {
        let key = group.looked_at.key.clone();
        let looked = look_at(&location, &group.looked_at, wanted.as_ref()).await;
        let inside = match looked {
            Ok(inside) => inside,
            Err(error) if is_folder => {
                left_out.push((key, format!("{error:#}")));
                continue;
            }
            Err(error) => {
                return Err(
                    error.context(Problem::refused(format!("look at `{}`", Printable(&key))))
                );
            }
        };
        let several = inside.len() > 1;
        for part in inside {
            let named = match &part.member {
                Some(member) => format!("{key}!{member}"),
                None => key.clone(),
            };
            let proposal = match part.proposal {
                Ok(proposal) => proposal,
                Err(error) if is_folder || several => {
                    left_out.push((named, format!("{error:#}")));
                    continue;
                }
                Err(error) => {
                    return Err(
                        error.context(Problem::refused(format!("look at `{}`", Printable(&key))))
                    );
                }
            };
            // A table is called after what it is filled from: in an archive of several files, the member.
            let of_member = proposal.member.as_ref().filter(|_| proposal.members > 1);
            let table = unused(&name::of_file(of_member.unwrap_or(&key)), &mut tables);
            let glob = member.map(str::to_owned).or(part.glob);
            sources.push(InferredSource {
                table,
                key: named,
                files: match glob {
                    Some(glob) => format!("{}!{glob}", group.glob),
                    None => group.glob.clone(),
                },
                matched: group.matched * part.matched,
                proposal,
            });
        }
    }
    if sources.is_empty() {
        bail!(Problem::refused(format!(
            "nothing in `{from}` looks like a table: {}",
            reasons(&left_out)
        )));
    }
    if sources.len() > MOST_SOURCES {
        bail!(Problem::usage(format!(
            "`{from}` holds {} kinds of files: look at a folder below it",
            sources.len()
        )));
    }
    let first_number = existing.map_or(Ok(None), |project| next_number(project, &dataset))?;
    let files = files(&dataset, &from, &sources, first_number);
    Ok(Inferred {
        dataset,
        from,
        sources,
        left_out,
        files,
    })
}

fn reasons(left_out: &[(String, String)]) -> String {
    match left_out {
        [] => "it is empty".into(),
        some => some
            .iter()
            .take(5)
            .map(|(key, why)| format!("`{}`: {why}", Printable(key)))
            .collect::<Vec<_>>()
            .join("; "),
    }
}

/// The number of the next schema file of a dataset that exists; `None` for a new dataset.
fn next_number(project: &Path, dataset: &str) -> Result<Option<usize>> {
    if !project
        .join("sources")
        .join(dataset)
        .join("dataset.toml")
        .is_file()
    {
        return Ok(None);
    }
    let folder = project.join("sql").join(dataset).join("schema");
    let mut last = 0;
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Some(10)),
        Err(error) => {
            return Err(error)
                .with_context(|| Problem::usage(format!("list `{}`", folder.display())));
        }
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let number = name
            .split_once('_')
            .and_then(|(number, _)| number.parse().ok());
        last = last.max(number.unwrap_or(0));
    }
    Ok(Some(10 * (last / 10 + 1)))
}

/// The files to write, by path. `next`: the number of the first schema file, in a dataset that exists.
fn files(
    dataset: &str,
    from: &str,
    sources: &[InferredSource],
    next: Option<usize>,
) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    if next.is_none() {
        files.insert(
            format!("sources/{dataset}/dataset.toml"),
            infer::dataset_file(from),
        );
    }
    for (index, source) in sources.iter().enumerate() {
        let subject = Subject {
            key: &source.key,
            matched: source.matched,
            files: &source.files,
            table: &source.table,
        };
        files.insert(
            format!("sources/{dataset}/{}.toml", source.table),
            infer::source_file(&source.proposal, &subject),
        );
        files.insert(
            format!(
                "sql/{dataset}/schema/{:03}_{}.sql",
                next.unwrap_or(10) + 10 * index,
                source.table
            ),
            infer::schema_file(&source.proposal, &subject, next.is_none() && index == 0),
        );
    }
    files
}

/// Opens the place: one file in its folder, or all files of a folder.
async fn find(place: &str, s3: &S3Options) -> Result<(Location, String, Vec<Group>, bool)> {
    let trimmed = place
        .strip_prefix("file://")
        .unwrap_or(place)
        .trim_end_matches('/');
    let is_s3 = place.starts_with("s3://");
    let is_folder = place.ends_with('/') || (!is_s3 && Path::new(trimmed).is_dir());
    if !is_folder {
        let (folder, key) = match trimmed.rsplit_once('/') {
            Some((folder, key)) if !folder.is_empty() => (folder, key),
            Some((_, key)) => ("/", key),
            None => (".", trimmed),
        };
        if !(is_s3 && folder == "s3:/") {
            let location = open(folder, s3).await?;
            let found = location
                .exists(key)
                .await
                .with_context(|| format!("look for `{place}`"))?;
            if let Some(listed) = found {
                let group = Group {
                    glob: escaped(&listed.key),
                    looked_at: listed,
                    matched: 1,
                };
                return Ok((location, folder.to_owned(), vec![group], false));
            }
        }
        if !is_s3 {
            bail!(
                Problem::usage(format!("there is no file `{place}`"))
                    .hint("write the path of a file or a folder, or s3://BUCKET/KEY")
            );
        }
    }
    let from = place.strip_prefix("file://").unwrap_or(place);
    let location = open(from, s3).await?;
    let listed = location
        .list("")
        .await
        .with_context(|| format!("list `{place}`"))?;
    if listed.is_empty() {
        bail!(Problem::usage(format!("there is nothing in `{place}`")));
    }
    Ok((location, from.to_owned(), groups(listed), true))
}

async fn open(folder: &str, s3: &S3Options) -> Result<Location> {
    Location::open(folder, s3).await.map_err(|error| {
        anyhow::Error::new(error).context(Problem::usage(format!("open `{folder}`")))
    })
}

/// Files whose names differ only in digits, together.
fn groups(listed: Vec<Listed>) -> Vec<Group> {
    let mut by_key: BTreeMap<String, Listed> = BTreeMap::new();
    for object in listed {
        let base = object.key.rsplit('/').next().unwrap_or(&object.key);
        // Marks of other programs, and files that are hidden, are no data.
        if object.size == 0 || base.starts_with('.') || base.starts_with('_') {
            continue;
        }
        by_key.insert(object.key.clone(), object);
    }
    let alike = alike(by_key.keys().cloned());
    let group = |alike: Alike| {
        Some(Group {
            matched: alike.matched,
            glob: alike.glob,
            looked_at: by_key.remove(&alike.last)?,
        })
    };
    alike.into_iter().filter_map(group).collect()
}

/// Names that differ only in digits.
struct Alike {
    last: String,
    glob: String,
    matched: usize,
}

fn alike(names: impl Iterator<Item = String>) -> Vec<Alike> {
    let mut by_pattern: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in names {
        by_pattern.entry(pattern(&name)).or_default().push(name);
    }
    let of = |(pattern, mut names): (String, Vec<String>)| {
        let last = names.pop()?;
        let glob = match names.is_empty() {
            true => escaped(&last),
            false => escaped(&pattern).replace(DIGITS, "*"),
        };
        Some(Alike {
            matched: names.len() + 1,
            glob,
            last,
        })
    };
    by_pattern.into_iter().filter_map(of).collect()
}

/// Stands for a run of digits; no key holds it.
const DIGITS: char = '\u{1}';

fn pattern(key: &str) -> String {
    let mut out = String::new();
    for c in key.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !out.ends_with(DIGITS) {
            out.push(DIGITS);
        }
    }
    out
}

/// A key as the glob that matches it alone. `!` would begin the member of an archive.
fn escaped(key: &str) -> String {
    glob::Pattern::escape(key).replace('!', "?")
}

fn unused(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut tried = name.to_owned();
    let mut number = 1;
    while !taken.insert(tried.clone()) {
        number += 1;
        tried = format!("{name}_{number}");
    }
    tried
}

/// What was found in one file, or in one of the files of an archive.
struct Inside {
    /// In an archive of several files: the one that was looked at, and the glob of those called alike.
    member: Option<String>,
    glob: Option<String>,
    matched: usize,
    proposal: Result<Proposal>,
}

/// Reads what is needed of a file, and looks at it; at each kind of file of an archive unless one is
/// `wanted`.
async fn look_at(
    location: &Location,
    listed: &Listed,
    wanted: Option<&glob::Pattern>,
) -> Result<Vec<Inside>> {
    let object = location
        .pin(listed)
        .await
        .with_context(|| format!("pin `{}`", Printable(&listed.key)))?;
    let raw = read(location, &object)
        .await
        .with_context(|| format!("read `{}`", Printable(&listed.key)))?;
    let all = raw.len() as u64 == object.size;
    let wanted = wanted.cloned();
    let looked = tokio::task::spawn_blocking(move || look_inside(raw, all, wanted));
    looked.await.context("look at the file")?
}

fn look_inside(raw: Vec<u8>, all: bool, wanted: Option<glob::Pattern>) -> Result<Vec<Inside>> {
    let propose = |raw: Vec<u8>, wanted: Option<&glob::Pattern>| {
        infer::propose(&container::unpack(raw, all, wanted)?)
    };
    let members = match wanted {
        Some(_) => Vec::new(),
        None => container::members(&raw, all)?,
    };
    if members.len() < 2 {
        return Ok(vec![Inside {
            member: None,
            glob: None,
            matched: 1,
            proposal: propose(raw, wanted.as_ref()),
        }]);
    }
    let mut inside = Vec::new();
    for alike in alike(members.into_iter()) {
        let exact =
            glob::Pattern::new(&escaped(&alike.last)).context("read a name of the archive")?;
        inside.push(Inside {
            proposal: propose(raw.clone(), Some(&exact)),
            member: Some(alike.last),
            glob: Some(alike.glob),
            matched: alike.matched,
        });
    }
    Ok(inside)
}

async fn read(location: &Location, object: &RawObject) -> Result<Vec<u8>> {
    let head = location.read_start(object, 4096).await?;
    let most = match container::Container::needs_all(&head) {
        true if object.size > MOST_WHOLE_BYTES => bail!(
            "its directory stands at its end, and it is longer than {} MiB: look at one of its files, unpacked",
            MOST_WHOLE_BYTES >> 20
        ),
        true => MOST_WHOLE_BYTES,
        false => infer::SAMPLE_BYTES as u64 + 1,
    };
    let bytes = location.read_start(object, most).await?;
    Ok(bytes.to_vec())
}
