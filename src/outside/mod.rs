//! Asks somebody outside: runs a command with JSON on its standard input, or posts the JSON to a URL.
//!
//! In: a [`Call`] and a document. Out: an [`Answer`], always within the timeout and a few seconds.
//! Whatever goes wrong is an answer and no error: the caller decides what it means. Of what a command
//! prints or a server replies only the number of lines and the first one are kept, cut short. Secrets
//! are in the call alone: an answer never has the URL, a header or a variable.

mod command;
mod typed;
mod webhook;

pub use typed::{Typed, check};

use crate::secret::Secret;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The longest part of a first line that is kept, in characters.
const LINE_CHARACTERS: usize = 200;

/// Whom to ask, with its secrets.
#[derive(Debug, Clone)]
pub struct Call {
    pub(crate) what: What,
    pub timeout: Duration,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    Command {
        argv: Vec<String>,
        /// All that it gets, beside the facts of the call.
        env: Vec<(String, Secret)>,
        /// Where it runs, and where a relative path to it begins.
        folder: PathBuf,
    },
    Url {
        url: Secret,
        headers: Vec<(String, Secret)>,
    },
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Exit status 0, or an HTTP status of 200 to 299.
    pub ok: bool,
    /// How it ended, and the first line of what was said.
    pub text: String,
}

impl Answer {
    fn no(text: impl Into<String>) -> Answer {
        Answer {
            ok: false,
            text: text.into(),
        }
    }
}

impl Call {
    /// Hands `document` over and waits for the answer. `env` goes to a command, `id` to a server, which
    /// can tell by it that it has seen the same document before.
    pub async fn send(&self, document: &str, env: &[(&str, String)], id: Option<&str>) -> Answer {
        match &self.what {
            What::Command {
                argv,
                env: secret,
                folder,
            } => {
                let mut variables: Vec<(String, Secret)> = env
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), Secret::new(value)))
                    .collect();
                variables.extend(secret.iter().cloned());
                command::run(argv, &variables, folder, document, self.timeout).await
            }
            What::Url { url, headers } => {
                let mut headers = headers.clone();
                headers.extend(id.map(|id| ("Idempotency-Key".to_owned(), Secret::new(id))));
                webhook::post(url.clone(), headers, document.to_owned(), self.timeout).await
            }
        }
    }
}

/// What was said, of which little is kept.
#[derive(Debug, Default)]
struct Said {
    first: Vec<u8>,
    lines: u64,
    in_line: bool,
    has_first: bool,
}

impl Said {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                self.in_line = false;
                self.has_first |= !self.first.trim_ascii().is_empty();
                if !self.has_first {
                    self.first.clear();
                }
                continue;
            }
            if !self.in_line {
                self.in_line = true;
                self.lines += 1;
            }
            // Four bytes are the most that a character takes.
            if !self.has_first && self.first.len() < 4 * LINE_CHARACTERS {
                self.first.push(*byte);
            }
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.first);
        // Control characters could paint over the terminal of whoever reads it.
        let mut line: String = text
            .trim()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(LINE_CHARACTERS)
            .collect();
        if text.trim().chars().count() > LINE_CHARACTERS {
            line.push('…');
        }
        match (self.lines, line.is_empty()) {
            (_, true) => f.write_str("it said nothing"),
            (1, _) => write!(f, "it said `{line}`"),
            (lines, _) => write!(f, "it said {lines} lines, the first: `{line}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_much_that_is_said_little_is_kept() {
        let mut said = Said::default();
        for _ in 0..10_000 {
            said.take(b"\n");
        }
        said.take(b"  no ");
        said.take(b"\x1b[2Jroom\nmore\n\nlast");
        assert_eq!(
            said.to_string(),
            "it said 3 lines, the first: `no  [2Jroom`"
        );
        let mut long = Said::default();
        long.take("ä".repeat(1_000_000).as_bytes());
        assert_eq!(long.to_string(), format!("it said `{}…`", "ä".repeat(200)));
        assert!(long.first.len() < 1000);
        assert_eq!(Said::default().to_string(), "it said nothing");
    }
}
