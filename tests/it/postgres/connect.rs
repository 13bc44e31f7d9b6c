//! What a session is like, and how a refusal reads.

use super::private::{Private, server, text};
use crate::support::cluster::{ADMIN, LOADER};
use crate::support::database::Database;
use overnight::{
    postgres::{Reason, Refusal, Server, Session, is_connection_lost},
    secret::Secret,
};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

async fn admin(database: &Database) -> Session {
    let server = database.server(ADMIN).await;
    server.connect("postgres", "admin").await.unwrap()
}

async fn refusal(server: &Server, database: &str) -> (Reason, String) {
    let error = server.connect(database, "test").await.unwrap_err();
    let shown = format!("{error:#}");
    assert!(
        !shown.contains("canary") && !shown.contains('\n'),
        "{shown}"
    );
    (
        error
            .downcast_ref::<Refusal>()
            .unwrap_or_else(|| panic!("{shown}"))
            .reason,
        shown,
    )
}

#[tokio::test]
async fn a_session_does_not_depend_on_presets() {
    let database = Database::new().await;
    let admin = admin(&database).await;
    let presets = "
        CREATE ROLE with_presets LOGIN;
        ALTER ROLE with_presets SET search_path = public, pg_temp;
        ALTER ROLE with_presets SET statement_timeout = '1s';
        ALTER ROLE with_presets SET lock_timeout = '1s';
        ALTER ROLE with_presets SET idle_in_transaction_session_timeout = '1s';
        ALTER ROLE with_presets SET default_transaction_read_only = on;
        ALTER ROLE with_presets SET default_transaction_isolation = 'serializable';
        ALTER ROLE with_presets SET TimeZone = 'Asia/Tokyo';
        ALTER ROLE with_presets SET DateStyle = 'German';
        ALTER ROLE with_presets SET IntervalStyle = 'iso_8601';
        ALTER ROLE with_presets SET client_encoding = 'LATIN1';
        ALTER ROLE with_presets SET bytea_output = 'escape';
        ALTER ROLE with_presets SET standard_conforming_strings = off;
        ALTER ROLE with_presets SET extra_float_digits = -5";
    admin.batch_execute(presets).await.unwrap();
    let server = database.server("with_presets").await;
    let session = server
        .connect("postgres", "copy price ".repeat(9).as_str())
        .await
        .unwrap();
    for (name, value) in [
        ("search_path", "pg_catalog"),
        ("statement_timeout", "0"),
        ("lock_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
        ("default_transaction_read_only", "off"),
        ("transaction_isolation", "read committed"),
        ("TimeZone", "UTC"),
        ("DateStyle", "ISO, MDY"),
        ("IntervalStyle", "postgres"),
        ("client_encoding", "UTF8"),
        ("bytea_output", "hex"),
        ("standard_conforming_strings", "on"),
        ("extra_float_digits", "1"),
        ("client_connection_check_interval", "30s"),
        (
            "application_name",
            "overnight copy price copy price copy price copy price copy pric",
        ),
    ] {
        let found: String = session
            .query_one("SELECT current_setting($1)", &[&name])
            .await
            .unwrap()
            .get(0);
        assert_eq!(found, value, "{name}");
    }
    let pid: i32 = session
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(pid, session.backend_pid());
    assert!(
        session.server_major() >= 15
            && session
                .server_version()
                .starts_with(&session.server_major().to_string())
    );
    session.close().await;
    admin.close().await;
}

#[tokio::test]
async fn notices_are_kept_and_a_lost_connection_says_why() {
    let database = Database::new().await;
    let admin = admin(&database).await;
    let session = database
        .server(LOADER)
        .await
        .connect(&database.name, "test")
        .await
        .unwrap();
    session
        .batch_execute(
            "DO $$ BEGIN FOR i IN 1..300 LOOP RAISE NOTICE 'canary %', i; END LOOP; END $$",
        )
        .await
        .unwrap();
    let notices = session.take_notices();
    assert_eq!(
        (notices.len(), notices[199].message.as_str()),
        (200, "canary 300")
    );
    assert!(
        !notices[0].explain().contains("canary"),
        "{}",
        notices[0].explain()
    );
    session
        .batch_execute("DROP TABLE IF EXISTS public.nope")
        .await
        .unwrap();
    assert_eq!(
        session.take_notices()[0].explain(),
        "table \"nope\" does not exist, skipping (SQLSTATE 00000)"
    );
    assert!(session.lost().is_none() && session.take_notices().is_empty());
    admin
        .execute("SELECT pg_terminate_backend($1)", &[&session.backend_pid()])
        .await
        .unwrap();
    let begin = Instant::now();
    while session.lost().is_none() {
        assert!(begin.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        session.lost().unwrap(),
        "terminating connection due to administrator command (SQLSTATE 57P01)"
    );
    assert!(is_connection_lost(
        &session.batch_execute("SELECT 1").await.unwrap_err()
    ));
    admin.close().await;
}

#[tokio::test]
async fn a_dropped_session_does_not_leave_its_statement_running() {
    let database = Database::new().await;
    let admin = admin(&database).await;
    let server = database.server(LOADER).await;
    let idle = server.connect(&database.name, "idle").await.unwrap();
    let busy = server.connect(&database.name, "busy").await.unwrap();
    let pids = [idle.backend_pid(), busy.backend_pid()];
    let running = tokio::time::timeout(
        Duration::from_millis(200),
        busy.batch_execute("SELECT pg_sleep(60)"),
    )
    .await;
    assert!(running.is_err());
    drop((idle, busy));
    let begin = Instant::now();
    loop {
        let left = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY ($1)";
        let left: i64 = admin
            .query_one(left, &[&pids.as_slice()])
            .await
            .unwrap()
            .get(0);
        if left == 0 {
            break;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(8),
            "{left} sessions are left"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let session = server.connect(&database.name, "cancelled").await.unwrap();
    let canceller = session.canceller();
    let statement = session.batch_execute("SELECT pg_sleep(60)");
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        canceller.cancel().await.unwrap();
    };
    assert!(overnight::postgres::is_cancelled(
        &tokio::join!(statement, cancel).0.unwrap_err()
    ));
    session.close().await;
    admin.close().await;
}

#[tokio::test]
async fn refusals_say_where_why_and_what_to_do() {
    let private = Private::start_with_network(
        "host all all 127.0.0.1/32 scram-sha-256",
        &[
            ("max_connections", "5"),
            ("superuser_reserved_connections", "1"),
        ],
    )
    .await;
    let admin = private.admin().await;
    let script = "CREATE ROLE bob LOGIN PASSWORD 'right'";
    admin.batch_execute(script).await.unwrap();
    admin
        .batch_execute("CREATE DATABASE closed ALLOW_CONNECTIONS false")
        .await
        .unwrap();
    admin
        .batch_execute("CREATE DATABASE private")
        .await
        .unwrap();
    admin
        .batch_execute("REVOKE CONNECT ON DATABASE private FROM PUBLIC")
        .await
        .unwrap();
    let (port, socket) = (private.port, text(private.embedded.socket_folder()));
    let place = format!("127.0.0.1:{port}");
    let base = format!("host=127.0.0.1 port={port} user=bob");
    let cases = [
        (
            format!("{base} password=canary"),
            "postgres",
            Reason::Password,
            "password authentication failed for user \"bob\" (SQLSTATE 28P01)",
        ),
        (
            base.clone(),
            "postgres",
            Reason::Password,
            "wants a password and none is configured",
        ),
        (
            format!("{base} password=right"),
            "nope",
            Reason::DatabaseMissing,
            "database \"nope\" does not exist",
        ),
        (
            format!("{base} password=right"),
            "closed",
            Reason::DatabaseClosed,
            "not currently accepting connections",
        ),
        (
            format!("{base} password=right"),
            "private",
            Reason::NotAllowed,
            "permission denied for database",
        ),
        (
            format!("host={socket} port={port} user=nobody_here"),
            "postgres",
            Reason::NotAllowed,
            "role \"nobody_here\" does not exist",
        ),
        (
            format!("{base} password=right sslmode=require"),
            "postgres",
            Reason::Tls,
            "does not offer TLS",
        ),
        (
            "host=127.0.0.1 port=1 user=bob password=canary".into(),
            "postgres",
            Reason::NoServer,
            "at 127.0.0.1:1: connection refused",
        ),
        (
            "host=no-such-host.invalid user=bob sslmode=disable".into(),
            "postgres",
            Reason::NoServer,
            "at no-such-host.invalid:5432: failed to lookup",
        ),
        (
            "host=/nowhere user=bob".into(),
            "postgres",
            Reason::NoServer,
            "at socket `/nowhere/.s.PGSQL.5432`: there is no such socket",
        ),
        (
            "host=127.0.0.1,/nowhere port=1,2 user=bob".into(),
            "postgres",
            Reason::NoServer,
            "; socket `/nowhere/.s.PGSQL.2`: there is no such socket",
        ),
    ];
    for (text, database, reason, says) in cases {
        let (found, shown) = refusal(&server(&text), database).await;
        assert_eq!(found, reason, "{shown}");
        assert!(
            shown.contains(says)
                && shown.contains("(hint: ")
                && shown.contains(&format!("database `{database}`")),
            "{shown}"
        );
        assert!(
            !text.starts_with(&base) || shown.contains(&place),
            "{shown}"
        );
    }
    let fits = server(&format!("{base} password=right"));
    let session = fits.connect("postgres", "test").await.unwrap();
    let as_bob = fits
        .connect_as("postgres", "bob", Some(&Secret::new("canary")), "test")
        .await
        .unwrap_err();
    assert_eq!(
        as_bob.downcast_ref::<Refusal>().unwrap().reason,
        Reason::Password
    );
    let mut open = Vec::new();
    let full = loop {
        match fits.connect("postgres", "test").await {
            Ok(session) => open.push(session),
            Err(error) => break error,
        }
        assert!(open.len() < 6);
    };
    assert_eq!(
        full.downcast_ref::<Refusal>().unwrap().reason,
        Reason::TooManyConnections,
        "{full:#}"
    );
    session.close().await;
    admin.close().await;
}

/// A listener that answers the first message with `answer`, and then hangs up or stays silent.
async fn listener(answer: Vec<u8>, hangs_up: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(&answer).await;
            if !hangs_up {
                open.push(stream);
            }
        }
    });
    port
}

#[tokio::test]
async fn a_listener_that_is_no_usable_server_is_told_apart() {
    let port = listener(Vec::new(), false).await;
    let (reason, shown) = refusal(
        &server(&format!(
            "host=127.0.0.1 port={port} user=u connect_timeout=2 sslmode=disable"
        )),
        "d",
    )
    .await;
    assert_eq!(reason, Reason::Timeout, "{shown}");
    let port = listener(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), true).await;
    let (reason, shown) = refusal(
        &server(&format!(
            "host=127.0.0.1 port={port} user=u connect_timeout=2 sslmode=disable"
        )),
        "d",
    )
    .await;
    assert_eq!(reason, Reason::Other, "{shown}");
    // What a server of version 12 says after login.
    let mut old = vec![b'R', 0, 0, 0, 8, 0, 0, 0, 0];
    let parameter = b"server_version\x0014.13\x00";
    old.push(b'S');
    old.extend(u32::try_from(parameter.len() + 4).unwrap().to_be_bytes());
    old.extend(parameter);
    old.extend([b'Z', 0, 0, 0, 5, b'I']);
    let port = listener(old, false).await;
    let (reason, shown) = refusal(
        &server(&format!(
            "host=127.0.0.1 port={port} user=u sslmode=disable"
        )),
        "d",
    )
    .await;
    assert_eq!(reason, Reason::Unsuitable);
    assert!(
        shown.contains(
            "the server is PostgreSQL 14.13 (hint: overnight works with PostgreSQL 15 and newer)"
        ),
        "{shown}"
    );
}
