//! What a group adds to a move: its members go together or not at all.

use super::{Goal, Move};
use crate::config::groups::Unit;
use crate::gate::Gate;
use crate::switch;
use anyhow::Result;

/// What `--accept` calls the gate.
pub const GATE: &str = "group";

/// Asked when one member of a group is to move without the others.
pub(super) fn gate(unit: Unit<'_>) -> Option<Gate> {
    let Unit::Member(dataset, group) = unit else {
        return None;
    };
    let finding = format!(
        "it is in the group `{0}` and moves with {1}: name the group, `{0}`; to move it alone: --accept group --reason TEXT",
        group.name,
        group.others(&[dataset])
    );
    Some(Gate::new(GATE, !switch::on("flip.group"), finding))
}

impl Move<'_> {
    /// A member without a new build does not move, but somebody who holds it holds the group.
    pub(super) async fn refuse_held_beside(&self, goals: &[Goal<'_>]) -> Result<()> {
        let Some(group) = self.unit.group() else {
            return Ok(());
        };
        for member in &group.members {
            if goals.iter().all(|goal| goal.dataset.name != *member) {
                self.refuse_held(&self.ledger.dataset(member).await?, None)?;
            }
        }
        Ok(())
    }
}
