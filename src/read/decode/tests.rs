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

/// The same by whoever reads and by several threads.
fn decode(raw: &[u8], at_once: usize) -> io::Result<(Compression, Vec<u8>)> {
    let alone = decode_by(raw, at_once, 0);
    let side_by_side = decode_by(raw, at_once, 3);
    match (&alone, &side_by_side) {
        (Ok(alone), Ok(side_by_side)) => assert_eq!(alone, side_by_side),
        (Err(alone), Err(side_by_side)) => assert_eq!(alone.kind(), side_by_side.kind()),
        _ => panic!("{alone:?} and {side_by_side:?}"),
    }
    side_by_side
}

fn decode_by(raw: &[u8], at_once: usize, threads: usize) -> io::Result<(Compression, Vec<u8>)> {
    let mut raw = Trickle {
        rest: raw,
        at_once,
        calls: 0,
    };
    let mut text = Vec::new();
    let (compression, mut reader) = open(&mut raw, threads)?;
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
fn an_error_of_the_raw_reader_comes_out_as_it_is() {
    struct Lost;
    impl Read for Lost {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "lost"))
        }
    }
    let packed = [
        b"plain text".to_vec(),
        gzip_member(FIRST),
        zstd_frame(FIRST),
        sized_frame(FIRST),
        bgzip(&[FIRST, SECOND]),
        bzip2_stream(FIRST),
        xz_stream(FIRST),
    ];
    for raw in packed {
        for delivered in [0, 5, 10, raw.len() / 2, raw.len()] {
            for threads in [0, 2] {
                let outcome = open(raw[..delivered].chain(Lost), threads)
                    .and_then(|(_, mut reader)| reader.read_to_end(&mut Vec::new()));
                let error = outcome.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                assert_eq!(error.to_string(), "lost");
            }
        }
    }
}

/// With the size of its content, as everything makes it that knows its input.
fn sized_frame(text: &[u8]) -> Vec<u8> {
    let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
    compressor
        .set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))
        .unwrap();
    compressor.compress(text).unwrap()
}

/// A block of at most 64 KiB: a gzip member with its own length in the extra field.
fn bgzip_block(text: &[u8]) -> Vec<u8> {
    let mut block = flate2::GzBuilder::new()
        .extra(b"BC\x02\0\0\0".to_vec())
        .write(Vec::new(), flate2::Compression::default());
    block.write_all(text).unwrap();
    let mut block = block.finish().unwrap();
    let length = u16::try_from(block.len() - 1).unwrap();
    block[16..18].copy_from_slice(&length.to_le_bytes());
    block
}

/// Blocks of these texts and the empty one at the end.
fn bgzip(texts: &[&[u8]]) -> Vec<u8> {
    let mut blocks: Vec<u8> = texts.iter().flat_map(|text| bgzip_block(text)).collect();
    blocks.extend(bgzip_block(b""));
    blocks
}

fn bzip2_stream(text: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn xz_stream(text: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Lines that do not repeat.
fn lines(bytes: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut number = 1_u64;
    while text.len() < bytes {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        text.extend_from_slice(format!("{number}|{}\n", number >> 40).as_bytes());
    }
    text.truncate(bytes);
    text
}

#[test]
fn bzip2_and_xz_cut_at_every_byte_are_truncated() {
    let packed = [
        (
            Compression::Bzip2,
            bzip2_stream(FIRST),
            bzip2_stream(SECOND),
        ),
        (Compression::Xz, xz_stream(FIRST), xz_stream(SECOND)),
    ];
    for (compression, first, second) in packed {
        let whole = [first.clone(), second].concat();
        assert_eq!(text(&whole), (compression, [FIRST, SECOND].concat()));
        for cut in 10..whole.len() {
            if cut == first.len() {
                assert_eq!(text(&whole[..cut]), (compression, FIRST.to_vec()));
            } else {
                let kind = kind(&whole[..cut]);
                assert_eq!(kind, io::ErrorKind::UnexpectedEof, "{compression:?} {cut}");
            }
        }
        for garbage in [&b"garbage after the end"[..], b"\0x\0\0\0\0\0\0"] {
            let kind = kind(&[&whole[..], garbage].concat());
            assert_eq!(kind, io::ErrorKind::InvalidData, "{compression:?}");
        }
    }
    // The format of xz allows zeros in fours.
    let padded = [xz_stream(FIRST), vec![0; 8]].concat();
    assert_eq!(text(&padded), (Compression::Xz, FIRST.to_vec()));
    for line in [&b"BZhours|x\n"[..], b"BZh9|x and more\n"] {
        assert_eq!(text(line), (Compression::Plain, line.to_vec()));
    }
}

#[test]
fn a_flipped_bit_of_bzip2_or_xz_is_found_or_harmless() {
    for whole in [bzip2_stream(FIRST), xz_stream(FIRST)] {
        for at in 10..whole.len() {
            let mut raw = whole.clone();
            raw[at] ^= 4;
            // A bit of a table that nothing uses changes nothing.
            if let Ok((_, text)) = decode(&raw, 1 << 20) {
                assert_eq!(text, FIRST, "byte {at} of {}", raw.len());
            }
        }
    }
}

#[test]
fn frames_and_blocks_of_any_size_come_out_in_order() {
    let all = lines(5_000_000);
    for length in [1, 1_000, 65_000, 65_280, 700_000, 3_000_000, 9_000_000] {
        let texts: Vec<&[u8]> = match length {
            1 => all[..3000].chunks(1).collect(),
            _ => all.chunks(length).collect(),
        };
        let expected = texts.concat();
        let skippable: &[u8] = b"\x50\x2A\x4D\x18\x04\0\0\0abcd";
        let frames: Vec<u8> = texts
            .iter()
            .flat_map(|text| [skippable, &sized_frame(text)].concat())
            .collect();
        let (compression, decoded) = decode(&frames, 1 << 20).unwrap();
        assert!(
            compression == Compression::Zstd && decoded == expected,
            "{length}"
        );
        if length <= 65_280 {
            let (compression, decoded) = decode(&bgzip(&texts), 300_000).unwrap();
            assert!(
                compression == Compression::Gzip && decoded == expected,
                "{length}"
            );
        }
    }
}

#[test]
fn sized_frames_and_blocks_cut_at_every_byte_are_truncated() {
    let frames = [sized_frame(FIRST), sized_frame(SECOND)].concat();
    let first = sized_frame(FIRST).len();
    for cut in 4..frames.len() {
        match cut == first {
            true => assert_eq!(text(&frames[..cut]).1, FIRST),
            false => assert_eq!(kind(&frames[..cut]), io::ErrorKind::UnexpectedEof),
        }
    }
    // The empty block at the end is missed when it is not there, but by threads only.
    let blocks = bgzip(&[FIRST, SECOND]);
    for cut in 18..blocks.len() {
        let error = decode_by(&blocks[..cut], 7, 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "cut {cut}");
    }
    assert_eq!(text(&blocks).1, [FIRST, SECOND].concat());
}

#[test]
fn what_stands_behind_frames_is_read_as_any_object_is() {
    let blocks = bgzip(&[FIRST]);
    let and = |more: &[u8]| [&blocks[..], more].concat();
    let both = [FIRST, SECOND].concat();
    assert_eq!(text(&and(&gzip_member(SECOND))).1, both);
    assert_eq!(text(&and(&bgzip(&[SECOND]))).1, both);
    assert_eq!(text(&and(&[0; 1000])).1, FIRST);
    assert_eq!(kind(&and(b"garbage behind it")), io::ErrorKind::InvalidData);
    let frame = sized_frame(FIRST);
    let and = |more: &[u8]| [&frame[..], more].concat();
    assert_eq!(text(&and(&zstd_frame(SECOND))).1, both);
    let large = lines(9_000_000);
    let long = [FIRST, &large].concat();
    assert!(decode(&and(&sized_frame(&large)), 1 << 20).unwrap().1 == long);
    assert_eq!(kind(&and(b"garbage behind it")), io::ErrorKind::InvalidData);
    assert_eq!(kind(&and(&gzip_member(SECOND))), io::ErrorKind::InvalidData);
}

#[test]
fn every_flipped_bit_of_a_frame_or_block_is_found_or_harmless() {
    for whole in [sized_frame(FIRST), bgzip(&[FIRST])] {
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut raw = whole.clone();
                raw[at] ^= 1 << bit;
                // Of a gzip header neither time nor system is checked; other bytes may be plain text.
                if let Ok((compression, text)) = decode_by(&raw, 1 << 20, 2) {
                    assert!(
                        compression == Compression::Plain || text == FIRST,
                        "{at} {bit}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_frame_that_lies_about_its_content_is_refused() {
    let mut frame = sized_frame(&[b'a'; 200]);
    // Single segment, content size in one byte behind the descriptor.
    assert_eq!(frame[5], 200);
    for size in [199, 201] {
        frame[5] = size;
        let error = decode_by(&frame, 1 << 20, 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
    let mut block = bgzip(&[FIRST]);
    let end = block.len() - 28 - 4;
    block[end] += 1;
    let error = decode_by(&block, 1 << 20, 2).unwrap_err();
    assert!(matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    ));
}

#[test]
fn a_reader_that_is_dropped_early_leaves_no_thread_waiting() {
    let texts = lines(6_000_000);
    let frames: Vec<u8> = texts.chunks(100_000).flat_map(sized_frame).collect();
    let (_, mut reader) = open(frames.as_slice(), 4).unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
    drop(reader); // joins its threads
}
