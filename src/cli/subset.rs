//! `overnight subset`: a small copy of a build that behaves like it.

use super::interrupt::{Ended, stoppable};
use super::{Desk, env, holds_password, output};
use crate::operation::subset::{Destination, Made, choose, clones, pull, sweep, take};
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
        dataset: String,
        /// A file, or a folder or prefix; default: `artifact` in [subset] of dataset.toml
        #[arg(long, value_name = "WHERE")]
        from_artifact: Option<String>,
        /// The artifact of this build; default: the newest
        #[arg(long, value_name = "BUILD")]
        build: Option<String>,
    },
    /// Copy the subset for one test, and print how to connect
    Clone {
        dataset: String,
        /// Name of the copy; default: one that nobody has
        #[arg(long, conflicts_with = "drop")]
        name: Option<String>,
        /// Drop the copy of this name instead
        #[arg(long, value_name = "NAME")]
        drop: Option<String>,
    },
    /// Drop the subset on the embedded server, with its clones
    Drop { dataset: String },
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    match (&args.command, &args.dataset) {
        (None, Some(dataset)) => subset(dataset, args, desk).await,
        (
            Some(Command::Pull {
                dataset,
                from_artifact,
                build,
            }),
            _,
        ) => {
            let dataset = desk.dataset(dataset)?;
            let from = from_artifact.as_deref();
            let work = pull(&desk.config, &dataset, from, build.as_deref(), &env);
            let after = sweep(&desk.config, &dataset, &Destination::Embedded, &env);
            match stoppable(work, after).await? {
                Ended::Done(made) => told(&made, desk),
                Ended::Stopped(code) => Ok(code),
            }
        }
        (
            Some(Command::Clone {
                dataset,
                name,
                drop,
            }),
            _,
        ) => {
            let dataset = desk.dataset(dataset)?;
            if let Some(name) = drop {
                clones::drop_clone(&desk.config, &dataset, name, &env).await?;
                if desk.json {
                    output::json(&json!({"dataset": dataset.name, "dropped": [name]}))?;
                } else {
                    output::line(&format!("{}: `{name}` was dropped", dataset.name))?;
                }
                return Ok(0);
            }
            let made = clones::clone(&desk.config, &dataset, name.as_deref(), &env).await?;
            if desk.json {
                output::json(&made)?;
            } else {
                output::line(&made.url)?;
            }
            Ok(0)
        }
        (Some(Command::Drop { dataset }), _) => {
            let dataset = desk.dataset(dataset)?;
            let dropped = clones::drop_all(&desk.config, &dataset, &env).await?;
            if desk.json {
                output::json(&json!({"dataset": dataset.name, "dropped": dropped}))?;
            } else if dropped.is_empty() {
                output::line(&format!("{}: there is no subset", dataset.name))?;
            }
            for name in dropped.iter().filter(|_| !desk.json) {
                output::line(&format!("{}: `{name}` was dropped", dataset.name))?;
            }
            Ok(0)
        }
        (None, None) => bail!(Problem::usage("name a dataset")),
    }
}

async fn subset(dataset: &str, args: &Args, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(dataset)?;
    if args.to.as_deref().is_some_and(holds_password) {
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
    let after = sweep(&desk.config, &dataset, &to, &env);
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
