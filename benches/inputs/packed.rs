//! Text in the containers that only the times are measured of.

use std::io::Write;

/// In frames of 512 KiB that say how long they are, as `pzstd` makes them; none holds a row twice.
pub fn zstd_frames(text: &[u8]) -> Vec<u8> {
    let frames = text.chunks(512 << 10);
    frames
        .flat_map(|frame| zstd::bulk::compress(frame, 3).expect("compress in memory"))
        .collect()
}

/// In blocks that say how long they are, and the empty one at the end.
pub fn bgzip(text: &[u8]) -> Vec<u8> {
    let blocks = text.chunks(65_280).chain([&b""[..]]);
    let packed = blocks.flat_map(|block| {
        let mut encoder = flate2::GzBuilder::new()
            .extra(b"BC\x02\0\0\0".to_vec())
            .write(Vec::new(), flate2::Compression::default());
        encoder.write_all(block).expect("compress in memory");
        let mut packed = encoder.finish().expect("compress in memory");
        let length = u16::try_from(packed.len() - 1).expect("a block is short");
        packed[16..18].copy_from_slice(&length.to_le_bytes());
        packed
    });
    packed.collect()
}

pub fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(text).expect("compress in memory");
    encoder.finish().expect("compress in memory")
}

pub fn xz(text: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(text).expect("compress in memory");
    encoder.finish().expect("compress in memory")
}
