//! Restores an artifact on the embedded server. The artifact says everything: no project is needed.

use super::address::Address;
use super::{Destination, Made, Recipients};
use crate::config::{Config, Env};
use crate::dataset::{Dataset, check_name};
use crate::fetch::{Location, RawObject};
use crate::postgres::check_ident;
use crate::printable::Printable;
use crate::problem::Problem;
use crate::subset::artifact::Reader;
use crate::subset::head::Head;
use crate::subset::recipient::Recipient;
use anyhow::{Context, Result, bail};
use std::time::Instant;

/// An artifact whose head was read.
pub struct Artifact {
    object: RawObject,
    location: Location,
    head: Head,
    began: Instant,
}

impl Artifact {
    /// Finds an artifact, the newest unless a build is named, and reads its head. `known` is the dataset
    /// of the project, where there is one: it says where the artifact is, and who reads.
    ///
    /// # Errors
    /// Status 2 when it is not known where to look, status 1 when there is none, or one of another dataset.
    pub async fn find(
        config: &Config,
        dataset: Option<&str>,
        known: Option<&Dataset>,
        from: Option<&str>,
        build: Option<&str>,
    ) -> Result<Artifact> {
        let began = Instant::now();
        let text = from
            .or(known.and_then(|known| known.settings.subset.artifact.as_deref()))
            .with_context(|| {
                Problem::usage("no artifact: where is it?").hint(
                    "`overnight subset pull s3://BUCKET/PREFIX/`, or a folder or file, or `artifact` in [subset] of dataset.toml",
                )
            })?;
        let address = Address::read(text, dataset, build)?;
        let (location, object) = address.find(config, dataset).await?;
        let reader = Reader::open(&location, &object)
            .await
            .with_context(|| format!("read `{}`", Printable(&object.key)))?;
        let mut head = reader.head().clone();
        if let Some(dataset) = dataset.filter(|dataset| *dataset != head.dataset) {
            bail!(Problem::refused(format!(
                "`{}` is a subset of `{}`, not of `{dataset}`",
                object.key, head.dataset
            )));
        }
        check_name(&head.dataset).with_context(|| format!("read `{}`", Printable(&object.key)))?;
        if let Some(known) = known {
            head.readers.clone_from(&known.settings.readers);
        }
        for reader in &head.readers {
            check_ident(reader).with_context(|| format!("read `{}`", Printable(&object.key)))?;
        }
        Ok(Artifact {
            object,
            location,
            head,
            began,
        })
    }

    /// The dataset whose subset it is.
    pub fn dataset(&self) -> &str {
        &self.head.dataset
    }

    /// Restores it on the embedded server.
    ///
    /// # Errors
    /// Status 1 for an artifact that is broken; what was there before stays.
    pub async fn restore(&self, config: &Config, env: Env<'_>) -> Result<Made> {
        let head = &self.head;
        let to = Destination::Embedded;
        let target = Recipients::open(config, &head.dataset, &head.readers, &to, env).await?;
        let mut reader = Reader::open(&self.location, &self.object)
            .await
            .with_context(|| format!("read `{}`", Printable(&self.object.key)))?;
        let copied = async |recipient: &Recipient<'_>| {
            for table in &recipient.head.tables {
                let mut receiver = recipient.receive(table).await?;
                reader
                    .table(async |bytes| receiver.write(bytes).await)
                    .await?;
                receiver.finish().await?;
            }
            reader.finish().await
        };
        let at = target
            .fill(head, copied)
            .await
            .with_context(|| format!("restore `{}`", Printable(&self.object.key)))?;
        Ok(Made {
            dataset: head.dataset.clone(),
            build: head.build.clone(),
            rows: head.rows(),
            tables: head.tables.len(),
            at,
            bytes: Some(self.object.size),
            seconds: self.began.elapsed().as_secs_f64(),
        })
    }
}
