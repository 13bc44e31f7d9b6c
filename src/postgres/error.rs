//! Says what Postgres meant, without repeating a value from the data.
//!
//! In: an error of tokio-postgres, which alone says only "db error". Out: one line.
//!
//! The server puts values into the messages of data and constraint errors (classes 22 and 23), into
//! nearly every DETAIL, CONTEXT and HINT, and whatever a function raises is free text. Those are
//! never passed on: the condition is named in our words, with the table, column, constraint and type
//! that the server reports in fields of their own.
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-error-fields.html> and
//! <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use crate::printable;
use std::fmt::Write as _;
use tokio_postgres::error::{DbError, Error, ErrorPosition};

/// One line for an error: what happened, where, and its SQLSTATE. Holds no value from the data.
pub fn explain(error: &Error) -> String {
    match error.as_db_error() {
        Some(answer) => explain_answer(answer),
        None => {
            let first: &(dyn std::error::Error + 'static) = error;
            join_chain(std::iter::successors(Some(first), |link| link.source()))
        }
    }
}

/// The whole chain of an error as one line, outermost first: Postgres errors are explained, and a
/// link that its successor repeats is left out.
pub fn explain_chain(error: &anyhow::Error) -> String {
    join_chain(error.chain())
}

fn join_chain<'a>(chain: impl Iterator<Item = &'a (dyn std::error::Error + 'static)>) -> String {
    let mut links: Vec<String> = Vec::new();
    for link in chain {
        let error = link.downcast_ref::<Error>();
        let answer = error
            .and_then(Error::as_db_error)
            .or_else(|| link.downcast_ref());
        let text = match (answer, error) {
            (Some(answer), _) => explain_answer(answer),
            (None, Some(error)) if error.is_closed() => CLOSED.to_owned(),
            (None, Some(error)) if is_connection_lost(error) => BROKEN.to_owned(),
            _ => link.to_string(),
        };
        // Some types print their source themselves, and then have it in the chain as well.
        if !links.last().is_some_and(|last| last.ends_with(&text)) {
            links.push(text);
        }
        if answer.is_some() {
            break;
        }
    }
    printable::lines(&links.join(": ")).into_owned()
}

/// What the driver calls `connection closed`.
const CLOSED: &str = "the server closed the connection";
/// What the driver calls `error communicating with the server`.
const BROKEN: &str = "the connection to the server broke";

/// The SQLSTATE `connection_failure`, which a client gives itself.
pub const CONNECTION_FAILURE: &str = "08006";

/// One line for an error or notice of the server.
pub(super) fn explain_answer(answer: &DbError) -> String {
    let said = match said_in_our_words(answer) {
        Some(words) => words.to_owned(),
        None => one_line(answer.message()),
    };
    with_places(said, answer)
}

/// One line for an error of somebody's statement, whose text is given.
///
/// A name that does not exist may have been made of data: by a cast to `regclass`, or in a
/// statement that a function put together. So the server's message is shown only where it speaks
/// about the text that stands in the file.
pub fn explain_statement(error: &Error, statement: &str) -> String {
    match error.as_db_error() {
        Some(answer) if !speaks_about(answer, statement) => {
            let condition = said_in_our_words(answer).unwrap_or_else(|| condition(answer));
            with_places(condition.to_owned(), answer)
        }
        _ => explain(error),
    }
}

fn speaks_about(answer: &DbError, statement: &str) -> bool {
    // The server's own troubles: transactions, resources, cancellation, the system.
    let own = ["08", "25", "40", "53", "54", "55", "57", "58"];
    if own
        .iter()
        .any(|class| answer.code().code().starts_with(class))
    {
        return true;
    }
    match answer.position() {
        // Found while the text was read, before any row was.
        Some(ErrorPosition::Original(_)) => true,
        Some(ErrorPosition::Internal { query, .. }) => statement.contains(query.trim()),
        None => {
            let mut quoted = answer.message().split('"').skip(1).step_by(2).peekable();
            quoted.peek().is_some() && quoted.all(|name| statement.contains(name))
        }
    }
}

/// The condition without the names in the server's message.
fn condition(answer: &DbError) -> &'static str {
    match answer.code().code() {
        "42P01" => "a relation does not exist (its name may be data and is not shown)",
        "42703" => "a column does not exist (its name may be data and is not shown)",
        "42883" => "a function or operator does not exist (its name may be data and is not shown)",
        "42704" | "3F000" => "an object does not exist (its name may be data and is not shown)",
        "42P07" | "42710" | "42P06" => {
            "an object exists already (its name may be data and is not shown)"
        }
        "42601" => "syntax error in a statement inside a function",
        _ => "the statement failed (the server's text may hold data: its log has it)",
    }
}

fn with_places(mut text: String, answer: &DbError) -> String {
    let code = answer.code().code();
    // Writing to a String cannot fail.
    let _ = match (answer.schema(), answer.table()) {
        (Some(schema), Some(table)) => write!(text, ", table `{schema}.{table}`"),
        (None, Some(table)) => write!(text, ", table `{table}`"),
        _ => Ok(()),
    };
    let copy = copy_position(answer);
    let column = answer
        .column()
        .or(copy.as_ref().and_then(|copy| copy.column.as_deref()));
    for (what, name) in [
        ("column", column),
        ("constraint", answer.constraint()),
        ("type", answer.datatype()),
    ] {
        let _ = name.map_or(Ok(()), |name| write!(text, ", {what} `{name}`"));
    }
    let _ = copy.map_or(Ok(()), |copy| {
        write!(text, ", line {} of the COPY", copy.line)
    });
    let _ = raised_at(answer).map_or(Ok(()), |place| write!(text, ", in {place}"));
    if let Some(names) = detail_of_names(answer) {
        let _ = write!(text, ": {names}");
    }
    let _ = write!(text, " (SQLSTATE {code})");
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The condition in our words where the server's own message may hold values.
fn said_in_our_words(answer: &DbError) -> Option<&'static str> {
    let code = answer.code().code();
    let raised = is_free_text(answer);
    Some(match code {
        "22000" => "data exception",
        "22001" => "text too long for its type",
        "22003" => "number out of range",
        "22004" | "22002" => "null where a value is needed",
        "22007" => "not a valid date or time",
        "22008" => "date or time out of range",
        "22012" => "division by zero",
        "22018" | "22P02" => "text is not a valid value of its type",
        "22021" => "invalid byte sequence for the encoding",
        "22023" => "invalid parameter value",
        "22026" => "text of the wrong length for its type",
        "22030" => "duplicate key in a JSON object",
        "22032" => "not valid JSON",
        "2201B" => "invalid regular expression",
        "22P01" => "floating-point exception",
        "22P03" => "invalid binary representation",
        "22P04" => "malformed COPY data",
        "22P05" => "character that the encoding does not have",
        "23000" => "integrity constraint violated",
        "23001" => "restrict constraint violated",
        "23502" => "null in a column that must not be null",
        "23503" => "foreign key violated",
        "23505" => "unique constraint violated",
        "23514" => "check constraint violated",
        "23P01" => "exclusion constraint violated",
        "P0001" => {
            "a function raised an exception (its text may hold data: the log of the server has it)"
        }
        "P0002" => "a query returned no row where one is needed",
        "P0003" => "a query returned more than one row where one is needed",
        "P0004" => "an assertion failed (its text may hold data: the log of the server has it)",
        // The token quoted in the message is data when the statement was made of data.
        "42601" if matches!(answer.position(), Some(ErrorPosition::Internal { .. })) => {
            "syntax error in a statement inside a function"
        }
        code if code.starts_with("22") => "data exception",
        code if code.starts_with("23") => "integrity constraint violated",
        _ if raised => {
            "a function raised an error (its text may hold data: the log of the server has it)"
        }
        _ => return None,
    })
}

/// Whether the message was composed by somebody's function: RAISE with any SQLSTATE, or one of the
/// procedural languages passing an exception on.
fn is_free_text(answer: &DbError) -> bool {
    let code = answer.code().code();
    let routine = answer.routine().unwrap_or_default();
    ["P0", "38", "39"]
        .iter()
        .any(|class| code.starts_with(class))
        || routine == "exec_stmt_raise"
        || ["PLy_", "plperl_", "pltcl_"]
            .iter()
            .any(|language| routine.starts_with(language))
}

/// `function f(integer), line 3` from the CONTEXT of an exception: a signature, so no value.
fn raised_at(answer: &DbError) -> Option<String> {
    let context = answer.where_()?;
    if !context.starts_with("PL/pgSQL function ") {
        return None;
    }
    let first = context.lines().next()?.strip_prefix("PL/pgSQL function ")?;
    let (function, rest) = first.rsplit_once(" line ")?;
    let line: u32 = rest.split(' ').next()?.parse().ok()?;
    // `inline_code_block`, or `schema.name(argument types)`.
    Some(format!("function `{}`, line {line}", one_line(function)))
}

/// The DETAIL of the two conditions whose details are lists of object names and counts.
fn detail_of_names(answer: &DbError) -> Option<String> {
    let detail = answer.detail()?;
    let code = answer.code().code();
    let allowed = !is_free_text(answer)
        && (code == "2BP01" || (code == "55006" && detail.contains("session")));
    allowed.then(|| detail.lines().collect::<Vec<_>>().join("; "))
}

/// Where a COPY failed: the server counts lines (rows, for the binary format) from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyPosition {
    /// Counted over one COPY, from 1; the header line counts.
    pub line: u64,
    /// The column at fault, when the server knows it.
    pub column: Option<String>,
}

/// The position in the COPY data that an error is about. The value behind it is dropped.
pub fn copy_position_of(error: &Error) -> Option<CopyPosition> {
    error.as_db_error().and_then(copy_position)
}

/// `COPY price, line 3, column unit_cost: "12,3"`.
fn copy_position(answer: &DbError) -> Option<CopyPosition> {
    let context = answer
        .where_()?
        .lines()
        .find(|line| line.starts_with("COPY "))?;
    let (_, rest) = context.split_once(", line ")?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (line, rest) = rest.split_at(digits);
    let column = rest
        .strip_prefix(", column ")
        .map(|rest| rest.split(':').next().unwrap_or(rest).to_owned());
    Some(CopyPosition {
        line: line.parse().ok()?,
        column,
    })
}

/// An answer of the server without the values that the driver's own error carries.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Answer {
    /// SQLSTATE, if it was the server that answered.
    pub code: Option<String>,
    pub message: String,
}

impl From<Error> for Answer {
    fn from(error: Error) -> Answer {
        Answer {
            code: code_of(&error).map(str::to_owned),
            message: explain(&error),
        }
    }
}

/// The SQLSTATE, when the error came from the server.
pub fn sqlstate(error: &Error) -> Option<&str> {
    error.as_db_error().map(|answer| answer.code().code())
}

/// The same, and `08006` for a connection that was lost without a last word of the server.
pub fn code_of(error: &Error) -> Option<&str> {
    let lost = || is_connection_lost(error).then_some(CONNECTION_FAILURE);
    sqlstate(error).or_else(lost)
}

/// Whether a code says that the connection is gone.
pub fn is_lost_code(code: &str) -> bool {
    // Terminated by an administrator, by a crash, by a time limit that ends the session.
    matches!(code, "57P01" | "57P02" | "57P05" | "25P03" | "25P04") || code.starts_with("08")
}

/// The first Postgres error in a chain.
pub fn find(error: &anyhow::Error) -> Option<&Error> {
    error.chain().find_map(|link| link.downcast_ref())
}

/// Whether the connection is gone, so that a statement's outcome may be unknown.
pub fn is_connection_lost(error: &Error) -> bool {
    match sqlstate(error) {
        Some(code) => is_lost_code(code),
        // The kind is not public; its text is.
        None => error.is_closed() || error.to_string() == "error communicating with the server",
    }
}

/// Whether a lock was not granted in time: `lock_timeout` or NOWAIT.
pub fn is_lock_not_available(error: &Error) -> bool {
    sqlstate(error) == Some("55P03")
}

/// Whether the statement was cancelled: by us, by somebody, by `statement_timeout`.
pub fn is_cancelled(error: &Error) -> bool {
    sqlstate(error) == Some("57014")
}
