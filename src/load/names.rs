//! Which field of a file a column takes, by the names in its header.
//!
//! In: the names and what a source file says. Out: places, or why one cannot be told. A name that
//! is spelled exactly so goes before one that folds to the same. `NAME#2` is the second field of
//! that name and `#7` the seventh field, for names that are repeated or empty.

use crate::dataset::fold;

/// The names of the fields of one file.
pub(super) struct Names<'h> {
    header: &'h [String],
    folded: Vec<String>,
}

/// Why a name does not say which field.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoField {
    Missing,
    /// So many could be meant.
    Several(usize),
}

/// Longer names are cut by the server: <https://www.postgresql.org/docs/current/limits.html>
const MOST_BYTES: usize = 63;

impl<'h> Names<'h> {
    pub(super) fn new(header: &'h [String]) -> Names<'h> {
        Names {
            header,
            folded: header.iter().map(|name| fold(name)).collect(),
        }
    }

    /// The field of a name as the source file writes it.
    pub(super) fn named(&self, wanted: &str) -> Result<usize, NoField> {
        let exact = self.places(|index| self.header[index] == wanted);
        if !exact.is_empty() {
            return one(&exact);
        }
        let folded = fold(wanted);
        let alike = self.places(|index| self.folded[index] == folded);
        let Some((name, number)) = numbered(wanted) else {
            return one(&alike);
        };
        let field = match name {
            "" => number.checked_sub(1).filter(|at| *at < self.header.len()),
            name => {
                let mut places = self.places(|index| self.header[index] == name);
                if places.is_empty() {
                    places = self.places(|index| self.folded[index] == fold(name));
                }
                number.checked_sub(1).and_then(|at| places.get(at).copied())
            }
        };
        // A header may have such a name itself.
        let hashed = alike.iter().copied();
        let hashed: Vec<usize> = hashed
            .filter(|index| self.header[*index].contains('#'))
            .collect();
        field.map_or_else(|| one(&hashed), Ok)
    }

    /// The field of a column for which the source file names none.
    pub(super) fn column(&self, column: &str) -> Result<usize, NoField> {
        let folded = self.places(|index| self.folded[index] == column);
        if !folded.is_empty() {
            return one(&folded);
        }
        // The table was made with the whole name, and the server cut it.
        let cut = |index: usize| {
            let name = &self.folded[index];
            name.len() > MOST_BYTES && &name[..name.floor_char_boundary(MOST_BYTES)] == column
        };
        one(&self.places(cut))
    }

    /// Says for each field whether the source file names it as one that is not loaded.
    pub(super) fn ignored(&self, ignore: &[String]) -> Vec<bool> {
        let mut ignored = vec![false; self.header.len()];
        for wanted in ignore {
            // One name ignores every field of that name; one with a number only that field.
            let folded = fold(wanted);
            let by_number = numbered(wanted).is_some().then(|| self.named(wanted).ok());
            for (index, ignored) in ignored.iter_mut().enumerate() {
                *ignored |= match by_number {
                    Some(Some(field)) => index == field,
                    Some(None) => false,
                    None => self.folded[index] == folded,
                };
            }
        }
        ignored
    }

    fn places(&self, is_it: impl Fn(usize) -> bool) -> Vec<usize> {
        (0..self.header.len()).filter(|at| is_it(*at)).collect()
    }
}

fn one(places: &[usize]) -> Result<usize, NoField> {
    match places {
        [field] => Ok(*field),
        [] => Err(NoField::Missing),
        several => Err(NoField::Several(several.len())),
    }
}

/// `NAME#2` in its parts.
fn numbered(name: &str) -> Option<(&str, usize)> {
    let (name, number) = name.rsplit_once('#')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        .then(|| number.parse().ok())
        .flatten()
        .map(|number| (name, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_repeated_or_empty_name_is_found_by_its_number() {
        let header = header(&[
            "ID",
            "Amount",
            "",
            "AMOUNT",
            "Amount",
            "start\n end",
            "Tel #2",
        ]);
        let names = Names::new(&header);
        assert_eq!(names.named("id"), Ok(0));
        assert_eq!(names.named("Amount"), Err(NoField::Several(2)));
        assert_eq!(names.named("AMOUNT"), Ok(3));
        assert_eq!(names.named("Amount#1"), Ok(1));
        assert_eq!(names.named("Amount#2"), Ok(4));
        assert_eq!(names.named("Amount#3"), Err(NoField::Missing));
        assert_eq!(names.named("amount#2"), Ok(3));
        assert_eq!(names.named("amount"), Err(NoField::Several(3)));
        assert_eq!(names.named("#3"), Ok(2));
        assert_eq!(names.named("#8"), Err(NoField::Missing));
        assert_eq!(names.named("#0"), Err(NoField::Missing));
        assert_eq!(names.named("Start End"), Ok(5));
        assert_eq!(names.named("Tel #2"), Ok(6));
        assert_eq!(names.named("TEL #2"), Ok(6));
        assert_eq!(names.named("Tel 2"), Ok(6));
        assert_eq!(names.named("id#2"), Err(NoField::Missing));
        assert_eq!(names.column("id"), Ok(0));
        assert_eq!(names.column("amount"), Err(NoField::Several(3)));
    }

    #[test]
    fn ignoring_a_name_ignores_each_of_it_and_a_number_only_one() {
        let header = header(&["a", "A", "", ""]);
        let names = Names::new(&header);
        let ignored = |ignore: &[&str]| {
            let ignore: Vec<String> = ignore.iter().map(|name| (*name).to_owned()).collect();
            names.ignored(&ignore)
        };
        assert_eq!(ignored(&["a"]), [true, true, false, false]);
        assert_eq!(ignored(&["A#1"]), [false, true, false, false]);
        assert_eq!(ignored(&["#4", "#9"]), [false, false, false, true]);
        assert_eq!(ignored(&[""]), [false, false, true, true]);
    }

    #[test]
    fn a_column_takes_a_name_that_the_server_would_have_cut_to_its_own() {
        let long = header(&[&"Long Name ".repeat(9)]);
        let names = Names::new(&long);
        let column = fold(&long[0]);
        assert_eq!(names.column(&column[..63]), Ok(0));
        assert_eq!(names.column(&column[..62]), Err(NoField::Missing));
    }
}
