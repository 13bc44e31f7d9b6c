//! What the first bytes of an input choose, and how much may be done with the rest.

use overnight::read::dialect::{Dialect, Escape, Footer, Skip};
use overnight::read::line_glob::LineGlob;
use overnight::read::{Encoding, dialect::Shape};
use std::io::{self, Read};

/// An input, read from its front.
pub struct Input<'d>(&'d [u8]);

impl<'d> Input<'d> {
    pub fn new(data: &'d [u8]) -> Input<'d> {
        Input(data)
    }

    /// The next byte; zero at the end.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// One of these.
    pub fn choose<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()].clone()
    }

    pub fn rest(self) -> &'d [u8] {
        self.0
    }

    /// A dialect around the records; delimiters and quotes only of delimited text.
    pub fn dialect(&mut self, shape: Shape) -> Dialect {
        let glob = |text: &str| LineGlob::new(text).expect("a glob");
        let mut dialect = Dialect {
            skip: match self.byte() % 6 {
                0 => Skip::Lines(1),
                1 => Skip::Lines(3),
                2 => Skip::Until(glob("id*")),
                3 => Skip::Until(glob("*b?[,|]*")),
                _ => Skip::Nothing,
            },
            footer: match self.byte() % 6 {
                0 => Footer::Records(1),
                1 => Footer::Records(3),
                2 => Footer::From(glob("T*")),
                3 => Footer::From(glob("*a\"?*")),
                _ => Footer::None,
            },
            comment: self.choose(&[None, None, None, Some(b"#".to_vec()), Some(b"--a".to_vec())]),
            encoding: self.choose(&[
                Encoding::Utf8,
                Encoding::Ascii,
                Encoding::Iso8859_1,
                Encoding::Windows1252,
            ]),
            max_record_bytes: self.choose(&[1 << 20, 1 << 20, 1 << 20, 40, 9, 1]),
            pad_short: self.byte() % 4 == 1,
            header: false,
            ..Dialect::default()
        };
        if shape == Shape::Delimited {
            dialect.delimiter = self.choose(b",|\t^; a~");
            dialect.quote = self.choose(&[Some(b'"'), Some(b'"'), None, Some(b'~'), Some(b'\'')]);
            dialect.escape = self.choose(&[Escape::Doubled, Escape::Doubled, Escape::Backslash]);
            dialect.header = self.byte().is_multiple_of(2);
            dialect.header_lines = self.choose(&[1, 1, 1, 2, 3]);
            dialect.trailing_delimiter = self.byte() % 4 == 1;
        }
        dialect.shape = shape;
        dialect
    }
}

/// How much may still be done.
pub struct Steps(u64);

impl Steps {
    /// Some steps for each byte, and some for none.
    pub fn of(bytes: usize, each: u64) -> Steps {
        Steps(each * (bytes as u64 + 16))
    }

    pub fn take(&mut self) {
        assert!(self.0 > 0, "more steps than the size of the input explains");
        self.0 -= 1;
    }
}

/// Gives a few bytes at a time.
pub struct Trickle<'d>(pub &'d [u8], pub usize);

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = out.len().min(self.1);
        self.0.read(&mut out[..count])
    }
}
