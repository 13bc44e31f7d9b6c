//! Where an artifact is: one file, or a folder or prefix that holds one for each build.

use crate::config::Config;
use crate::fetch::{FetchError, Location, RawObject, Upload};
use crate::problem::Problem;
use anyhow::{Context, Result, bail};

/// The ending of artifacts.
const ENDING: &str = ".tar.zst";

/// An address, cut into the place and the name in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// With its last slash, if there is one.
    place: String,
    /// `None`: the newest.
    key: Option<String>,
}

impl Address {
    /// Reads what somebody wrote; `{dataset}` stands for the dataset, and a place without the name of a
    /// file has one for each build.
    ///
    /// # Errors
    /// Status 2 for a file that has another ending.
    pub(super) fn read(text: &str, dataset: &str, build: Option<&str>) -> Result<Address> {
        let text = text.replace("{dataset}", dataset);
        let is_place =
            text.ends_with('/') || (!text.contains("://") && std::path::Path::new(&text).is_dir());
        if is_place {
            return Ok(Address {
                place: format!("{}/", text.trim_end_matches('/')),
                key: build.map(|build| format!("{build}{ENDING}")),
            });
        }
        if !text.ends_with(ENDING) {
            bail!(
                Problem::usage(format!("`{text}` cannot be an artifact"))
                    .hint(format!("write a file that ends with `{ENDING}`, or a folder or prefix that ends with `/`"))
            );
        }
        let (place, key) = match text.rsplit_once('/') {
            Some((place, key)) => (format!("{place}/"), key.to_owned()),
            None => ("./".to_owned(), text),
        };
        Ok(Address {
            place,
            key: Some(key),
        })
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        format!("{}{}", self.place, self.key.as_deref().unwrap_or_default())
    }

    async fn open(&self, config: &Config) -> Result<Location> {
        Location::open(&self.place, &config.s3)
            .await
            .map_err(|error| {
                let status = match &error {
                    FetchError::NoFolder { .. } | FetchError::BadLocation { .. } => Problem::usage,
                    _ => Problem::dependency,
                };
                anyhow::Error::new(error).context(status(format!("open `{}`", self.place)))
            })
    }

    /// Begins to write; a folder is made if it is not there.
    pub(super) async fn writer(&self, config: &Config) -> Result<Upload> {
        let Some(key) = &self.key else {
            bail!("write an artifact: it has no name");
        };
        if !self.place.contains("://") {
            std::fs::create_dir_all(&self.place).with_context(|| {
                Problem::dependency(format!("make the folder `{}`", self.place))
            })?;
        }
        let location = self.open(config).await?;
        location
            .writer(key)
            .await
            .with_context(|| format!("write `{}`", self.text()))
    }

    /// Finds the artifact; of several, that of the newest build, which its name tells.
    ///
    /// # Errors
    /// Status 1 when there is none.
    pub(super) async fn find(
        &self,
        config: &Config,
        dataset: &str,
    ) -> Result<(Location, RawObject)> {
        let location = self.open(config).await?;
        let listed = match &self.key {
            Some(key) => location.exists(key).await,
            None => location.list("").await.map(|all| {
                all.into_iter()
                    .filter(|one| is_artifact_of(&one.key, dataset))
                    .max_by(|a, b| a.key.cmp(&b.key))
            }),
        };
        let listed = listed.with_context(|| format!("look for an artifact in `{}`", self.place))?;
        let Some(listed) = listed else {
            bail!(
                Problem::refused(match &self.key {
                    Some(_) => format!("there is no artifact `{}`", self.text()),
                    None => format!("there is no artifact of `{dataset}` in `{}`", self.place),
                })
                .hint(format!(
                    "the nightly run writes one where [subset] has `artifact`, or by hand: `overnight subset {dataset} --to {}`",
                    self.place
                ))
            );
        };
        let object = location
            .pin(&listed)
            .await
            .with_context(|| format!("pin `{}`", listed.key))?;
        Ok((location, object))
    }
}

/// `planinfo_20261121t051002z.tar.zst`, directly at the place.
fn is_artifact_of(key: &str, dataset: &str) -> bool {
    let time = key
        .strip_prefix(dataset)
        .and_then(|rest| rest.strip_prefix('_'))
        .and_then(|rest| rest.strip_suffix(ENDING));
    time.is_some_and(|time| {
        time.len() == 16
            && time.bytes().enumerate().all(|(at, byte)| match at {
                8 => byte == b't',
                15 => byte == b'z',
                _ => byte.is_ascii_digit(),
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_file_or_a_place_with_one_for_each_build() {
        let read = |text| Address::read(text, "plan", Some("plan_1")).unwrap().text();
        assert_eq!(read("s3://b/{dataset}/"), "s3://b/plan/plan_1.tar.zst");
        assert_eq!(read("s3://b/x/small.tar.zst"), "s3://b/x/small.tar.zst");
        assert_eq!(read("small.tar.zst"), "./small.tar.zst");
        assert!(Address::read("small.zip", "plan", None).is_err());
    }

    #[test]
    fn only_builds_of_the_dataset_are_artifacts_of_it() {
        assert!(is_artifact_of("plan_20261121t051002z.tar.zst", "plan"));
        for other in [
            "plan_b_20261121t051002z.tar.zst",
            "old/plan_20261121t051002z.tar.zst",
            "plan_20261121t051002z.tar",
            "plan_small.tar.zst",
        ] {
            assert!(!is_artifact_of(other, "plan"), "{other}");
        }
    }
}
