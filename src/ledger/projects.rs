//! Which project publishes a dataset, so that another one of the same name is noticed.

use super::{Ledger, host};
use anyhow::{Context, Result};

/// A project folder, and the machine it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectPlace {
    pub folder: String,
    pub host: String,
}

impl ProjectPlace {
    /// A folder of this machine.
    pub fn here(folder: String) -> ProjectPlace {
        ProjectPlace {
            folder,
            host: host(),
        }
    }
}

impl Ledger {
    /// The project that built a dataset last; `None` where no run has recorded one.
    pub async fn project_of(&self, dataset: &str) -> Result<Option<ProjectPlace>> {
        let row = self
            .session
            .query_opt(
                "select project, project_host from ledger.dataset where dataset = $1 and project is not null",
                &[&dataset],
            )
            .await
            .context("ask which project publishes the dataset")?;
        Ok(row.map(|row| ProjectPlace {
            folder: row.get(0),
            host: row.get::<_, Option<String>>(1).unwrap_or_default(),
        }))
    }

    /// Records the project that publishes a dataset from now on.
    pub async fn set_project(&self, dataset: &str, project: &ProjectPlace) -> Result<()> {
        self.session
            .execute(
                "update ledger.dataset set project = $2, project_host = $3 where dataset = $1",
                &[&dataset, &project.folder, &project.host],
            )
            .await
            .context("record which project publishes the dataset")?;
        Ok(())
    }
}
