//! Files that others wrote are loaded as an independent reader found them: rows, places of rejects, contents.

use crate::support::project::repository;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn every_file_of_the_manifest_agrees() {
    let programs = Path::new(env!("CARGO_BIN_EXE_overnight")).parent().unwrap();
    let done = Command::new("python3")
        .args([
            "-B",
            "scripts/conformance",
            "fixtures/conformance",
            "--programs",
        ])
        .arg(programs)
        .current_dir(repository())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (said, errors) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{said}\n{errors}");
    assert_eq!(said.lines().last(), Some("20 of 20 agree"), "{said}");
}
