//! What is said when the server, the rights or the inputs are not what they should be: the cause, the
//! place and what to type, and as the last thing.

use crate::brake::Server;
use crate::support::listener::Listener;
use crate::support::pooler::Pooler;
use crate::support::standby::Pair;
use crate::support::{Ended, Project};

/// The last line of stderr that is no hint.
fn last_line(ended: &Ended) -> &str {
    let mut lines = ended.stderr.lines().rev();
    lines.find(|line| !line.contains("Z  hint: ")).unwrap()
}

/// Every line of a log begins with its time.
#[track_caller]
fn every_line_has_its_time(ended: &Ended) {
    for line in ended.stderr.lines() {
        let (time, _) = line.split_once(' ').unwrap_or((line, ""));
        assert!(
            time.parse::<jiff::Timestamp>().is_ok(),
            "{line:?} in:\n{}",
            ended.stderr
        );
    }
}

#[test]
fn a_standby_as_the_target_says_so() {
    let pair = Pair::start();
    let mut project = Project::new("standby_target");
    pair.adopt(&mut project, true);
    project.items(10, "one");
    project.run().code(0);
    pair.caught_up();
    for command in ["run", "rollback"] {
        let replica = ("OVERNIGHT_TARGET".to_owned(), pair.replica());
        project.env.push(replica);
        project.overnight(&[command, "standby_target"]).code(3).says(&[
            "is a standby, which is read only",
            "hint: name the primary; or list every server in the target with target_session_attrs=read-write",
        ]);
        project.env.pop();
    }
    let only = format!("{}&target_session_attrs=read-write", pair.replica());
    let only = match pair.replica().contains('?') {
        true => only,
        false => only.replacen('&', "?", 1),
    };
    project.env.push(("OVERNIGHT_TARGET".into(), only));
    project.overnight(&["run", "standby_target"]).code(3).says(&[
        "is a standby, which is read only",
        "hint: `target_session_attrs` asks for a server that can be written: name the primary, or list every server",
    ]);
}

#[test]
fn a_server_that_cannot_be_the_target_says_what_it_is() {
    let server = Server::start(None, &[]);
    let mut project = Project::new("said");
    server.adopt(&mut project, "");
    project.items(10, "one");
    project.run().code(0);
    project.items(11, "two");
    project.overnight(&["run", "said", "--no-rotate"]).code(0);

    server.admin("alter role overnight nocreatedb");
    project.overnight(&["rotate", "said"]).code(2).says(&[
        "the role `overnight` may not create databases, nor rename one",
        "hint: as a superuser: alter role overnight createdb",
    ]);
    server.admin("alter role overnight createdb");
    project.overnight(&["rotate", "said"]).code(0);

    // A line of pg_hba.conf that refuses is no wish for TLS.
    server.admin("create role kept_out login");
    let hba = server.embedded.data().join("pg_hba.conf");
    let lines = std::fs::read_to_string(&hba).unwrap();
    std::fs::write(&hba, format!("local all kept_out reject\n{lines}")).unwrap();
    server.admin("select pg_reload_conf()");
    let target = server
        .embedded
        .target()
        .url_for("postgres", Some("kept_out"));
    project.env.push(("OVERNIGHT_TARGET".into(), target));
    let ended = project.overnight(&["run", "said"]).code(3);
    assert!(!ended.stderr.contains("sslmode"), "{}", ended.stderr);
    ended.says(&["hint: a `reject` line of pg_hba.conf matches role `kept_out`"]);
    project.env.pop();

    let pooler = Pooler::start("transaction", &[]);
    let sockets = pooler.include().with_file_name("s");
    let target = format!(
        "host={} port=6432 user=overnight dbname=postgres",
        sockets.display()
    );
    project.env.push(("OVERNIGHT_TARGET".into(), target));
    project.overnight(&["run", "said"]).code(3).says(&[
        "a connection pooler answers there, and it has no database",
        "hint: let the target lead to the Postgres server itself",
    ]);
}

#[test]
fn inputs_that_cannot_be_reached_are_named_with_their_place_on_one_line() {
    let mut project = Project::new("said_inputs");
    let nobody = Listener::new(404);
    project.env = vec![
        ("OVERNIGHT_FROM".into(), "s3://raw/nightly/".into()),
        ("OVERNIGHT_S3_ENDPOINT".into(), nobody.url.clone()),
        ("AWS_EC2_METADATA_DISABLED".into(), "true".into()),
    ];
    let ended = project
        .run()
        .code(3)
        .says(&["find AWS credentials for `s3://raw/nightly"]);
    let lines = ended.stderr.lines();
    let after: Vec<&str> = lines.skip_while(|line| !line.contains("error: ")).collect();
    assert_eq!(after.len(), 1, "{}", ended.stderr);
    every_line_has_its_time(&ended);
    project.env.push(("AWS_ACCESS_KEY_ID".into(), "a".into()));
    project
        .env
        .push(("AWS_SECRET_ACCESS_KEY".into(), "b".into()));
    project
        .run()
        .code(3)
        .says(&[&format!("`{}", nobody.url), "answers HTTP status 404"]);
}

#[test]
fn the_error_is_the_last_line_and_every_line_of_a_log_has_its_time() {
    let mut project = Project::new("said_last");
    project.items(10, "one");
    let ended = project.run().code(0);
    every_line_has_its_time(&ended);
    let live = project.live();
    ended.says(&[&format!("said_last: `{live}` is live: 10 rows, 0 rejects,")]);
    project.source("item", "table = \"item\"\nfiles = \"nothing*\"\n");
    let ended = project.run().code(1);
    every_line_has_its_time(&ended);
    assert!(
        last_line(&ended).contains("error: run `said_last`: "),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stderr.matches("no object matches").count(), 1);

    // No hook, and no server to write down that there is none.
    let down = "postgres://overnight@127.0.0.1:1/postgres";
    project.env.push(("OVERNIGHT_TARGET".into(), down.into()));
    let ended = project.run().code(3);
    assert!(!ended.stderr.contains("hooks"), "{}", ended.stderr);
    assert!(
        last_line(&ended).contains("connection refused"),
        "{}",
        ended.stderr
    );
    project.env.pop();

    // A hook that cannot be told has its warning, and the error comes after it once more.
    project.write(
        "overnight.toml",
        "[[hook]]\nname = \"pager\"\non = [\"failed\"]\nurl = \"http://127.0.0.1:1/\"\ntry_for = \"0s\"\n",
    );
    let ended = project.run().code(1).says(&["not delivered"]);
    assert!(
        last_line(&ended).contains("error: run `said_last`: "),
        "{}",
        ended.stderr
    );
}
