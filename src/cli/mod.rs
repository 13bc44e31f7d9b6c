//! The command line: what can be typed, and one file for each command.
//!
//! Stdout is data, stderr is messages. An error is printed once, here, with its whole chain.

mod accept;
mod audit;
mod builds;
mod check;
mod completions;
mod consumers;
mod diff;
mod doctor;
mod guard;
mod help;
mod hold;
mod infer;
mod init;
mod inspect;
mod interrupt;
mod log;
mod output;
mod plan;
mod reconcile;
mod reference;
mod reject_file;
mod report;
mod retire;
mod rotate;
mod run;
mod run_group;
mod schema;
mod screen;
mod server;
mod status;
mod subset;
mod terminal;
mod url;
mod verify;
mod waiting;

use crate::config::exposed::has_password;
use crate::config::groups::Group;
use crate::config::{Config, Settings};
use crate::dataset::{Dataset, check_name};
use crate::operation::Workplace;
use crate::postgres::error::explain_chain;
use crate::problem::{Problem, Status, hint_of, status_of};
use anyhow::{Context, Result, bail};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Builds a fresh, verified, versioned Postgres database from raw files every night, and moves
/// services onto it only when it is proven good.
#[derive(Debug, Parser)]
#[command(name = "overnight", version, arg_required_else_help = true, after_help = EXIT_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    settings: Settings,
}

const EXIT_HELP: &str = "Exit status: 0 done · 1 the data said no, the alias is untouched · 2 usage or configuration · \
3 S3, Postgres or the disk failed · 75 another run holds the lock · 128+n stopped by a signal";

/// Flags of every command.
#[derive(Debug, Clone, clap::Args)]
struct Global {
    /// Folder that holds sources/ and sql/; default: the nearest one
    #[arg(long, global = true, env = "OVERNIGHT_PROJECT", value_name = "DIR")]
    project: Option<PathBuf>,
    /// Print data as JSON
    #[arg(long, global = true, env = "OVERNIGHT_JSON", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    json: bool,
    /// More messages; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Only warnings and errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Colour on stderr
    #[arg(long, global = true, env = "OVERNIGHT_COLOR", value_name = "WHEN", default_value = "auto", value_parser = ["auto", "always", "never"])]
    color: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The nightly job: build, verify, and move the alias
    Run(run::Args),
    /// What a run would do; touches no alias
    Plan(plan::Args),
    /// Ask every gate of a build again
    Verify(verify::Args),
    /// Open a build that gates have refused, for a look; publishes nothing
    Inspect(inspect::Args),
    /// Move the alias to a verified build
    Rotate(rotate::RotateArgs),
    /// Move the alias back to an earlier build and hold it there
    Rollback(rotate::RollbackArgs),
    /// Forbid moves of the alias until released
    Hold(hold::HoldArgs),
    /// Allow moves of the alias again
    Release(hold::ReleaseArgs),
    /// Repair what a move that died has left, and say where the alias leads
    Reconcile(reconcile::Args),
    /// What is live, how old it is, what waits
    Status(status::Args),
    /// Every build that the ledger remembers
    Builds(builds::Args),
    /// What two builds differ in, table by table
    Diff(diff::Args),
    /// Everything that is known of one build
    Report(report::Args),
    /// Drop builds beyond retention, in two steps
    Retire(retire::Args),
    /// For a service's start script: may it start on the live build? Registers it
    Guard(guard::Args),
    /// The services that read a dataset, and which schema versions they support
    Consumers(consumers::Args),
    /// Who did what, when and why; with --verify, whether somebody has changed that
    Audit(audit::Args),
    /// A small copy of a build that behaves like it, for a developer's machine
    Subset(subset::Args),
    /// A connection URL for the alias
    Url(url::Args),
    /// What is wrong with the server, the rights or the inputs, and what to do; changes nothing
    Doctor(doctor::Args),
    /// Check the configuration, and with --files the raw files, without a server
    Check(check::Args),
    /// What may stand in the TOML files: a JSON Schema for editors, or a table of every key
    Schema(schema::Args),
    /// Propose a source file and a table from a raw file
    Infer(infer::Args),
    /// A project that runs as it stands, to begin with
    Init(init::Args),
    /// The embedded server
    Server(server::Args),
    /// Completions for a shell
    Completions(completions::Args),
    /// The settings that every command takes: flag, variable, and key of overnight.toml
    Settings,
    /// Manual pages: one for `man -l`, or with --out all of them
    Man(completions::ManArgs),
}

impl Command {
    /// A developer who has only pulled a subset has no project.
    fn works_without_project(&self) -> bool {
        match self {
            Command::Subset(args) => args.works_without_project(),
            Command::Url(_) | Command::Status(_) => true,
            _ => false,
        }
    }
}

/// What every command gets.
struct Desk {
    config: Config,
    json: bool,
}

impl Desk {
    fn dataset(&self, name: &str) -> Result<Dataset> {
        Dataset::read(&self.config.project, name, &self.config.control_database)
    }

    /// A dataset, where the project has one of this name; some commands need no project.
    fn known(&self, name: &str) -> Result<Option<Dataset>> {
        check_name(name)?;
        let project = &self.config.project;
        match project.join("sources").join(name).is_dir() {
            true => self.dataset(name).map(Some),
            false => Ok(None),
        }
    }

    /// The members of a group, in the order in which they are locked.
    fn members(&self, group: &Group) -> Result<Vec<Dataset>> {
        let members = group.members.iter();
        members.map(|member| self.dataset(member)).collect()
    }

    /// What became of each dataset that a name stands for: of one alone, or of the members of a group.
    fn each_as_json<T: Serialize>(&self, typed: &str, all: &[T]) -> Result<()> {
        match all {
            [one] if self.config.groups.named(typed).is_none() => output::json(one),
            all => output::json(&json!({"group": typed, "datasets": all})),
        }
    }

    async fn workplace(&self) -> Result<Workplace> {
        Workplace::open(self.config.clone(), &env).await
    }
}

/// The command line, as it is parsed and shown.
fn program() -> clap::Command {
    help::shortened(Cli::command())
}

/// The process's environment; the only place that hands it on.
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Runs the command line and gives the exit status. Data that was not written makes it 3.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map_or_else(String::new, ToString::to_string);
        output::last_words(&format!(
            "error: a fault of overnight at {place}; please report it\n"
        ));
    }));
    let code = outcome();
    let Some(error) = output::lost() else {
        return ExitCode::from(code);
    };
    output::error(&format!("write to standard output: {error}"), None);
    match code {
        0 | 1 => ExitCode::from(Status::Dependency as u8),
        code => ExitCode::from(code),
    }
}

/// Runs the command, prints its error if there is one, and gives the exit status.
fn outcome() -> u8 {
    let matches = match help::parse(program(), std::env::args_os()) {
        Ok(matches) => matches,
        Err(told) => {
            if let (Err(error), false) = (told.print(), told.use_stderr()) {
                output::lose(error);
            }
            return u8::try_from(told.exit_code()).unwrap_or(Status::Usage as u8);
        }
    };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| start(&matches)));
    match outcome {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            output::error(&explain_chain(&error), hint_of(&error));
            status_of(&error) as u8
        }
        Err(_) => 101,
    }
}

fn start(matches: &ArgMatches) -> Result<u8> {
    let cli = Cli::from_arg_matches(matches).context(Problem::usage("read the command line"))?;
    refuse_secret_in_flag(matches, &cli.settings)?;
    let color = match cli.global.color.as_str() {
        "always" => true,
        "never" => false,
        _ => env("NO_COLOR").is_none_or(|value| value.is_empty()) && output::stderr_is_terminal(),
    };
    if matches!(&cli.command, Command::Run(_)) {
        output::stamp_messages();
    }
    log::start(cli.global.verbose, cli.global.quiet, color);
    if let Command::Server(args) = &cli.command {
        // The embedded server needs no project.
        let project = cli.global.project.clone();
        return server::exec(args, project, cli.settings, cli.global.json, &env);
    }
    // These say what the program knows, and need no project.
    match &cli.command {
        Command::Schema(args) => return schema::exec(args),
        Command::Init(args) => return init::exec(args, cli.global.json),
        Command::Settings => return completions::settings(program()),
        Command::Completions(args) => return completions::completions(args, program()),
        Command::Man(args) => return completions::man(args, program()),
        _ => {}
    }
    if let Command::Guard(args) = &cli.command {
        let project = cli.global.project.clone();
        return guard::exec(args, project, cli.settings, cli.global.json, &env);
    }
    if let Command::Infer(args) = &cli.command {
        return infer::exec(
            args,
            cli.global.project,
            cli.settings,
            cli.global.json,
            &env,
        );
    }
    let config = match cli.command.works_without_project() {
        true => Config::resolve_server(cli.global.project, cli.settings, &env)?,
        false => Config::resolve(cli.global.project, cli.settings, &env)?,
    };
    let desk = Desk {
        config,
        json: cli.global.json,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let code = runtime.block_on(async {
        match &cli.command {
            Command::Run(args) => run::exec(args, &desk, cli.global.quiet).await,
            Command::Plan(args) => plan::exec(args, &desk, cli.global.quiet).await,
            Command::Verify(args) => verify::exec(args, &desk).await,
            Command::Inspect(args) => inspect::exec(args, &desk).await,
            Command::Rotate(args) => rotate::rotate(args, &desk).await,
            Command::Rollback(args) => rotate::rollback(args, &desk).await,
            Command::Hold(args) => hold::hold(args, &desk).await,
            Command::Release(args) => hold::release(args, &desk).await,
            Command::Reconcile(args) => reconcile::exec(args, &desk).await,
            Command::Status(args) => status::exec(args, &desk).await,
            Command::Builds(args) => builds::exec(args, &desk).await,
            Command::Diff(args) => diff::exec(args, &desk).await,
            Command::Report(args) => report::exec(args, &desk).await,
            Command::Retire(args) => retire::exec(args, &desk).await,
            Command::Audit(args) => audit::exec(args, &desk).await,
            Command::Consumers(args) => consumers::exec(args, &desk).await,
            Command::Subset(args) => subset::exec(args, &desk).await,
            Command::Url(args) => url::exec(args, &desk).await,
            Command::Doctor(args) => doctor::exec(args, &desk).await,
            Command::Check(args) => check::exec(args, &desk).await,
            Command::Guard(_)
            | Command::Infer(_)
            | Command::Schema(_)
            | Command::Server(_)
            | Command::Init(_)
            | Command::Settings
            | Command::Completions(_)
            | Command::Man(_) => Ok(0),
        }
    });
    // Threads that still read for a run that was stopped have nobody to answer to.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    code
}

/// A password in a flag can be read by every user of the machine.
fn refuse_secret_in_flag(matches: &ArgMatches, settings: &Settings) -> Result<()> {
    let typed = matches.value_source("target") == Some(ValueSource::CommandLine)
        || matches.subcommand().is_some_and(|(_, inner)| {
            inner.value_source("target") == Some(ValueSource::CommandLine)
        });
    let Some(target) = settings.target.as_deref().filter(|_| typed) else {
        return Ok(());
    };
    if has_password(target) {
        bail!(
            Problem::usage("--target holds a password, which every user of this machine could read")
                .hint("leave it out and use PGPASSWORD, ~/.pgpass or a service file, or set OVERNIGHT_TARGET, or write --target env:NAME")
        );
    }
    Ok(())
}

/// The worse of two exit statuses, for commands that go on after a failure: a broken dependency
/// is worse than a refusal, and a lock is the least.
fn worse(a: Option<Status>, b: Status) -> Status {
    let rank = |status: Status| match status {
        Status::Busy => 0,
        Status::Refused => 1,
        Status::Usage => 2,
        Status::Dependency => 3,
    };
    match a {
        Some(a) if rank(a) >= rank(b) => a,
        _ => b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        program().debug_assert();
    }

    #[test]
    fn every_argument_has_a_help_text_and_the_short_help_leaves_the_settings_out() {
        fn look(command: &clap::Command, path: &str) {
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{path}: {}", arg.get_id());
            }
            for inner in command
                .get_subcommands()
                .filter(|one| one.get_name() != "help")
            {
                look(inner, &format!("{path} {}", inner.get_name()));
            }
        }
        let mut all = program();
        all.build();
        look(&all, "overnight");
        let status = all.find_subcommand_mut("status").unwrap();
        let short = status.render_help().to_string();
        let long = status.render_long_help().to_string();
        assert!(!short.contains("--flip-limit"), "{short}");
        assert!(long.contains("--flip-limit"), "{long}");
        assert!(short.lines().count() < 25, "{short}");
    }

    #[test]
    fn a_password_in_a_flag_is_refused_and_a_user_is_not() {
        let parse = |target: &str| {
            let matches = Cli::command()
                .try_get_matches_from(["overnight", "status", "--target", target])
                .unwrap();
            let cli = Cli::from_arg_matches(&matches).unwrap();
            refuse_secret_in_flag(&matches, &cli.settings)
        };
        assert!(parse("postgres://loader:secret@db/").is_err());
        assert!(parse("host=db password=secret").is_err());
        assert!(parse("postgres://loader@db/").is_ok());
        assert!(parse("postgres://loader@db:5432/x").is_ok());
    }
}
