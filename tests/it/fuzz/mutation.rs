//! Inputs that are nearly those of a corpus: the same for the same number, on every machine.

/// Splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Inputs do not grow beyond this.
const MOST_BYTES: usize = 16 << 10;

/// Bytes and words that mean something somewhere.
const WORDS: [&[u8]; 24] = [
    b"\"",
    b"\"\"",
    b"\r\n",
    b"\n",
    b"\r",
    b",",
    b"\\",
    b"#",
    b"\\N",
    b"\xEF\xBB\xBF",
    b"\0",
    b"\xFF\xFF\xFF\xFF",
    b"\x7F\xFF\xFF\xFF",
    b"\xFF\xFF\xFF\x7F",
    b"{",
    b"[",
    b"</",
    b"<![CDATA[",
    b"&#",
    b"$$",
    b"9999999999",
    b"-",
    b"\xC3\xA9",
    b"infinity",
];

/// One file of the corpus, changed in one to five places.
pub fn of(corpus: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut random = Random(number);
    let mut bytes = corpus[random.below(corpus.len())].clone();
    // The first bytes choose the options: others are tried often.
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len().min(24));
        if let Some(byte) = bytes.get_mut(at) {
            *byte = random.next() as u8;
        }
    }
    for _ in 0..=random.below(5) {
        change(&mut bytes, corpus, &mut random);
    }
    bytes.truncate(MOST_BYTES);
    bytes
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let most = 1 << random.below(8);
    let length = random.below(most);
    let end = (at + length).min(bytes.len());
    match random.below(10) {
        // One bit, or one byte.
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        2 if at < bytes.len() => bytes[at] = random.next() as u8,
        // Cut off, or a part gone.
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..end)),
        // A part twice.
        5 => {
            let part = bytes[at..end].to_vec();
            bytes.splice(end..end, part);
        }
        // A part of another file.
        6 => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len() + 1);
            let part = other[from..(from + length).min(other.len())].to_vec();
            bytes.splice(at..at, part);
        }
        // A length: a number of four bytes grows, shrinks or becomes as large as it can.
        7 if at + 4 <= bytes.len() => {
            let by = random.below(64) as u8;
            match random.below(4) {
                0 => bytes[at..at + 4].fill(0xFF),
                1 => bytes[at..at + 4].fill(0),
                2 => bytes[at] = bytes[at].wrapping_add(by),
                _ => bytes[at] = bytes[at].wrapping_sub(by),
            }
        }
        // One byte many times.
        8 => {
            let byte = random.next() as u8;
            bytes.splice(at..at, std::iter::repeat_n(byte, 8 * length));
        }
        _ => {
            let word = WORDS[random.below(WORDS.len())];
            bytes.splice(at..at, word.iter().copied());
        }
    }
}
