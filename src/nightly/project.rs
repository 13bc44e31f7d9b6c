//! The gate `project`: whether it was this project that published the dataset before.
//!
//! Two projects can have a dataset of one name, and one ledger: each would publish to the alias of the
//! other. A project is known by its folder. One that was moved is let pass: its old folder does not hold
//! the dataset any more.

use crate::dataset::Dataset;
use crate::gate::{Gate, Overrides, Verdict};
use crate::ledger::Ledger;
use crate::ledger::projects::ProjectPlace;
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::path::Path;

/// What `--accept` calls the gate.
pub const GATE: &str = "project";

/// Asked before anything is built; afterwards the dataset is this project's.
///
/// # Errors
/// Status 1 with the folders of both projects.
pub(super) async fn gate(
    ledger: &Ledger,
    project: &Path,
    dataset: &Dataset,
    overrides: &Overrides,
) -> Result<()> {
    let folder = std::path::absolute(project).context("find the folder of the project")?;
    let here = ProjectPlace::here(folder.display().to_string());
    let name = &dataset.name;
    let Some(before) = ledger.project_of(name).await? else {
        return ledger.set_project(name, &here).await;
    };
    if before == here {
        return Ok(());
    }
    // The same folder on another machine is another checkout of the same project.
    let moved = before.folder == here.folder
        || before.host == here.host && !holds(Path::new(&before.folder), name);
    let finding = format!(
        "`{name}` was built by the project `{}` on {}, and this is `{}` on {}",
        before.folder, before.host, here.folder, here.host
    );
    let mut gates = [Gate::new(GATE, moved, finding)];
    overrides.apply(&mut gates);
    let [gate] = gates;
    match gate.verdict {
        Verdict::Failed => bail!(Problem::refused(format!("{GATE}: {}", gate.finding)).hint(
            "two projects must not publish to one alias: rename the dataset of one, or set another `control_database` and server; \
             if the project has moved here: --accept project --reason TEXT, once"
        )),
        Verdict::Accepted => {
            let detail = format!("{GATE}: {} ({})", gate.finding, overrides.reason());
            ledger.event(name, None, "accepted", &detail).await?;
        }
        Verdict::Passed | Verdict::Warned => {}
    }
    ledger.set_project(name, &here).await
}

fn holds(project: &Path, dataset: &str) -> bool {
    project.join("sources").join(dataset).is_dir()
}
