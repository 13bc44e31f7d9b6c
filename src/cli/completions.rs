//! `overnight completions` and `overnight man`: the command line, for shells and for `man`.

use super::output;
use crate::problem::Problem;
use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Shell that completes: bash reads it from ~/.local/share/bash-completion/completions/overnight
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Page of one command, such as `run`; otherwise that of overnight
    command: Option<String>,
    /// Write the pages of overnight and of every command into this folder, such as ~/.local/share/man/man1
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
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
/// Status 2 for a command that there is not; status 3 for a folder that cannot be written to.
pub fn man(args: &ManArgs, mut program: Command) -> Result<u8> {
    if let Some(folder) = &args.out {
        return pages(program, folder);
    }
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

/// Writes all pages, so that what one refers to is there.
fn pages(program: Command, folder: &Path) -> Result<u8> {
    let writing = || Problem::dependency(format!("write manual pages to `{}`", folder.display()));
    std::fs::create_dir_all(folder).with_context(writing)?;
    clap_mangen::generate_to(program, folder).with_context(writing)?;
    output::line(&folder.join("overnight.1").display().to_string())?;
    Ok(0)
}

/// Prints the settings that all commands share.
pub fn settings(mut program: Command) -> Result<u8> {
    program.build();
    let own = program
        .find_subcommand_mut("settings")
        .context("find the help of the settings")?;
    output::line(own.render_long_help().to_string().trim_end())?;
    Ok(0)
}

fn print(text: Vec<u8>) -> Result<u8> {
    let text = String::from_utf8(text).context("write text")?;
    output::raw(text.trim_end());
    Ok(0)
}
