//! `overnight inspect`: a shell in a build that gates have refused.

use super::{Desk, output};
use crate::operation::Workplace;
use crate::operation::inspect::{Opened, open};
use crate::problem::Problem;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::ExitStatus;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A dataset of the project: a folder below sources/
    dataset: String,
    /// Default: the newest build that gates have refused
    build: Option<String>,
    /// Runs this instead of psql, with PGHOST, PGDATABASE and so on; write it after `--`
    #[arg(last = true)]
    command: Vec<String>,
}

/// Opens the build, runs the shell and closes the build, whatever became of the shell.
pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(&args.dataset)?;
    let place = desk.workplace().await?;
    let opened = open(&place, &dataset, args.build.as_deref()).await?;
    let ended = shell(args, &place, &opened).await;
    opened.close().await?;
    // As a shell does: a command that a signal ended has no status of its own.
    Ok(ended?.code().map_or(1, |code| code as u8))
}

async fn shell(args: &Args, place: &Workplace, opened: &Opened) -> Result<ExitStatus> {
    let target = place.server.target();
    let database = &opened.build.name;
    let mut command = match args.command.as_slice() {
        [] => {
            output::message(&format!(
                "`{database}` is open until psql ends; its sessions are read only"
            ));
            let mut psql = Command::new(place.psql());
            psql.arg(target.url_for(database, None));
            psql
        }
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
    };
    command.envs(target.variables(database));
    if let Some(password) = target.own_password() {
        command.env("PGPASSWORD", password.expose());
    }
    let program = PathBuf::from(command.as_std().get_program());
    let mut child = command.spawn().with_context(|| {
        Problem::dependency(format!("start `{}`", program.display()))
            .hint("psql comes with the package postgresql-client")
    })?;
    wait(&mut child).await
}

/// Waits for the shell. Ctrl-C is for what runs in it; SIGTERM ends it.
async fn wait(child: &mut Child) -> Result<ExitStatus> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    loop {
        tokio::select! {
            ended = child.wait() => return ended.context("wait for the shell"),
            _ = interrupt.recv() => {}
            _ = terminate.recv() => child.start_kill().context("end the shell")?,
        }
    }
}
