//! Services read from standbys too: the alias moves only when each has the build, and is confirmed
//! only when nobody there is left on the old one.

use crate::support::standby::Pair;
use crate::support::{Project, cluster::ADMIN};

fn patient(project: &mut Project, wait: &str) {
    let wait = ("OVERNIGHT_REPLICA_WAIT".into(), wait.into());
    project.env.push(wait);
}

const BUILD: &str = "select build from overnight.build";
const FLIPS: &str = "select string_agg(state, ' ' order by id) from ledger.flip";

#[test]
fn a_move_is_refused_while_a_replica_is_behind_and_takes_its_sessions_along_when_it_is_not() {
    let pair = Pair::start();
    let mut project = Project::new("behind");
    pair.adopt(&mut project, true);
    patient(&mut project, "20s");
    project.items(10, "one");
    project.run().code(0);
    let first = pair.ask("behind", BUILD);
    assert_eq!(pair.ask_replica("behind", BUILD), first);

    // Behind: refused, and nothing has moved anywhere.
    let service = pair.connect(true, &project.reader, "behind");
    pair.pause();
    project.items(11, "two");
    let short = ["--replica-wait", "1s"];
    let run = |more: &[&str]| project.overnight(&[&["run", "behind"], more].concat());
    run(&short)
        .code(1)
        .says(&["replicas", "`east` is", "of log behind after 1 s"]);
    assert_eq!(pair.ask("behind", BUILD), first);
    let count = "select count(*)::text from item";
    assert_eq!(pair.on(&service, count).as_deref(), Some("10"));

    // Caught up: the build that waited is published, and nobody reads the old one any more.
    pair.resume();
    run(&[]).code(0);
    assert_eq!(pair.on(&service, count), None, "the session was ended");
    let second = pair.ask("behind", BUILD);
    assert_ne!(first, second);
    assert_eq!(pair.ask_replica("behind", BUILD), second);
    assert_eq!(pair.ask(&project.control, FLIPS), "confirmed confirmed");

    // Not there at all: refused as well, until somebody takes the responsibility.
    pair.stop_standby();
    project.items(12, "three");
    run(&short)
        .code(1)
        .says(&["replicas", "ask the replica `east`"]);
    assert_eq!(pair.ask("behind", BUILD), second);
    let accept = ["--accept", "replicas", "--reason", "east is being rebuilt"];
    let rotate = [&["rotate", "behind"], accept.as_slice(), short.as_slice()].concat();
    project
        .overnight(&rotate)
        .code(3)
        .says(&["is live", "east"]);
    let third = pair.ask("behind", BUILD);
    assert_ne!(second, third);
    assert_eq!(
        pair.ask(&project.control, FLIPS),
        "confirmed confirmed switched"
    );
    pair.start_standby();
    pair.caught_up();
    run(&[]).code(0).says(&["repaired"]);
    assert_eq!(
        pair.ask(&project.control, FLIPS),
        "confirmed confirmed confirmed"
    );
}

#[test]
fn a_move_stays_unconfirmed_while_a_session_of_a_replica_cannot_be_ended() {
    let pair = Pair::start();
    let mut project = Project::new("stuck");
    pair.adopt(&mut project, true);
    project.items(10, "one");
    project.run().code(0);
    let stuck = pair.connect(true, ADMIN, "stuck");
    project.items(11, "two");
    project
        .run()
        .code(3)
        .says(&["is live", "on `east` 1 still use the old build", ADMIN]);
    assert_eq!(pair.ask("stuck", "select count(*) from item"), "11");
    assert_eq!(pair.ask(&project.control, FLIPS), "confirmed switched");
    drop(stuck);
    project.run().code(0).says(&["repaired"]);
    assert_eq!(pair.ask(&project.control, FLIPS), "confirmed confirmed");
}

#[test]
fn a_standby_that_nobody_declared_stops_the_move_unless_told_otherwise() {
    let pair = Pair::start();
    let mut project = Project::new("undeclared");
    pair.adopt(&mut project, false);
    project.items(10, "one");
    project
        .run()
        .code(1)
        .says(&["replicas", "no [[replica]]", "walreceiver"]);
    let alias = "select count(*)::text from pg_database where datname = 'undeclared'";
    assert_eq!(pair.ask("postgres", alias), "0");
    // The primary is no replica of itself.
    let text = format!(
        "[[replica]]\nname = \"me\"\ntarget = \"{}\"\n",
        pair.target()
    );
    project.write("overnight.toml", &text);
    project
        .overnight(&["rotate", "undeclared"])
        .code(1)
        .says(&["`me` is not a standby of this server"]);
    project.write("overnight.toml", "undeclared_replicas = \"ignore\"\n");
    project.overnight(&["rotate", "undeclared"]).code(0);
    assert_eq!(pair.ask("postgres", alias), "1");
}

#[test]
fn a_build_that_is_read_on_a_replica_is_not_dropped() {
    let pair = Pair::start();
    let mut project = Project::new("read_there");
    pair.adopt(&mut project, true);
    project
        .env
        .push(("OVERNIGHT_RETIRE_AFTER".into(), "0s".into()));
    project.items(10, "one");
    project.run().code(0);
    let first = pair.ask("read_there", BUILD);
    project.items(11, "two");
    project.run().code(0);
    // Somebody goes on with yesterday's data, by its own name.
    let reader = pair.connect(true, &project.reader, &first);
    project.items(12, "three");
    project.run().code(0);
    let there = format!("select count(*)::text from pg_database where datname = '{first}'");
    assert_eq!(pair.ask("postgres", &there), "1");
    let count = "select count(*)::text from item";
    assert_eq!(pair.on(&reader, count).as_deref(), Some("10"));
    let left = project
        .overnight(&["retire", "read_there", "--json"])
        .code(0);
    let left = left.json()["datasets"][0]["retired"]["left"].to_string();
    assert!(left.contains("in use on the replica `east`"), "{left}");
    // A replica that does not answer may have readers too.
    pair.stop_standby();
    let left = project
        .overnight(&["retire", "read_there", "--json"])
        .code(0);
    let left = left.json()["datasets"][0]["retired"]["left"].to_string();
    assert!(
        left.contains("the replica `east` could not be asked"),
        "{left}"
    );
    drop(reader);
    pair.start_standby();
    project.overnight(&["retire", "read_there"]).code(0);
    assert_eq!(pair.ask("postgres", &there), "0");
}
