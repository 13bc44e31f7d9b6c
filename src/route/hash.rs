//! PostgreSQL's hash of a partition key, bit for bit.
//!
//! In: one key value in the server's memory form, or words of it. Out: its 64-bit hash under the
//! seed of hash partitioning, and the combination over several keys. The function is Bob Jenkins'
//! lookup3 as in `src/common/hashfn.c`; seed and combination are those of
//! `compute_partition_hash_value` in `src/backend/partitioning/partbounds.c`.
//!
//! The server hashes its memory as it lies. This is the hash of a little-endian server, which
//! every platform in use is; a dump moved to a big-endian one has the same caveat.

/// `HASH_PARTITION_SEED` in `src/include/catalog/partition.h`.
pub(super) const SEED: u64 = 0x7A5B_2236_7996_DCFD;

/// State of the function before the key.
struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    #[inline]
    fn new(length: usize) -> State {
        // The server's lengths are ints, so nothing is cut off.
        let start = 0x9E37_79B9_u32
            .wrapping_add(length as u32)
            .wrapping_add(3_923_095);
        let mut state = State {
            a: start.wrapping_add((SEED >> 32) as u32),
            b: start.wrapping_add(SEED as u32),
            c: start,
        };
        state.mix();
        state
    }

    #[inline]
    fn add(&mut self, [a, b, c]: [u32; 3]) {
        self.a = self.a.wrapping_add(a);
        self.b = self.b.wrapping_add(b);
        self.c = self.c.wrapping_add(c);
    }

    #[inline]
    fn mix(&mut self) {
        let State { a, b, c } = self;
        let step = |x: &mut u32, y: &mut u32, z: u32, by: u32| {
            *x = x.wrapping_sub(*y) ^ y.rotate_left(by);
            *y = y.wrapping_add(z);
        };
        step(a, c, *b, 4);
        step(b, a, *c, 6);
        step(c, b, *a, 8);
        step(a, c, *b, 16);
        step(b, a, *c, 19);
        step(c, b, *a, 4);
    }

    #[inline]
    fn finish(mut self) -> u64 {
        let State { a, b, c } = &mut self;
        let step = |x: &mut u32, y: u32, by: u32| {
            *x = (*x ^ y).wrapping_sub(y.rotate_left(by));
        };
        step(c, *b, 14);
        step(a, *c, 11);
        step(b, *a, 25);
        step(c, *b, 16);
        step(a, *c, 4);
        step(b, *a, 14);
        step(c, *b, 24);
        u64::from(*b) << 32 | u64::from(*c)
    }
}

/// Hashes one 32-bit word, `hash_bytes_uint32_extended`.
#[inline]
pub(super) fn word(word: u32) -> u64 {
    let mut state = State::new(4);
    state.add([word, 0, 0]);
    state.finish()
}

/// Hashes a 64-bit integer so that a value that fits 32 bits hashes as the smaller type,
/// `hashint8extended`.
#[inline]
pub(super) fn long(value: i64) -> u64 {
    let (low, high) = (value as u32, (value >> 32) as u32);
    word(low ^ if value >= 0 { high } else { !high })
}

/// Hashes bytes, `hash_bytes_extended`.
#[inline]
pub(super) fn bytes(key: &[u8]) -> u64 {
    hash(key, |word| word)
}

/// Hashes 16-bit words that lie in network order here and in the other order in the server.
#[inline]
pub(super) fn network_shorts(key: &[u8]) -> u64 {
    hash(key, |word| {
        (word & 0x00FF_00FF) << 8 | (word >> 8) & 0x00FF_00FF
    })
}

#[inline]
fn hash(key: &[u8], order: impl Fn(u32) -> u32) -> u64 {
    let words = |chunk: &[u8; 12]| {
        let word = |at: usize| {
            order(u32::from_le_bytes([
                chunk[at],
                chunk[at + 1],
                chunk[at + 2],
                chunk[at + 3],
            ]))
        };
        [word(0), word(4), word(8)]
    };
    let mut state = State::new(key.len());
    let (chunks, rest) = key.as_chunks::<12>();
    for chunk in chunks {
        state.add(words(chunk));
        state.mix();
    }
    let mut last = [0; 12];
    last[..rest.len()].copy_from_slice(rest);
    let [a, b, c] = words(&last);
    // The lowest byte of `c` is left to the length.
    state.add([a, b, c << 8]);
    state.finish()
}

/// Adds the hash of the next key to that of the keys before, `hash_combine64`; nulls are left out.
#[inline]
pub(super) fn combine(before: u64, key: u64) -> u64 {
    before
        ^ key
            .wrapping_add(0x49A0_F4DD_15E5_A8E3)
            .wrapping_add(before << 54)
            .wrapping_add(before >> 7)
}
