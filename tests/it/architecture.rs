//! The rules of the house, read off the source: who may wait, print, ask the environment, or fail.
//!
//! In: every file below `src/`. Comments, and modules that only tests see, are left out.

use crate::support::project::repository;
use std::fs;
use std::path::{Path, PathBuf};

/// One file: its path below `src/` and its lines of code with their numbers.
struct File {
    path: String,
    lines: Vec<(usize, String)>,
}

fn files_below(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, ending, found);
        } else if path.extension().is_some_and(|end| end == ending) {
            found.push(path);
        }
    }
}

/// Every file of code, without comments and tests.
fn source() -> Vec<File> {
    let root = repository().join("src");
    let mut paths = Vec::new();
    files_below(&root, "rs", &mut paths);
    let files: Vec<File> = paths
        .iter()
        .filter(|path| !path.to_string_lossy().ends_with("tests.rs"))
        .map(|path| File {
            path: path.strip_prefix(&root).unwrap().display().to_string(),
            lines: code(&fs::read_to_string(path).unwrap()),
        })
        .collect();
    assert!(files.len() > 80, "only {} files were found", files.len());
    files
}

/// The lines that are compiled into the program. A test module is always the last thing of a file.
fn code(text: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let end = lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with("mod tests {"))
        .unwrap_or(lines.len());
    lines[..end]
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, (*line).to_owned()))
        .collect()
}

/// Fails with every place outside `allowed` that has one of the words.
#[track_caller]
fn only_in(allowed: &[&str], words: &[&str]) {
    let files = source();
    let places: Vec<String> = files
        .iter()
        .filter(|file| !allowed.iter().any(|path| file.path.starts_with(path)))
        .flat_map(|file| {
            file.lines
                .iter()
                .filter(|(_, line)| words.iter().any(|word| line.contains(word)))
                .map(|(number, line)| format!("src/{}:{number}: {}", file.path, line.trim()))
        })
        .collect();
    assert!(
        places.is_empty(),
        "{words:?} belong into {allowed:?} alone, and are in:\n{}",
        places.join("\n")
    );
    // A rule about something that is nowhere is a rule with a typing error.
    for path in allowed {
        assert!(
            files.iter().any(|file| file.path.starts_with(path)
                && file
                    .lines
                    .iter()
                    .any(|(_, line)| words.iter().any(|word| line.contains(word)))),
            "src/{path} has none of {words:?}"
        );
    }
}

/// Fails with every place that has one of the words, after proving that it would see one.
#[track_caller]
fn nowhere(below: &str, words: &[&str]) {
    let files: Vec<File> = source()
        .into_iter()
        .filter(|file| file.path.starts_with(below))
        .collect();
    assert!(!files.is_empty(), "there is nothing below src/{below}");
    for file in &files {
        for (number, line) in &file.lines {
            let found = words.iter().find(|word| line.contains(**word));
            assert!(
                found.is_none(),
                "src/{}:{number}: {}",
                file.path,
                line.trim()
            );
        }
    }
}

#[test]
fn rayon_is_used_in_one_file() {
    only_in(&["load/workers.rs"], &["rayon::", "use rayon"]);
}

#[test]
fn the_s3_client_is_used_in_one_folder() {
    only_in(&["fetch/s3/"], &["aws_sdk_s3", "aws_config", "aws_smithy"]);
}

#[test]
fn only_the_command_line_prints() {
    only_in(
        &["cli/"],
        &["println!", "print!", "stdout()", "stderr()", "dbg!"],
    );
}

#[test]
fn the_environment_is_read_where_it_is_handed_on() {
    only_in(
        &[
            "cli/mod.rs",
            "cli/log.rs",
            "crashpoint.rs",
            // The SDK reads its own variables, and those of the proxy.
            "fetch/s3/client.rs",
            "switch.rs",
        ],
        &["env::var", "from_env", "var_os("],
    );
}

#[test]
fn parsing_and_encoding_know_no_async_no_clock_and_no_environment() {
    for room in ["read/", "encode/"] {
        nowhere(
            room,
            &[
                "tokio",
                "async ",
                ".await",
                "Instant",
                "SystemTime",
                "now()",
                "env::",
                "rand::",
            ],
        );
    }
}

#[test]
fn nothing_is_unsafe_and_nothing_gives_up() {
    nowhere(
        "",
        &[
            "unsafe ",
            ".unwrap()",
            ".expect(",
            "panic!(",
            "todo!(",
            "unimplemented!(",
            "unreachable!(",
        ],
    );
}

/// A reader of one gzip member loses the rest of a file that `cat a.gz b.gz` made.
#[test]
fn every_gzip_reader_reads_all_members() {
    for file in source() {
        for (number, line) in &file.lines {
            assert!(
                !line.replace("MultiGzDecoder", "").contains("GzDecoder"),
                "src/{}:{number}",
                file.path
            );
        }
    }
}

#[test]
fn every_sql_file_opens_with_its_purpose() {
    let mut paths = Vec::new();
    for folder in ["src", "sql"] {
        files_below(&repository().join(folder), "sql", &mut paths);
    }
    assert!(paths.len() > 30, "only {} files were found", paths.len());
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("-- "),
            "{} opens without a comment",
            path.display()
        );
    }
}

/// What a stage may know of: the ones before it, never the command line.
#[test]
fn arrows_point_downward() {
    for file in source() {
        let room = file.path.split('/').next().unwrap_or_default();
        let banned: &[&str] = match room {
            "cli" | "main.rs" | "lib.rs" => &[],
            "nightly" | "operation" => &["crate::cli"],
            "read" | "encode" => &[
                "crate::cli",
                "crate::nightly",
                "crate::operation",
                "crate::load",
                "crate::fetch",
                "crate::postgres",
                "crate::ledger",
                "crate::config",
            ],
            "fetch" | "postgres" => &[
                "crate::cli",
                "crate::nightly",
                "crate::operation",
                "crate::load",
                "crate::ledger",
                "crate::rotate",
                "crate::build",
                "crate::config",
            ],
            _ => &["crate::cli", "crate::nightly", "crate::operation"],
        };
        for (number, line) in &file.lines {
            assert!(
                !banned.iter().any(|module| line.contains(module)),
                "src/{}:{number}: {}",
                file.path,
                line.trim()
            );
        }
    }
}
