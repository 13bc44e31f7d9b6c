//! The gate that asks whether somebody has let a build pass.

use crate::gate::Gate;
use crate::ledger::approvals::Answer;
use crate::ledger::{Build, Ledger, State};
use crate::switch;
use anyhow::Result;

/// `None` where nobody has to be asked. A build that was published once has been let pass.
pub(super) async fn gate(ledger: &Ledger, to: &Build) -> Result<Option<Gate>> {
    if to.state == State::Published {
        return Ok(None);
    }
    let Some(approval) = ledger.approval(to).await? else {
        return Ok(None);
    };
    let (passed, finding) = match approval.answer {
        Answer::Approved => (
            true,
            format!("by {}", approval.approved_by.unwrap_or_default()),
        ),
        Answer::Waiting => (
            false,
            format!(
                "nobody has approved it yet; `overnight rotate {}` does, until {}",
                to.dataset, approval.expires_at
            ),
        ),
        Answer::Expired => (
            false,
            format!(
                "nobody approved it before {}; the next run builds anew",
                approval.expires_at
            ),
        ),
    };
    let passed = passed || !switch::on("approval.gate");
    Ok(Some(Gate::new("approval", passed, finding)))
}
