//! What `-h` and usage lines show: the command's own part.
//!
//! The settings are arguments of every command. `-h` leaves them out; `--help` and
//! `overnight help settings` show them.

use clap::error::{ContextKind, ContextValue, Error};
use clap::{ArgMatches, Command};
use std::ffi::OsString;

/// Heading of the shared settings in the long help.
pub const SETTINGS: &str = "Settings (also keys of overnight.toml)";

/// Leaves the shared settings out of the short help of all commands.
pub fn shortened(program: Command) -> Command {
    program.mut_args(|arg| match arg.get_help_heading() == Some(SETTINGS) {
        true => arg.hide_short_help(true),
        false => arg,
    })
}

/// Parses the command line.
///
/// # Errors
/// A usage error, or the text of `--help` or `--version`, to be printed.
pub fn parse(
    program: Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<ArgMatches, Error> {
    program
        .try_get_matches_from(arguments)
        .map_err(with_plain_usage)
}

/// A usage line names the command and what it lacks, not the settings that variables have set.
fn with_plain_usage(mut error: Error) -> Error {
    let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) else {
        return error;
    };
    let plain = plain_usage(&usage.to_string());
    error.insert(ContextKind::Usage, ContextValue::StyledStr(plain.into()));
    error
}

/// Takes out flags with their values; what may be written in brackets stays.
fn plain_usage(usage: &str) -> String {
    let mut words = usage.split_whitespace().peekable();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if !word.starts_with("--") {
            kept.push(word);
            continue;
        }
        if words.peek().is_some_and(|next| next.starts_with('<')) && !word.contains('=') {
            words.next();
        }
    }
    if !kept.contains(&"[OPTIONS]") {
        let at = kept
            .iter()
            .position(|word| word.starts_with(['<', '[']))
            .unwrap_or(kept.len());
        kept.insert(at, "[OPTIONS]");
    }
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_line_is_the_commands_own() {
        assert_eq!(
            plain_usage(
                "Usage: overnight rollback --target <TARGET> --from <LOCATION> --json=<JSON> <DATASET>"
            ),
            "Usage: overnight rollback [OPTIONS] <DATASET>"
        );
        assert_eq!(
            plain_usage("Usage: overnight [OPTIONS] <COMMAND>"),
            "Usage: overnight [OPTIONS] <COMMAND>"
        );
    }
}
