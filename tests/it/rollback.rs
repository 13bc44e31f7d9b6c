//! Back to an earlier build within seconds, and there it stays.

use crate::support::invariants::wait_for_session;
use crate::support::{Project, check_invariants};
use std::time::Instant;

/// A night that publishes so many rows called so; gives the build's name.
fn night(project: &Project, rows: usize, prefix: &str) -> String {
    project.items(rows, prefix);
    project.run().code(0);
    project.live()
}

fn keep(project: &Project, builds: usize) {
    project.write(
        &format!("sources/{}/dataset.toml", project.name),
        &format!(
            "schema_version = 1\nfiles_under = \"{0}/\"\nreaders = [\"{1}\"]\nprobe = {{ user = \"{1}\" }}\nkeep = {builds}\n",
            project.name, project.reader
        ),
    );
}

#[test]
fn going_back_takes_seconds_needs_no_input_and_holds_the_alias() {
    let project = Project::new("rollback_holds");
    let first = night(&project, 10, "one");
    let second = night(&project, 11, "two");

    // Nothing but the server is needed.
    std::fs::rename(project.path("in"), project.path("gone")).unwrap();
    let began = Instant::now();
    let reason = ["--reason", "prices of two are wrong"];
    let told = project
        .overnight(&[&["rollback", "rollback_holds"], &reason[..]].concat())
        .code(0);
    let took = began.elapsed();
    println!("rollback, start to confirmed: {:.2} s", took.as_secs_f64());
    assert!(took.as_secs() < 5, "{took:?}");
    assert!(
        told.stdout.contains(&format!("`{first}` is live")),
        "{}",
        told.stdout
    );
    assert!(told.stdout.contains("is held"), "{}", told.stdout);
    assert_eq!(project.live(), first);
    assert_eq!(
        project.service("select count(*) || ' ' || min(name) from item"),
        "10 one 1"
    );
    check_invariants(&project);
    std::fs::rename(project.path("gone"), project.path("in")).unwrap();

    // Everybody can see it.
    let status = project.overnight(&["status", "rollback_holds"]).code(0);
    for text in [&first, &second, "HELD", "prices of two are wrong"] {
        assert!(status.stdout.contains(text), "{}", status.stdout);
    }
    let status = project.overnight(&["status", "--json"]).code(0).json();
    assert_eq!(status["format"], 1);
    let dataset = &status["datasets"][0];
    assert_eq!(dataset["live"], first.as_str());
    assert_eq!(dataset["previous"], second.as_str());
    assert_eq!(dataset["held"], true);
    assert_eq!(dataset["hold_reason"], "prices of two are wrong");
    let builds = project.overnight(&["builds", "rollback_holds"]).code(0);
    let line = |name: &str| builds.stdout.lines().find(|line| line.contains(name));
    assert!(line(&second).unwrap().contains("rolled back"));
    assert!(!line(&first).unwrap().contains("rolled back"));
    let builds = project.overnight(&["builds", "rollback_holds", "--json"]);
    let builds = builds.code(0).json();
    assert_eq!(builds["builds"][0]["build"]["name"], second.as_str());
    assert!(builds["builds"][0]["build"]["rolled_back_at"].is_string());
    assert_eq!(builds["builds"][1]["role"], "live");

    // The night goes on building, and does not publish.
    project.items(12, "three");
    project.run().code(1).says(&[
        "is held by",
        "prices of two are wrong",
        "is verified and waits",
        "overnight release",
    ]);
    assert_eq!(project.live(), first);
    project
        .overnight(&["rotate", "rollback_holds"])
        .code(1)
        .says(&["is held by"]);
    let third = project.ledger("select name from ledger.build where state = 'verified'");
    check_invariants(&project);

    // Until released.
    let told = project.overnight(&["release", "rollback_holds"]).code(0);
    assert!(told.stdout.contains("released"), "{}", told.stdout);
    project.run().code(0);
    assert_eq!(project.live(), third);
    check_invariants(&project);
}

#[test]
fn going_back_again_skips_what_was_gone_back_from() {
    let project = Project::new("rollback_skips");
    keep(&project, 4);
    let first = night(&project, 10, "one");
    let second = night(&project, 11, "two");
    let third = night(&project, 12, "three");

    project.overnight(&["rollback", "rollback_skips"]).code(0);
    assert_eq!(project.live(), second);
    project.overnight(&["release", "rollback_skips"]).code(0);
    let fourth = night(&project, 13, "four");
    assert_eq!(project.live(), fourth);
    // Not to the third: that one was bad.
    project.overnight(&["rollback", "rollback_skips"]).code(0);
    assert_eq!(project.live(), second);
    // Typed twice: once is enough, unless it is meant.
    project
        .overnight(&["rollback", "rollback_skips"])
        .code(1)
        .says(&[
            &format!("went back to `{second}`"),
            "s ago; nothing was changed",
            "--again goes back one build more",
        ]);
    assert_eq!(project.live(), second);
    let again = ["rollback", "rollback_skips", "--again"];
    project.overnight(&again).code(0);
    assert_eq!(project.live(), first);
    project
        .overnight(&again)
        .code(1)
        .says(&["no earlier build to go back to"]);
    assert_eq!(project.live(), first);
    check_invariants(&project);

    // By name, any build that is kept.
    for name in [&fourth, &second] {
        project
            .overnight(&["rollback", "rollback_skips", "--to", name])
            .code(0);
        assert_eq!(project.live(), *name);
        check_invariants(&project);
    }
    project
        .overnight(&["rollback", "rollback_skips", "--to", &second])
        .code(1)
        .says(&["is live already"]);
    project
        .overnight(&["rollback", "rollback_skips", "--to", "rollback_skips_never"])
        .code(2)
        .says(&["has no build `rollback_skips_never`"]);
    assert_ne!(first, third);
    check_invariants(&project);
}

#[test]
fn a_build_that_was_gone_back_from_is_not_the_measure_of_the_next_night() {
    let project = Project::new("rollback_measure");
    project.source(
        "item",
        "table = \"item\"\nfiles = \"items*\"\n[expect]\nrows = { change = \"20%\" }\n",
    );
    let first = night(&project, 100, "one");
    night(&project, 118, "two");
    project.overnight(&["rollback", "rollback_measure"]).code(0);
    project.overnight(&["release", "rollback_measure"]).code(0);
    // 6 % more than the second night, and 25 % more than the first.
    project.items(125, "three");
    project
        .run()
        .code(1)
        .says(&["change of item", &first, "+25.00%"]);
    assert_eq!(project.live(), first);
    night(&project, 119, "four");
    check_invariants(&project);
}

#[test]
fn going_back_does_not_wait_for_a_run_that_is_loading() {
    let project = Project::with_schema(
        "rollback_beside",
        "create table item (id integer primary key, name text not null, price numeric(8,2), seen date);
         create function slow() returns trigger language plpgsql as
             $$ begin if new.name ~ '^slow' then perform pg_catalog.pg_sleep(0.02); end if; return new; end $$;
         create trigger slow before insert on item for each row execute function slow();",
        "table = \"item\"\nfiles = \"items*\"\n",
    );
    let first = night(&project, 10, "one");
    night(&project, 11, "two");
    project.items(200, "slow");
    let running = project.start(&["run", "rollback_beside"]);
    wait_for_session(&project, "overnight load %");
    let began = Instant::now();
    project.overnight(&["rollback", "rollback_beside"]).code(0);
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    assert_eq!(project.live(), first);
    // The run goes on to its end and finds the alias held.
    let ended = crate::support::project::ended(running.wait_with_output().unwrap());
    ended.code(1).says(&["is held by", "is verified and waits"]);
    assert_eq!(project.live(), first);
    check_invariants(&project);
}

#[test]
fn a_hold_by_hand_stops_moves_until_it_is_released() {
    let project = Project::new("rollback_hold");
    let first = night(&project, 10, "one");
    let held = ["hold", "rollback_hold", "--reason", "audit until noon"];
    project.overnight(&held).code(0);
    project.items(11, "two");
    project.run().code(1).says(&["audit until noon"]);
    assert_eq!(project.live(), first);
    let released = project
        .overnight(&["release", "rollback_hold", "--json"])
        .code(0)
        .json();
    assert_eq!(released["was_held"], true);
    let again = project.overnight(&["release", "rollback_hold"]).code(0);
    assert!(
        again.stdout.contains("there was no hold"),
        "{}",
        again.stdout
    );
    project.overnight(&["rotate", "rollback_hold"]).code(0);
    assert_eq!(project.service("select min(name) from item"), "two 1");
    let events = project.ledger("select string_agg(kind, ' ' order by id) from ledger.event where kind in ('hold', 'release')");
    assert!(events.starts_with("hold release"), "{events}");
    check_invariants(&project);
}
