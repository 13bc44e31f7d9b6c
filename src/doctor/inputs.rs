//! Whether the raw files of each dataset can be listed and read.

use super::{Notes, Visit};
use crate::fetch::Location;
use crate::printable::Printable;
use crate::read::decode::carries_checksums;
use anyhow::Result;

pub(super) async fn look(visit: &Visit<'_>) -> Result<Notes> {
    let mut notes = Notes::new("inputs");
    let Some(from) = visit.config.from.as_deref() else {
        notes.problem(
            "no input location is configured",
            "`from` in overnight.toml",
        );
        return Ok(notes);
    };
    let location = match Location::open(from, &visit.config.s3).await {
        Ok(location) => location,
        Err(error) => {
            notes.problem(format!("open `{from}`: {error}"), "see the message");
            return Ok(notes);
        }
    };
    let has_owner = visit.config.s3.expected_bucket_owner.is_some();
    if matches!(location, Location::S3(_)) && !has_owner {
        notes.warn(
            "nobody says who must own the bucket: a bucket of the same name in another account would be read",
            "set `s3_bucket_owner` in overnight.toml",
        );
    }
    for dataset in visit.datasets {
        let under = &dataset.settings.files_under;
        let read = async {
            let listed = location.list(under).await?;
            let Some(first) = listed.first() else {
                return Ok(None);
            };
            let object = location.pin(first).await?;
            let head = location.read_start(&object, 1024).await?;
            let checked = object.checksum.is_some() || carries_checksums(&head);
            Ok::<_, crate::fetch::FetchError>(Some((listed.len(), first.key.clone(), checked)))
        };
        match read.await {
            Ok(Some((count, key, checked))) => {
                notes.ok(format!(
                    "`{}`: {count} objects below `{under}`, `{}` can be read{}",
                    dataset.name,
                    Printable(&key),
                    match checked {
                        true => "",
                        false => ", carries no checksum (`check --files` counts those that do not)",
                    }
                ));
            }
            Ok(None) => notes.warn(
                format!(
                    "`{}`: there is no object below `{under}` in {location}",
                    dataset.name
                ),
                "look at `files_under` and `from`, or ask whoever delivers",
            ),
            Err(error) => notes.problem(
                format!("`{}`: {error}", dataset.name),
                "the credentials need to list the prefix and to read its objects",
            ),
        }
    }
    Ok(notes)
}
