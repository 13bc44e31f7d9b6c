use std::io::Write;

use super::*;

const FIRST: &[u8] = b"id|name\n1|Zoe\n";
const SECOND: &[u8] = b"2|Bob\n3|Eve\n";

fn gzip_member(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// With the checksum that `zstd` writes by default.
fn zstd_frame(text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Delivers few bytes at a time and counts them, with an interruption now and then.
struct Trickle<'a> {
    rest: &'a [u8],
    at_once: usize,
    calls: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(7) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = out.len().min(self.at_once).min(self.rest.len());
        out[..count].copy_from_slice(&self.rest[..count]);
        self.rest = &self.rest[count..];
        Ok(count)
    }
}

fn decode(raw: &[u8], at_once: usize) -> io::Result<(Compression, Vec<u8>)> {
    let mut raw = Trickle {
        rest: raw,
        at_once,
        calls: 0,
    };
    let mut text = Vec::new();
    let (compression, mut reader) = open(&mut raw)?;
    let outcome = reader.read_to_end(&mut text);
    if outcome.is_err() {
        let again = reader.read(&mut [0; 8]);
        assert!(again.is_err(), "an error must not turn into an end");
    }
    drop(reader);
    outcome?;
    assert!(raw.rest.is_empty(), "raw bytes were left unread");
    Ok((compression, text))
}

fn kind(raw: &[u8]) -> io::ErrorKind {
    let kinds = [1, 3, 1 << 20].map(|at_once| decode(raw, at_once).unwrap_err().kind());
    assert_eq!(kinds[0], kinds[1]);
    assert_eq!(kinds[0], kinds[2]);
    kinds[0]
}

fn text(raw: &[u8]) -> (Compression, Vec<u8>) {
    let one = decode(raw, 1).unwrap();
    assert_eq!(one, decode(raw, 1 << 20).unwrap());
    one
}

#[test]
fn plain_bytes_pass_unchanged() {
    assert_eq!(text(b""), (Compression::Plain, Vec::new()));
    assert_eq!(text(b"a"), (Compression::Plain, b"a".to_vec()));
    let long: Vec<u8> = (0..1_000_000u32).map(|i| b'a' + (i % 26) as u8).collect();
    assert_eq!(
        decode(&long, 1000).unwrap(),
        (Compression::Plain, long.clone())
    );
    assert_eq!(decode(&long, 1 << 20).unwrap(), (Compression::Plain, long));
}

#[test]
fn two_gzip_members_cut_at_every_byte_are_truncated() {
    let first = gzip_member(FIRST);
    let whole = [first.clone(), gzip_member(SECOND)].concat();
    assert_eq!(
        text(&whole),
        (Compression::Gzip, [FIRST, SECOND].concat()),
        "all members"
    );
    for cut in 1..whole.len() {
        if cut == first.len() {
            assert_eq!(text(&whole[..cut]), (Compression::Gzip, FIRST.to_vec()));
        } else {
            assert_eq!(
                kind(&whole[..cut]),
                io::ErrorKind::UnexpectedEof,
                "cut {cut}"
            );
        }
    }
}

#[test]
fn two_zstd_frames_cut_at_every_byte_are_truncated() {
    let first = zstd_frame(FIRST);
    let whole = [first.clone(), zstd_frame(SECOND)].concat();
    assert_eq!(text(&whole), (Compression::Zstd, [FIRST, SECOND].concat()));
    // The first byte of a frame alone is the text "(".
    for cut in 2..whole.len() {
        if cut == first.len() {
            assert_eq!(text(&whole[..cut]), (Compression::Zstd, FIRST.to_vec()));
        } else {
            assert_eq!(
                kind(&whole[..cut]),
                io::ErrorKind::UnexpectedEof,
                "cut {cut}"
            );
        }
    }
}

#[test]
fn every_flipped_bit_of_a_gzip_trailer_or_zstd_checksum_is_found() {
    for (raw, tail) in [(gzip_member(FIRST), 8), (zstd_frame(FIRST), 4)] {
        for at in raw.len() - tail..raw.len() {
            for bit in 0..8 {
                let mut raw = raw.clone();
                raw[at] ^= 1 << bit;
                assert_eq!(kind(&raw), io::ErrorKind::InvalidData);
            }
        }
    }
}

#[test]
fn zero_padding_after_gzip_of_any_length_is_accepted() {
    // An empty member ends in zero bytes itself.
    for (member, expected) in [(gzip_member(SECOND), SECOND), (gzip_member(b""), b"")] {
        for zeros in [1, 2, 7, 8, 9, 10, 11, 18, 512, 300_000] {
            let raw = [member.clone(), vec![0; zeros]].concat();
            assert_eq!(
                decode(&raw, 1 << 20).unwrap(),
                (Compression::Gzip, expected.to_vec())
            );
            assert_eq!(decode(&raw, 5).unwrap().1, expected);
        }
    }
}

#[test]
fn anything_else_after_the_last_member_or_frame_is_an_error() {
    let padded = |mut raw: Vec<u8>, garbage: &[u8]| {
        raw.extend_from_slice(garbage);
        kind(&raw)
    };
    for garbage in [
        &b"garbage after the end"[..],
        b"x",
        b"x\0",
        b"\0x",
        b"\0\0\0\0\0\0\0\0\0\0x",
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x1f\x8b",
        b"\n",
    ] {
        let kinds = [
            padded(gzip_member(FIRST), garbage),
            padded(gzip_member(b""), garbage),
            padded(zstd_frame(FIRST), garbage),
        ];
        for kind in kinds {
            assert!(matches!(
                kind,
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ));
        }
    }
    let zeros_then_member = [gzip_member(FIRST), vec![0; 40], gzip_member(SECOND)].concat();
    assert_eq!(kind(&zeros_then_member), io::ErrorKind::InvalidData);
    let zeros_after_zstd = [zstd_frame(FIRST), vec![0; 40]].concat();
    assert_eq!(kind(&zeros_after_zstd), io::ErrorKind::InvalidData);
    let gzip_then_zstd = [gzip_member(FIRST), zstd_frame(SECOND)].concat();
    assert_eq!(kind(&gzip_then_zstd), io::ErrorKind::InvalidData);
}

#[test]
fn a_gzip_name_and_a_first_skippable_zstd_frame_are_skipped() {
    let mut named = flate2::GzBuilder::new()
        .filename("night.txt")
        .comment("c")
        .extra(vec![0; 9])
        .write(Vec::new(), flate2::Compression::fast());
    named.write_all(FIRST).unwrap();
    let named = named.finish().unwrap();
    assert_eq!(text(&named), (Compression::Gzip, FIRST.to_vec()));
    let skippable = [
        b"\x52\x2A\x4D\x18\x03\0\0\0xyz".to_vec(),
        zstd_frame(FIRST),
        b"\x50\x2A\x4D\x18\0\0\0\0".to_vec(),
    ]
    .concat();
    assert_eq!(text(&skippable), (Compression::Zstd, FIRST.to_vec()));
}

#[test]
fn zstd_with_a_window_above_128_mib_is_refused() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    encoder.write_all(FIRST).unwrap();
    let raw = encoder.finish().unwrap();
    let error = decode(&raw, 1 << 20).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("too much memory"), "{error}");
}

#[test]
fn other_formats_are_named_and_refused_also_inside_compression() {
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(*b"i\0d\0\n\0").collect();
    let cases: [(&[u8], &str); 6] = [
        (b"PK\x03\x04\x14\0\0\0\x08\0rest", "zip"),
        (b"BZh91AY&SY\0\0\0\0", "bzip2"),
        (b"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0", "bzip2"),
        (b"\xFD7zXZ\0\0\x04", "xz"),
        (&utf16, "UTF-16"),
        (b"\xFE\xFF\0i\0d", "UTF-16"),
    ];
    for (raw, name) in cases {
        for raw in [raw.to_vec(), gzip_member(raw), zstd_frame(raw)] {
            let error = decode(&raw, 1).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(error.to_string().contains(name), "{error}");
        }
    }
    let twice = gzip_member(&gzip_member(FIRST));
    assert_eq!(kind(&twice), io::ErrorKind::Unsupported);
    for line in [&b"BZhours|x\n"[..], b"PKG|x\n"] {
        assert_eq!(text(line), (Compression::Plain, line.to_vec()));
    }
}

#[test]
fn an_error_of_the_raw_reader_comes_out_as_it_is() {
    struct Lost;
    impl Read for Lost {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "lost"))
        }
    }
    let (gzip, zstd) = (gzip_member(FIRST), zstd_frame(FIRST));
    for raw in [&b"plain text"[..], &gzip, &zstd] {
        for delivered in [0, 5, 10, raw.len() / 2, raw.len()] {
            let outcome = open(raw[..delivered].chain(Lost))
                .and_then(|(_, mut reader)| reader.read_to_end(&mut Vec::new()));
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            assert_eq!(error.to_string(), "lost");
        }
    }
}
