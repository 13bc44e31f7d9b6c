//! The bodies of the fuzz targets over their corpus, and over the same mutations of it on every run.
//!
//! A failure names the file or the number of the mutation; with `FUZZ_MUTATION=number` the test runs
//! that one alone, and writes its bytes to a file that it names. More is found by a fuzzer: fuzz/README.md.

#[path = "../../fuzz/bodies/mod.rs"]
mod bodies;
mod mutation;
mod seeds;

use crate::support::project::repository;
use bodies::TARGETS;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Longer is a hang: a target takes a few seconds.
const HANG: Duration = Duration::from_secs(60);

fn folder(target: &str) -> PathBuf {
    repository().join("fuzz/corpus").join(target)
}

/// The files of a corpus, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder(target)).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read(path).unwrap())
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    assert!(!files.is_empty(), "`{target}` has no corpus");
    files
}

/// Runs a body over its corpus and so many mutations.
fn smoke(target: &'static str, mutations: u64) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, body) = *found.unwrap();
    let files = corpus(target);
    let alone = std::env::var("FUZZ_MUTATION").ok();
    let alone: Option<u64> = alone.map(|number| number.parse().unwrap());
    let (began, now) = channel();
    let (ended, end) = channel();
    let texts: Vec<Vec<u8>> = files.iter().map(|(_, bytes)| bytes.clone()).collect();
    let path = std::env::temp_dir().join(format!("fuzz_{target}_input"));
    let run = move || {
        for (name, bytes) in files.iter().filter(|_| alone.is_none()) {
            began
                .send(format!("the file `{name}` of its corpus"))
                .unwrap();
            body(bytes);
        }
        for number in alone.map_or(0..mutations, |number| number..number + 1) {
            let how = format!("`FUZZ_MUTATION={number} cargo test --test it fuzz::{target}`");
            began.send(how).unwrap();
            let bytes = mutation::of(&texts, number);
            if alone.is_some() {
                fs::write(&path, &bytes).unwrap();
                eprintln!("the input is `{}`", path.display());
            }
            body(&bytes);
        }
        ended.send(()).unwrap();
    };
    let running = thread::Builder::new()
        .name(target.to_owned())
        .spawn(run)
        .unwrap();
    let outcome = end.recv_timeout(HANG);
    let last = now.try_iter().last();
    match outcome {
        Ok(()) => running.join().unwrap(),
        Err(RecvTimeoutError::Timeout) => panic!("`{target}` hangs: {last:?}"),
        Err(RecvTimeoutError::Disconnected) => panic!("`{target}` fails: {last:?}"),
    }
}

macro_rules! targets {
    ($($(#[$only:meta])* $name:ident: $mutations:expr,)*) => {
        $($(#[$only])* #[test] fn $name() { smoke(stringify!($name), $mutations); })*

        /// A target that is not listed here would never run.
        #[test]
        fn every_target_is_run_here_and_under_the_fuzzer() {
            let listed = [$($(#[$only])* stringify!($name)),*];
            let named: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(listed.as_slice(), named);
            let manifest = fs::read_to_string(repository().join("fuzz/Cargo.toml")).unwrap();
            for name in named {
                let path = format!("fuzz_targets/{name}.rs");
                let target = fs::read_to_string(repository().join("fuzz").join(&path)).unwrap();
                assert!(target.contains(&format!("bodies::{name}::{name}(data)")), "{path}");
                assert!(manifest.contains(&format!("path = \"{path}\"")), "{path}");
            }
        }
    };
}

targets! {
    split: 10_000,
    delimited: 15_000,
    fixed_width: 15_000,
    json_lines: 15_000,
    xml: 10_000,
    #[cfg(feature = "xlsx")]
    xlsx: 700,
    #[cfg(feature = "parquet")]
    parquet: 1300,
    values: 40_000,
    encoders: 40_000,
    containers: 2000,
    transcode: 4000,
    sql: 10_000,
}

/// With `FUZZ_CORPUS=write` writes what is missing.
#[test]
fn the_corpus_holds_every_seed_and_stays_small() {
    let write = std::env::var("FUZZ_CORPUS").is_ok_and(|what| what == "write");
    for (target, name, bytes) in seeds::all() {
        let path = folder(target).join(name);
        if write && !path.exists() {
            fs::create_dir_all(folder(target)).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        assert!(path.exists(), "{} is missing", path.display());
    }
    let sizes = TARGETS.iter().flat_map(|(target, _)| corpus(target));
    let size: usize = sizes.map(|(_, bytes)| bytes.len()).sum();
    assert!(size < 300 << 10, "{size} bytes");
}
