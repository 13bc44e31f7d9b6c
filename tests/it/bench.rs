//! The benchmark compares like with like. Its times are never looked at here.

use crate::support::project::repository;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The folder of the programs under test, with the examples that the benchmark needs.
fn programs() -> &'static Path {
    let folder = Path::new(env!("CARGO_BIN_EXE_overnight")).parent().unwrap();
    // `cargo test --test it` alone does not build them; all targets together have.
    let mut build = Command::new(env!("CARGO"));
    build
        .args(["build", "--quiet", "--locked", "--target-dir"])
        .arg(folder.parent().unwrap())
        .args(["--example", "lineitem", "--example", "generate"])
        .args(["--example", "s3_endpoint"])
        .current_dir(repository());
    if folder.ends_with("release") {
        build.arg("--release");
    }
    let built = build.output().unwrap();
    let messages = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{messages}");
    folder
}

#[test]
fn every_contender_of_the_benchmark_ends_with_the_same_tables() {
    let out = tempfile::Builder::new()
        .prefix("overnight-bench-")
        .tempdir_in("/tmp")
        .unwrap();
    // The user of the servers must be able to enter it.
    std::fs::set_permissions(out.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = out.path().join("short.json");
    let ended = Command::new(repository().join("scripts/bench"))
        .arg("--short")
        .arg("--programs")
        .arg(programs())
        .arg("--out")
        .arg(out.path())
        .arg("--json")
        .arg(&file)
        .output()
        .unwrap();
    let table = String::from_utf8_lossy(&ended.stdout);
    let messages = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{table}{messages}");

    let text = std::fs::read_to_string(&file).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    for path in [
        "/ratios/load_vs_floor/L",
        "/ratios/load_vs_floor/W",
        "/ratios/load_vs_two_psql/L",
        "/ratios/load_vs_two_psql/W",
        "/ratios/run_vs_best_shell/replica",
        "/ratios/run_vs_best_shell/minimal",
        "/client_cpu_us_per_row/L",
        "/client_cpu_us_per_row/W",
        "/peak_rss_mb",
        "/overhead_percent",
    ] {
        let value = document.pointer(path).and_then(|value| value.as_f64());
        assert!(value.is_some_and(|value| value > 0.0), "{path}: {value:?}");
    }

    // The verdict of the program, and again from what it wrote: one digest for each input.
    let contents = document["contents"].as_object().unwrap();
    for input in ["L", "W"] {
        let of_input: Vec<_> = contents
            .iter()
            .filter(|(name, _)| name.ends_with(input))
            .collect();
        assert!(of_input.len() >= 5, "{input}: {of_input:?}");
        for (name, found) in &of_input {
            assert_eq!(found["finding"], "same", "{name}");
            assert_eq!(found["digest"], of_input[0].1["digest"], "{name}");
            assert!(found["rows"].as_u64().unwrap() > 90_000, "{name}");
        }
    }
    for contender in [
        "floor replica L",
        "overnight replica L",
        "overnight, hash partitions replica L",
        "psql replica L",
        "two psql replica L",
        "overnight minimal L",
        "overnight, hash partitions minimal L",
        "psql, one transaction minimal L",
        "floor replica W",
        "overnight replica W",
        "psql replica W",
        "two psql replica W",
    ] {
        assert!(
            contents.contains_key(contender),
            "{contender}: {contents:?}"
        );
    }
    assert!(table.contains("| overnight |"), "{table}");
}
