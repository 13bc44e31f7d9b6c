//! The alias behind PgBouncer: no query is lost, and nothing that the pooler answers is believed.

use crate::support::pooler::{Pooler, first};
use crate::support::{Project, check_invariants};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn night(project: &Project, rows: usize, prefix: &str) -> String {
    project.items(rows, prefix);
    project.run().code(0);
    project.live()
}

fn behind(name: &str, modes: &[&'static str], more: &str) -> Project {
    let mut project = Project::new(name);
    project.behind_poolers(modes, more);
    project
}

fn states(project: &Project) -> String {
    project.ledger("select string_agg(state, ' ' order by id) from ledger.flip")
}

fn waiting(project: &Project) -> String {
    project.ledger("select name from ledger.build where state = 'verified'")
}

/// What a client saw.
#[derive(Default, Debug)]
struct Seen {
    transactions: usize,
    failed: Vec<String>,
    mixed: usize,
    builds: Vec<String>,
}

/// Transactions that read the build twice with a pause in between, on one session of the pooler.
fn client_loop(project: &Project, pooler: &Pooler, stop: &AtomicBool) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut seen = Seen::default();
        let client = pooler.client(&project.reader, &project.name).await.unwrap();
        while !stop.load(Ordering::SeqCst) {
            let transaction = async {
                client.simple_query("begin").await?;
                let one = first(&client, "select build from overnight.build").await?;
                first(&client, "select pg_sleep(0.003)").await?;
                let two = first(&client, "select build from overnight.build").await?;
                client.simple_query("commit").await?;
                Ok::<_, tokio_postgres::Error>((one.unwrap(), two.unwrap()))
            };
            match transaction.await {
                Ok((one, two)) => {
                    seen.transactions += 1;
                    seen.mixed += usize::from(one != two);
                    if seen.builds.last() != Some(&one) {
                        seen.builds.push(one);
                    }
                }
                Err(error) => seen.failed.push(format!("{error:?}")),
            }
        }
        seen
    })
}

#[test]
fn clients_of_a_transaction_pool_lose_nothing_and_see_each_build_whole() {
    let project = behind("pooler_load", &["transaction"], "");
    let mut builds = vec![night(&project, 10, "one")];
    assert_eq!(
        project.databases(),
        builds,
        "no database has the alias's name"
    );
    check_invariants(&project);
    project.items(11, "two");
    project
        .overnight(&["run", &project.name, "--no-rotate"])
        .code(0);
    let second = waiting(&project);
    let stop = AtomicBool::new(false);
    let pooler = &project.poolers[0];
    let seen = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| client_loop(&project, pooler, &stop)))
            .collect();
        std::thread::sleep(Duration::from_millis(200));
        for to in [&second, &builds[0], &second, &builds[0], &second] {
            let moved = match to == &second {
                true => project.overnight(&["rotate", &project.name, to]),
                false => project.overnight(&["rollback", &project.name, "--to", to]),
            };
            moved.code(0);
            project.overnight(&["release", &project.name]).code(0);
            std::thread::sleep(Duration::from_millis(100));
        }
        stop.store(true, Ordering::SeqCst);
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect::<Vec<_>>()
    });
    builds.push(second);
    for seen in seen {
        assert_eq!(seen.failed, Vec::<String>::new());
        assert_eq!(seen.mixed, 0);
        assert!(seen.transactions > 50, "{seen:?}");
        let expected: Vec<String> = (0..6).map(|flip| builds[flip % 2].clone()).collect();
        assert_eq!(seen.builds, expected);
    }
    assert_eq!(states(&project), ["confirmed"; 6].join(" "));
    check_invariants(&project);
    let url = project.overnight(&["url", &project.name]).code(0).stdout;
    assert!(url.contains("6432") && url.contains("pooler_load"), "{url}");
}

#[test]
fn a_session_pool_is_not_confirmed_while_somebody_is_on_the_old_build() {
    let project = behind("pooler_session", &["session"], "drain = \"1s\"");
    let old = night(&project, 10, "one");
    let pooler = &project.poolers[0];
    let cluster = project.cluster();
    let build = "select build from overnight.build";
    let service = cluster
        .block_on(pooler.client(&project.reader, &project.name))
        .unwrap();
    let seen = || cluster.block_on(first(&service, build));
    assert_eq!(seen().unwrap(), Some(old.clone()));
    // Killed while it waits: the move has happened, and nobody has confirmed it.
    project.items(11, "two");
    let mut run = project.command(&["run", &project.name]);
    Project::finish(run.env("OVERNIGHT_CRASHPOINT", "drain.before_end")).code(-9);
    assert_eq!(states(&project), "confirmed switched");
    let new = project.live();
    assert_ne!(new, old);
    assert_eq!(
        seen().unwrap(),
        Some(old.clone()),
        "a session stays where it is"
    );
    // Within the limit the next command leaves it alone too, and says so.
    project
        .overnight(&["reconcile", &project.name, "--drain", "10m"])
        .code(0)
        .says(&[
            "is not confirmed yet, sessions are still on the build before",
            &project.reader,
        ]);
    assert_eq!(states(&project), "confirmed switched");
    assert_eq!(seen().unwrap(), Some(old));
    // After it the session is ended, and comes back to the new build.
    project
        .overnight(&["reconcile", &project.name])
        .code(0)
        .says(&["had happened and was confirmed"]);
    assert!(seen().is_err());
    assert_eq!(states(&project), "confirmed confirmed");
    assert_eq!(project.live(), new);
    check_invariants(&project);
}

#[test]
fn a_pooler_that_does_not_take_the_new_target_takes_the_others_back() {
    let project = behind("pooler_broken", &["transaction", "transaction"], "");
    let old = night(&project, 10, "one");
    // RELOAD will answer success and read nothing.
    project.poolers[1].write_main("no_such_setting = 7");
    project.items(11, "two");
    project.run().code(3).says(&[
        "it was taken back",
        "RELOAD changed nothing",
        "hint: services are on the build they had before",
    ]);
    for pooler in &project.poolers {
        assert_eq!(pooler.leads_to(&project.name), Some(old.clone()));
        let text = std::fs::read_to_string(pooler.include()).unwrap();
        assert!(text.contains(&format!("dbname='{old}'")), "{text}");
    }
    assert_eq!(states(&project), "confirmed reverted");
    check_invariants(&project);

    // The build was good: it waits, sealed, and goes live when the pooler is mended.
    let build = waiting(&project);
    project.poolers[1].write_main("");
    project.overnight(&["rotate", &project.name]).code(0);
    assert_eq!(project.live(), build);
    check_invariants(&project);
}

#[test]
fn a_pooler_that_is_gone_keeps_the_alias_where_it_is_before_anything_is_touched() {
    let mut project = behind("pooler_gone", &["transaction", "transaction"], "");
    let old = night(&project, 10, "one");
    project.poolers[1].kill();
    project.items(11, "two");
    project.run().code(3).says(&[
        "open the admin console of the pooler",
        "hint: is it running",
    ]);
    assert_eq!(states(&project), "confirmed", "not even an intent");
    assert_eq!(project.live(), old);
    check_invariants(&project);
    project.poolers[1].restart();
    project.overnight(&["rotate", &project.name]).code(0);
    check_invariants(&project);
}

#[test]
fn files_that_would_cut_clients_are_refused_before_anything_is_touched() {
    let project = behind("pooler_files", &["transaction"], "");
    let old = night(&project, 10, "one");
    let pooler = &project.poolers[0];
    project.items(11, "two");
    project
        .overnight(&["run", &project.name, "--no-rotate"])
        .code(0);
    let rotate = ["rotate", &project.name];

    // The line of somebody else would vanish.
    let good = std::fs::read_to_string(pooler.include()).unwrap();
    std::fs::write(pooler.include(), format!("{good}theirs = dbname=theirs\n")).unwrap();
    project.refuses_to(
        &rotate,
        2,
        &["has the alias theirs, which this ledger does not know"],
    );
    assert!(
        std::fs::read_to_string(pooler.include())
            .unwrap()
            .contains("theirs")
    );
    std::fs::write(pooler.include(), "%include /etc/passwd\n").unwrap();
    project.refuses_to(&rotate, 2, &["line 1 is not one that overnight writes"]);
    std::fs::write(pooler.include(), &good).unwrap();

    // The pooler would not read what is written.
    let main = std::fs::read_to_string(pooler.main()).unwrap();
    std::fs::write(pooler.main(), main.replace("%include", "; %include")).unwrap();
    project.refuses_to(
        &rotate,
        2,
        &["does not include", "hint: add the line: %include"],
    );
    // What stands behind would be read as an alias.
    std::fs::write(pooler.main(), format!("{main}\nlisten_backlog = 9\n")).unwrap();
    project.refuses_to(&rotate, 2, &["PgBouncer would take them for aliases"]);
    std::fs::write(pooler.main(), &main).unwrap();

    assert_eq!(project.live(), old);
    assert_eq!(states(&project), "confirmed");
    project.overnight(&rotate).code(0);
    check_invariants(&project);
}

#[test]
fn a_build_whose_database_is_gone_is_not_led_to() {
    let project = behind("pooler_missing", &["transaction"], "");
    let old = night(&project, 10, "one");
    project.items(11, "two");
    project
        .overnight(&["run", &project.name, "--no-rotate"])
        .code(0);
    let build = waiting(&project);
    let cluster = project.cluster();
    cluster
        .sql("postgres", &format!("drop database {build}"))
        .unwrap();
    project
        .overnight(&["rotate", &project.name])
        .code(1)
        .says(&["is gone"]);
    assert_eq!(project.live(), old);
    assert_eq!(
        project.poolers[0].leads_to(&project.name),
        Some(old.clone())
    );
    // The next run finds that out and builds anew.
    project.run().code(0);
    assert_ne!(project.live(), old);
    check_invariants(&project);
}

#[test]
fn a_pooler_that_somebody_left_paused_goes_on_with_the_next_command() {
    let project = behind("pooler_paused", &["transaction"], "");
    night(&project, 10, "one");
    let pooler = &project.poolers[0];
    pooler.console(&format!("pause {}", project.name));
    assert!(pooler.is_paused(&project.name));
    let told = project.overnight(&["reconcile", &project.name]).code(0);
    told.says(&["was paused in the pooler at", "and was resumed"]);
    assert!(!pooler.is_paused(&project.name));
    let event = project.ledger("select detail from ledger.event where kind = 'repaired'");
    assert!(event.contains("was resumed"), "{event}");
    check_invariants(&project);
}

#[test]
fn a_pooler_that_leads_elsewhere_is_led_to_the_live_build_by_the_next_command() {
    let project = behind("pooler_elsewhere", &["transaction"], "");
    let first = night(&project, 10, "one");
    let second = night(&project, 11, "two");
    let pooler = &project.poolers[0];
    let good = std::fs::read_to_string(pooler.include()).unwrap();
    std::fs::write(pooler.include(), good.replace(&second, &first)).unwrap();
    pooler.console("reload");
    assert_eq!(project.live(), first);
    let status = project.overnight(&["status", &project.name]).code(1).stdout;
    let broken = format!("pooler_elsewhere: BROKEN: `{second}` is live, and the pooler at ");
    assert!(status.starts_with(&broken), "{status}");
    assert!(status.contains(&format!("leads to `{first}`")), "{status}");
    project
        .overnight(&["url", &project.name])
        .code(1)
        .says(&[&format!("leads to `{first}`"), "overnight reconcile"]);
    project
        .overnight(&["reconcile", &project.name])
        .code(0)
        .says(&[&format!(
            "led `pooler_elsewhere` to `{first}` and was moved to the live build"
        )]);
    assert_eq!(project.live(), second);
    check_invariants(&project);

    // One that does not answer keeps nobody from building, and is told of.
    let mut project = project;
    project.poolers[0].kill();
    project.items(12, "three");
    project
        .overnight(&["run", &project.name])
        .code(3)
        .says(&["open the admin console of the pooler"]);
    assert_ne!(waiting(&project), "", "it is built all the same");
    project.poolers[0].restart();
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "12");
    check_invariants(&project);
}

#[test]
fn a_database_unlike_the_ledger_stops_moves_until_somebody_takes_it() {
    let project = behind("pooler_restored", &["transaction"], "");
    let first = night(&project, 10, "one");
    let second = night(&project, 11, "two");
    // As after a restore: the same contents and name, another identity.
    let cluster = project.cluster();
    project.poolers[0].console(&format!("kill {}", project.name));
    cluster
        .sql(
            "postgres",
            &format!("create database restored template {second} owner overnight"),
        )
        .unwrap();
    for sql in [
        "revoke all on database restored from public".to_owned(),
        format!("grant connect on database restored to {}", project.reader),
        format!("drop database {second} with (force)"),
        format!("alter database restored rename to {second}"),
    ] {
        cluster.sql("postgres", &sql).unwrap();
    }
    project.poolers[0].console(&format!("resume {}", project.name));
    project.items(12, "three");
    project.run().code(3).says(&[
        &format!("the ledger says that `{second}` is live, but its database is not there, and `{second}` is another one"),
        "overnight reconcile pooler_restored --accept-catalog --reason TEXT",
    ]);
    project
        .overnight(&["rollback", &project.name])
        .code(3)
        .says(&["nothing was changed"]);
    project
        .overnight(&["reconcile", &project.name, "--accept-catalog"])
        .code(2);
    let taken = project
        .overnight(&[
            "reconcile",
            &project.name,
            "--accept-catalog",
            "--reason",
            "restored at noon",
        ])
        .code(0);
    assert!(
        taken.stdout.contains("is live, as the database says"),
        "{}",
        taken.stdout
    );
    assert_eq!(project.live(), second);
    let event = project.ledger("select detail from ledger.event where kind = 'catalog'");
    assert!(event.contains("restored at noon"), "{event}");
    check_invariants(&project);
    // And everything goes on from there.
    project.overnight(&["rollback", &project.name]).code(0);
    assert_eq!(project.live(), first);
    project.overnight(&["release", &project.name]).code(0);
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "12");
    check_invariants(&project);
}

#[test]
fn datasets_that_share_a_pooler_keep_each_others_aliases() {
    let project = behind("pooler_shared", &["transaction"], "");
    let other = "pooler_shared2";
    for (path, text) in [
        (
            format!("sources/{other}/dataset.toml"),
            std::fs::read_to_string(project.path("sources/pooler_shared/dataset.toml")).unwrap(),
        ),
        (
            format!("sources/{other}/item.toml"),
            "table = \"item\"\nfiles = \"items*\"\n".into(),
        ),
        (
            format!("sql/{other}/schema/010_tables.sql"),
            std::fs::read_to_string(project.path("sql/pooler_shared/schema/010_tables.sql"))
                .unwrap(),
        ),
    ] {
        project.write(&path, &text);
    }
    project.items(10, "one");
    // Side by side, so that each may find the other in the middle.
    for rows in [11, 12] {
        project.items(rows, "more");
        let both: Vec<_> = [project.name.as_str(), other]
            .iter()
            .map(|name| project.start(&["run", name]))
            .collect();
        for run in both {
            crate::support::project::ended(run.wait_with_output().unwrap()).code(0);
        }
        for alias in [project.name.as_str(), other] {
            let seen = project.poolers[0]
                .service(
                    &project.reader,
                    alias,
                    "select dataset || ' ' || (select count(*) from item) from overnight.build",
                )
                .unwrap();
            assert_eq!(seen, Some(format!("{alias} {rows}")));
        }
    }
}

#[test]
fn the_router_may_change_and_every_build_stays_reachable() {
    let mut project = Project::new("pooler_change");
    let first = night(&project, 10, "one");
    project.behind_poolers(&["transaction"], "drain = \"0s\"");
    let second = night(&project, 11, "two");
    assert_eq!(project.service("select count(*) from item"), "11");
    // The build before still has the alias's name on the server, and can be gone back to.
    assert_eq!(project.databases(), [project.name.clone(), second.clone()]);
    project.overnight(&["rollback", &project.name]).code(0);
    assert_eq!(project.live(), first);
    assert_eq!(
        project.poolers[0].leads_to(&project.name),
        Some(project.name.clone())
    );
    project.overnight(&["release", &project.name]).code(0);
    project
        .overnight(&["rotate", &project.name, &second])
        .code(0);
    // Once it is retired it has its own name again.
    let third = night(&project, 12, "three");
    let fourth = night(&project, 13, "four");
    assert_eq!(
        project.databases(),
        [first.clone(), second.clone(), third.clone(), fourth.clone()]
    );
    check_invariants(&project);

    // Back to a plain name: somebody has to say so, because services must come another way.
    project.poolers.clear();
    std::fs::remove_file(project.path("overnight.toml")).unwrap();
    project.items(14, "five");
    project.run().code(3).says(&[
        "but the database `pooler_change` is not there",
        "--accept-catalog",
    ]);
    let begun = Instant::now();
    project
        .overnight(&[
            "reconcile",
            &project.name,
            "--accept-catalog",
            "--reason",
            "no pooler any more",
        ])
        .code(0);
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(project.live(), fourth);
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "14");
    check_invariants(&project);
}
