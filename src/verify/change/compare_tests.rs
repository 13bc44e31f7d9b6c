//! Figures side by side: what is an alarm, and what is an ordinary night.

use super::*;
use crate::measure::{NumberFigures, Sketch};

fn table(column: ColumnProfile) -> TableProfile {
    TableProfile {
        rows: 1000,
        columns: vec![ColumnProfile {
            name: "c".into(),
            data_type: "text".into(),
            looked_at: 1000,
            ..column
        }],
        ..TableProfile::default()
    }
}

fn told(old: &TableProfile, new: &TableProfile, earlier: &[&TableProfile]) -> Vec<Alarm> {
    alarms(old, new, earlier, false, |_| None)
}

/// What is said when a column goes from one state to the other.
fn moved(old: ColumnProfile, new: ColumnProfile) -> String {
    let found = told(&table(old), &table(new), &[]);
    let texts: Vec<String> = found.into_iter().map(|alarm| alarm.text).collect();
    texts.join("; ")
}

fn text(figures: TextFigures) -> ColumnProfile {
    ColumnProfile {
        text: Some(figures),
        ..ColumnProfile::default()
    }
}

fn number(figures: NumberFigures) -> ColumnProfile {
    ColumnProfile {
        number: Some(figures),
        ..ColumnProfile::default()
    }
}

#[test]
fn rows_may_move_but_not_halve_or_double() {
    let of = |rows| TableProfile {
        rows,
        ..TableProfile::default()
    };
    assert!(told(&of(1000), &of(650), &[]).is_empty());
    assert!(told(&of(1000), &of(1700), &[]).is_empty());
    assert_eq!(
        told(&of(1000), &of(500), &[])[0].text,
        "500 rows instead of 1,000 (-50%)"
    );
    assert_eq!(told(&of(1000), &of(2000), &[]).len(), 1);
    assert_eq!(told(&of(1000), &of(0), &[]).len(), 1);
    // Small tables jump.
    assert!(told(&of(100), &of(20), &[]).is_empty());
    // Where the source says how far, that gate judges.
    assert!(alarms(&of(1000), &of(500), &[], true, |_| None).is_empty());
}

#[test]
fn shares_move_within_points() {
    let nulls = |nulls| ColumnProfile {
        nulls,
        ..ColumnProfile::default()
    };
    assert_eq!(moved(nulls(100), nulls(250)), "");
    assert_eq!(moved(nulls(0), nulls(1000)), "nulls 0.0% -> 100.0%");
    let padded = |padded| {
        text(TextFigures {
            bytes: 5000,
            padded,
            ..TextFigures::default()
        })
    };
    assert_eq!(moved(padded(30), padded(90)), "");
    assert!(moved(padded(0), padded(90)).contains("white space"));
    let common = |share| ColumnProfile {
        common: vec![(1, share)],
        ..ColumnProfile::default()
    };
    assert_eq!(moved(common(0.3), common(0.55)), "");
    assert!(moved(common(0.3), common(0.65)).contains("commonest value 30.0% -> 65.0%"));
}

#[test]
fn texts_in_the_wrong_encoding_and_cut_ones_are_noticed() {
    let old = TextFigures {
        bytes: 20_000,
        longest: 60,
        wide: 50,
        ..TextFigures::default()
    };
    let garbled = TextFigures { garbled: 45, ..old };
    assert!(moved(text(old), text(garbled)).contains("wrong encoding 0 -> 45"));
    let one_less = TextFigures { longest: 25, ..old };
    assert_eq!(moved(text(old), text(one_less)), "");
    let cut = TextFigures {
        bytes: 16_000,
        longest: 25,
        ..old
    };
    assert_eq!(moved(text(old), text(cut)), "longest text 60 -> 25");
}

#[test]
fn numbers_may_not_change_their_size_or_sign() {
    let old = NumberFigures {
        magnitude: Some(1.2),
        broken: 900,
        ..NumberFigures::default()
    };
    let more = |magnitude| NumberFigures {
        magnitude: Some(magnitude),
        ..old
    };
    assert_eq!(moved(number(old), number(more(1.3))), "");
    assert_eq!(
        moved(number(old), number(more(3.2))),
        "typical size times 100.0"
    );
    assert_eq!(
        moved(number(old), number(more(0.2))),
        "typical size times 1/10.0"
    );
    let rounded = NumberFigures { broken: 0, ..old };
    assert_eq!(
        moved(number(old), number(rounded)),
        "with a fraction 90.0% -> 0.0%"
    );
}

#[test]
fn what_only_earlier_nights_can_judge_warns_the_first_time() {
    let renewed = |share: f64| {
        table(ColumnProfile {
            moved: Moved {
                renewed: Some(share),
                ..Moved::default()
            },
            ..ColumnProfile::default()
        })
    };
    let first = table(ColumnProfile::default());
    let found = told(&first, &renewed(0.9), &[&first]);
    assert!(found.len() == 1 && found[0].unlearned, "{found:?}");
    assert!(told(&first, &renewed(0.5), &[&first]).is_empty());
    // A column that is always new may be so again, a quiet one may not.
    let busy = renewed(0.97);
    assert!(told(&busy, &renewed(1.0), &[&first, &busy]).is_empty());
    let quiet = renewed(0.03);
    let found = told(&quiet, &renewed(0.5), &[&quiet, &first]);
    assert!(found.len() == 1 && !found[0].unlearned, "{found:?}");
    assert!(told(&quiet, &renewed(0.3), &[&quiet]).is_empty());
}

#[test]
fn limits_of_a_column_take_the_place_of_the_usual_ones() {
    let nulls = |nulls| {
        table(ColumnProfile {
            nulls,
            ..ColumnProfile::default()
        })
    };
    let with = |toml: &str| {
        let limit: ExpectColumn = toml::from_str(toml).unwrap();
        alarms(&nulls(100), &nulls(500), &[], false, |_| Some(&limit)).len()
    };
    assert_eq!(with(""), 1);
    assert_eq!(with("nulls = '60%'"), 0);
    assert_eq!(with("profile = 'off'"), 0);
}

#[test]
fn values_that_are_just_below_the_list_of_the_commonest_do_not_count() {
    let list = |from: i64, share: f64| -> Vec<(i64, f64)> {
        (from..from + 50).map(|hash| (hash, share)).collect()
    };
    assert!(apart(&list(0, 0.01), &list(25, 0.01)) < 0.01);
    assert!(apart(&[(1, 0.6), (2, 0.4)], &[(1, 0.4), (2, 0.6)]) > 0.19);
    assert!(apart(&[(1, 1.0)], &[(2, 1.0)]) > 0.99);
}

#[test]
fn samples_of_other_columns_or_another_share_are_not_compared() {
    let sampled = |data_type: &str, shift| TableProfile {
        rows: 1000,
        sample_shift: shift,
        columns: vec![ColumnProfile {
            name: "c".into(),
            data_type: data_type.into(),
            ..ColumnProfile::default()
        }],
        sketches: [(KEYS.to_owned(), Sketch::of(0..64))].into(),
        ..TableProfile::default()
    };
    let noted = |mut new: TableProfile| {
        note_moves(&sampled("text", 3), &mut new);
        new.renewed
    };
    assert!(noted(sampled("text", 3)).is_some());
    assert_eq!(noted(sampled("text", 4)), None);
    assert_eq!(noted(sampled("integer", 3)), None);
}
