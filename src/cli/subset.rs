//! `overnight subset`: a small copy of a build that behaves like it.

use super::interrupt::{Ended, stoppable};
use super::{Desk, env, output};
use crate::config::exposed::has_password;
use crate::operation::subset::{Artifact, Destination, Made, choose, clones, sweep, take};
use crate::problem::Problem;
use crate::subset::plan::Plan;
use crate::units::{Bytes, grouped};
use anyhow::{Result, bail};
use serde_json::json;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// A dataset of the project: a folder below sources/
    #[arg(required = true)]
    dataset: Option<String>,
    /// Only say what it would hold, and why
    #[arg(long)]
    plan: bool,
    /// Take it of this build; default: the live one
    #[arg(long, value_name = "BUILD")]
    build: Option<String>,
    /// A database on another server, `postgres://…` or `env:NAME`, or an artifact, `FILE.tar.zst` or
    /// `s3://…`; default: the embedded server, under the name of the alias
    #[arg(long, value_name = "WHERE", conflicts_with = "plan")]
    to: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Restore the newest artifact on the embedded server, under the name of the alias
    Pull {
        /// A dataset, or the place of its artifact: FILE.tar.zst, FOLDER/ or s3://BUCKET/PREFIX/
        #[arg(value_name = "DATASET|WHERE")]
        what: String,
        /// Where the artifact of DATASET is; default: `artifact` in [subset] of dataset.toml
        #[arg(long, value_name = "WHERE")]
        from_artifact: Option<String>,
        /// The artifact of this build; default: the newest
        #[arg(long, value_name = "BUILD")]
        build: Option<String>,
    },
    /// Copy the subset for one test, and print how to connect
    Clone {
        /// A dataset: the name of its alias
        dataset: String,
        /// Name of the copy; default: one that nobody has
        #[arg(long, conflicts_with = "drop")]
        name: Option<String>,
        /// Drop the copy of this name instead
        #[arg(long, value_name = "NAME")]
        drop: Option<String>,
    },
    /// Drop the subset on the embedded server, with its clones
    Drop {
        /// A dataset: the name of its alias
        dataset: String,
    },
}

impl Args {
    /// Only a subset that is taken of a build needs the project's files.
    pub(super) fn works_without_project(&self) -> bool {
        self.command.is_some()
    }
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    match (&args.command, &args.dataset) {
        (None, Some(dataset)) => subset(dataset, args, desk).await,
        (Some(command), _) => own(command, desk).await,
        (None, None) => bail!(Problem::usage("name a dataset")),
    }
}

/// What is done with the embedded server alone; no project is needed.
async fn own(command: &Command, desk: &Desk) -> Result<u8> {
    match command {
        Command::Pull {
            what,
            from_artifact,
            build,
        } => pull(what, from_artifact.as_deref(), build.as_deref(), desk).await,
        Command::Clone {
            dataset,
            drop: Some(name),
            ..
        } => {
            clones::drop_clone(&desk.config, dataset, name, &env).await?;
            dropped(dataset, std::slice::from_ref(name), desk)
        }
        Command::Clone { dataset, name, .. } => {
            let made = clones::clone(&desk.config, dataset, name.as_deref(), &env).await?;
            match desk.json {
                true => output::json(&made)?,
                false => output::line(&made.url)?,
            }
            Ok(0)
        }
        Command::Drop { dataset } => {
            let names = clones::drop_all(&desk.config, dataset, &env).await?;
            dropped(dataset, &names, desk)
        }
    }
}

async fn pull(what: &str, from: Option<&str>, build: Option<&str>, desk: &Desk) -> Result<u8> {
    let config = &desk.config;
    let is_place = what.contains(['/', '.']);
    if let (true, Some(from)) = (is_place, from) {
        bail!(
            Problem::usage(format!("two places of an artifact: `{what}` and `{from}`"))
                .hint("write `overnight subset pull WHERE`, or `overnight subset pull DATASET --from-artifact WHERE`")
        );
    }
    let artifact = match is_place {
        true => Artifact::find(config, None, None, Some(what), build).await?,
        false => {
            let known = desk.known(what)?;
            Artifact::find(config, Some(what), known.as_ref(), from, build).await?
        }
    };
    let work = artifact.restore(config, &env);
    let after = sweep(config, artifact.dataset(), &Destination::Embedded, &env);
    match stoppable(work, after).await? {
        Ended::Done(made) => told(&made, desk),
        Ended::Stopped(code) => Ok(code),
    }
}

fn dropped(dataset: &str, names: &[String], desk: &Desk) -> Result<u8> {
    if desk.json {
        output::json(&json!({"dataset": dataset, "dropped": names}))?;
        return Ok(0);
    }
    if names.is_empty() {
        output::line(&format!("{dataset}: there is no subset"))?;
    }
    for name in names {
        output::line(&format!("{dataset}: `{name}` was dropped"))?;
    }
    Ok(0)
}

async fn subset(dataset: &str, args: &Args, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(dataset)?;
    if args.to.as_deref().is_some_and(has_password) {
        bail!(
            Problem::usage("--to holds a password, which every user of this machine could read")
                .hint("leave it out and use ~/.pgpass or a service file, or write --to env:NAME")
        );
    }
    let to = Destination::read(args.to.as_deref(), &env)?;
    let place = desk.workplace().await?;
    let build = args.build.as_deref();
    if args.plan {
        let chosen = choose(&place, &dataset, build).await?;
        if desk.json {
            output::json(&json!({
                "dataset": dataset.name, "rows": chosen.plan.rows(), "bytes": chosen.plan.bytes(), "plan": chosen.plan,
            }))?;
        } else {
            output::line(&describe(&chosen.plan))?;
        }
        return Ok(0);
    }
    let work = take(&place, &dataset, build, &to, &env);
    let after = sweep(&desk.config, &dataset.name, &to, &env);
    match stoppable(work, after).await? {
        Ended::Done(made) => told(&made, desk),
        Ended::Stopped(code) => Ok(code),
    }
}

fn told(made: &Made, desk: &Desk) -> Result<u8> {
    if desk.json {
        output::json(made)?;
        return Ok(0);
    }
    let bytes = made
        .bytes
        .map_or_else(String::new, |bytes| format!(", {}", Bytes(bytes)));
    output::message(&format!(
        "{}: {} rows in {} tables of `{}`{bytes}, {:.1} s",
        made.dataset,
        grouped(made.rows),
        made.tables,
        made.build,
        made.seconds
    ));
    output::line(&made.at)?;
    Ok(0)
}

/// Each table with its reasons, the largest first.
fn describe(plan: &Plan) -> String {
    let mut tables: Vec<_> = plan.tables.iter().collect();
    tables.sort_by_key(|table| std::cmp::Reverse(table.rows * table.row_bytes));
    let mut rows = Vec::new();
    for table in tables {
        let of = table.of_rows.map_or_else(|| "?".to_owned(), grouped);
        let mut why = table.why.iter().map(|why| match table.why.len() {
            1 => why.because.to_string(),
            _ => format!("{}: {}", grouped(why.rows), why.because),
        });
        let first = match table.derived {
            true => "the derive files fill it".to_owned(),
            false => why.next().unwrap_or_default(),
        };
        rows.push(vec![
            table.table.clone(),
            grouped(table.rows),
            of,
            Bytes(table.rows * table.row_bytes).to_string(),
            first,
        ]);
        rows.extend(why.map(|why| {
            let none = String::new;
            vec![none(), none(), none(), none(), why]
        }));
    }
    format!(
        "{}\n\n{} rows, about {}",
        output::table(&["table", "rows", "of about", "bytes", "why"], &rows),
        grouped(plan.rows()),
        Bytes(plan.bytes())
    )
}
