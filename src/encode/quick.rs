//! The common types from the bytes of a file straight into a row, without a check that can wait.
//!
//! In: a window on the text, which goes on behind the field, and the field's length. Out: length
//! word and value in a slice, or `None` for everything that is not an everyday value of its type,
//! also where the window or the slice ends: the caller then asks [`Type::encode`], which knows all
//! forms and says what is wrong. What is written here is what that would write; a property test
//! compares them.
//!
//! Whole words are loaded and stored, whatever the length: a copy of two bytes costs as much as one
//! of sixteen, and a loop over the bytes costs a branch that the processor guesses wrong.

use super::numeric::{Precision, put_word};
use super::{Type, date, integer, short};

/// Bytes that a value may be written over: the longest, 16 bytes of text, and its length word.
const ROOM: usize = 24;

/// How to write values of a type quickly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quick {
    Bool,
    Int2,
    Int4,
    Int8,
    /// Which of the memories of the plan belongs to its precision.
    Numeric {
        memory: u16,
        precision: Option<Precision>,
    },
    Date,
    /// Of at most so many bytes: then it has no more characters either.
    Text {
        limit: u32,
    },
    /// No everyday form.
    None,
}

impl Quick {
    /// The quick way of a type. `precisions` collects the distinct precisions of a plan's numeric
    /// columns: each has a [`Memory`].
    #[must_use]
    pub fn of(ty: &Type, precisions: &mut Vec<Option<Precision>>) -> Quick {
        match ty {
            Type::Bool => Quick::Bool,
            Type::Int2 => Quick::Int2,
            Type::Int4 => Quick::Int4,
            Type::Int8 => Quick::Int8,
            Type::Date => Quick::Date,
            Type::Text => Quick::Text { limit: u32::MAX },
            Type::Varchar(limit) | Type::Bpchar(limit) => Quick::Text {
                limit: limit.unwrap_or(u32::MAX),
            },
            Type::Numeric(precision) => {
                let known = precisions.iter().position(|known| known == precision);
                let memory = known.unwrap_or(precisions.len());
                if known.is_none() {
                    precisions.push(*precision);
                }
                Quick::Numeric {
                    memory: memory.min(usize::from(u16::MAX)) as u16,
                    precision: *precision,
                }
            }
            _ => Quick::None,
        }
    }

    /// Writes the value of the first `length` bytes of `window`, and returns how long it is.
    #[inline(always)]
    pub fn put(
        self,
        window: &[u8],
        length: usize,
        memories: &mut [Memory],
        out: &mut [u8],
    ) -> Option<usize> {
        match self {
            Quick::Bool => {
                let out: &mut [u8; 8] = out.first_chunk_mut()?;
                let value = *integer::LETTERS.get(usize::from(*window.first()?))?;
                *out = [0, 0, 0, 1, u8::from(value?), 0, 0, 0];
                (length == 1).then_some(5)
            }
            Quick::Int2 => {
                let value = i16::try_from(whole(window, length)?).ok()?;
                let [a, b] = value.to_be_bytes();
                *out.first_chunk_mut()? = [0, 0, 0, 2, a, b, 0, 0];
                Some(6)
            }
            Quick::Int4 => {
                let value = u64::from(whole(window, length)?) | 4 << 32;
                *out.first_chunk_mut()? = value.to_be_bytes();
                Some(8)
            }
            Quick::Int8 => {
                let value = u128::from(whole(window, length)?) | 8 << 64;
                let [_, _, _, _, value @ ..] = value.to_be_bytes();
                *out.first_chunk_mut()? = value;
                Some(12)
            }
            Quick::Numeric { memory, precision } => {
                let word = short::load_window(window, length)?;
                let out = out.first_chunk_mut()?;
                let memory = memories.get_mut(usize::from(memory))?;
                memory.put(word, length, precision, out)
            }
            Quick::Date => {
                let day = date::near_day(window.first_chunk()?)?;
                *out.first_chunk_mut()? = (4 << 32 | u64::from(day.cast_unsigned())).to_be_bytes();
                (length == 10).then_some(8)
            }
            Quick::Text { limit } => {
                if length > limit as usize {
                    return None;
                }
                let word = (length as u32).to_be_bytes();
                if length <= 16 {
                    let text: &[u8; 16] = window.first_chunk()?;
                    let out: &mut [u8; 20] = out.first_chunk_mut()?;
                    out[..4].copy_from_slice(&word);
                    out[4..].copy_from_slice(text);
                } else {
                    let out = out.get_mut(..4 + length)?;
                    out[..4].copy_from_slice(&word);
                    out[4..].copy_from_slice(window.get(..length)?);
                }
                Some(4 + length)
            }
            Quick::None => None,
        }
    }
}

/// A whole number of 1 to 8 digits.
#[inline(always)]
fn whole(window: &[u8], length: usize) -> Option<u32> {
    short::digits(short::load_window(window, length)?, length as u32)
}

/// Values of a numeric column that came before, by their text. Fees, prices and rates repeat: to
/// find one again takes a third of the time of making it.
#[derive(Debug, Clone)]
pub struct Memory {
    entries: Box<[Entry; ENTRIES]>,
}

const ENTRIES: usize = 512;
/// Texts longer than this seldom repeat.
const LONGEST: usize = 6;

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The text; 0 for none.
    word: u64,
    value: [u8; ROOM - 1],
    length: u8,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory {
            entries: Box::new(
                [Entry {
                    word: 0,
                    value: [0; ROOM - 1],
                    length: 0,
                }; ENTRIES],
            ),
        }
    }
}

impl Memory {
    /// Forgets everything: the next plan may have other precisions.
    pub fn clear(&mut self) {
        for entry in self.entries.iter_mut() {
            entry.word = 0;
        }
    }

    #[inline(always)]
    fn put(
        &mut self,
        word: u64,
        length: usize,
        precision: Option<Precision>,
        out: &mut [u8; ROOM - 1],
    ) -> Option<usize> {
        if length > LONGEST {
            return make(word, length, precision, out);
        }
        // Fibonacci hashing: the highest bits depend on all of the word.
        let place = word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - ENTRIES.trailing_zeros());
        let entry = &mut self.entries[place as usize % ENTRIES];
        if entry.word != word {
            let written = make(word, length, precision, &mut entry.value);
            entry.word = if written.is_some() { word } else { 0 };
            entry.length = written? as u8;
        }
        *out = entry.value;
        Some(usize::from(entry.length))
    }
}

/// Not inlined, so that the loop over the fields keeps its values in registers.
#[inline(never)]
fn make(
    word: u64,
    length: usize,
    precision: Option<Precision>,
    out: &mut [u8; ROOM - 1],
) -> Option<usize> {
    put_word(word, length as u32, precision, out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn what_is_written_quickly_is_what_the_full_encoder_writes(
            text in prop_oneof![
                "[0-9]{1,9}", "-?[0-9]{0,5}\\.[0-9]{0,4}", "(18|19|20|21)[0-9]{2}-[01][0-9]-[0-3][0-9]",
                "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[yYnNtTfF10]", "\\PC{0,20}", "[ -~]{0,40}"
            ],
            behind in "[|\\n0-9.]{0,20}",
        ) {
            let types = [
                Type::Bool, Type::Int2, Type::Int4, Type::Int8, Type::Date, Type::Text,
                Type::Varchar(Some(5)), Type::Bpchar(Some(12)), Type::Numeric(None),
                Type::Numeric(Some(Precision { precision: 6, scale: 2 })),
                Type::Numeric(Some(Precision { precision: 15, scale: 2 })),
                Type::Numeric(Some(Precision { precision: 3, scale: 5 })),
                Type::Numeric(Some(Precision { precision: 4, scale: 0 })),
                Type::Numeric(Some(Precision { precision: 4, scale: -1 })),
            ];
            let window = format!("{text}{behind}");
            let mut precisions = Vec::new();
            for ty in types {
                let quick = Quick::of(&ty, &mut precisions);
                let mut memories = vec![Memory::default(); precisions.len()];
                let mut full = Vec::new();
                let expected = ty.encode(text.as_bytes(), &mut full);
                // Twice: made, and found again.
                for _ in 0..2 {
                    let mut out = [0xEE; 64];
                    let put = quick.put(window.as_bytes(), text.len(), &mut memories, &mut out);
                    if let Some(length) = put {
                        prop_assert_eq!(&expected, &Ok(()), "{:?}", &ty);
                        prop_assert_eq!(&out[..length], &full[..], "{:?}", &ty);
                    }
                    for short in 0..8 {
                        let room = &mut out[..short];
                        prop_assert_eq!(quick.put(window.as_bytes(), text.len(), &mut memories, room).filter(|l| *l > short), None);
                    }
                }
            }
        }
    }

    #[test]
    fn everyday_values_are_quick() {
        let mut precisions = Vec::new();
        let everyday = [
            (Type::Bool, "Y"),
            (Type::Int2, "123"),
            (Type::Int4, "12345678"),
            (Type::Int8, "7"),
            (Type::Date, "2026-11-22"),
            (Type::Text, "H1234"),
            (
                Type::Varchar(Some(44)),
                "furiously even requests sleep about it",
            ),
            (
                Type::Numeric(Some(Precision {
                    precision: 6,
                    scale: 2,
                })),
                "0.40",
            ),
            (
                Type::Numeric(Some(Precision {
                    precision: 15,
                    scale: 2,
                })),
                "12345.67",
            ),
            (Type::Numeric(None), "17"),
        ];
        for (ty, text) in everyday {
            let quick = Quick::of(&ty, &mut precisions);
            let mut memories = vec![Memory::default(); precisions.len()];
            let window = format!("{text}|and more of the record behind");
            let put = quick.put(window.as_bytes(), text.len(), &mut memories, &mut [0; 64]);
            assert!(put.is_some(), "{ty:?} {text}");
        }
    }
}
