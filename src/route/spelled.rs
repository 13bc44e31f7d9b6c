//! Partition bounds as the server spells them.
//!
//! In: what `pg_get_expr` makes of `pg_class.relpartbound`, such as
//! `FOR VALUES FROM ('2026-01-01', MINVALUE) TO ('2026-02-01', MAXVALUE)`, read under
//! `standard_conforming_strings = on`. Out: the same as [`Spelled`], constants still as text.
//! Constants are quoted, or plain numbers, `true` or `false`; nothing else is taken.

/// A bound with its constants as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spelled {
    Hash { modulus: u32, remainder: u32 },
    List(Vec<Datum>),
    Range(Vec<Datum>, Vec<Datum>),
    Default,
}

/// One word of a bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Datum {
    Null,
    Min,
    Max,
    Text(String),
}

impl Spelled {
    /// Reads a bound; None if it is not spelled as expected.
    pub fn parse(text: &str) -> Option<Spelled> {
        if text == "DEFAULT" {
            return Some(Spelled::Default);
        }
        let rest = text.strip_prefix("FOR VALUES ")?;
        if let Some(rest) = rest.strip_prefix("WITH (modulus ") {
            let (modulus, remainder) = rest.strip_suffix(')')?.split_once(", remainder ")?;
            let (modulus, remainder) = (modulus.parse().ok()?, remainder.parse().ok()?);
            return (remainder < modulus).then_some(Spelled::Hash { modulus, remainder });
        }
        if let Some(rest) = rest.strip_prefix("IN ") {
            let (list, rest) = data(rest)?;
            return rest.is_empty().then_some(Spelled::List(list));
        }
        let (lower, rest) = data(rest.strip_prefix("FROM ")?)?;
        let (upper, rest) = data(rest.strip_prefix(" TO ")?)?;
        rest.is_empty().then_some(Spelled::Range(lower, upper))
    }
}

/// Reads words in parentheses; also returns what follows them.
fn data(text: &str) -> Option<(Vec<Datum>, &str)> {
    let mut rest = text.strip_prefix('(')?;
    let mut found = Vec::new();
    loop {
        let datum;
        (datum, rest) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted_text(quoted)?,
            None => {
                let (word, rest) = rest.split_at(rest.find([',', ')'])?);
                (plain(word)?, rest)
            }
        };
        found.push(datum);
        match rest.strip_prefix(", ") {
            Some(next) => rest = next,
            None => return Some((found, rest.strip_prefix(')')?)),
        }
    }
}

/// Reads up to the closing quote; a quote inside is doubled.
fn quoted_text(mut rest: &str) -> Option<(Datum, &str)> {
    let mut text = String::new();
    loop {
        let (before, after) = rest.split_once('\'')?;
        text.push_str(before);
        match after.strip_prefix('\'') {
            Some(more) => {
                text.push('\'');
                rest = more;
            }
            None => return Some((Datum::Text(text), after)),
        }
    }
}

fn plain(word: &str) -> Option<Datum> {
    match word {
        "NULL" => Some(Datum::Null),
        "MINVALUE" => Some(Datum::Min),
        "MAXVALUE" => Some(Datum::Max),
        "true" | "false" => Some(Datum::Text(word.to_owned())),
        _ => word
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
            .then(|| Datum::Text(word.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Datum {
        Datum::Text(text.to_owned())
    }

    #[test]
    fn what_the_server_spells_is_read() {
        assert_eq!(Spelled::parse("DEFAULT"), Some(Spelled::Default));
        assert_eq!(
            Spelled::parse("FOR VALUES WITH (modulus 8, remainder 7)"),
            Some(Spelled::Hash {
                modulus: 8,
                remainder: 7
            })
        );
        assert_eq!(
            Spelled::parse(r"FOR VALUES IN (1, '-2', NULL, true, 'it''s, ) \n''', '')"),
            Some(Spelled::List(vec![
                text("1"),
                text("-2"),
                Datum::Null,
                text("true"),
                text(r"it's, ) \n'"),
                text("")
            ]))
        );
        assert_eq!(
            Spelled::parse("FOR VALUES FROM (1.50, MINVALUE) TO ('x', MAXVALUE)"),
            Some(Spelled::Range(
                vec![text("1.50"), Datum::Min],
                vec![text("x"), Datum::Max]
            ))
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "FOR VALUES IN ('a'",
            "FOR VALUES IN ('a) x",
            "FOR VALUES IN (lower('a'))",
            "FOR VALUES IN ('1'::bigint)",
            "FOR VALUES FROM (1)",
            "FOR VALUES FROM (1) TO (2) AND",
            "FOR VALUES WITH (modulus 2, remainder 2)",
        ] {
            assert_eq!(Spelled::parse(text), None, "{text}");
        }
    }
}
