//! Keys that do not go together, and the fix that each message names.

use super::*;

fn rule(keys: &str) -> Result<ColumnRule> {
    let keys: ColumnKeys = toml::from_str(keys)?;
    ColumnRule::new(keys, Path::new("sources/x/item.toml"))
}

#[test]
fn keys_that_do_not_go_together_name_the_fix() {
    for (keys, said) in [
        (
            "implied_decimals = 2",
            "`implied_decimals` goes with `parse = \"decimal\"`: write that, or remove `implied_decimals`",
        ),
        (
            "parse = \"integer\"\nimplied_decimals = 2",
            "`implied_decimals` goes with `parse = \"decimal\"`",
        ),
        (
            "parse = \"money\"\nthousands = \",\"",
            "`thousands` goes with `parse = \"integer\"` or `parse = \"decimal\"` or `parse = \"percent\"`",
        ),
        (
            "pattern = \"YYYYMMDD\"",
            "`pattern` goes with `parse = \"date\"`",
        ),
        (
            "parse = \"date\"",
            "`parse = \"date\"` needs `pattern`, such as DD-MON-YYYY",
        ),
        (
            "parse = \"time\"",
            "`parse = \"time\"` needs `pattern`, such as HH24:MI:SS",
        ),
        ("parse = \"date\"\npattern = \"MM/DD/YY\"", "needs `pivot`"),
        (
            "parse = \"date\"\npattern = \"YYYY-MM-DD HH24\"",
            "is not that of a date",
        ),
        (
            "parse = \"time\"\npattern = \"YYYY-MM-DD\"",
            "is not that of a time of day",
        ),
        (
            "parse = \"timestamp\"\npattern = \"HH24:MI\"",
            "has no year",
        ),
        (
            "parse = \"timestamp\"\npattern = \"YYYYMMDDHH24MITZH\"\nzone = \"UTC\"",
            "says the offset by itself (TZH): remove `zone`",
        ),
        (
            "parse = \"date\"\npattern = \"YYYYMMDD\"\nzone = \"UTC\"",
            "`zone` goes with",
        ),
        ("unit = \"seconds\"", "`unit` goes with `parse = \"epoch\"`"),
        (
            "ambiguous = \"earlier\"",
            "`ambiguous` goes with a `zone` whose clocks change",
        ),
        (
            "zone = \"UTC\"\nskipped = \"later\"",
            "`skipped` goes with a `zone` whose clocks change",
        ),
        ("zone = \"EST5EDT4\"", "is not in the time zone database"),
        ("zone = \"+2:00x\"", "write UTC, an offset such as -06:00"),
        ("zone = \"-99:00\"", "write UTC, an offset such as -06:00"),
        (
            "parse = \"boolean\"\ntrue = [\"Y\"]",
            "needs both lists of words",
        ),
        (
            "parse = \"boolean\"\ntrue = [\"Y\", \"1\"]\nfalse = [\"1\"]",
            "`1` is in `true` and in `false`",
        ),
        ("true = [\"Y\"]", "`true` goes with `parse = \"boolean\"`"),
        (
            "parse = \"decimal\"\nthousands = \".\"",
            "declare the other one with `decimal_point`",
        ),
        (
            "parse = \"decimal\"\nimplied_decimals = 2\ndecimal_point = \",\"",
            "remove `decimal_point` or `implied_decimals`",
        ),
        ("parse = \"decimal\"\nimplied_decimals = 0", "from 1 to 38"),
        (
            "parse = \"decimal\"\nthousands = \"::\"",
            "must be one character",
        ),
        (
            "pad = { with = \"00\", to = 11 }",
            "`pad` fills up with one character",
        ),
        ("pad = { with = \"0\", to = 0 }", "from 1 to 1000"),
        ("split = \"\"", "`split` is what stands between"),
        ("lookup = {}", "`lookup` lists nothing"),
        ("lookup = \"no_such_file.csv\"", "no_such_file.csv`"),
        (
            "constant = \"x\"\nfrom = \"A\"",
            "`from` and `constant` exclude each other",
        ),
        (
            "constant = \"x\"\nparse = \"money\"",
            "`constant` goes without `parse`: remove it",
        ),
        (
            "constant = \"x\"\nnull = []\ntrim = true",
            "`constant` goes without `null` and `trim`",
        ),
        (
            "file_name = true\nrecord_number = true",
            "exclude each other",
        ),
        ("file_name = false", "says nothing: remove it"),
        (
            "file_name = true\nnull = [\"x\"]",
            "`file_name` goes without `null`",
        ),
        (
            "record_number = true\npad = { with = \"0\", to = 9 }",
            "goes without `pad`",
        ),
        ("key_pattern = \"a_*.txt\"", "one part in braces"),
        ("concat = [\"A\"]", "name at least two"),
        (
            "separator = \"-\"",
            "`separator` stands between the fields of `concat",
        ),
    ] {
        let error = format!("{:#}", rule(keys).unwrap_err());
        assert!(error.contains(said), "{keys}\n{error}");
    }
}

#[test]
fn words_that_are_none_say_what_there_is() {
    for (keys, said) in [
        (
            "parse = \"hex\"",
            "expected one of `money`, `integer`, `decimal`",
        ),
        ("trim = \"both\"", "`trim` is true, \"left\" or \"right\""),
        ("case = \"title\"", "expected `upper` or `lower`"),
        (
            "sign = \"above\"",
            "expected one of `leading`, `trailing`, `overpunch`",
        ),
        (
            "unit = \"days\"",
            "expected one of `seconds`, `milliseconds`, `microseconds`",
        ),
        (
            "ambiguous = \"both\"",
            "expected one of `earlier`, `later`, `reject`",
        ),
        ("pad = { with = \"0\" }", "missing field `to`"),
        ("lookup = 3", "a table such as"),
        ("impliedd = 3", "unknown field `impliedd`"),
    ] {
        let error = format!("{:#}", rule(keys).unwrap_err());
        assert!(error.contains(said), "{keys}\n{error}");
    }
}

#[test]
fn a_rule_says_what_types_it_is_for() {
    for (keys, wants, offset) in [
        ("", Wants::Anything, None),
        ("trim = true", Wants::Anything, None),
        ("parse = \"percent\"", Wants::Number, None),
        ("record_number = true", Wants::Number, None),
        ("zone = \"-06:00\"", Wants::Timestamptz, Some(-21_600)),
        ("zone = \"+05:30\"", Wants::Timestamptz, Some(19_800)),
        ("zone = \"America/New_York\"", Wants::Timestamptz, None),
        ("parse = \"epoch\"", Wants::AnyTimestamp, Some(0)),
        (
            "parse = \"timestamp\"\npattern = \"YYYYMMDDHH24MI\"",
            Wants::Timestamp,
            None,
        ),
        (
            "parse = \"timestamp\"\npattern = \"YYYYMMDDHH24MI\"\nzone = \"UTC\"",
            Wants::Timestamptz,
            Some(0),
        ),
    ] {
        let rule = rule(keys).unwrap();
        assert_eq!((rule.wants, rule.offset), (wants, offset), "{keys}");
    }
    assert!(
        rule("from = \"A\"\nnull = [\"x\"]\nzone = \"UTC\"")
            .unwrap()
            .is_plain()
    );
    assert!(rule("trim = false\nnull_quoted = true").unwrap().is_plain());
    for keys in [
        "trim = true",
        "null_quoted = false",
        "constant = 1",
        "zone = \"Europe/Zurich\"",
    ] {
        assert!(!rule(keys).unwrap().is_plain(), "{keys}");
    }
}
