//! `--accept GATE --reason TEXT`: going on in spite of a gate, with a name to it.

use crate::dataset::Dataset;
use crate::gate::Overrides;
use crate::schema::files::SqlFiles;
use crate::verify::names::GateNames;
use anyhow::{Result, bail};

#[derive(Debug, clap::Args)]
pub struct Accept {
    /// Go on although this gate fails, as it is named in the message; may be repeated
    #[arg(long, value_name = "GATE")]
    accept: Vec<String>,
}

impl Accept {
    /// What is accepted, and why.
    ///
    /// # Errors
    /// Status 2 for a name that no gate of these datasets can have, and as for [`Overrides::new`].
    pub fn overrides<'d>(
        &self,
        reason: Option<&str>,
        datasets: impl IntoIterator<Item = &'d Dataset>,
    ) -> Result<Overrides> {
        let overrides = Overrides::new(self.accept.clone(), reason)?;
        if self.accept.is_empty() {
            return Ok(overrides);
        }
        let mut names = GateNames::default();
        for dataset in datasets {
            names.add(dataset, &SqlFiles::read(&dataset.sql)?);
        }
        let unknown = self.accept.iter().find(|gate| !names.has(gate));
        match unknown {
            Some(gate) => bail!(names.unknown(gate)),
            None => Ok(overrides),
        }
    }
}
