//! `overnight completions` and `overnight man`: the command line, for shells and for `man`.

use super::output;
use crate::problem::Problem;
use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Shell that completes: bash reads it from ~/.local/share/bash-completion/completions/overnight
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Page of one command, such as `run`; otherwise that of overnight
    command: Option<String>,
}

/// Prints the completions of a shell.
pub fn completions(args: &Args, mut program: Command) -> Result<u8> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut program, "overnight", &mut text);
    print(text)
}

/// Prints a manual page.
///
/// # Errors
/// Status 2 for a command that there is not.
pub fn man(args: &ManArgs, mut program: Command) -> Result<u8> {
    program.build();
    let page = match &args.command {
        None => program,
        Some(name) => {
            let found = program.find_subcommand(name).with_context(|| {
                Problem::usage(format!("overnight has no command `{name}`"))
                    .hint("`overnight --help` lists them")
            })?;
            found.clone()
        }
    };
    let mut text = Vec::new();
    Man::new(page).render(&mut text).context("write the page")?;
    print(text)
}

fn print(text: Vec<u8>) -> Result<u8> {
    let text = String::from_utf8(text).context("write text")?;
    output::line(text.trim_end())?;
    Ok(0)
}
