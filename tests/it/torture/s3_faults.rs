//! Everything that a store can do to an object on its way, at many places of it: what is accepted
//! is what was pinned, byte for byte.

use super::Row;
use crate::fetch::{content, options, read};
use crate::s3::{Fault, S3Server};
use futures_util::{StreamExt as _, stream};
use overnight::fetch::s3::PART_BYTES;
use overnight::fetch::{Digest, Location};
use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;

const PART: usize = PART_BYTES as usize;

/// One kind of trouble: what happens to GETs, and what the server leaves out.
struct Kind {
    name: &'static str,
    /// Whether an object must arrive whole in spite of it, or never, or either.
    arrives: Arrives,
    make: fn(&mut SmallRng, usize) -> Trouble,
}

#[derive(Clone, Copy, PartialEq)]
enum Arrives {
    Always,
    Never,
    /// It depends on which answer was on its way already.
    Perhaps,
}

struct Trouble {
    /// To which GETs, the first being 1.
    nths: Vec<usize>,
    fault: Fault,
    ignores_if_match: bool,
}

fn once(rng: &mut SmallRng, fault: Fault) -> Trouble {
    Trouble {
        nths: vec![rng.random_range(1..=2)],
        fault,
        ignores_if_match: false,
    }
}

fn each(fault: Fault) -> Trouble {
    Trouble {
        nths: (1..200).collect(),
        fault,
        ignores_if_match: false,
    }
}

const STALL: Duration = Duration::from_secs(2);

/// The twelve of the short form, then those of the long one.
const KINDS: [Kind; 20] = [
    kind("cut", Arrives::Always, |rng, at| once(rng, Fault::Cut(at))),
    kind("cut again and again", Arrives::Never, |_, at| {
        each(Fault::Cut(at.min(1_000)))
    }),
    kind("ends early", Arrives::Always, |rng, at| {
        once(rng, Fault::Short(at))
    }),
    kind("ends early, length not told", Arrives::Always, |rng, at| {
        once(rng, Fault::ShortChunked(at))
    }),
    kind("stall", Arrives::Always, |rng, at| {
        once(rng, Fault::Stall(at, STALL))
    }),
    kind("bit flip", Arrives::Never, |rng, at| {
        once(rng, Fault::Flip(at))
    }),
    kind("two bytes swapped", Arrives::Never, |rng, at| {
        once(rng, Fault::Edit(|bytes, at| swap(bytes, at), at))
    }),
    kind("storm of 503, then good", Arrives::Always, |_, _| Trouble {
        nths: (1..=4).collect(),
        fault: Fault::SlowDown,
        ignores_if_match: false,
    }),
    kind("storm of 503 without end", Arrives::Never, |_, _| {
        each(Fault::SlowDown)
    }),
    kind("replaced between ranges", Arrives::Perhaps, |rng, _| {
        once(rng, Fault::ReplaceWith(other()))
    }),
    kind(
        "replaced between ranges, If-Match ignored",
        Arrives::Perhaps,
        |rng, _| Trouble {
            ignores_if_match: true,
            ..once(rng, Fault::ReplaceWith(other()))
        },
    ),
    kind("credentials expire", Arrives::Never, |rng, _| {
        once(rng, Fault::ExpiredToken)
    }),
    kind("a block of zeros", Arrives::Never, |rng, at| {
        once(rng, Fault::Edit(|bytes, at| zeros(bytes, at), at))
    }),
    kind("a block twice", Arrives::Never, |rng, at| {
        once(rng, Fault::Edit(|bytes, at| twice(bytes, at), at))
    }),
    kind("a byte left out", Arrives::Never, |rng, at| {
        once(rng, Fault::Edit(left_out, at))
    }),
    kind("another byte put in", Arrives::Never, |rng, at| {
        once(rng, Fault::Edit(put_in, at))
    }),
    kind("500 once", Arrives::Always, |rng, _| {
        once(rng, Fault::InternalError)
    }),
    kind("the end does not come", Arrives::Always, |rng, _| {
        once(rng, Fault::StallAtEnd(STALL))
    }),
    kind("403 in the middle", Arrives::Never, |rng, _| {
        once(rng, Fault::AccessDenied)
    }),
    kind("gone between ranges", Arrives::Never, |rng, _| {
        once(rng, Fault::Gone)
    }),
];

const fn kind(
    name: &'static str,
    arrives: Arrives,
    make: fn(&mut SmallRng, usize) -> Trouble,
) -> Kind {
    Kind {
        name,
        arrives,
        make,
    }
}

/// Another version of the object, of the same length.
fn other() -> Vec<u8> {
    let mut bytes = content(SIZE);
    bytes.reverse();
    bytes
}

fn swap(bytes: &mut [u8], at: usize) {
    // Equal neighbours would make no difference.
    let other = (at + 1..bytes.len()).find(|other| bytes[*other] != bytes[at]);
    bytes.swap(at, other.unwrap_or(0));
}

fn zeros(bytes: &mut [u8], at: usize) {
    let end = bytes.len().min(at + 4_096);
    bytes[at..end].fill(0);
}

fn twice(bytes: &mut [u8], at: usize) {
    let at = at.min(bytes.len() - 8_192);
    bytes.copy_within(at..at + 4_096, at + 4_096);
}

fn left_out(bytes: &mut Vec<u8>, at: usize) {
    bytes.remove(at);
}

fn put_in(bytes: &mut Vec<u8>, at: usize) {
    bytes.insert(at, 7);
}

/// Two parts, so that there is something between two ranges.
const SIZE: usize = PART + 200_000;

/// Objects that are read side by side.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_accepted_is_the_one_that_was_pinned() {
    let row = Row::begin(
        "s3_faults",
        "S3 faults (cut, stall, bit flip, 503 storm, swap between ranges, expired credentials, ...) x positions: corrupt object accepted",
        ["12 x 5: 0", "20 x 50: 0"],
    );
    let (kinds, positions) = (row.pick(12, 20), row.pick(5, 50));
    let whole = content(SIZE);
    let (row, whole) = (&row, whole.as_slice());
    let all = (0..kinds * positions).map(|n| async move {
        let kind = &KINDS[n / positions];
        let mut rng = row.rng(n as u64);
        (kind, n % positions, one(&mut rng, kind, whole).await)
    });
    let all: Vec<_> = stream::iter(all).buffered(AT_ONCE).collect().await;
    let (mut accepted, mut bad) = (BTreeMap::new(), Vec::new());
    for (kind, position, ended) in &all {
        let taken = accepted.entry(kind.name).or_insert(0);
        let what = match (ended, kind.arrives) {
            (Err(why), _) => why.as_str(),
            (Ok(false), Arrives::Always) => "a good object was refused",
            (Ok(true), Arrives::Never) => "was accepted",
            (Ok(yes), _) => {
                *taken += usize::from(*yes);
                continue;
            }
        };
        bad.push(format!("{}, position {position}: {what}", kind.name));
    }
    let (tried, whole): (usize, usize) = (all.len(), accepted.values().sum());
    row.end(
        &format!(
            "{kinds} x {positions}: {tried} objects, {whole} accepted as they were pinned, {} bad",
            bad.len()
        ),
        &json!({"kinds": kinds, "positions": positions, "accepted": accepted, "bad": bad.len()}),
        &bad,
    );
}

/// Whether the object was accepted; an error when what was accepted is not what was pinned.
async fn one(rng: &mut SmallRng, kind: &Kind, whole: &[u8]) -> Result<bool, String> {
    let files = TempDir::new().unwrap();
    let server = S3Server::start(files.path());
    let text = format!("s3://{}/raw", server.bucket);
    let location = Location::open(&text, &options(&server)).await.unwrap();
    server.put("raw/object", whole.to_vec());
    let listed = location.exists("object").await.unwrap().unwrap();
    let object = location.pin(&listed).await.unwrap();

    // A place that both parts have: the second is the shorter one.
    let at = match rng.random_range(0..4) {
        0 => rng.random_range(0..10),
        _ => rng.random_range(0..SIZE - PART - 1),
    };
    let trouble = (kind.make)(rng, at);
    server.faults("raw/object", trouble.nths, trouble.fault);
    if trouble.ignores_if_match {
        server.ignore_if_match();
    }
    let (bytes, ended) = read(&location, &object).await;
    let mut digest = Digest::new(&object);
    digest.update(&bytes);
    // What a run takes: every byte has come, and they add up to what the store says.
    let accepted = ended.is_ok() && digest.finish().is_ok();
    match accepted && bytes != whole {
        true => Err(format!("other bytes were accepted, fault at {at}")),
        false => Ok(accepted),
    }
}
