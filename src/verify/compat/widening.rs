//! Which changes of a type no reader can notice as a loss.
//!
//! In: two types as the server spells them. The rule that is easy to break: a type that holds more
//! values is not yet compatible; it must also come to a client in the same kind of value, with the
//! same text. So a wider scale of `numeric` or a longer `character` is a change.

/// Whether every value of `old` is the same value, with the same text, in `new`.
pub fn widens(old: &str, new: &str) -> bool {
    if old == new {
        return true;
    }
    let (old, new) = (Spelled::of(old), Spelled::of(new));
    if old.array != new.array {
        return false;
    }
    let name = (old.name.as_str(), new.name.as_str());
    match name {
        ("smallint", "integer" | "bigint") | ("integer", "bigint") => true,
        ("real", "double precision") => true,
        ("character varying" | "text", "text") => true,
        ("text", "character varying") => new.modifiers.is_empty(),
        ("character varying", "character varying") | ("bit varying", "bit varying") => {
            at_least(&old, &new)
        }
        ("numeric", "numeric") => match (&old.modifiers[..], &new.modifiers[..]) {
            ([old_digits, old_scale], [digits, scale]) => {
                digits >= old_digits && scale == old_scale
            }
            _ => false,
        },
        (before, after)
            if before == after
                && (before.starts_with("time") || before.starts_with("interval")) =>
        {
            at_least(&old, &new)
        }
        _ => false,
    }
}

/// A limit that grew or was lifted.
fn at_least(old: &Spelled, new: &Spelled) -> bool {
    match (old.modifiers.first(), new.modifiers.first()) {
        (_, None) => true,
        (Some(old), Some(new)) => new >= old,
        (None, Some(_)) => false,
    }
}

/// `timestamp(3) without time zone[]`, taken apart.
struct Spelled {
    name: String,
    modifiers: Vec<i32>,
    array: bool,
}

impl Spelled {
    fn of(text: &str) -> Spelled {
        let (text, array) = match text.strip_suffix("[]") {
            Some(element) => (element, true),
            None => (text, false),
        };
        let parts = text
            .split_once('(')
            .and_then(|(before, rest)| Some((before, rest.split_once(')')?)));
        let Some((before, (inside, after))) = parts else {
            return Spelled {
                name: text.to_owned(),
                modifiers: Vec::new(),
                array,
            };
        };
        match inside
            .split(',')
            .map(|number| number.trim().parse())
            .collect()
        {
            Ok(modifiers) => Spelled {
                name: format!("{before}{after}"),
                modifiers,
                array,
            },
            // Modifiers of a type that we do not know: only the same text is the same type.
            Err(_) => Spelled {
                name: text.to_owned(),
                modifiers: Vec::new(),
                array,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::widens;

    #[test]
    fn what_a_reader_does_not_notice_widens_and_everything_else_does_not() {
        for (old, new) in [
            ("integer", "bigint"),
            ("smallint", "integer"),
            ("real", "double precision"),
            ("character varying(10)", "character varying(20)"),
            ("character varying(10)", "character varying"),
            ("character varying(10)", "text"),
            ("text", "character varying"),
            ("numeric(8,2)", "numeric(12,2)"),
            (
                "timestamp(3) without time zone",
                "timestamp without time zone",
            ),
            ("time(0) with time zone", "time(3) with time zone"),
            ("integer[]", "bigint[]"),
            ("public.mood", "public.mood"),
        ] {
            assert!(widens(old, new), "{old} -> {new}");
        }
        for (old, new) in [
            ("bigint", "integer"),
            ("integer", "numeric"),
            ("integer", "bigint[]"),
            ("integer", "text"),
            ("double precision", "real"),
            ("character varying(20)", "character varying(10)"),
            ("text", "character varying(10)"),
            ("character varying", "character varying(10)"),
            ("character(3)", "character(4)"),
            ("character(3)", "text"),
            ("numeric(12,2)", "numeric(8,2)"),
            ("numeric(12,2)", "numeric(14,4)"),
            ("numeric(12,2)", "numeric"),
            ("numeric", "numeric(12,2)"),
            (
                "timestamp without time zone",
                "timestamp(3) without time zone",
            ),
            ("timestamp without time zone", "timestamp with time zone"),
            ("timestamp(3) without time zone", "date"),
            ("json", "jsonb"),
            ("public.geometry(Point,4326)", "public.geometry(Point,3857)"),
        ] {
            assert!(!widens(old, new), "{old} -> {new}");
        }
    }
}
