//! Real commands, as bad as they come.

use super::*;

async fn sh(script: &str, timeout: Duration) -> Answer {
    let argv = ["sh".to_owned(), "-c".to_owned(), script.to_owned()];
    run(&argv, &[], Path::new("/tmp"), "{\"a\": 1}\n", timeout).await
}

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_exit_status_decides_and_the_first_line_is_kept() {
    let answer = sh("read line; echo \"got $line\"; echo more", LONG).await;
    assert!(answer.ok, "{answer:?}");
    assert!(
        answer
            .text
            .ends_with("it said 2 lines, the first: `got {\"a\": 1}`"),
        "{answer:?}"
    );
    let answer = sh("echo too few >&2; exit 3", LONG).await;
    assert!(!answer.ok && answer.text.starts_with("exit status 3 after "));
    assert!(answer.text.ends_with("it said `too few`"), "{answer:?}");
    let answer = sh("kill -SEGV $$", LONG).await;
    assert!(!answer.ok && answer.text.starts_with("ended by signal 11"));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let argv = ["./no-such-gate".to_owned()];
    let answer = run(&argv, &[], Path::new("/tmp"), "", LONG).await;
    assert!(!answer.ok && answer.text.contains("`./no-such-gate` cannot be started"));
}

#[tokio::test]
async fn a_flood_of_words_and_a_deaf_ear_are_no_trouble() {
    let answer = sh("exec <&-; yes line | head -c 20000000", LONG).await;
    assert!(answer.ok, "{answer:?}");
    assert!(
        answer
            .text
            .contains("it said 4000000 lines, the first: `line`")
    );
}

#[tokio::test]
async fn what_ignores_sigterm_is_killed_with_all_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let script = format!(
        "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo $! $$ > {}; while :; do sleep 1; done",
        pids.display()
    );
    let answer = sh(&script, Duration::from_millis(500)).await;
    assert_eq!(
        answer,
        Answer::no("not done within 0.5 s and ended, it said nothing")
    );
    assert_gone(&pids);
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_ended_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let answer = sh(&format!("sleep 600 & echo $! > {}", pids.display()), LONG).await;
    assert!(answer.ok, "{answer:?}");
    assert_gone(&pids);
}

#[tokio::test]
async fn nobody_waits_any_more_and_the_command_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let script = format!(
        "echo $$ > {0}.new; mv {0}.new {0}; sleep 600",
        pids.display()
    );
    {
        let asked = sh(&script, LONG);
        tokio::pin!(asked);
        while !pids.exists() {
            tokio::select! {
                answer = &mut asked => panic!("{answer:?}"),
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
    }
    assert_gone(&pids);
}

/// No process of these numbers runs; one that nobody has waited for may still be listed as dead.
#[track_caller]
fn assert_gone(pids: &Path) {
    let text = std::fs::read_to_string(pids).unwrap();
    for pid in text.split_whitespace() {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let listed = std::process::Command::new("ps")
                .args(["-o", "stat=", "-p", pid])
                .output()
                .unwrap();
            let state = String::from_utf8_lossy(&listed.stdout).trim().to_owned();
            if state.is_empty() || state.starts_with('Z') {
                break;
            }
            assert!(Instant::now() < end, "{pid} still runs: {state}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
