use super::*;
use crate::encode::{Type, put_field_count, put_null};
use crate::measure::FieldKind;

fn shape(key: usize) -> Arc<RowShape> {
    let field = |name: &str, kind, key| FieldShape {
        name: name.into(),
        kind,
        key,
    };
    RowShape::new(vec![
        field("id", FieldKind::Integer, key),
        field("name", FieldKind::Text, 0),
        field("price", FieldKind::ScaledDecimal, 0),
    ])
}

fn row(id: u64, name: Option<&str>, out: &mut Vec<u8>) {
    put_field_count(3, out);
    Type::Int8.encode(id.to_string().as_bytes(), out).unwrap();
    match name {
        Some(name) => Type::Text.encode(name.as_bytes(), out).unwrap(),
        None => put_null(out),
    }
    Type::Numeric(None)
        .encode(format!("{id}.5").as_bytes(), out)
        .unwrap();
}

fn rows(ids: impl Iterator<Item = u64>) -> Vec<u8> {
    let mut out = Vec::new();
    for id in ids {
        row(id, (id % 4 != 0).then_some("Lamp "), &mut out);
    }
    out
}

fn collected(key: usize, chunks: &[Vec<u8>]) -> TableProfile {
    let shape = shape(key);
    let mut all = Collector::new(&shape);
    for chunk in chunks {
        let mut part = Collector::new(&shape);
        part.add_rows(chunk);
        all.merge(part);
    }
    all.profile(None)
}

#[test]
fn the_result_depends_on_neither_order_nor_chunks() {
    let whole = collected(1, &[rows(0..9_000)]);
    let cut = collected(1, &[rows(5_000..9_000), rows(0..7), rows(7..5_000)]);
    let turned = collected(1, &[rows((0..9_000).rev())]);
    for mut other in [cut, turned] {
        // Averages are sums of doubles, whose last digits depend on the order.
        for (column, same) in other.columns.iter_mut().zip(&whole.columns) {
            if let (Some(number), Some(other)) = (&mut column.number, same.number) {
                let (a, b) = (number.magnitude.unwrap(), other.magnitude.unwrap());
                assert!((a - b).abs() < 1e-9);
                number.magnitude = other.magnitude;
            }
        }
        assert_eq!(other, whole);
    }
    assert_eq!(whole.rows, 9_000);
    assert_eq!(whole.columns[1].nulls, 2_250);
    assert_eq!(
        whole.columns[1].text.unwrap().padded,
        whole.columns[1].looked_at
    );
    assert_eq!(whole.columns[2].number.unwrap().broken, 9_000);
    assert_eq!(whole.key, ["id"]);
}

#[test]
fn one_changed_value_changes_its_column_and_the_table() {
    let mut same = rows(0..100);
    let before = collected(0, &[same.clone()]);
    let place = same.len() - 1;
    same[place] ^= 1;
    let after = collected(0, &[same]);
    assert_ne!(before.digest, after.digest);
    assert_ne!(before.columns[2].digest, after.columns[2].digest);
    assert_eq!(before.columns[0], after.columns[0]);
}

#[test]
fn values_that_change_places_change_the_table_only() {
    let mut swapped = Vec::new();
    let mut straight = Vec::new();
    for (id, names) in [(1, ["a", "b"]), (2, ["b", "a"])] {
        row(id, Some(names[0]), &mut straight);
        row(id, Some(names[1]), &mut swapped);
    }
    let (straight, swapped) = (collected(1, &[straight]), collected(1, &[swapped]));
    assert_eq!(straight.columns, swapped.columns);
    assert_ne!(straight.digest, swapped.digest);
}

#[test]
fn samples_follow_the_keys_and_tell_what_is_new() {
    let old = collected(1, &[rows(0..20_000)]);
    assert!(old.sample_shift > 0);
    let keys = |profile: &TableProfile| profile.sketches.get(KEYS).cloned().unwrap();
    let same = collected(1, &[rows(0..20_000)]);
    assert!(keys(&old).renewed_in(&keys(&same)).unwrap() < 0.01);
    let half = collected(1, &[rows(10_000..30_000)]);
    let renewed = keys(&old).renewed_in(&keys(&half)).unwrap();
    assert!((0.4..0.6).contains(&renewed), "{renewed}");
}
