//! Our reading of a connection string against psql's.

use super::private::{Private, text};
use overnight::postgres::{Server, Target};
use std::{fs, os::unix::fs::PermissionsExt, process::Command};

const ASK: &str =
    "SELECT current_user || '|' || current_database() || '|' || current_setting('port')";

#[tokio::test]
async fn connection_strings_mean_what_they_mean_to_psql() {
    let private = Private::start_with_network("host all all 127.0.0.1/32 scram-sha-256", &[]).await;
    let admin = private.admin().await;
    let setup =
        "CREATE ROLE \"al ice\" LOGIN PASSWORD 'p:w\\ d@'; CREATE ROLE bob LOGIN PASSWORD 'bob''s'";
    admin.batch_execute(setup).await.unwrap();
    for database in ["one", "\"two words\""] {
        admin
            .batch_execute(&format!("CREATE DATABASE {database}"))
            .await
            .unwrap();
    }
    let (socket, port) = (
        text(private.embedded.socket_folder()).to_owned(),
        private.port,
    );
    let service = private.folder().join("service.conf");
    let body = format!(
        "[tcp]\nhost=127.0.0.1\nport={port}\ndbname=one\nuser=bob\n[sock]\nhost={socket}\nport={port}\n"
    );
    fs::write(&service, body).unwrap();
    let passfile = private.folder().join("pass");
    fs::write(
        &passfile,
        format!("127.0.0.1:1:*:*:no\n127.0.0.1:{port}:one:bob:bob's\n*:*:*:al ice:p\\:w\\\\ d@\n"),
    )
    .unwrap();
    fs::set_permissions(&passfile, fs::Permissions::from_mode(0o600)).unwrap();
    let (service, passfile, number) = (text(&service), text(&passfile), port.to_string());
    let encoded = socket.replace('/', "%2F");
    let cases: Vec<(String, Vec<(&str, &str)>)> = vec![
        (
            format!("host={socket} port={port} user=overnight dbname=one"),
            vec![],
        ),
        (
            format!("postgresql://overnight@/one?host={socket}&port={port}"),
            vec![],
        ),
        (
            format!("postgresql://overnight@{encoded}:{port}/two%20words"),
            vec![],
        ),
        (
            format!(
                "host = 127.0.0.1 port='{port}' user='al ice' password='p:w\\\\ d@' dbname='two words'"
            ),
            vec![],
        ),
        (
            format!("postgres://al%20ice:p%3Aw%5C%20d%40@127.0.0.1:{port}/one?application_name=x"),
            vec![],
        ),
        (
            format!("postgresql://bob@127.0.0.1:{port}"),
            vec![("PGPASSWORD", "bob's"), ("PGDATABASE", "one")],
        ),
        (
            format!("host=127.0.0.1,{socket} port=1,{port} user=overnight dbname=one"),
            vec![],
        ),
        (
            format!("postgresql://bob@127.0.0.1:1,127.0.0.1:{port}/one"),
            vec![("PGPASSFILE", passfile)],
        ),
        (
            format!("host=localhost hostaddr=127.0.0.1 port={port} user='al ice' dbname=one"),
            vec![("PGPASSFILE", passfile)],
        ),
        (
            "service=tcp".into(),
            vec![
                ("PGSERVICEFILE", service),
                ("PGPASSFILE", passfile),
                ("PGDATABASE", "postgres"),
            ],
        ),
        (
            "service=sock dbname=one".into(),
            vec![
                ("PGSERVICEFILE", service),
                ("PGUSER", "bob"),
                ("PGPORT", "1"),
            ],
        ),
        (
            "dbname=one".into(),
            vec![
                ("PGSERVICEFILE", service),
                ("PGSERVICE", "sock"),
                ("PGUSER", "bob"),
            ],
        ),
        (
            "dbname=one user=bob".into(),
            vec![("PGHOST", &socket), ("PGPORT", &number)],
        ),
        (
            format!("postgresql:///?host={socket}&port={port}&user=bob&dbname=one"),
            vec![("PGUSER", "x"), ("PGPASSWORD", "")],
        ),
        (
            format!("host={socket} port={port} user=bob dbname=one sslmode=verify-full"),
            vec![],
        ),
    ];
    for (conninfo, variables) in cases {
        let mut psql = Command::new(private.psql());
        psql.env_clear()
            .env("HOME", "/nonexistent")
            .envs(variables.iter().copied());
        let output = psql
            .args(["-XAtqw", &conninfo, "-c", "\\conninfo", "-c", ASK])
            .output()
            .unwrap();
        let theirs = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{conninfo}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let env = |name: &str| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let target = Target::resolve(Some(&conninfo), &env).unwrap();
        let database = target.database().unwrap_or(target.user()).to_owned();
        let url = target.url_for(&database, None);
        let session = Server::new(target, "overnight".into())
            .connect(&database, "test")
            .await;
        let session = session.unwrap_or_else(|error| panic!("{conninfo}: {error:#}"));
        let ours: String = session.query_one(ASK, &[]).await.unwrap().get(0);
        assert_eq!(theirs.lines().last(), Some(ours.as_str()), "{conninfo}");
        let address: Option<String> = session
            .query_one("SELECT host(inet_server_addr())", &[])
            .await
            .unwrap()
            .get(0);
        let place = address.unwrap_or_else(|| socket.clone());
        assert!(
            theirs.contains(&place),
            "{conninfo}: {place} against {theirs}"
        );
        session.close().await;
        // The URL we print leads psql to the same place.
        let mut psql = Command::new(private.psql());
        psql.env_clear()
            .env("HOME", "/nonexistent")
            .env("PGPASSFILE", passfile);
        psql.envs(
            variables
                .iter()
                .copied()
                .filter(|(name, _)| name.starts_with("PGPASS")),
        );
        if conninfo.contains("password=") || conninfo.contains("%3Aw") {
            psql.env("PGPASSWORD", "p:w\\ d@");
        }
        let output = psql.args(["-XAtqw", &url, "-c", ASK]).output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            ours,
            "{url}: {output:?}"
        );
    }
    for wrong in [
        "host",
        "host=a nope=1",
        "postgresql://h/d?nope=1",
        "service=nope",
        "postgresql://[::1/d",
        "host='a",
    ] {
        let output = Command::new(private.psql())
            .env_clear()
            .args(["-Xw", wrong, "-c", ""])
            .output()
            .unwrap();
        let ours = Target::resolve(Some(wrong), &|_| None);
        // `psql host` means a database of that name: only there do we differ.
        assert!(
            !output.status.success() && ours.is_err(),
            "{wrong}: {ours:?}"
        );
    }
    admin.close().await;
}
