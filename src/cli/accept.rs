//! `--accept GATE --reason TEXT`: going on in spite of a gate, with a name to it.

use crate::gate::Overrides;
use anyhow::Result;

#[derive(Debug, clap::Args)]
pub struct Accept {
    /// Go on although this gate fails, as it is named in the message; may be repeated
    #[arg(long, value_name = "GATE")]
    accept: Vec<String>,
}

impl Accept {
    /// What is accepted, and why.
    pub fn overrides(&self, reason: Option<&str>) -> Result<Overrides> {
        Overrides::new(self.accept.clone(), reason)
    }
}
