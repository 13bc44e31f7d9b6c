//! Datasets that move together: both or none, forward and back, whatever dies.

use crate::support::cluster::{ADMIN, LOADER};
use crate::support::invariants::sessions_end;
use crate::support::pooler::first;
use crate::support::{Project, check_invariants, project::Ended, project::items};
use overnight::crashpoint::NAMES;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Two datasets in one project and one group, called after them. `b` is a view of the project of `a`.
struct Pair {
    group: String,
    a: Project,
    b: Project,
}

impl Pair {
    fn new(group: &str) -> Pair {
        let a = Project::new(&format!("{group}_a"));
        let mut b = Project::new(&format!("{group}_b"));
        for part in ["sources", "sql"] {
            let inside = format!("{part}/{}", b.name);
            std::fs::rename(b.path(&inside), a.path(&inside)).unwrap();
        }
        let own = std::mem::replace(&mut b.reader, a.reader.clone());
        b.cluster()
            .sql("postgres", &format!("drop role {own}"))
            .unwrap();
        b.control = a.control.clone();
        let pair = Pair {
            group: group.to_owned(),
            a,
            b,
        };
        pair.probe_b_as(&pair.a.reader);
        pair.a.write("overnight.toml", &pair.table());
        pair
    }

    fn behind_a_pooler(group: &str) -> Pair {
        let mut pair = Pair::new(group);
        let table = pair.table();
        pair.a
            .behind_poolers(&["transaction"], &format!("drain = \"0s\"\n{table}"));
        // Its builds keep their names too, and services of the tests find them by the pointer.
        pair.b.follows_pointer = true;
        pair
    }

    fn table(&self) -> String {
        let (group, a, b) = (&self.group, &self.a.name, &self.b.name);
        format!("[groups]\n{group} = [\"{b}\", \"{a}\"]\n")
    }

    fn probe_b_as(&self, user: &str) {
        let (b, reader) = (&self.b.name, &self.a.reader);
        self.a.write(
            &format!("sources/{b}/dataset.toml"),
            &format!(
                "schema_version = 1\nfiles_under = \"{b}/\"\nreaders = [\"{reader}\"]\nprobe = {{ user = \"{user}\" }}\nkeep = 3\n"
            ),
        );
    }

    /// New inputs for both.
    fn inputs(&self, rows: usize, prefix: &str) {
        self.a.items(rows, prefix);
        self.input_b(rows, prefix);
    }

    fn input_b(&self, rows: usize, prefix: &str) {
        let path = format!("in/{}/items.csv", self.b.name);
        self.a.write(&path, &items(rows, prefix));
    }

    fn run(&self) -> Ended {
        self.a.overnight(&["run", &self.group])
    }

    fn night(&self, rows: usize, prefix: &str) -> [String; 2] {
        self.inputs(rows, prefix);
        self.run().code(0);
        self.live()
    }

    fn live(&self) -> [String; 2] {
        [self.a.live(), self.b.live()]
    }

    /// Both are in order, and a pooler leads both to where the ledger says.
    #[track_caller]
    fn check(&self) {
        check_invariants(&self.a);
        check_invariants(&self.b);
        for pooler in &self.a.poolers {
            assert_eq!(pooler.leads_to(&self.b.name), Some(self.b.live()));
        }
    }

    fn ledger(&self, sql: &str) -> String {
        self.a.ledger(sql)
    }

    fn states(&self) -> String {
        self.ledger("select string_agg(state, ' ' order by id) from ledger.flip")
    }
}

#[test]
fn members_move_in_one_transaction_and_go_back_together() {
    let pair = Pair::new("group_both");
    let group = pair.group.as_str();
    let one = pair.night(10, "one");
    let two = pair.night(11, "two");
    assert!(one[0] != two[0] && one[1] != two[1]);
    assert_eq!(pair.states(), ["confirmed"; 4].join(" "));
    // One act, and one transaction: both rows were written by it last.
    let acts = "select string_agg(distinct group_name || (act = (select max(id) - 1 from ledger.flip)), ' ')
                from ledger.flip where id > 2";
    assert_eq!(pair.ledger(acts), "group_bothtrue");
    let writers = "select count(distinct xmin::text) from ledger.dataset";
    assert_eq!(pair.ledger(writers), "1");
    pair.check();

    // Only one has new inputs: only that one moves.
    pair.input_b(12, "three");
    let told = pair.run().code(0);
    assert!(told.stdout.contains("unchanged"), "{}", told.stdout);
    let three = pair.live();
    assert_eq!(three[0], two[0]);
    assert_ne!(three[1], two[1]);

    // Back as the moves went: first the one that moved alone, then both.
    let told = pair
        .a
        .overnight(&["rollback", group, "--reason", "three is wrong"])
        .code(0);
    assert!(told.stdout.contains("overnight release group_both"));
    assert_eq!(pair.live(), two);
    let told = pair
        .a
        .overnight(&["rollback", group, "--again", "--json"])
        .code(0);
    assert_eq!(told.json()["datasets"].as_array().unwrap().len(), 2);
    assert_eq!(pair.live(), one);
    assert_eq!(pair.ledger(writers), "1");
    pair.a
        .overnight(&["rollback", group, "--again"])
        .code(1)
        .says(&[
            "`group_both_a` has no earlier build to go back to",
            "--accept group",
        ]);
    assert_eq!(pair.live(), one);
    pair.check();

    // Held, until the group is released.
    pair.inputs(13, "four");
    pair.run()
        .code(1)
        .says(&["is held by", "overnight release group_both"]);
    assert_eq!(pair.live(), one);
    pair.a.overnight(&["release", group]).code(0);
    pair.a.overnight(&["rotate", group]).code(0);
    let four = pair.live();
    assert!(four[0] != one[0] && four[1] != one[1]);
    assert_eq!(pair.b.service("select min(name) from item"), "four 1");
    pair.check();
}

#[test]
fn a_group_is_named_as_a_whole() {
    let pair = Pair::new("group_names");
    let (group, a, b) = (&pair.group, &pair.a.name, &pair.b.name);
    pair.inputs(10, "one");
    pair.a.overnight(&["run", a]).code(2).says(&[
        "`group_names_a` is in the group `group_names` and moves with `group_names_b` only",
        "overnight run group_names",
    ]);
    assert!(!pair.a.databases().contains(a));
    // All members are the group, in any order.
    pair.a.overnight(&["run", b, a]).code(0);
    assert_eq!(
        pair.ledger("select count(distinct act) from ledger.flip"),
        "1"
    );
    let one = pair.live();
    pair.inputs(11, "two");
    pair.a.overnight(&["run", group, "--no-rotate"]).code(0);
    assert_eq!(pair.live(), one);
    pair.a.overnight(&["rotate", a]).code(1).says(&[
        "group: it is in the group `group_names` and moves with `group_names_b`",
        "--accept group",
    ]);
    let waiting = pair.ledger("select name from ledger.build where state = 'verified' limit 1");
    pair.a
        .overnight(&["rotate", group, &waiting])
        .code(2)
        .says(&["is a group"]);
    assert_eq!(pair.live(), one);

    // Alone, if somebody answers for it; then the others follow.
    pair.a
        .overnight(&["rotate", a, "--accept", "group", "--reason", "b is late"])
        .code(0);
    let alone = pair.live();
    assert!(alone[0] != one[0] && alone[1] == one[1]);
    pair.a.overnight(&["rotate", group]).code(0);
    assert_ne!(pair.live()[1], one[1]);
    assert_eq!(pair.live()[0], alone[0]);
    pair.check();
}

#[test]
fn what_stops_one_keeps_all_where_they_are() {
    let pair = Pair::new("group_stops");
    let (group, b) = (&pair.group, &pair.b.name);
    let one = pair.night(10, "one");
    let input = pair.a.path(&format!("in/{b}/items.csv"));
    let kept = pair.a.path("kept.csv");
    std::fs::rename(&input, &kept).unwrap();

    // A look through one alias that fails takes both back.
    let cluster = pair.a.cluster();
    cluster
        .sql("postgres", "create role group_stops_blind login")
        .unwrap();
    pair.probe_b_as("group_stops_blind");
    pair.inputs(11, "two");
    pair.run().code(1).says(&[
        "through the alias `group_stops_b`: the whole group `group_stops` was taken back",
        "services are on the build they had before",
    ]);
    assert_eq!(pair.live(), one);
    assert_eq!(pair.states(), "confirmed confirmed reverted reverted");
    pair.check();
    pair.probe_b_as(&pair.a.reader);

    // A hold on one, also on one that has nothing new.
    pair.a.overnight(&["hold", b, "--reason", "audit"]).code(0);
    for new in [true, false] {
        if !new {
            std::fs::rename(&kept, &input).unwrap();
        }
        let told = pair
            .run()
            .code(1)
            .says(&["`group_stops_b` is held", "audit"]);
        assert_eq!(told.stdout.contains("unchanged"), !new, "{}", told.stdout);
        assert_eq!(pair.live(), one);
    }
    pair.a.overnight(&["release", group]).code(0);

    // A build of one that fails keeps the other waiting.
    std::fs::write(&input, "id,name\n1,x\n").unwrap();
    let told = pair.run();
    assert_ne!(told.code, 0);
    assert!(
        told.stdout
            .contains("overnight rotate group_stops` publishes it"),
        "{} {}",
        told.stdout,
        told.stderr
    );
    assert_eq!(pair.live(), one);
    pair.check();

    // A superuser on one live database, whom nobody may end.
    pair.inputs(12, "three");
    let superuser = cluster.block_on(cluster.client(ADMIN, b)).unwrap();
    let short = ["--flip-limit", "300ms", "--flip-window", "1s"];
    pair.a
        .overnight(&[&["run", group.as_str()], &short[..]].concat())
        .code(3)
        .says(&[
            "the aliases `group_stops_a`, `group_stops_b` stayed in use",
            "superuser",
            "overnight rotate group_stops",
        ]);
    assert_eq!(pair.live(), one);
    drop(superuser);
    pair.check();
    pair.a.overnight(&["rotate", group]).code(0);
    let three = pair.live();
    assert!(three[0] != one[0] && three[1] != one[1]);
    pair.check();
    cluster
        .sql("postgres", "drop role group_stops_blind")
        .unwrap();
}

/// Whoever is on both at once: a session of `a` that was there before that of `b` began, and still is,
/// proves that both were live together.
#[test]
fn nobody_can_be_on_builds_of_two_nights_at_once() {
    let pair = Pair::new("group_mixed");
    let group = &pair.group;
    let one = pair.night(10, "one");
    pair.night(11, "two");
    let stop = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let (pair, stop) = (&pair, &stop);
                scope.spawn(move || on_both(pair, number % 2 == 0, stop))
            })
            .collect();
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(300));
            pair.a.overnight(&["rollback", group]).code(0);
            assert_eq!(pair.live(), one);
            std::thread::sleep(Duration::from_millis(300));
            pair.a.overnight(&["release", group]).code(0);
            pair.inputs(11, "two");
            pair.run().code(0);
        }
        stop.store(true, Ordering::SeqCst);
        let seen = clients.into_iter().map(|client| client.join().unwrap());
        seen.collect::<Vec<_>>()
    });
    for pairs in seen {
        assert!(pairs.len() > 20, "{}", pairs.len());
        let nights = |wanted: &str| pairs.iter().any(|(a, _)| a == wanted);
        assert!(nights("one 1") && nights("two 1"));
        for (a, b) in pairs {
            assert_eq!(a, b);
        }
    }
    pair.check();
}

/// What clients of both aliases see, as long as it is proven to be of one moment.
fn on_both(pair: &Pair, a_first: bool, stop: &AtomicBool) -> Vec<(String, String)> {
    let (one, other) = match a_first {
        true => (&pair.a, &pair.b),
        false => (&pair.b, &pair.a),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let name = "select name from item where id = 1";
    let mut pairs = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let looked = runtime.block_on(async {
            let reader = &pair.a.reader;
            let first_session = one.cluster().client(reader, &one.name).await?;
            let a = first(&first_session, name).await?;
            let second_session = other.cluster().client(reader, &other.name).await?;
            let b = first(&second_session, name).await?;
            first(&first_session, name).await?;
            Ok::<_, tokio_postgres::Error>((a.unwrap(), b.unwrap()))
        });
        pairs.extend(looked.ok());
    }
    pairs
}

#[test]
fn behind_a_pooler_both_are_led_at_once_and_taken_back_at_once() {
    let pair = Pair::behind_a_pooler("group_pooler");
    let group = &pair.group;
    let one = pair.night(10, "one");
    pair.check();
    let two = pair.night(11, "two");
    assert!(one[0] != two[0] && one[1] != two[1]);
    pair.check();
    // RELOAD will answer success and read nothing.
    pair.a.poolers[0].write_main("no_such_setting = 7");
    pair.inputs(12, "three");
    pair.run()
        .code(3)
        .says(&["the whole group `group_pooler` was taken back"]);
    assert_eq!(pair.live(), two);
    pair.a.poolers[0].write_main("");
    pair.check();
    pair.a.overnight(&["rotate", group]).code(0);
    let three = pair.live();
    assert!(three[0] != two[0] && three[1] != two[1]);
    pair.a.overnight(&["rollback", group]).code(0);
    assert_eq!(pair.live(), two);
    assert_eq!(
        pair.ledger("select count(distinct xmin::text) from ledger.dataset"),
        "1"
    );
    pair.check();
}

#[test]
fn a_kill_at_any_point_of_the_move_moves_both_or_none() {
    walk(&Pair::new("group_kill"), |name| {
        name.starts_with("flip.") && !["flip.after_open", "flip.after_direct_look"].contains(&name)
    });
}

#[test]
fn a_kill_at_any_point_of_the_move_behind_a_pooler_moves_both_or_none() {
    walk(&Pair::behind_a_pooler("group_kill_pooler"), |name| {
        name.starts_with("flip.") || (name.starts_with("pooler.") && name != "pooler.after_back")
    });
}

/// Kills a run of the group at each point, also at its second time where the members come one after the
/// other, and looks at what is left.
fn walk(pair: &Pair, wanted: impl Fn(&str) -> bool) {
    let mut old = pair.night(10, "night 0");
    let twice = [
        "flip.after_open",
        "flip.after_direct_look",
        "flip.after_confirm",
    ];
    let mut points: Vec<String> = Vec::new();
    for name in NAMES.iter().filter(|name| wanted(name)) {
        points.push((*name).to_owned());
        if twice.contains(name) {
            points.push(format!("{name}:2"));
        }
    }
    assert!(points.len() >= 8, "{points:?}");
    for (night, point) in (1..).zip(points) {
        pair.inputs(10 + night, &format!("night {night}"));
        let mut run = pair.a.command(&["run", &pair.group]);
        let killed = Project::finish(run.env("OVERNIGHT_CRASHPOINT", &point));
        assert_eq!(killed.code, -9, "{point}: {}", killed.stderr);
        assert!(sessions_end(&pair.a) && sessions_end(&pair.b), "{point}");
        // The truth is in one transaction: the pointers never differ by a night.
        let pointers =
            pair.ledger("select string_agg(build, ' ' order by dataset) from overnight.alias");
        let waiting = pair.ledger(
            "select string_agg(name, ' ' order by dataset) from ledger.build where state = 'verified'",
        );
        match waiting.is_empty() {
            true => assert_ne!(pointers, old.join(" "), "{point}"),
            false => {
                assert_eq!(pointers, old.join(" "), "{point}");
                assert_eq!(waiting.split(' ').count(), 2, "{point}: {waiting}");
            }
        }
        pair.run().code(0);
        let new = pair.live();
        assert!(new[0] != old[0] && new[1] != old[1], "{point}");
        for project in [&pair.a, &pair.b] {
            let seen = project.service("select min(name) from item");
            assert_eq!(seen, format!("night {night} 1"), "{point}");
        }
        pair.check();
        old = new;
    }
    // The tool needs no superuser for any of it.
    let role = pair.a.cluster().one(
        "postgres",
        &format!("select rolsuper from pg_roles where rolname = '{LOADER}'"),
    );
    assert_eq!(role, "f");
}
