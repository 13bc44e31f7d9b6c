//! `overnight server`: the embedded server.

use super::output;
use crate::config::{Config, Env, Settings};
use crate::embedded::{self, Embedded, Status};
use crate::operation::options;
use crate::postgres::Target;
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Start it, making the cluster on first use
    Start,
    /// Stop it; its data stay
    Stop,
    /// Whether it runs, and where
    Status,
    /// Open psql on a database of it
    Psql {
        /// Default: the control database
        database: Option<String>,
        /// Passed on to psql, after `--`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
}

pub fn exec(
    args: &Args,
    project: Option<PathBuf>,
    settings: Settings,
    as_json: bool,
    env: Env,
) -> Result<u8> {
    let config = Config::resolve_server(project, settings, env)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    match &args.what {
        What::Start => runtime.block_on(async {
            let server = Embedded::ensure_running(&config.home, &options(&config, env)).await?;
            report(&Status::Running(server), as_json)
        }),
        What::Stop => {
            let stopped = runtime.block_on(embedded::stop(&config.home, &options(&config, env)))?;
            if as_json {
                output::json(&json!({ "stopped": stopped }))?;
            } else {
                output::line(if stopped {
                    "stopped"
                } else {
                    "was not running"
                })?;
            }
            Ok(0)
        }
        What::Status => {
            let status = runtime.block_on(embedded::status(&config.home))?;
            report(&status, as_json)
        }
        What::Psql {
            database,
            arguments,
        } => {
            let server = runtime.block_on(Embedded::ensure_running(
                &config.home,
                &options(&config, env),
            ))?;
            psql(
                &server,
                database.as_deref().unwrap_or(&config.control_database),
                arguments,
            )
        }
    }
}

fn report(status: &Status, as_json: bool) -> Result<u8> {
    let (state, text) = match status {
        Status::Absent => (
            json!({"state": "absent"}),
            "there is no embedded server yet".to_owned(),
        ),
        Status::Stopped { major, data } => (
            json!({"state": "stopped", "version": major, "data": data}),
            format!("PostgreSQL {major} is stopped, data in {}", data.display()),
        ),
        Status::Running(server) => (
            json!({
                "state": "running",
                "version": server.major(),
                "pid": server.pid(),
                "data": server.data(),
                "log": server.log(),
                "url": server.target().url_for("postgres", None),
            }),
            format!(
                "PostgreSQL {} runs as process {}\n  data  {}\n  log   {}\n  url   {}",
                server.major(),
                server.pid(),
                server.data().display(),
                server.log().display(),
                server.target().url_for("postgres", None)
            ),
        ),
    };
    if as_json {
        output::json(&state)?;
    } else {
        output::line(&text)?;
    }
    Ok(0)
}

/// Becomes psql.
fn psql(server: &Embedded, database: &str, arguments: &[String]) -> Result<u8> {
    let target: Target = server.target();
    let program = server.psql();
    let error = std::process::Command::new(&program)
        .arg(target.url_for(database, None))
        .args(arguments)
        .exec();
    bail!(
        Problem::dependency(format!("start `{}`: {error}", program.display()))
            .hint("psql comes with the package postgresql-client")
    )
}
