//! A file of a format that is no plain text, read as the text that it becomes.

use super::input::{Steps, Trickle};
use overnight::read::faults::Why;
use overnight::read::text::{TextFormat, open};
use std::io::Read;

/// The text, cut off at `most` bytes, with what is known of its first bytes FF; or what is wrong.
pub fn text(
    data: &[u8],
    format: &TextFormat,
    at_once: usize,
    most: usize,
) -> Result<(Vec<u8>, Vec<Option<Why>>), String> {
    let said = |error: std::io::Error| {
        let said = error.to_string();
        // Elsewhere it would be a file that cannot be read; here somebody should look.
        assert!(!said.contains("the thread that read the file is gone"));
        said
    };
    let mut text = open(Trickle(data, at_once), format, &std::env::temp_dir()).map_err(said)?;
    let mut steps = Steps::of(data.len() + most, 1);
    let mut bytes = Vec::new();
    let mut block = [0; 1021];
    while bytes.len() < most {
        steps.take();
        match text.reader.read(&mut block).map_err(said)? {
            0 => break,
            count => bytes.extend_from_slice(&block[..count]),
        }
    }
    let mut whys = Vec::new();
    if let Some(faults) = &text.faults {
        let places = bytes.iter().enumerate().filter(|(_, byte)| **byte == 0xFF);
        whys.extend(places.map(|(at, _)| faults.at(at as u64)));
    }
    Ok((bytes, whys))
}
