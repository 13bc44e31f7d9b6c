//! What a person begins with: a project that runs, completions, a manual page.

use crate::support::Project;
use crate::support::cluster::{LOADER, cluster};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The binary in a folder, without a project.
fn overnight(folder: &Path, arguments: &[&str]) -> crate::support::Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_overnight"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("OVERNIGHT_TARGET", cluster().url("postgres", LOADER))
        .env("OVERNIGHT_CONTROL_DATABASE", "control_init_store")
        .stdin(Stdio::null());
    Project::finish(&mut command)
}

#[test]
fn the_project_that_init_makes_runs_as_it_stands_and_nothing_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let made = overnight(folder.path(), &["init", "store"]).code(0);
    made.says(&["cd store && overnight check && overnight run store"]);
    let project = folder.path().join("store");
    let ignored = fs::read_to_string(project.join(".gitignore")).unwrap();
    assert!(ignored.contains("*~"), "{ignored}");
    let all = |sql: &str| cluster().sql("postgres", sql).unwrap();
    all("create role store_reader login");
    overnight(&project, &["check"]).code(0);
    overnight(&project, &["run", "store"]).code(0);
    let rows = cluster()
        .sql_as(
            "store_reader",
            "store",
            "select count(*) || ' ' || sum(price) from item",
        )
        .unwrap();
    assert_eq!(rows[0][0].as_deref(), Some("3 242.40"));
    // The check that came with it is one that can fail.
    let bad = "id,name,price\n1,Lamp,-12.50\n2,Chair,80\n";
    fs::write(project.join("in/store/items.csv"), bad).unwrap();
    let stopped = overnight(&project, &["run", "store"]).code(1);
    stopped.says(&["010_price"]);
    overnight(&project, &["--refused-keep", "0s", "retire", "store"]).code(0);

    let before = fs::read(project.join("overnight.toml")).unwrap();
    let again = overnight(folder.path(), &["init", "store"]).code(2);
    again.says(&["`store` is not empty, and nothing was written"]);
    assert_eq!(fs::read(project.join("overnight.toml")).unwrap(), before);
    overnight(&project, &["init", "overnight.toml"]).code(2);
    fs::create_dir(folder.path().join("empty")).unwrap();
    let listed = overnight(folder.path(), &["init", "empty", "--json"])
        .code(0)
        .json();
    assert_eq!(listed["dataset"], "empty");
    for path in listed["files"].as_array().unwrap() {
        let path = folder.path().join("empty").join(path.as_str().unwrap());
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("shop"), "{}: {text}", path.display());
    }
    // Another folder is another alias, also where the folder's name cannot be one.
    let odd = overnight(folder.path(), &["init", "My Store-2"]).code(0);
    odd.says(&["overnight run my_store_2"]);
    overnight(&folder.path().join("My Store-2"), &["check"]).code(0);
    overnight(folder.path(), &["init", "other", "--name", "No Name"])
        .code(2)
        .says(&["`No Name` cannot name a dataset"]);
    assert!(!folder.path().join("other").exists());

    for database in ["store", "control_init_store"] {
        all(&format!("drop database {database} with (force)"));
    }
    all("drop role store_reader");
}

#[test]
fn completions_are_accepted_by_their_shell_and_know_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = overnight(folder.path(), &["completions", shell])
            .code(0)
            .stdout;
        for word in ["rollback", "deadline", "fresh"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        if shell == "bash" {
            let mut bash = Command::new("bash")
                .arg("-n")
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            bash.stdin
                .take()
                .unwrap()
                .write_all(script.as_bytes())
                .unwrap();
            assert!(bash.wait().unwrap().success());
        }
    }
    overnight(folder.path(), &["completions", "elvis"]).code(2);
}

#[test]
fn the_manual_pages_begin_with_their_title_and_list_what_can_be_typed() {
    let folder = tempfile::tempdir().unwrap();
    let page = overnight(folder.path(), &["man"]).code(0).stdout;
    assert!(page.contains(".TH overnight 1"), "{page}");
    assert!(page.contains("Exit status"), "{page}");
    assert!(page.contains("rollback"), "{page}");
    let page = overnight(folder.path(), &["man", "run"]).code(0).stdout;
    assert!(page.contains(".TH overnight-run 1"), "{page}");
    assert!(page.contains("deadline"), "{page}");
    overnight(folder.path(), &["man", "fly"])
        .code(2)
        .says(&["no command `fly`"]);
}

#[test]
fn every_page_that_a_manual_page_refers_to_is_written() {
    let folder = tempfile::tempdir().unwrap();
    overnight(folder.path(), &["man", "--out", "man1"]).code(0);
    let pages = folder.path().join("man1");
    let top = fs::read_to_string(pages.join("overnight.1")).unwrap();
    let mut referred = 0;
    for word in top.split_whitespace() {
        let Some(name) = word.strip_suffix("(1)") else {
            continue;
        };
        let name = name.replace("\\-", "-");
        referred += 1;
        assert!(pages.join(format!("{name}.1")).is_file(), "{name}");
    }
    assert!(referred > 20, "{referred}");
    assert!(pages.join("overnight-subset-pull.1").is_file());
}

#[test]
fn the_short_help_is_the_commands_own_and_a_usage_line_lists_no_variables() {
    let folder = tempfile::tempdir().unwrap();
    let short = overnight(folder.path(), &["rollback", "-h"]).code(0).stdout;
    assert!(!short.contains("--flip-limit"), "{short}");
    let settings = overnight(folder.path(), &["help", "settings"])
        .code(0)
        .stdout;
    assert!(settings.contains("--flip-limit"), "{settings}");
    assert_eq!(
        overnight(folder.path(), &["settings"]).code(0).stdout,
        settings
    );
    // OVERNIGHT_TARGET and others are set.
    let ended = overnight(folder.path(), &["rollback"]).code(2);
    assert!(
        ended
            .stderr
            .contains("Usage: overnight rollback [OPTIONS] <DATASET>\n"),
        "{}",
        ended.stderr
    );
}
