//! Steps in their order, nulls among them, and the forms that need more than one file to read.

use super::*;
use proptest::prelude::*;

fn nulls(texts: &[&str]) -> Nulls {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn apply(steps: &Steps, text: &str, marks: &[&str]) -> Result<Option<String>, Misspelt> {
    let mut buffers = Buffers::default();
    let value = steps.apply(text.as_bytes(), &nulls(marks), true, &mut buffers)?;
    Ok(value.map(|value| String::from_utf8(value.to_vec()).unwrap()))
}

#[track_caller]
fn becomes(steps: &Steps, text: &str, marks: &[&str], value: &str) {
    assert_eq!(
        apply(steps, text, marks),
        Ok(Some(value.into())),
        "{text:?}"
    );
}

fn lookup(pairs: &[(&str, &str)]) -> Step {
    let pair = |(from, to): &(&str, &str)| (from.as_bytes().to_vec(), to.as_bytes().to_vec());
    Step::Lookup(Arc::new(pairs.iter().map(pair).collect()))
}

fn parse(how: Parse) -> Steps {
    Steps {
        each: vec![Step::parse(how)],
        ..Steps::default()
    }
}

fn what(steps: &Steps, text: &str) -> What {
    apply(steps, text, &[]).unwrap_err().what
}

#[test]
fn a_text_without_blanks_may_be_a_null() {
    let steps = Steps {
        trim: Some(Trim::Both),
        ..Steps::default()
    };
    assert_eq!(apply(&steps, "   ", &[""]), Ok(None));
    assert_eq!(apply(&steps, " NA ", &["NA"]), Ok(None));
    becomes(&steps, " NA. ", &["NA"], "NA.");
    // As it stands is for whoever knows whether it stands in quotes.
    becomes(&steps, "NA", &["NA"], "NA");
    let mut buffers = Buffers::default();
    let quoted = steps.apply(b" NA ", &nulls(&["NA"]), false, &mut buffers);
    assert_eq!(quoted, Ok(Some(&b"NA"[..])));
}

#[test]
fn the_order_of_the_steps_is_fixed() {
    let steps = Steps {
        trim: Some(Trim::Both),
        split: None,
        each: vec![
            Step::Upper,
            Step::Pad { with: '0', to: 3 },
            lookup(&[("00A", "$1,000.50"), ("00B", ""), ("00C", "x")]),
            Step::parse(Parse::Money),
        ],
    };
    becomes(&steps, " a ", &[""], "1000.50");
    assert_eq!(apply(&steps, "b", &[""]), Ok(None));
    assert_eq!(what(&steps, "b"), What::Amount);
    assert_eq!(what(&steps, "c"), What::Amount);
    assert_eq!(what(&steps, "d"), What::Unlisted);
}

#[test]
fn a_list_becomes_an_array_of_values() {
    let steps = Steps {
        trim: Some(Trim::Both),
        split: Some(";".into()),
        each: vec![Step::Lower],
    };
    becomes(
        &steps,
        " A ; B\"x\";NA;",
        &["NA", ""],
        r#"{"a","b\"x\"",NULL,NULL}"#,
    );
    becomes(&steps, "A;;B", &[], r#"{"a","","b"}"#);
    becomes(&steps, "", &[], "{}");
    let dates = Steps {
        split: Some(", ".into()),
        ..parse(Parse::Date(Pattern::new("MM/DD/YYYY", None).unwrap()))
    };
    becomes(
        &dates,
        "11/21/2026, 01/02/2027",
        &[],
        r#"{"2026-11-21","2027-01-02"}"#,
    );
    assert_eq!(what(&dates, "11/21/2026,01/02/2027"), What::Date);
    assert_eq!(what(&dates, "11/21/2026, 02/30/2027"), What::NoDate);
}

#[test]
fn words_for_true_and_false_are_exact() {
    let words = |words: &[&str]| words.iter().map(|word| (*word).into()).collect();
    let steps = parse(Parse::Boolean {
        yes: words(&["Y", "1"]),
        no: words(&["N", " "]),
    });
    becomes(&steps, "Y", &[], "t");
    becomes(&steps, "1", &[], "t");
    becomes(&steps, " ", &[], "f");
    for text in ["y", "Y ", "", "true"] {
        assert_eq!(what(&steps, text), What::Boolean, "{text:?}");
    }
    let said = apply(&steps, "true", &[]).unwrap_err().to_string();
    assert_eq!(
        said,
        "is none of the words for true and false, expected one of Y, 1, N,  "
    );
}

#[test]
fn seconds_and_their_parts_count_from_1970() {
    for (unit, text, expected) in [
        (Unit::Seconds, "0", "1970-01-01 00:00:00"),
        (Unit::Seconds, "1795237802", "2026-11-21 05:10:02"),
        (Unit::Seconds, "1795237802.25", "2026-11-21 05:10:02.250000"),
        (Unit::Seconds, "-1", "1969-12-31 23:59:59"),
        (Unit::Seconds, "-0.5", "1969-12-31 23:59:59.500000"),
        (
            Unit::Milliseconds,
            "1795237802007",
            "2026-11-21 05:10:02.007000",
        ),
        (Unit::Milliseconds, "1.5", "1970-01-01 00:00:00.001500"),
        (Unit::Microseconds, "-1", "1969-12-31 23:59:59.999999"),
        (Unit::Seconds, "253402207199", "9999-12-30 21:59:59"),
    ] {
        becomes(&parse(Parse::Epoch(unit)), text, &[], expected);
    }
    for (unit, text) in [
        (Unit::Seconds, ""),
        (Unit::Seconds, "1e9"),
        (Unit::Seconds, "1,795"),
        (Unit::Seconds, "1."),
        (Unit::Seconds, ".5"),
        (Unit::Seconds, "0.0000001"),
        (Unit::Microseconds, "0.5"),
        (Unit::Seconds, "1795237802007"),
        (Unit::Seconds, "999999999999999999999"),
        (Unit::Seconds, "-62135596801"),
    ] {
        assert_eq!(
            what(&parse(Parse::Epoch(unit)), text),
            What::Epoch,
            "{text}"
        );
    }
}

fn new_york() -> Zone {
    let tzif = std::fs::read("/usr/share/zoneinfo/America/New_York").unwrap();
    Zone::new("America/New_York", &tzif).unwrap()
}

fn zoned(zone: &Zone) -> Steps {
    parse(Parse::Zoned {
        pattern: None,
        zone: zone.clone(),
    })
}

#[test]
fn the_clocks_of_a_place_say_the_offset() {
    let steps = zoned(&new_york());
    for (text, expected) in [
        ("2026-11-21 05:10:02", "2026-11-21 05:10:02-05:00"),
        ("2026-07-04T05:10", "2026-07-04T05:10-04:00"),
        ("20260704 05:10:02.25", "20260704 05:10:02.25-04:00"),
        ("2026-07-04", "2026-07-04-04:00"),
        // Before the railways.
        ("1883-11-18 11:00:00", "1883-11-18 11:00:00-04:56:02"),
        // These say theirs, and these are for the encoder to refuse.
        ("2026-07-04 05:10:02+02", "2026-07-04 05:10:02+02"),
        ("2026-07-04T05:10:02Z", "2026-07-04T05:10:02Z"),
        ("2026-02-30 05:10:02", "2026-02-30 05:10:02"),
        ("yesterday", "yesterday"),
        ("", ""),
    ] {
        becomes(&steps, text, &[], expected);
    }
    let pattern = Pattern::new("MM/DD/YYYY HH24:MI", None).unwrap();
    let steps = parse(Parse::Zoned {
        pattern: Some(pattern),
        zone: new_york(),
    });
    becomes(&steps, "07/04/2026 05:10", &[], "2026-07-04 05:10:00-04:00");
}

#[test]
fn hours_that_were_shown_twice_or_never_are_read_as_declared() {
    let (twice, never) = ("2026-11-01 01:30:00", "2026-03-08 02:30:00");
    let mut zone = new_york();
    assert_eq!(what(&zoned(&zone), twice), What::Twice);
    assert_eq!(what(&zoned(&zone), never), What::Skipped);
    becomes(
        &zoned(&zone),
        "2026-11-01 02:00:00",
        &[],
        "2026-11-01 02:00:00-05:00",
    );
    becomes(
        &zoned(&zone),
        "2026-03-08 03:00:00",
        &[],
        "2026-03-08 03:00:00-04:00",
    );
    for (choice, of_twice, of_never) in [
        (Choice::Earlier, "-04:00", "-04:00"),
        (Choice::Later, "-05:00", "-05:00"),
    ] {
        zone.ambiguous = Some(choice);
        zone.skipped = Some(choice);
        becomes(&zoned(&zone), twice, &[], &format!("{twice}{of_twice}"));
        becomes(&zoned(&zone), never, &[], &format!("{never}{of_never}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn an_instant_on_the_clock_of_a_place_is_that_instant(seconds in 0_i64..4_000_000_000) {
        let tzif = std::fs::read("/usr/share/zoneinfo/America/New_York").unwrap();
        let clock = jiff::tz::TimeZone::tzif("America/New_York", &tzif).unwrap();
        let instant = jiff::Timestamp::from_second(seconds).unwrap();
        let text = clock.to_datetime(instant).strftime("%Y-%m-%d %H:%M:%S").to_string();
        match apply(&zoned(&new_york()), &text, &[]) {
            Ok(value) => {
                let value = value.unwrap();
                let read: jiff::Timestamp = value.parse().unwrap();
                prop_assert_eq!(read, instant);
            }
            Err(misspelt) => prop_assert_eq!(misspelt.what, What::Twice),
        }
    }

    #[test]
    fn an_epoch_is_the_instant_of_jiff(micros in -60_000_000_000_000_000_i64..200_000_000_000_000_000) {
        let value = apply(&parse(Parse::Epoch(Unit::Microseconds)), &micros.to_string(), &[]);
        let read: jiff::Timestamp = format!("{}Z", value.unwrap().unwrap()).parse().unwrap();
        prop_assert_eq!(read.as_microsecond(), micros);
    }
}

/// Records of four fields with everything in them that rules look at.
fn odd_records() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => Just("|"),
        4 => Just("\n"),
        2 => Just(" "),
        3 => Just("NA"),
        3 => Just("$1,234.50"),
        2 => Just("12"),
        1 => Just("é\u{a0}"),
        1 => Just("\""),
        1 => Just("\0"),
        1 => Just("\r\n"),
        4 => Just(" a|$5|x;NA; y|z\n"),
    ];
    prop::collection::vec(piece, 0..50).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn rules_give_the_same_on_the_quick_way_and_on_the_careful_one(
        bytes in odd_records(),
        quote in prop_oneof![Just(None), Just(Some(b'"'))],
        null_quoted in any::<bool>(),
    ) {
        use crate::encode::Type;
        use crate::read::parse::{ColumnPlan, RowPlan, Scratch, parse_with};
        use crate::read::{Chunk, Dialect, Newline};
        let column = |(field, from, steps, ty): (usize, Origin, Steps, Type)| ColumnPlan {
            name: format!("c{field}"),
            field,
            not_null: false,
            nulls: nulls(&["", "NA"]),
            spelling: Some(Arc::new(Spelling { from, null_quoted, steps })),
            ty,
        };
        let trimmed = |split: Option<&str>, each| Steps {
            trim: Some(Trim::Both),
            split: split.map(str::to_owned),
            each,
        };
        let both = Origin::Fields { fields: vec![0, 3], separator: b"-".to_vec() };
        let mut seven = Vec::new();
        Type::Int2.encode(b"7", &mut seven).unwrap();
        let columns = [
            (0, Origin::Field, trimmed(None, vec![Step::Upper]), Type::Varchar(Some(4))),
            (1, Origin::Field, parse(Parse::Money), Type::Numeric(None)),
            (2, Origin::Field, trimmed(Some(";"), vec![Step::Pad { with: '0', to: 3 }]), Type::array(Type::Text, 25)),
            (3, Origin::Field, Steps::default(), Type::Text),
            (0, both, trimmed(None, vec![Step::Lower]), Type::Text),
            (0, Origin::Record { before: 41 }, Steps::default(), Type::Int8),
            (0, Origin::Value(seven), Steps::default(), Type::Int2),
        ];
        let plan = RowPlan {
            dialect: Dialect { delimiter: b'|', quote, ..Dialect::default() },
            fields: 4,
            columns: columns.into_iter().map(column).collect(),
            faults: None,
        };
        let chunk = Chunk { bytes, byte: 0, newline: Newline::Lf };
        let mut scratch = Scratch::default();
        let quick = parse_with(&chunk, &plan, Vec::new(), &mut scratch, true);
        let careful = parse_with(&chunk, &plan, Vec::new(), &mut scratch, false);
        prop_assert!(quick.rows.len() <= plan.most_bytes(&chunk.bytes) + 64);
        prop_assert_eq!(&quick, &careful);
        // The number of each row's record is its own.
        let mut rest = &quick.rows[..];
        let mut rejected = quick.rejected_records.iter().peekable();
        let mut record = 0;
        while let Some(length) = crate::encode::row::row_length(rest) {
            while rejected.next_if_eq(&&record).is_some() {
                record += 1;
            }
            let number = crate::encode::row::fields(rest).nth(5).unwrap().unwrap();
            prop_assert_eq!(number, (42 + record as i64).to_be_bytes());
            record += 1;
            rest = &rest[length..];
        }
        // Counted before, they are the same.
        let plan = Arc::new(plan);
        let mut numbered = Numbered::new(Arc::clone(&plan));
        let first = numbered.of(&chunk);
        let second = numbered.of(&chunk);
        let before = |plan: &RowPlan| match &plan.columns[5].spelling.as_deref().unwrap().from {
            Origin::Record { before } => *before,
            _ => u64::MAX,
        };
        prop_assert_eq!((before(&first), before(&second)), (0, quick.records));
    }

    #[test]
    fn no_text_makes_a_step_panic(text in "\\PC{0,16}") {
        let number = Number { thousands: Some(b','), point: Some(b'.'), implied: 0, sign: Sign::Overpunch };
        for how in [
            Parse::Money,
            Parse::Decimal(number.clone()),
            Parse::Percent(number),
            Parse::Epoch(Unit::Milliseconds),
            Parse::Zoned { pattern: None, zone: new_york() },
        ] {
            let steps = Steps { split: Some("a".into()), ..parse(how) };
            let _ = apply(&steps, &text, &["1"]);
        }
    }
}
