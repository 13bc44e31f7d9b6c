//! The file of `--rejects`: one CSV record for each fault of a record.

use crate::load::PlacedReject;
use crate::problem::Problem;
use anyhow::{Context, Result};
use std::path::Path;

/// The file, or nothing where none was asked for.
pub struct RejectFile {
    writer: Option<csv::Writer<std::fs::File>>,
}

impl RejectFile {
    /// Creates the file, if one is asked for, and writes the names of the columns.
    pub fn create(path: Option<&Path>) -> Result<RejectFile> {
        let writer = match path {
            Some(path) => {
                let create = || Problem::usage(format!("create `{}`", path.display()));
                let file = std::fs::File::create(path).with_context(create)?;
                let mut writer = csv::WriterBuilder::new()
                    .has_headers(false)
                    .from_writer(file);
                // Also above an empty list, so that a reader always finds the columns.
                writer
                    .write_record(PlacedReject::FIELDS)
                    .with_context(create)?;
                Some(writer)
            }
            None => None,
        };
        Ok(RejectFile { writer })
    }

    pub fn write<'a>(&mut self, rejects: impl Iterator<Item = &'a PlacedReject>) -> Result<()> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        for reject in rejects {
            writer.serialize(reject).context("write the rejects")?;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<()> {
        match &mut self.writer {
            Some(writer) => writer.flush().context("write the rejects"),
            None => Ok(()),
        }
    }
}
