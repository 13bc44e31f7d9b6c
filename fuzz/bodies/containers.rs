//! Compression and archives, with small limits.

use super::input::{Input, Steps, Trickle};
use overnight::read::container::{Content, Limits, Members, Opening, read};

const LIMITS: Limits = Limits {
    expanded_bytes: 1 << 20,
    expansion: 50,
    members: 20,
};

/// More than a few bytes of any container can hold within the limits.
const MOST_STEPS: usize = 1 << 22;

/// Members with their bytes, in order.
type Found = Vec<(Option<String>, Vec<u8>)>;

pub fn containers(data: &[u8]) {
    let mut input = Input::new(data);
    let files = input.choose(&["*", "*!*", "*!*.txt", "*!*!*", "*!**/*!*!*.txt"]);
    let opening = Opening {
        content: input.choose(&[
            Content::Text,
            Content::Text,
            Content::Parquet,
            Content::Xlsx,
        ]),
        limits: LIMITS,
        temporary: std::env::temp_dir(),
        threads: input.choose(&[0, 0, 2]),
    };
    let at_once = 64 * usize::from(input.byte()) + 1;
    let raw = input.rest();
    let (_, members) = Members::split(files).expect("globs");
    let whole = open(raw, usize::MAX, &members, &opening);
    let pieces = open(raw, at_once, &members, &opening);
    assert_eq!(
        pieces.is_ok(),
        whole.is_ok(),
        "in pieces of {at_once} bytes"
    );
    if let (Ok(pieces), Ok(whole)) = (pieces, whole) {
        assert_eq!(pieces, whole, "in pieces of {at_once} bytes");
    }
}

fn open(raw: &[u8], at_once: usize, members: &Members, opening: &Opening) -> Result<Found, String> {
    let mut steps = Steps::of(MOST_STEPS, 1);
    let mut found: Found = Vec::new();
    let mut bytes = 0;
    let outcome = read(
        Trickle(raw, at_once),
        members,
        opening,
        &mut |name, data| {
            let mut content = Vec::new();
            let mut block = [0; 4093];
            loop {
                steps.take();
                match data.read(&mut block)? {
                    0 => break,
                    count => content.extend_from_slice(&block[..count]),
                }
            }
            bytes += content.len() as u64;
            found.push((name.map(str::to_owned), content));
            Ok(())
        },
    );
    assert!(bytes <= LIMITS.expanded_bytes + raw.len() as u64);
    assert!(found.len() as u64 <= LIMITS.members);
    outcome.map(|()| found).map_err(|error| {
        let said = format!("{error:#}");
        assert!(!said.contains("a thread that decompresses has ended"));
        said
    })
}
