//! A build that waits for an operator.

use crate::support::Project;
use crate::support::invariants::check_invariants;

fn with_approval(name: &str) -> Project {
    let project = Project::new(name);
    let path = format!("sources/{name}/dataset.toml");
    let toml = std::fs::read_to_string(project.path(&path)).unwrap();
    project.write(&path, &format!("{toml}approval = {{ expires = \"6h\" }}\n"));
    project
}

fn expire(project: &Project) {
    project.ledger("update ledger.approval set expires_at = clock_timestamp() - interval '1 second' where approved_at is null");
}

#[test]
fn a_build_waits_until_an_operator_publishes_it_and_the_ledger_knows_who() {
    let project = with_approval("approval_waits");
    project.items(10, "x");
    let told = project.run().code(0);
    assert!(
        told.stdout.contains("is verified and sealed, and waits for approval; `overnight rotate approval_waits` approves and publishes it, until 20"),
        "{}",
        told.stdout
    );
    let builds = "select count(*) from ledger.build";
    let alias = "select count(*) from pg_database where datname = 'approval_waits'";
    assert_eq!(project.cluster().one("postgres", alias), "0");
    // The next run with the same inputs neither publishes it nor builds another one.
    let told = project.run().code(0);
    assert!(
        told.stdout.contains("waits for approval"),
        "{}",
        told.stdout
    );
    assert_eq!(
        (
            project.ledger(builds),
            project.cluster().one("postgres", alias)
        ),
        ("1".into(), "0".into())
    );
    let status = project.overnight(&["status", &project.name]).code(0).stdout;
    assert!(
        status.contains("\n  approval   must be given before 20"),
        "{status}"
    );

    project
        .overnight(&["rotate", &project.name, "--reason", "looked at prices"])
        .code(0);
    assert_eq!(project.service("select count(*) from item"), "10");
    let who = "select approved_by || ': ' || reason from ledger.approval";
    let who = project.ledger(who);
    assert!(
        who.starts_with("overnight@") && who.ends_with(" rotate approval_waits: looked at prices"),
        "{who}"
    );
    assert_eq!(
        project.ledger(
            "select count(*) from ledger.finding where gate = 'approval' and verdict = 'passed'"
        ),
        "1"
    );
    assert_eq!(
        project.ledger("select count(*) from ledger.event where kind = 'approved'"),
        "1"
    );
    let status = project.overnight(&["status", &project.name]).code(0).stdout;
    assert!(!status.contains("\n  approval"), "{status}");
    // Nothing new: nothing to approve.
    let told = project.run().code(0);
    assert!(told.stdout.contains("inputs unchanged"), "{}", told.stdout);
    // Going back and forward again between published builds asks nobody.
    let first = project.live();
    project.items(11, "x");
    project.run().code(0);
    project.overnight(&["rotate", &project.name]).code(0);
    project
        .overnight(&["rollback", &project.name, "--reason", "test"])
        .code(0);
    assert_eq!(project.live(), first);
    check_invariants(&project);
}

#[test]
fn after_its_time_a_build_is_refused_and_the_next_run_builds_anew() {
    let project = with_approval("approval_expires");
    project.items(10, "x");
    project.run().code(0);
    expire(&project);
    project.refuses_to(
        &["rotate", &project.name],
        1,
        &[
            "approval: nobody approved it before 20",
            "; the next run builds anew",
            "hint: the alias was not touched",
        ],
    );
    let old = project.ledger("select name from ledger.build");
    let told = project.run().code(0);
    assert!(
        told.stdout.contains("waits for approval")
            && !told
                .stdout
                .starts_with(&format!("approval_expires: `{old}`")),
        "{}",
        told.stdout
    );
    project.overnight(&["rotate", &project.name]).code(0);
    assert_ne!(project.live(), old);
    // Somebody may take the responsibility for an old one.
    project.items(11, "x");
    project.run().code(0);
    expire(&project);
    project
        .overnight(&[
            "rotate",
            &project.name,
            "--accept",
            "approval",
            "--reason",
            "the data is fine",
        ])
        .code(0);
    assert_eq!(project.service("select count(*) from item"), "11");
    assert_eq!(
        project.ledger("select count(*) from ledger.event where kind = 'accepted' and detail like 'approval: %(the data is fine)'"),
        "1"
    );
    check_invariants(&project);
}

#[test]
fn a_run_can_ask_for_approval_by_itself_and_a_crash_does_not_forget_it() {
    let project = Project::new("approval_flag");
    project.items(10, "x");
    let mut command = project.command(&["run", &project.name, "--approve"]);
    let killed = Project::finish(command.env("OVERNIGHT_CRASHPOINT", "seal.after_commit"));
    assert_eq!(killed.code, -9);
    // Without the flag, and yet it is not published behind anybody's back.
    let told = project.run().code(0);
    assert!(
        told.stdout.contains("waits for approval"),
        "{}",
        told.stdout
    );
    assert!(
        told.stdout.contains("made by an earlier run"),
        "{}",
        told.stdout
    );
    let json = project
        .overnight(&["run", &project.name, "--json"])
        .code(0)
        .json();
    assert_eq!(json["datasets"][0]["outcome"], "verified");
    assert!(
        json["datasets"][0]["approve_until"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    project.overnight(&["rotate", &project.name]).code(0);
    assert_eq!(project.service("select count(*) from item"), "10");
    // Without flag and key, nobody is asked.
    project.items(11, "x");
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "11");
    project
        .overnight(&["run", &project.name, "--approve", "--no-rotate"])
        .code(2);
}
