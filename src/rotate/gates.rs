//! Gates that are asked at the last moment: what verification could not know, because it is a
//! matter of now and not of the build.

use super::{Move, consumers, replicas};
use crate::gate::{Gate, failures};
use crate::ledger::flips::Kind;
use crate::ledger::{Build, DatasetRow};
use crate::problem::Problem;
use crate::switch;
use anyhow::{Result, bail};

impl Move<'_> {
    /// Asks every gate before the alias may move from `from` to `to`.
    ///
    /// # Errors
    /// Status 1 that lists the gates that forbid it; a gate that cannot be asked is an error too.
    pub(super) async fn ask_gates(
        &self,
        row: &DatasetRow,
        _from: Option<&Build>,
        to: &Build,
    ) -> Result<()> {
        self.refuse_held(row, to)?;
        let mut gates: Vec<Gate> = Vec::new();
        gates.push(replicas::gate(self.ledger, self.server, to).await?);
        gates.extend(super::approval::gate(self.ledger, to).await?);
        gates.push(consumers::gate(self.ledger, self.dataset, to).await?);
        self.overrides.apply(&mut gates);
        self.ledger
            .record_findings(to, "rotate", &gates, self.overrides)
            .await?;
        if let Some(failed) = failures(&gates) {
            let mut hint =
                "the alias was not touched; services stay on the build they have".to_owned();
            if gates
                .iter()
                .any(|gate| gate.gate == consumers::GATE && gate.stops())
            {
                hint += &format!("; {}", consumers::hint(&row.dataset));
            }
            let text = format!("move `{}` to `{}`: {failed}", row.dataset, to.name);
            bail!(Problem::refused(text).hint(hint));
        }
        Ok(())
    }

    /// A hold forbids going forward; going back is what it is for.
    fn refuse_held(&self, row: &DatasetRow, to: &Build) -> Result<()> {
        if !row.held || self.kind != Kind::Rotate || !switch::on("flip.hold") {
            return Ok(());
        }
        let dataset = &row.dataset;
        let reason = row.hold_reason.as_deref().unwrap_or("no reason given");
        bail!(
            Problem::refused(format!(
                "`{dataset}` is held by {} ({reason}); `{}` is verified and waits",
                row.held_by.as_deref().unwrap_or("somebody"),
                to.name
            ))
            .hint(format!(
                "`overnight release {dataset}`, then `overnight rotate {dataset}`"
            ))
        )
    }
}
