//! SIGTERM and SIGINT: a run stops in order, leaves nothing but what the next run resumes, and says
//! so in its exit status.

use crate::support::invariants::{sessions, sessions_end, wait_for_session};
use crate::support::project::ended;
use crate::support::{Ended, Project, check_invariants};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Rows called `slow` take 20 ms each to load; rows called `heavy` as long to index.
fn slow(name: &str) -> Project {
    Project::with_schema(
        name,
        "create table item (id integer primary key, name text not null, price numeric(8,2), seen date);
         create function slow_row() returns trigger language plpgsql as
             $$ begin if new.name ~ '^slow' then perform pg_catalog.pg_sleep(0.02); end if; return new; end $$;
         create trigger slow_row before insert on item for each row execute function slow_row();
         create function slow_key(name text) returns text immutable language plpgsql as
             $$ begin if name ~ '^heavy' then perform pg_catalog.pg_sleep(0.02); end if; return name; end $$;
         create index item_slow on item (slow_key(name));",
        "table = \"item\"\nfiles = \"items*\"\n",
    )
}

fn send(signal: &str, child: &Child) {
    let status = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Waits for the end; gives how long it took from now.
fn end(child: Child) -> (Ended, Duration) {
    let began = Instant::now();
    let ended = ended(child.wait_with_output().unwrap());
    (ended, began.elapsed())
}

#[test]
fn a_signal_in_the_middle_stops_within_seconds_and_leaves_nothing_but_loaded_tables() {
    let project = slow("signals_stop");
    project.items(10, "one");
    project.run().code(0);
    let old = project.live();
    let cases = [
        ("-TERM", 143, "slow", "overnight load %"),
        ("-INT", 130, "slow", "overnight load %"),
        ("-TERM", 143, "heavy", "overnight index"),
        ("-INT", 130, "heavy", "overnight index"),
    ];
    for (signal, code, kind, stage) in cases {
        // A minute of work, if nobody stops it. What is kept is of the same file.
        if project.databases().len() == 1 {
            project.items(3000, kind);
        }
        let child = project.start(&["run", "signals_stop"]);
        wait_for_session(&project, stage);
        std::thread::sleep(Duration::from_millis(300));
        send(signal, &child);
        let (ended, took) = end(child);
        assert!(took < Duration::from_secs(10), "{signal} {kind}: {took:?}");
        println!(
            "{signal} while `{stage}`: stopped in {:.2} s",
            took.as_secs_f64()
        );
        // Once the table is loaded, the next run can resume it; here it does not get further.
        let kept = kind == "heavy";
        ended.code(code).says(&[
            "stopping `signals_stop`",
            match kept {
                true => "is kept, and the next run of the same inputs resumes it",
                false => "what was begun is swept",
            },
            &format!("`{old}` is live"),
        ]);
        // The server needs a moment to see that a client has gone.
        assert!(
            sessions_end(&project),
            "{:?}",
            sessions(&project, "overnight %")
        );
        assert_eq!(project.databases().len(), 1 + usize::from(kept));
        let states = "select state from ledger.build order by id desc limit 1";
        assert_eq!(
            project.ledger(states),
            if kept { "loading" } else { "failed" }
        );
        assert_eq!(project.live(), old);
        check_invariants(&project);
    }
    let resumed = "select count(*) from ledger.event where kind = 'resumed'";
    assert_eq!(project.ledger(resumed), "1");
    project.items(11, "two");
    project.run().code(0);
    assert_eq!(
        project.databases().len(),
        2,
        "the live one and the one before"
    );
    assert_eq!(project.service("select count(*) from item"), "11");
    check_invariants(&project);
}

#[test]
fn a_second_signal_ends_at_once_and_the_next_run_repairs() {
    let project = slow("signals_twice");
    project.items(10, "one");
    project.run().code(0);
    let old = project.live();
    project.items(3000, "slow");
    let child = project.start(&["run", "signals_twice"]);
    wait_for_session(&project, "overnight load %");
    // Another session holds the lock of moves, so that the repair must wait.
    let cluster = project.cluster();
    let holder = cluster
        .block_on(cluster.client(crate::support::cluster::ADMIN, &project.control))
        .unwrap();
    cluster
        .block_on(holder.batch_execute("begin; lock table ledger.build in access exclusive mode"))
        .unwrap();
    send("-TERM", &child);
    std::thread::sleep(Duration::from_millis(500));
    send("-TERM", &child);
    let (ended, took) = end(child);
    assert!(took < Duration::from_secs(2), "{took:?}");
    ended.code(143).says(&["at once", "the next start sweeps"]);
    drop(holder);
    assert_eq!(project.live(), old);
    assert_eq!(project.databases().len(), 2, "the half-built one is left");

    project.items(12, "three");
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "12");
    check_invariants(&project);
}

#[test]
fn a_signal_while_an_alias_cannot_be_moved_changes_nothing() {
    let project = slow("signals_moving");
    project.items(10, "one");
    project.run().code(0);
    let old = project.live();
    let cluster = project.cluster();
    let admin = cluster
        .block_on(cluster.client(crate::support::cluster::ADMIN, "signals_moving"))
        .unwrap();
    project.items(11, "two");
    let flags = ["run", "signals_moving", "--flip-limit", "300ms"];
    let child = project.start(&flags);
    wait_for_session(&project, "overnight end sessions");
    std::thread::sleep(Duration::from_millis(500));
    send("-TERM", &child);
    let (ended, took) = end(child);
    assert!(took < Duration::from_secs(10), "{took:?}");
    ended.code(143).says(&[&format!("`{old}` is live")]);
    drop(admin);
    assert_eq!(project.live(), old);
    check_invariants(&project);
    // What was built is not lost.
    project.overnight(&["rotate", "signals_moving"]).code(0);
    assert_eq!(project.service("select count(*) from item"), "11");
    check_invariants(&project);
}
