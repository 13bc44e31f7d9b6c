//! Where a build stops for an operator.

use super::{Options, Run};
use crate::ledger::approvals::Answer;
use crate::ledger::{Build, Ledger};
use crate::switch;
use anyhow::Result;

impl Run<'_> {
    /// Writes down that a build waits for an operator, where somebody wants that.
    pub(super) async fn ask_approval(&self, build: &Build, options: &Options) -> Result<()> {
        let declared = self.dataset.settings.approval;
        match declared.or_else(|| options.approve.then(Default::default)) {
            Some(approval) => self.ledger.ask_approval(build, approval.expires.0).await,
            None => Ok(()),
        }
    }

    /// Whether nobody let the build pass in time.
    pub(super) async fn is_too_old(&self, build: &Build) -> Result<bool> {
        let approval = self.ledger.approval(build).await?;
        Ok(approval.is_some_and(|approval| approval.answer == Answer::Expired))
    }
}

/// Until when a build waits for an operator; `None` where it need not.
pub(super) async fn waiting_until(ledger: &Ledger, build: &Build) -> Result<Option<String>> {
    let approval = ledger.approval(build).await?;
    let waits = approval
        .filter(|approval| approval.answer != Answer::Approved && switch::on("approval.wait"));
    Ok(waits.map(|approval| approval.expires_at))
}
