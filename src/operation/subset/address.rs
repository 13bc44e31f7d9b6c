//! Where an artifact is: one file, or a folder or prefix that holds one for each build.

use crate::config::Config;
use crate::fetch::{FetchError, Location, RawObject, Upload};
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;

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
    /// Reads an address; `{dataset}` stands for the dataset, and a place without the name of a file has
    /// one artifact for each build.
    ///
    /// # Errors
    /// Status 2 for a file that has another ending.
    pub(super) fn read(text: &str, dataset: Option<&str>, build: Option<&str>) -> Result<Address> {
        let text = match dataset {
            Some(dataset) => text.replace("{dataset}", dataset),
            None => text.to_owned(),
        };
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

    /// Fails when artifacts are of more than one dataset.
    fn of_one_dataset<'a>(&self, datasets: impl Iterator<Item = &'a str>) -> Result<()> {
        let datasets: BTreeSet<&str> = datasets.collect();
        let mut names = datasets.iter();
        let (Some(first), Some(_)) = (names.next(), names.next()) else {
            return Ok(());
        };
        let all: Vec<&str> = datasets.iter().copied().collect();
        bail!(
            Problem::usage(format!(
                "`{}` holds artifacts of {} datasets: {}",
                self.place,
                all.len(),
                all.join(", ")
            ))
            .hint(format!(
                "name one: `overnight subset pull {first} --from-artifact {}`",
                self.place
            ))
        )
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

    /// Finds the artifact; of several, that of the newest build, which its name says. Without a dataset
    /// the place must hold artifacts of one only.
    ///
    /// # Errors
    /// Status 1 when there is none, status 2 when it must be said of which dataset.
    pub(super) async fn find(
        &self,
        config: &Config,
        dataset: Option<&str>,
    ) -> Result<(Location, RawObject)> {
        let location = self.open(config).await?;
        let looking = || format!("look for an artifact in `{}`", self.place);
        let listed = match &self.key {
            Some(key) => location.exists(key).await.with_context(looking)?,
            None => {
                let mut all = location.list("").await.with_context(looking)?;
                all.retain(|one| {
                    dataset_of(&one.key).is_some_and(|of| dataset.is_none_or(|name| of == name))
                });
                self.of_one_dataset(all.iter().filter_map(|one| dataset_of(&one.key)))?;
                all.into_iter().max_by(|a, b| a.key.cmp(&b.key))
            }
        };
        let Some(listed) = listed else {
            bail!(
                Problem::refused(match (&self.key, dataset) {
                    (Some(_), _) => format!("there is no artifact `{}`", self.text()),
                    (None, Some(dataset)) =>
                        format!("there is no artifact of `{dataset}` in `{}`", self.place),
                    (None, None) => format!("there is no artifact in `{}`", self.place),
                })
                .hint(format!(
                    "the nightly run writes one where [subset] has `artifact`, or by hand: `overnight subset {} --to {}`",
                    dataset.unwrap_or("DATASET"),
                    self.place
                ))
            );
        };
        let object = location
            .pin(&listed)
            .await
            .with_context(|| format!("pin `{}`", crate::printable::Printable(&listed.key)))?;
        Ok((location, object))
    }
}

/// The dataset of `planinfo_20261121t051002z.tar.zst`, directly at the place.
fn dataset_of(key: &str) -> Option<&str> {
    let (dataset, time) = key.strip_suffix(ENDING)?.rsplit_once('_')?;
    let is_time = time.len() == 16
        && time.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b't',
            15 => byte == b'z',
            _ => byte.is_ascii_digit(),
        });
    (is_time && !dataset.contains('/')).then_some(dataset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_file_or_a_place_with_one_for_each_build() {
        let read = |text| {
            Address::read(text, Some("plan"), Some("plan_1"))
                .unwrap()
                .text()
        };
        assert_eq!(read("s3://b/{dataset}/"), "s3://b/plan/plan_1.tar.zst");
        assert_eq!(read("s3://b/x/small.tar.zst"), "s3://b/x/small.tar.zst");
        assert_eq!(read("small.tar.zst"), "./small.tar.zst");
        assert!(Address::read("small.zip", Some("plan"), None).is_err());
    }

    #[test]
    fn only_builds_of_the_dataset_are_artifacts_of_it() {
        assert_eq!(dataset_of("plan_20261121t051002z.tar.zst"), Some("plan"));
        for other in [
            "plan_b_20261121t051002z.tar.zst",
            "old/plan_20261121t051002z.tar.zst",
            "plan_20261121t051002z.tar",
            "plan_small.tar.zst",
        ] {
            assert_ne!(dataset_of(other), Some("plan"), "{other}");
        }
    }
}
