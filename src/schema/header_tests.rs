//! Headers as people write them.

use super::*;
use std::path::Path;

fn file(text: &str) -> NumberedFile {
    NumberedFile::new(Path::new("sql/d/checks/010_a.sql"), text.to_owned()).unwrap()
}

fn refusal<T>(read: Result<T>) -> String {
    read.map_or_else(|error| format!("{error:#}"), |_| "accepted".into())
}

#[test]
fn a_header_may_have_several_lines_of_several_keys() {
    let header = CheckHeader::of_file(&file(
        "-- Cheap plans.\n-- overnight: level = \"warn\", max = \"0.1%\"\n-- overnight: of = \"plan\", show = [\"id\"]\nselect 1",
    ))
    .unwrap();
    assert_eq!(header.level, Level::Warn);
    assert!(matches!(header.max, Some(Limit::Share(Percent(share))) if share == 0.1));
    assert_eq!((header.sample(), header.show.len()), (5, 1));
    let plain = CheckHeader::of_file(&file("select 1")).unwrap();
    assert!(plain.level == Level::Error && plain.max.is_none());
}

#[test]
fn what_a_header_does_not_know_is_an_error_with_its_line() {
    for (text, said) in [
        (
            "-- overnight: leve = \"warn\"",
            "line 2: `-- overnight: leve = \"warn\"`: unknown field `leve`",
        ),
        ("-- overnight: level = \"loud\"", "unknown variant `loud`"),
        ("-- overnight: level = warn", "line 2"),
        ("-- overnight: max = \"1%\"", "a share is one of a table"),
        (
            "-- overnight: max = 1, of = \"plan\"",
            "`of` names the table",
        ),
        ("-- overnight: max = -1", "line 2"),
        ("-- overnight: sample = 3", "only columns that are named"),
        ("-- overnight: sample = 0, show = [\"a\"]", "1 to 100"),
        (
            "-- overnight: max = 1\n-- overnight: max = 2",
            "line 3: `max` stands there twice",
        ),
    ] {
        let refused = refusal(CheckHeader::of_file(&file(&format!(
            "-- x\n{text}\nselect 1"
        ))));
        assert!(
            refused.contains(said) && refused.contains("010_a.sql"),
            "{text}: {refused}"
        );
    }
}

#[test]
fn a_golden_header_has_defaults_that_do_not_alarm() {
    let header = GoldenHeader::of_file(&file("select 1")).unwrap();
    assert_eq!(
        (header.slower(), header.floor(), header.runs()),
        (SLOWER, FLOOR, RUNS)
    );
    let header = GoldenHeader::of_file(&file(
        "-- overnight: rows = \"10%\", slower = 2, budget = \"50ms\", seq_scan = \"10MB\"\nselect 1",
    ))
    .unwrap();
    assert_eq!(
        (header.slower(), header.seq_scan),
        (2.0, Some(Bytes(10_000_000)))
    );
    for (text, said) in [
        ("slower = 0.5", "a factor of 1 or more"),
        ("min = 3, max = 2", "`min` is above `max`"),
        ("show = [\"a\"]", "unknown field `show`"),
        ("runs = 0", "`runs` is 1 to 100"),
    ] {
        let refused = refusal(GoldenHeader::of_file(&file(&format!(
            "-- overnight: {text}\nselect 1"
        ))));
        assert!(refused.contains(said), "{text}: {refused}");
    }
}

#[test]
fn a_header_where_nobody_reads_it_is_an_error() {
    assert!(refusal(refuse(&file("-- overnight: max = 1\nselect 1"))).contains("line 1"));
    assert!(refuse(&file("-- no-transaction\nvacuum")).is_ok());
}
