//! Takes a connection string apart.
//!
//! In: what the user configured, a `postgresql://` URI or `key=value` words. Out: the pairs in the
//! order they were written, percent-decoded and unquoted, keywords not yet judged.
//!
//! A connection string may hold a password: no error here repeats any part of it except what looks
//! like a keyword.
//!
//! Source: <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>.

use anyhow::{Context, Result, bail};

/// The pairs of a connection string.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>> {
    let uri = text
        .strip_prefix("postgresql://")
        .or_else(|| text.strip_prefix("postgres://"));
    match uri {
        Some(rest) => parse_uri(rest),
        None if text.contains("://") => {
            bail!("read the connection string: a URI must begin with `postgresql://`")
        }
        None => parse_words(text),
    }
}

fn parse_uri(rest: &str) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let (before, query) = match rest.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (rest, None),
    };
    let (authority, database) = match before.split_once('/') {
        Some((authority, database)) => (authority, Some(database)),
        None => (before, None),
    };
    // A `/`, `@`, `?` or `:` of a password that is not encoded moves a piece of the password to
    // where hosts, ports and names stand, and from there into messages.
    let strays = authority.matches('@').count() > 1
        || database.is_some_and(|database| database.contains('@'))
        || query.is_some_and(|query| query.contains('@'));
    if strays {
        bail!(
            "read the connection URI: an `@` stands where none can be: write `@` as %40, `/` as %2F, `?` as %3F and `:` as %3A in a user name or password"
        );
    }
    let hosts = match authority.split_once('@') {
        Some((login, hosts)) => {
            let (user, password) = match login.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (login, None),
            };
            push(&mut pairs, "user", user)?;
            push(&mut pairs, "password", password.unwrap_or_default())?;
            hosts
        }
        None => authority,
    };
    parse_hosts(hosts, &mut pairs)?;
    push(&mut pairs, "dbname", database.unwrap_or_default())?;
    for parameter in query
        .unwrap_or_default()
        .split('&')
        .filter(|text| !text.is_empty())
    {
        let Some((key, value)) = parameter.split_once('=') else {
            bail!("read the connection URI: a query parameter has no `=`");
        };
        let (key, value) = (decode(key)?, decode(value)?);
        // The JDBC spelling, which libpq accepts in URIs too.
        if key == "ssl" && value == "true" {
            pairs.push(("sslmode".into(), "require".into()));
        } else {
            pairs.push((key, value));
        }
    }
    Ok(pairs)
}

/// Stores a part of the URI unless it is empty: an empty part leaves the variable or default in charge.
fn push(pairs: &mut Vec<(String, String)>, key: &str, encoded: &str) -> Result<()> {
    if !encoded.is_empty() {
        pairs.push((key.into(), decode(encoded)?));
    }
    Ok(())
}

fn parse_hosts(hosts: &str, pairs: &mut Vec<(String, String)>) -> Result<()> {
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for entry in hosts.split(',') {
        let (name, port) = match entry.strip_prefix('[') {
            Some(rest) => {
                let (name, after) = rest
                    .split_once(']')
                    .context("read the connection URI: `]` is missing after an IPv6 address")?;
                match after.strip_prefix(':') {
                    Some(port) => (name, port),
                    None if after.is_empty() => (name, ""),
                    None => bail!("read the connection URI: unexpected text after `]`"),
                }
            }
            None => entry.split_once(':').unwrap_or((entry, "")),
        };
        names.push(decode(name)?);
        ports.push(decode(port)?);
    }
    if names.iter().any(|name| !name.is_empty()) {
        pairs.push(("host".into(), names.join(",")));
    }
    if ports.iter().any(|port| !port.is_empty()) {
        pairs.push(("port".into(), ports.join(",")));
    }
    Ok(())
}

/// Percent-decoding; `+` is no space here (RFC 3986, not a form).
fn decode(encoded: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match (digit(rest.next()), digit(rest.next())) {
            (Some(0), Some(0)) => bail!("read the connection URI: `%00` is not allowed"),
            (Some(high), Some(low)) => bytes.push(u8::try_from(high * 16 + low)?),
            _ => bail!(
                "read the connection URI: `%` must be followed by two hexadecimal digits (write a percent sign as `%25`)"
            ),
        }
    }
    String::from_utf8(bytes)
        .ok()
        .context("read the connection URI: a percent-encoded text is not UTF-8")
}

fn parse_words(text: &str) -> Result<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| c == '=' || c.is_whitespace())
            .unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        // The word itself is not shown: it may be the second half of an unquoted password.
        let Some(value) = after.trim_start().strip_prefix('=') else {
            bail!(
                "read the connection string: word {} has no `=` (a value with spaces needs 'single quotes')",
                pairs.len() + 1
            );
        };
        let (value, after) = take_value(value.trim_start())?;
        pairs.push((key.into(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// One value, quoted or bare, and what follows it.
fn take_value(text: &str) -> Result<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            space if space.is_whitespace() && !quoted => return Ok((value, &text[at..])),
            other => value.push(other),
        }
    }
    if quoted {
        bail!("read the connection string: a single quote is not closed");
    }
    Ok((value, ""))
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(pairs) => pairs
                .iter()
                .map(|(key, value)| format!("{key}={value};"))
                .collect(),
            Err(error) => format!("error: {error:#}"),
        }
    }

    #[test]
    fn uris_are_taken_apart_as_libpq_does() {
        assert_eq!(shown("postgresql://"), "");
        assert_eq!(shown("postgres:///db"), "dbname=db;");
        assert_eq!(
            shown(
                "postgresql://al%40ice:p%3Aw@db.example:5433/my%20db?sslmode=require&application_name=a%26b"
            ),
            "user=al@ice;password=p:w;host=db.example;port=5433;dbname=my db;sslmode=require;application_name=a&b;"
        );
        assert_eq!(
            shown("postgresql://%2Frun%2Fpg:6000/x"),
            "host=/run/pg;port=6000;dbname=x;"
        );
        assert_eq!(
            shown("postgresql:///x?host=/run/pg&port=6000"),
            "dbname=x;host=/run/pg;port=6000;"
        );
        assert_eq!(
            shown("postgresql://a:1,[::1]:2,c/x"),
            "host=a,::1,c;port=1,2,;dbname=x;"
        );
        assert_eq!(shown("postgresql://u@?ssl=true"), "user=u;sslmode=require;");
    }

    #[test]
    fn words_are_taken_apart_as_libpq_does() {
        assert_eq!(shown(""), "");
        assert_eq!(
            shown(r"host = 'a b'  password='it\'s \\' user=x\ y dbname=''"),
            r"host=a b;password=it's \;user=x y;dbname=;"
        );
    }

    #[test]
    fn errors_do_not_repeat_the_text() {
        for text in [
            "host=x password=canary canary2",
            "password='canary",
            "postgresql://u:%zzcanary@h/",
            "postgresql://u:canary@[::1/",
            "postgresql://u:canary@h/?canary",
            "mysql://u:canary@h",
            "postgresql://u:canary@[::1]canary/",
            "postgresql://u:canary%00@h/",
            "postgresql://u:canary%ff@h/",
        ] {
            let shown = shown(text);
            assert!(
                shown.starts_with("error: read the connection"),
                "{text}: {shown}"
            );
            assert!(!shown.contains("canary"), "{text}: {shown}");
        }
    }

    #[test]
    fn a_password_that_is_not_encoded_is_refused_without_showing_it() {
        for password in ["Abc/def", "1/def", "Abc@def", "Abc?def", "a@b/c"] {
            let uri = format!("postgres://loader:{password}@db/x");
            let said = format!("{:#}", parse(&uri).unwrap_err());
            for piece in ["Abc", "def", "b/c"] {
                assert!(!said.contains(piece), "{said}");
            }
            assert!(said.contains("%2F"), "{said}");
        }
    }
}
