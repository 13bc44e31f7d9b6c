//! Why a field's text was refused.
//!
//! Out: a [`Fault`], two words wide, that never holds the value: it goes into error lines and
//! counters, and values may be personal data. `Display` continues a sentence whose subject is
//! the value ("value ... is not an integer"); [`Fault::expected`] says what was wanted instead.

/// The type a text was read as, for the wording of a [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Boolean,
    Smallint,
    Integer,
    Bigint,
    Real,
    Double,
    Numeric,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Uuid,
    Json,
    Jsonb,
    Bytea,
    Inet,
    Cidr,
    Array,
}

impl Wanted {
    /// The type's name in SQL.
    #[must_use]
    pub fn sql_name(self) -> &'static str {
        self.words().0
    }

    /// What a value of the type is called in a sentence, with its article.
    #[must_use]
    pub fn noun(self) -> &'static str {
        self.words().1
    }

    /// The form that would have been accepted, with an example.
    #[must_use]
    pub fn example(self) -> &'static str {
        self.words().2
    }

    /// Name in SQL, noun, accepted form.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Wanted::Boolean => (
                "boolean",
                "a boolean",
                "one of true, false, t, f, yes, no, y, n, on, off, 1, 0",
            ),
            Wanted::Smallint => (
                "smallint",
                "an integer",
                "a whole number from -32768 to 32767",
            ),
            Wanted::Integer => (
                "integer",
                "an integer",
                "a whole number from -2147483648 to 2147483647",
            ),
            Wanted::Bigint => (
                "bigint",
                "an integer",
                "a whole number from -9223372036854775808 to 9223372036854775807",
            ),
            Wanted::Real => ("real", "a number", "a number such as 12.5 or 1.25e1"),
            Wanted::Double => (
                "double precision",
                "a number",
                "a number such as 12.5 or 1.25e1",
            ),
            Wanted::Numeric => ("numeric", "a number", "a decimal number such as 12.50"),
            Wanted::Date => ("date", "a date", "a date such as 2026-11-21"),
            Wanted::Time => ("time", "a time of day", "a time of day such as 05:10:02"),
            Wanted::Timestamp => (
                "timestamp",
                "a timestamp",
                "a timestamp such as 2026-11-21 05:10:02",
            ),
            Wanted::Timestamptz => (
                "timestamp with time zone",
                "a timestamp",
                "a timestamp with its offset such as 2026-11-21T05:10:02Z",
            ),
            Wanted::Interval => (
                "interval",
                "an interval",
                "an interval such as P1DT2H or 1 day 02:00:00",
            ),
            Wanted::Uuid => (
                "uuid",
                "a UUID",
                "a UUID such as 123e4567-e89b-12d3-a456-426614174000",
            ),
            Wanted::Json => ("json", "JSON", "one JSON value"),
            Wanted::Jsonb => ("jsonb", "JSON", "one JSON value"),
            Wanted::Bytea => (
                "bytea",
                "a byte string",
                r"bytes as \x and pairs of hexadecimal digits",
            ),
            Wanted::Inet => (
                "inet",
                "an IP address",
                "an IPv4 or IPv6 address such as 192.0.2.1 or 2001:db8::/32",
            ),
            Wanted::Cidr => (
                "cidr",
                "an IP network",
                "an IPv4 or IPv6 network such as 192.0.2.0/24",
            ),
            Wanted::Array => (
                "array",
                "an array",
                "a one-dimensional array such as {1,2,NULL}",
            ),
        }
    }
}

/// Why a text was refused; holds limits of the column, never anything of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The text has another form than the type's.
    #[error("is not {}", .0.noun())]
    Syntax(Wanted),
    /// Well formed, but beyond what the type can hold.
    #[error("is out of range for {}", .0.sql_name())]
    Range(Wanted),
    /// Too large for `numeric(precision, scale)`.
    #[error("is out of range for numeric({precision},{scale})")]
    Precision { precision: u16, scale: i16 },
    /// Digits that the scale of the column would round away.
    #[error("{}", scale_phrase(*.0))]
    Scale(i16),
    /// Fractional seconds that the precision of the column would round away.
    #[error("has more than {0} digits of fractional seconds")]
    Fraction(u8),
    /// More characters (code points) than the column holds.
    #[error("is longer than {0} characters")]
    Length(u32),
    /// More bytes than the type or the server can take.
    #[error("is longer than {0} bytes")]
    Bytes(u32),
    /// PostgreSQL's text types cannot hold U+0000.
    #[error("holds a NUL character")]
    Nul,
    /// Month, day, hour, minute or second outside the calendar or the clock.
    #[error("is not {} that exists", .0.noun())]
    Calendar(Wanted),
    /// A `timestamptz` whose text does not say its offset, with no zone declared.
    #[error("has no offset from UTC")]
    OffsetMissing,
    /// An offset that the type would drop silently.
    #[error("has an offset from UTC, which {} cannot hold", .0.sql_name())]
    OffsetPresent(Wanted),
    /// Not one of the labels of the enum.
    #[error("is not a label of the enum")]
    Label,
    /// A `cidr` with bits set to the right of its mask.
    #[error("has bits set to the right of its mask")]
    HostBits,
    /// JSON nested deeper than we, or the server's stack, follow.
    #[error("is nested deeper than {0} levels")]
    JsonDepth(u32),
    /// `\u0000` or half of a surrogate pair: JSON that `jsonb` cannot store.
    #[error("holds an escape that jsonb cannot store")]
    JsonEscape,
    /// A JSON number outside the range of `numeric`.
    #[error("holds a number that jsonb cannot store")]
    JsonNumber,
    /// A nested array, or one with explicit bounds.
    #[error("is not a one-dimensional array without bounds")]
    Dimensions,
}

impl Fault {
    /// A stable short word for counting refusals of one sort.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Fault::Syntax(Wanted::Json | Wanted::Jsonb)
            | Fault::JsonDepth(_)
            | Fault::JsonEscape
            | Fault::JsonNumber => "json",
            Fault::Syntax(_) => "syntax",
            Fault::Range(_) | Fault::Precision { .. } => "range",
            Fault::Scale(_) | Fault::Fraction(_) => "scale",
            Fault::Length(_) | Fault::Bytes(_) => "length",
            Fault::Nul => "nul",
            Fault::Calendar(_) => "calendar",
            Fault::OffsetMissing | Fault::OffsetPresent(_) => "offset",
            Fault::Label => "label",
            Fault::HostBits => "host_bits",
            Fault::Dimensions => "dimensions",
        }
    }

    /// What was wanted instead, as a noun phrase ("a date such as 2026-11-21").
    #[must_use]
    pub fn expected(self) -> String {
        match self {
            Fault::Syntax(wanted) | Fault::Range(wanted) | Fault::Calendar(wanted) => {
                wanted.example().to_owned()
            }
            Fault::Precision { precision, scale } => format!(
                "a number with at most {} digits before the decimal point",
                (i32::from(precision) - i32::from(scale)).max(0)
            ),
            Fault::Scale(scale) if scale < 0 => {
                format!("a multiple of 10 to the power of {}", -i32::from(scale))
            }
            Fault::Scale(scale) => format!("at most {scale} digits after the decimal point"),
            Fault::Fraction(digits) => format!("at most {digits} digits of fractional seconds"),
            Fault::Length(characters) => format!("at most {characters} characters"),
            Fault::Bytes(bytes) => format!("at most {bytes} bytes"),
            Fault::Nul => "text without U+0000".to_owned(),
            Fault::OffsetMissing => Wanted::Timestamptz.example().to_owned(),
            Fault::OffsetPresent(wanted) => format!("{} and no offset", wanted.example()),
            Fault::Label => "a label of the enum, spelled exactly".to_owned(),
            Fault::HostBits => Wanted::Cidr.example().to_owned(),
            Fault::JsonDepth(levels) => format!("JSON of at most {levels} levels"),
            Fault::JsonEscape => {
                r"JSON without \u0000 and without half a surrogate pair".to_owned()
            }
            Fault::JsonNumber => "JSON whose numbers fit numeric".to_owned(),
            Fault::Dimensions => Wanted::Array.example().to_owned(),
        }
    }
}

fn scale_phrase(scale: i16) -> String {
    match scale {
        ..0 => format!(
            "has digits other than 0 in its last {} places before the decimal point",
            -i32::from(scale)
        ),
        0 => "has digits after the decimal point".to_owned(),
        1 => "has more than 1 digit after the decimal point".to_owned(),
        _ => format!("has more than {scale} digits after the decimal point"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_as_the_rest_of_a_sentence() {
        assert_eq!(
            Fault::Syntax(Wanted::Integer).to_string(),
            "is not an integer"
        );
        assert_eq!(
            Fault::Range(Wanted::Smallint).to_string(),
            "is out of range for smallint"
        );
        assert_eq!(
            Fault::Scale(2).to_string(),
            "has more than 2 digits after the decimal point"
        );
        assert_eq!(Fault::Length(5).to_string(), "is longer than 5 characters");
        assert_eq!(Fault::Nul.to_string(), "holds a NUL character");
        assert_eq!(
            Fault::Calendar(Wanted::Date).to_string(),
            "is not a date that exists"
        );
        assert_eq!(
            Fault::Syntax(Wanted::Date).expected(),
            "a date such as 2026-11-21"
        );
    }

    #[test]
    fn a_fault_costs_a_word_or_two() {
        assert!(size_of::<Result<(), Fault>>() <= 8);
    }
}
