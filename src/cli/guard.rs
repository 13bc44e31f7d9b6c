//! `overnight guard`: for the start script of a service.

use super::output;
use crate::config::{Config, Env, Settings};
use crate::embedded::{self, Status};
use crate::ledger::supports::Supports;
use crate::operation::Workplace;
use crate::operation::guard::guard;
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A dataset: the name of its alias
    dataset: String,
    /// Schema versions that the service supports: 5..7, 5, or 5.. without an end
    #[arg(long, value_name = "VERSIONS")]
    supports: String,
    /// Name of the service; each release that runs beside another needs its own
    #[arg(long, value_name = "NAME")]
    consumer: String,
}

/// Needs no project: the host of a service has none.
pub fn exec(
    args: &Args,
    project: Option<PathBuf>,
    settings: Settings,
    as_json: bool,
    env: Env,
) -> Result<u8> {
    let supports: Supports = args.supports.parse()?;
    let config = Config::resolve_server(project, settings, env)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(async {
        let private = config.target.is_none();
        if private && matches!(embedded::status(&config.home).await?, Status::Absent) {
            bail!(
                Problem::usage("no target: on which server is the database?")
                    .hint("--target postgres://READER@HOST/ or OVERNIGHT_TARGET")
            );
        }
        let place = Workplace::open(config, env).await?;
        let guarded = guard(&place, &args.dataset, &args.consumer, supports).await?;
        if let Some(why) = &guarded.not_registered {
            tracing::warn!(
                "`{}` was checked and could not be registered, so a move of `{}` will not ask for it: {why}; \
                 `consumers_register = true` in dataset.toml lets readers register",
                guarded.consumer,
                guarded.dataset
            );
        }
        if as_json {
            output::json(&guarded)?;
        } else {
            output::line(&format!(
                "{}: `{}` has schema version {}, `{}` supports {supports}",
                guarded.dataset, guarded.build, guarded.schema_version, guarded.consumer
            ))?;
        }
        Ok(0)
    })
}
