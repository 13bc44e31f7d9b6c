//! Hooks: told after the fact, at least once, with the same id, and never in anybody's way.

use crate::support::Project;
use crate::support::invariants::check_invariants;
use crate::support::listener::{Listener, Request};
use std::time::{Duration, Instant};

fn hooked(name: &str, toml: &str) -> Project {
    let project = Project::new(name);
    project.write("overnight.toml", toml);
    project
}

fn kinds(requests: &[Request]) -> Vec<&str> {
    requests
        .iter()
        .map(|request| request.text("kind"))
        .collect()
}

const ALL: &str =
    "[\"rotated\", \"rolled_back\", \"verified\", \"unchanged\", \"failed\", \"busy\"]";

#[test]
fn every_run_and_every_move_is_told_once_after_it_is_true() {
    let all = Listener::new(200);
    let alive = Listener::new(204);
    let mut project = hooked(
        "hooks_all",
        &format!(
            "[[hook]]\nname = \"all\"\non = {ALL}\nurl = \"{}\"\nheaders = {{ Authorization = \"env:HOOK_TOKEN\" }}\n\
             [[hook]]\nname = \"alive\"\non = [\"ok\"]\nurl = \"env:ALIVE_URL\"\n\
             [[hook]]\nname = \"elsewhere\"\non = {ALL}\ndatasets = [\"other\"]\nurl = \"{0}/elsewhere\"\n",
            all.url
        ),
    );
    project.env = vec![
        ("HOOK_TOKEN".into(), "hunter2".into()),
        ("ALIVE_URL".into(), alive.url.clone()),
    ];
    project.items(10, "canary");
    let first = project.run().code(0);
    let told = all.take();
    assert_eq!(kinds(&told), ["rotated"]);
    let live = project.live();
    assert_eq!(told[0].text("build"), live);
    assert_eq!(told[0].text("dataset"), "hooks_all");
    assert_eq!(told[0].text("text"), format!("hooks_all: {live} is live"));
    assert_eq!(
        (
            &told[0].body["ok"],
            &told[0].body["rows"],
            &told[0].body["format"]
        ),
        (&true.into(), &10.into(), &1.into())
    );
    assert_eq!(told[0].header("authorization"), Some("hunter2"));
    assert_eq!(
        told[0].header("idempotency-key"),
        Some(told[0].text("event"))
    );
    assert_eq!(told[0].text("event").len(), 32);
    assert_eq!(kinds(&alive.take()), ["rotated"]);

    project.run().code(0);
    let told = all.take();
    assert_eq!(kinds(&told), ["unchanged"]);
    assert_eq!(told[0].text("build"), live);
    assert_eq!(kinds(&alive.take()), ["unchanged"]);

    project.input(
        "items.csv",
        "id,name,price,seen\n1,canary,wrong,2026-01-01\n",
    );
    let failed = project.run().code(1);
    let told = all.take();
    assert_eq!(kinds(&told), ["failed"]);
    assert_eq!(told[0].body["status"], 1);
    assert!(
        told[0].text("detail").contains("items.csv"),
        "{:?}",
        told[0]
    );
    // The dead man's switch hears nothing of a failure: it is what does not come that alarms.
    assert!(alive.take().is_empty());

    project.items(11, "canary");
    project
        .overnight(&["run", &project.name, "--no-rotate"])
        .code(0);
    assert_eq!(kinds(&all.take()), ["verified"]);
    project.overnight(&["rotate", &project.name]).code(0);
    assert_eq!(kinds(&all.take()), ["rotated"]);
    project
        .overnight(&["rollback", &project.name, "--reason", "bad prices"])
        .code(0);
    let told = all.take();
    assert_eq!(kinds(&told), ["rolled_back"]);
    assert_eq!(told[0].text("reason"), "bad prices");
    assert_eq!(told[0].body["ok"], false);
    assert_eq!(kinds(&alive.take()), ["rotated"]);
    assert!(
        all.take()
            .iter()
            .all(|request| !request.path.ends_with("elsewhere"))
    );
    assert_eq!(
        project.ledger("select string_agg(distinct state, ',') from ledger.delivery"),
        "delivered"
    );

    // No value of the data and no secret is in what was told, logged or kept.
    let kept = project.ledger("select string_agg(d::text, '') from ledger.delivery d");
    for text in [&first.stderr, &failed.stderr, &kept] {
        assert!(
            !text.contains("hunter2") && !text.contains("canary") && !text.contains("secret-path"),
            "{text}"
        );
    }
    check_invariants(&project);
}

#[test]
fn a_hook_that_fails_changes_nothing_and_is_told_by_the_next_command() {
    let listener = Listener::new(503);
    let project = hooked(
        "hooks_retry",
        &format!(
            "[[hook]]\nname = \"pager\"\non = [\"rotated\"]\nurl = \"{}\"\ntry_for = \"2s\"\n",
            listener.url
        ),
    );
    project.items(10, "x");
    listener.answers(503, "overloaded\n");
    let run = project.run().code(0).says(&[
        "not delivered: HTTP status 503",
        "the next command tries again",
    ]);
    assert!(run.stdout.contains("is live"), "{}", run.stdout);
    let tried = listener.take();
    // At once and a second later; a third attempt would have been after the two seconds.
    assert_eq!(tried.len(), 2);
    let event = tried[0].text("event").to_owned();
    assert!(tried.iter().all(|request| request.text("event") == event));
    let status = project.overnight(&["status", &project.name]).code(0);
    assert!(
        status
            .stdout
            .contains("hook       `pager` was not told `rotated` of 20")
            && status
                .stdout
                .contains(": 2 attempts, HTTP status 503 after "),
        "{}",
        status.stdout
    );
    let json = project
        .overnight(&["status", &project.name, "--json"])
        .code(0)
        .json();
    assert_eq!(json["datasets"][0]["undelivered"][0]["attempts"], 2);
    // Whoever connects again gets the same event.
    listener.answers(200, "");
    project.run().code(0);
    let told = listener.take();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].text("event"), event);
    let status = project.overnight(&["status", &project.name]).code(0);
    assert!(!status.stdout.contains("pager"), "{}", status.stdout);
    assert_eq!(project.ledger("select attempts from ledger.delivery"), "3");
}

#[test]
fn what_nobody_takes_is_given_up_and_still_seen() {
    let listener = Listener::new(500);
    let project = hooked(
        "hooks_give_up",
        &format!(
            "[[hook]]\nname = \"pager\"\non = [\"rotated\"]\nurl = \"{}\"\ntry_for = \"0s\"\n",
            listener.url
        ),
    );
    project.items(10, "x");
    project.run().code(0);
    project.ledger("update ledger.delivery set created_at = created_at - interval '25 hours'");
    project.run().code(0);
    assert_eq!(listener.take().len(), 2);
    project.run().code(0);
    assert!(listener.take().is_empty());
    let status = project.overnight(&["status", &project.name]).code(0);
    assert!(
        status.stdout.contains("2 attempts") && status.stdout.contains("; given up"),
        "{}",
        status.stdout
    );
}

#[test]
fn a_crash_between_the_move_and_the_hook_is_made_up_for_with_the_same_id() {
    let listener = Listener::new(200);
    let project = hooked(
        "hooks_crash",
        &format!(
            "[[hook]]\nname = \"pager\"\non = [\"rotated\"]\nurl = \"{}\"\n",
            listener.url
        ),
    );
    let mut rows = 10;
    for point in [
        "flip.after_commit",
        "flip.after_confirm",
        "hook.before_record",
        "hook.after_record",
        "hook.before_delivery",
        "hook.after_delivery",
    ] {
        rows += 1;
        project.items(rows, "x");
        let mut command = project.command(&["run", &project.name]);
        assert_eq!(
            Project::finish(command.env("OVERNIGHT_CRASHPOINT", point)).code,
            -9,
            "{point}"
        );
        assert_eq!(
            project.service("select count(*) from item"),
            rows.to_string(),
            "{point}"
        );
        let before = listener.take();
        assert_eq!(
            before.len(),
            usize::from(point == "hook.after_delivery"),
            "{point}"
        );
        // What the dead process had taken upon itself is free again after a while.
        project.ledger("update ledger.delivery set claimed_until = clock_timestamp() where claimed_until is not null");
        project.run().code(0);
        let told = listener.take();
        assert_eq!(kinds(&told), ["rotated"], "{point}");
        assert_eq!(told[0].text("build"), project.live(), "{point}");
        if let Some(before) = before.first() {
            assert_eq!(told[0].text("event"), before.text("event"));
        }
    }
    assert_eq!(project.ledger("select count(*) from ledger.delivery"), "6");
    check_invariants(&project);
}

#[test]
fn a_command_gets_the_event_and_may_hang_fail_or_be_missing() {
    let project = hooked(
        "hooks_commands",
        "[[hook]]\nname = \"good\"\non = [\"ok\"]\ncommand = [\"sh\", \"-c\", \"cat > told.json; echo $OVERNIGHT_KIND $OVERNIGHT_DATASET $OVERNIGHT_EVENT > told.env\"]\n\
         [[hook]]\nname = \"hangs\"\non = [\"ok\"]\ncommand = [\"sh\", \"-c\", \"trap '' TERM; while :; do sleep 1; done\"]\ntimeout = \"1s\"\ntry_for = \"0s\"\n\
         [[hook]]\nname = \"fails\"\non = [\"ok\"]\ncommand = [\"sh\", \"-c\", \"echo broken >&2; exit 7\"]\ntry_for = \"0s\"\n\
         [[hook]]\nname = \"missing\"\non = [\"ok\"]\ncommand = [\"./no-such-hook\"]\ntry_for = \"0s\"\n\
         [[hook]]\nname = \"no-secret\"\non = [\"ok\"]\nurl = \"env:NOT_SET\"\ntry_for = \"0s\"\n",
    );
    project.items(10, "x");
    let began = Instant::now();
    let ended =
        project
            .run()
            .code(0)
            .says(&["hangs", "not done within 1.0 s", "exit status 7", "NOT_SET"]);
    assert!(began.elapsed() < Duration::from_secs(60));
    assert!(ended.stdout.contains("is live"), "{}", ended.stdout);
    let told: serde_json::Value =
        serde_json::from_slice(&std::fs::read(project.path("told.json")).unwrap()).unwrap();
    assert_eq!(told["build"], project.live());
    let env = std::fs::read_to_string(project.path("told.env")).unwrap();
    assert_eq!(
        env.trim(),
        format!("rotated hooks_commands {}", told["event"].as_str().unwrap())
    );
    let rows = project
        .cluster()
        .sql(
            &project.control,
            "select hook, state, last_error from ledger.delivery order by hook",
        )
        .unwrap();
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| row.into_iter().map(Option::unwrap_or_default).collect())
        .collect();
    assert_eq!((&*rows[0][0], &*rows[0][1]), ("fails", "waiting"));
    assert!(
        rows[0][2].starts_with("exit status 7 after ") && rows[0][2].ends_with("it said `broken`"),
        "{rows:?}"
    );
    assert_eq!((&*rows[1][0], &*rows[1][1]), ("good", "delivered"));
    assert_eq!(
        rows[2][2],
        "not done within 1.0 s and ended, it said nothing"
    );
    assert!(
        rows[3][2].starts_with("`./no-such-hook` cannot be started: "),
        "{rows:?}"
    );
    assert!(rows[4][2].contains("NOT_SET"), "{rows:?}");
    // And going back does not wait for them before it says where the alias is.
    project.items(11, "x");
    project.run().code(0);
    let back = project.overnight(&["rollback", &project.name]).code(0);
    assert!(back.stdout.contains("is live"), "{}", back.stdout);
}

#[test]
fn a_server_that_does_not_answer_is_told_though_no_ledger_can_keep_it() {
    let listener = Listener::new(200);
    let mut project = hooked(
        "hooks_no_server",
        &format!(
            "[[hook]]\nname = \"pager\"\non = [\"failed\"]\nurl = \"{}\"\n",
            listener.url
        ),
    );
    project.items(10, "x");
    project.env = vec![(
        "OVERNIGHT_TARGET".into(),
        "postgres://overnight@127.0.0.1:1/postgres".into(),
    )];
    project.run().code(3);
    let told = listener.take();
    assert_eq!(kinds(&told), ["failed"]);
    assert_eq!(told[0].body["status"], 3);
}

#[test]
fn moves_from_before_there_was_a_hook_are_not_told() {
    let listener = Listener::new(200);
    let project = Project::new("hooks_later");
    project.items(10, "x");
    project.run().code(0);
    project.write(
        "overnight.toml",
        &format!(
            "[[hook]]\nname = \"pager\"\non = [\"rotated\", \"unchanged\"]\nurl = \"{}\"\n",
            listener.url
        ),
    );
    project.run().code(0);
    assert_eq!(kinds(&listener.take()), ["unchanged"]);
}

#[test]
fn a_hook_that_could_not_work_is_an_error_of_the_configuration() {
    let project = Project::new("hooks_check");
    for (toml, said) in [
        (
            "[[hook]]\nname = \"a\"\non = [\"okay\"]\ncommand = [\"x\"]\n",
            "unknown word `okay`",
        ),
        (
            "[[hook]]\nname = \"a\"\non = [\"ok\"]\n",
            "[[hook]] `a` needs `command",
        ),
        (
            "[[hook]]\nname = \"a\"\non = [\"ok\"]\ncomand = [\"x\"]\n",
            "unknown key `comand`",
        ),
    ] {
        project.write("overnight.toml", toml);
        project
            .overnight(&["check", &project.name])
            .code(2)
            .says(&[said, "overnight.toml"]);
    }
}
