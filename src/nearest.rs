//! The names most like one that is not there, for messages.

/// Names in one message, at most.
const MOST: usize = 5;

/// Up to five of `names`, most like `wanted` first, quoted and with control characters escaped; `None`
/// where there are no names.
pub fn nearest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let mut found: Vec<(usize, &str)> = names.map(|name| (distance(wanted, name), name)).collect();
    found.sort();
    let shown: Vec<String> = found
        .iter()
        .take(MOST)
        .map(|(_, name)| format!("`{}`", name.escape_debug()))
        .collect();
    let more = match found.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!shown.is_empty()).then(|| shown.join(", ") + &more)
}

/// Edits of one character that make one text of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, character) in one.chars().enumerate() {
        let mut before = line;
        let mut left = line + 1;
        for (cell, wanted) in row.iter_mut().skip(1).zip(&other) {
            let changed = before + usize::from(character != *wanted);
            before = *cell;
            left = changed.min(before + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_most_alike_come_first_and_are_escaped() {
        for (one, other, edits) in [
            ("", "", 0),
            ("", "ab", 2),
            ("stock", "stick", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), edits);
            assert_eq!(distance(other, one), edits);
        }
        let names = ["zebra", "stock2.txt", "a\u{1b}b"];
        assert_eq!(
            nearest("stock.txt", names.into_iter()).unwrap(),
            r"`stock2.txt`, `a\u{1b}b`, `zebra`"
        );
        let many = ["1", "2", "3", "4", "5", "6", "7"];
        assert!(
            nearest("x", many.into_iter())
                .unwrap()
                .ends_with(" and 2 more")
        );
        assert_eq!(nearest("x", std::iter::empty()), None);
    }
}
