//! Gates that are asked at the last moment: what verification could not know, because it is a
//! matter of now and not of the build.

use super::{Move, consumers, group, replicas};
use crate::dataset::Dataset;
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
        dataset: &Dataset,
        to: &Build,
    ) -> Result<()> {
        self.refuse_held(row, Some(to))?;
        let mut gates: Vec<Gate> = Vec::new();
        gates.push(replicas::gate(self.ledger, self.server, to).await?);
        gates.extend(group::gate(self.unit));
        gates.extend(super::approval::gate(self.ledger, to).await?);
        gates.push(consumers::gate(self.ledger, dataset, to).await?);
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
            if let Some(group) = self.unit.group() {
                hint += &format!("; `{}` moves as a whole", group.name);
            }
            let text = format!("move `{}` to `{}`: {failed}", row.dataset, to.name);
            bail!(Problem::refused(text).hint(hint));
        }
        Ok(())
    }

    /// A hold forbids going forward; going back is what it is for.
    pub(super) fn refuse_held(&self, row: &DatasetRow, to: Option<&Build>) -> Result<()> {
        if !row.held || self.kind != Kind::Rotate || !switch::on("flip.hold") {
            return Ok(());
        }
        let (dataset, name) = (&row.dataset, self.unit.name());
        let reason = row.hold_reason.as_deref().unwrap_or("no reason given");
        let waits = match (to, self.unit.group()) {
            (Some(to), None) => format!("`{}` is verified and waits", to.name),
            _ => format!("the group `{name}` waits"),
        };
        bail!(
            Problem::refused(format!(
                "`{dataset}` is held by {} ({reason}); {waits}",
                row.held_by.as_deref().unwrap_or("somebody"),
            ))
            .hint(format!(
                "`overnight release {name}`, then `overnight rotate {name}`"
            ))
        )
    }
}
