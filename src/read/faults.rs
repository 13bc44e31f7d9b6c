//! Why bytes FF stand in a text that was made from something else.
//!
//! In: from whoever makes the text, the offset of each such byte in it and the reason. Out: the
//! reason, for the reject of the field that holds it. The list is bounded: of a file that is wrong
//! everywhere only the first places are known.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// As many as rejects are listed.
const MOST: usize = super::parse::MAX_LISTED_REJECTS;

/// What is wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The file has no text at this byte.
    Byte(u64),
    /// A sentence about the value that never shows it.
    Said(Cow<'static, str>),
}

/// The places of one file, in order.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<(u64, Why)>>);

impl Faults {
    /// Remembers why the byte at this offset of the text is none. Offsets come in order.
    pub fn push(&self, at: u64, why: Why) {
        let mut places = self.places();
        if places.len() < MOST {
            places.push((at, why));
        }
    }

    /// Why there is no text at this offset.
    pub fn at(&self, at: u64) -> Option<Why> {
        let places = self.places();
        let index = places.binary_search_by_key(&at, |(place, _)| *place).ok()?;
        places.get(index).map(|(_, why)| why.clone())
    }

    /// Why there is no text at the first such place from this offset on.
    pub fn first_from(&self, at: u64) -> Option<Why> {
        let places = self.places();
        let index = places.partition_point(|(place, _)| *place < at);
        places.get(index).map(|(_, why)| why.clone())
    }

    fn places(&self) -> MutexGuard<'_, Vec<(u64, Why)>> {
        // A list of places is whole after every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again_and_the_list_is_bounded() {
        let faults = Faults::default();
        for place in 0..MOST as u64 + 5 {
            faults.push(10 * place, Why::Byte(place));
        }
        assert_eq!(faults.at(70), Some(Why::Byte(7)));
        assert_eq!(faults.at(71), None);
        assert_eq!(faults.first_from(71), Some(Why::Byte(8)));
        assert_eq!(faults.at(10 * MOST as u64), None);
        assert_eq!(faults.first_from(10 * MOST as u64), None);
    }
}
