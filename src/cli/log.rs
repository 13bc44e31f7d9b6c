//! Messages on stderr, with the time in UTC; below a progress bar they do not tear it.
//!
//! A message that cannot be written is lost, without a word and without harm. Fields and messages
//! lose their control characters, and a line within a message is indented: a name from the input
//! can neither color the terminal nor look like another message.

use super::{output, screen};
use crate::printable;
use std::io::{self, Write};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::time::FormatTime;

/// Starts logging. `-q` shows warnings, `-v` details of overnight, `-vv` of everything.
pub fn start(verbose: u8, quiet: bool, color: bool) {
    // Where credentials were looked for and not found stands in our own error, once and readable.
    let default = match (quiet, verbose) {
        (true, _) => "warn,aws=error",
        (false, 0) => "warn,aws=error,overnight=info",
        (false, 1) => "warn,aws=error,overnight=debug",
        (false, _) => "debug",
    };
    let filter =
        EnvFilter::try_from_env("OVERNIGHT_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(verbose > 1)
        .with_ansi(color)
        .with_timer(Seconds)
        .log_internal_errors(false)
        .with_writer(Stderr)
        .compact()
        .fmt_fields(
            debug_fn(|writer, field, value| {
                let text = format!("{value:?}").replace('\n', "\n  ");
                let text = printable::lines(&text);
                match field.name() {
                    "message" => write!(writer, "{text}"),
                    name => write!(writer, "{name}={text}"),
                }
            })
            .delimited(" "),
        )
        .init();
}

/// `2026-11-21T05:10:02Z`
struct Seconds;

impl FormatTime for Seconds {
    fn format_time(&self, out: &mut Writer<'_>) -> std::fmt::Result {
        out.write_str(&now())
    }
}

/// The time of a line: `2026-11-21T05:10:02Z`.
pub fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

struct Stderr;

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Stderr;

    fn make_writer(&'a self) -> Stderr {
        Stderr
    }
}

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        screen::suspended(|| output::write_message(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
