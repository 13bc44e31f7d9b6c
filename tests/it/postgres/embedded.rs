//! The private server, as root and as a plain user.

use super::private::{Home, Private, open_folder, run, text};
use overnight::{
    embedded::{self, Embedded, Status},
    postgres::Server,
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Command,
};

fn is_root() -> bool {
    run("id", &["-u"]).trim() == "0"
}

async fn count(embedded: &Embedded, sql: &str) -> i64 {
    let session = Server::new(embedded.target(), "overnight".into())
        .connect("postgres", "test")
        .await
        .unwrap();
    let count = session.query_one(sql, &[]).await.unwrap().get(0);
    session.close().await;
    count
}

/// The whole life of a private server; the same for root and for a plain user.
async fn live(home: &Home) {
    assert!(matches!(
        embedded::status(&home.path).await.unwrap(),
        Status::Absent
    ));
    assert!(!home.stop().await);
    let (one, two) = tokio::join!(home.ensure_running(), home.ensure_running());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(
        one.pid(),
        two.pid(),
        "two starters must end up with one server"
    );

    // The tool's role may create databases and end sessions, and is no superuser.
    let server = Server::new(one.target(), "overnight".into());
    let session = server.connect("postgres", "test").await.unwrap();
    session.batch_execute("CREATE DATABASE kept").await.unwrap();
    let told = "SELECT rolsuper, rolcreatedb, pg_has_role(oid, 'pg_signal_backend', 'USAGE') FROM pg_roles WHERE rolname = current_user";
    let row = session.query_one(told, &[]).await.unwrap();
    assert_eq!((row.get(0), row.get(1), row.get(2)), (false, true, true));
    for (setting, value) in [
        ("fsync", "on"),
        ("wal_level", "minimal"),
        ("listen_addresses", ""),
        ("jit", "off"),
        ("server_encoding", "UTF8"),
        ("log_min_messages", "log"),
    ] {
        let found: String = session
            .query_one("SELECT current_setting($1)", &[&setting])
            .await
            .unwrap()
            .get(0);
        assert_eq!(found, value, "{setting}");
    }
    assert!(session.batch_execute("SELECT 'canary'::int").await.is_err());
    assert!(
        session
            .batch_execute(
                "CREATE TEMP TABLE t (a int CHECK (a <> 77001)); INSERT INTO t VALUES (77001)"
            )
            .await
            .is_err()
    );
    session.close().await;
    let log = fs::read_to_string(one.log()).unwrap();
    assert!(log.contains("ready to accept connections"), "{log}");
    assert!(!log.contains("canary") && !log.contains("77001"), "{log}");

    let readers = ["plan_reader".to_owned(), "Odd \"name".to_owned()];
    one.ensure_readers(&readers).await.unwrap();
    one.ensure_readers(&readers).await.unwrap();
    assert!(one.ensure_readers(&["pg_nope".to_owned()]).await.is_err());
    assert_eq!(
        count(
            &one,
            "SELECT count(*) FROM pg_roles WHERE rolcanlogin AND NOT rolcreatedb AND NOT rolsuper"
        )
        .await,
        2
    );
    let url = one.target().url_for("kept", Some("plan_reader"));
    let psql = one.programs().unwrap().join("psql");
    assert_eq!(
        run(text(&psql), &["-XAtc", "SELECT current_user", &url]).trim(),
        "plan_reader"
    );

    // Nobody else gets in, and the server is not root and has no spare groups.
    let about = fs::metadata(one.socket_folder()).unwrap();
    assert_eq!(about.mode() & 0o777, 0o700);
    let process = fs::read_to_string(format!("/proc/{}/status", one.pid())).unwrap();
    let field = |name: &str| {
        process
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(field("Uid:"), vec![about.uid().to_string(); 4]);
    assert_ne!(about.uid(), 0);
    assert!(field("Groups:").len() <= 1, "{process}");

    assert!(home.stop().await);
    assert!(!home.stop().await);
    assert!(matches!(
        embedded::status(&home.path).await.unwrap(),
        Status::Stopped { .. }
    ));

    // A crash: killed without a word, then started again.
    let again = home.ensure_running().await.unwrap();
    run("kill", &["-9", &again.pid().to_string()]);
    let after = home.ensure_running().await.unwrap();
    assert_ne!(again.pid(), after.pid());
    assert_eq!(
        count(
            &after,
            "SELECT count(*) FROM pg_database WHERE datname = 'kept'"
        )
        .await,
        1
    );
    assert!(
        matches!(embedded::status(&home.path).await.unwrap(), Status::Running(running) if running.pid() == after.pid())
    );
    assert!(home.stop().await);
}

#[tokio::test]
async fn the_private_server_lives_and_keeps_its_data() {
    live(&Home::new("deep/home")).await;
}

#[tokio::test]
async fn a_plain_user_has_a_private_server_too() {
    if !is_root() {
        return live(&Home::new("home")).await;
    }
    // The same test, in a process of `nobody`. The program is copied to where that user may go.
    let folder = open_folder();
    let program = folder.path().join("it");
    // By a process of its own: a file that this one has open for writing, in a child that another
    // test forks at this moment, could not be run ("text file busy").
    let this = std::env::current_exe().unwrap();
    run("cp", &[text(&this), text(&program)]);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new("setpriv")
        .args([
            "--reuid=nobody",
            "--regid=nogroup",
            "--clear-groups",
            text(&program),
            "--exact",
        ])
        .arg("postgres::embedded::a_plain_user_has_a_private_server_too")
        .current_dir("/")
        .output()
        .expect("run `setpriv` (util-linux)");
    let shown = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && shown.contains("1 passed"),
        "{shown}{errors}"
    );
}

#[tokio::test]
async fn leftovers_of_a_crash_do_not_stop_a_start() {
    let private = Private::start().await;
    let file = private.embedded.data().join("postmaster.pid");
    let live_file = fs::read_to_string(&file).unwrap();
    assert!(private.home.stop().await);
    // After a reboot the number belongs to somebody: here, to this very test.
    let mut lines: Vec<_> = live_file.lines().map(str::to_owned).collect();
    lines[0] = std::process::id().to_string();
    fs::write(&file, lines.join("\n")).unwrap();
    assert!(matches!(
        embedded::status(&private.home.path).await.unwrap(),
        Status::Stopped { .. }
    ));
    assert!(!private.home.stop().await);
    let started = private.home.ensure_running().await.unwrap();
    assert_ne!(started.pid(), std::process::id());
}

#[tokio::test]
async fn a_cluster_half_made_is_made_again() {
    let home = Home::new("home");
    let major = Private::start().await.embedded.major();
    let half = home.path.join(format!("postgres-{major}/data.new"));
    fs::create_dir_all(&half).unwrap();
    fs::set_permissions(half.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(half.join("PG_VERSION"), "half").unwrap();
    if is_root() {
        run("chown", &["-R", "postgres", text(half.parent().unwrap())]);
    }
    assert!(matches!(
        embedded::status(&home.path).await.unwrap(),
        Status::Absent
    ));
    home.ensure_running().await.unwrap();
    assert!(!half.exists());
}

#[tokio::test]
async fn a_long_home_gets_a_short_socket() {
    let home = Home::new(&format!("{}/it's odd", "x".repeat(90)));
    let embedded = home.ensure_running().await.unwrap();
    assert_eq!(embedded.socket_folder().parent(), Some(home.folder.path()));
    assert_eq!(count(&embedded, "SELECT 1::bigint").await, 1);
}

#[tokio::test]
async fn a_home_the_server_cannot_use_is_refused_by_name() {
    let home = Home::new("closed/home");
    let closed = home.folder.path().join("closed");
    fs::create_dir_all(&home.path).unwrap();
    fs::set_permissions(
        &closed,
        fs::Permissions::from_mode(if is_root() { 0o700 } else { 0o000 }),
    )
    .unwrap();
    let error = format!("{:#}", home.ensure_running().await.unwrap_err());
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(error.contains(text(&closed)), "{error}");
    if is_root() {
        assert!(
            error.contains("may not enter") && error.contains("/var/lib/overnight"),
            "{error}"
        );
    }
    let error = Home::new("a$(b)").ensure_running().await.unwrap_err();
    assert!(format!("{error:#}").contains("cannot handle"), "{error:#}");
}

#[tokio::test]
async fn data_of_a_version_that_is_not_installed_is_not_replaced() {
    let home = Home::new("home");
    let folder = home.path.join("postgres-99");
    fs::create_dir_all(folder.join("data")).unwrap();
    if is_root() {
        run("chown", &["-R", "nobody", text(&folder)]);
    }
    let error = format!("{:#}", home.ensure_running().await.unwrap_err());
    assert!(error.contains("needs PostgreSQL 99"), "{error}");
}
