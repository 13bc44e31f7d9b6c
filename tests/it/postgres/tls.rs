//! TLS modes against a server with certificates of our own making.

use super::private::{Private, run, server, text};
use overnight::postgres::{Reason, Refusal, Session};
use std::{fs, path::Path, time::Duration};

/// Makes an authority, and certificates of servers and clients, with the `openssl` program
/// (Debian: `apt-get install openssl`).
fn make_certificates(folder: &Path) {
    let at = |name: &str| text(&folder.join(name)).to_owned();
    let key = |name: &str| {
        run(
            "openssl",
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-out",
                &at(&format!("{name}.key")),
            ],
        );
    };
    for authority in ["ca", "other"] {
        key(authority);
        let subject = format!("/CN={authority}");
        run(
            "openssl",
            &[
                "req",
                "-x509",
                "-new",
                "-key",
                &at(&format!("{authority}.key")),
                "-subj",
                &subject,
                "-days",
                "30",
                "-out",
                &at(&format!("{authority}.crt")),
            ],
        );
    }
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    for (name, subject, days, extensions) in [
        ("good", "/CN=server", "30", names),
        ("expired", "/CN=server", "0", names),
        ("client", "/CN=carol", "30", "basicConstraints=CA:FALSE\n"),
    ] {
        key(name);
        fs::write(at("extensions"), extensions).unwrap();
        run(
            "openssl",
            &[
                "req",
                "-new",
                "-key",
                &at(&format!("{name}.key")),
                "-subj",
                subject,
                "-out",
                &at("request"),
            ],
        );
        run(
            "openssl",
            &[
                "x509",
                "-req",
                "-in",
                &at("request"),
                "-CA",
                &at("ca.crt"),
                "-CAkey",
                &at("ca.key"),
                "-CAcreateserial",
                "-days",
                days,
                "-extfile",
                &at("extensions"),
                "-out",
                &at(&format!("{name}.crt")),
            ],
        );
    }
    // What most tutorials make: its own authority, and marked as one.
    key("self");
    run(
        "openssl",
        &[
            "req",
            "-x509",
            "-new",
            "-key",
            &at("self.key"),
            "-subj",
            "/CN=localhost",
            "-days",
            "30",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-out",
            &at("self.crt"),
        ],
    );
}

/// Gives the server another certificate; new connections see it after the reload.
async fn present(private: &Private, admin: &Session, name: &str) {
    let data = private.embedded.data();
    for kind in ["crt", "key"] {
        // Written over the old file, which belongs to the user of the server.
        let bytes = fs::read(private.folder().join(format!("{name}.{kind}"))).unwrap();
        fs::write(data.join(format!("server.{kind}")), bytes).unwrap();
    }
    admin
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// `tls`, `plain`, or the class of the refusal with its text.
async fn outcome(conninfo: &str) -> Result<&'static str, (Reason, String)> {
    match server(conninfo).connect("postgres", "test").await {
        Ok(session) => {
            let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            let encrypted: bool = session.query_one(sql, &[]).await.unwrap().get(0);
            session.close().await;
            Ok(if encrypted { "tls" } else { "plain" })
        }
        Err(error) => match error.downcast_ref::<Refusal>() {
            Some(refusal) => Err((refusal.reason, format!("{error:#}"))),
            None => Err((Reason::Other, format!("{error:#}"))),
        },
    }
}

#[tokio::test]
async fn every_mode_checks_what_it_promises() {
    let rules = "hostnossl all plain_only 127.0.0.1/32 trust\nhost all plain_only 127.0.0.1/32 reject\n\
        hostssl all carol 127.0.0.1/32 cert\nhostssl all bound 127.0.0.1/32 scram-sha-256\n\
        hostssl all tls_only 127.0.0.1/32 trust\nhostnossl all tls_only 127.0.0.1/32 reject\n\
        host all overnight 127.0.0.1/32 trust";
    let private = Private::start_with_network(rules, &[]).await;
    let folder = private.folder();
    make_certificates(folder);
    let data = private.embedded.data();
    let admin = private.admin().await;
    admin.batch_execute("CREATE ROLE plain_only LOGIN; CREATE ROLE carol LOGIN; CREATE ROLE tls_only LOGIN; CREATE ROLE bound LOGIN PASSWORD 'pw'").await.unwrap();
    for (name, from) in [
        ("server.crt", "good.crt"),
        ("server.key", "good.key"),
        ("root.crt", "ca.crt"),
    ] {
        // Copies of a file that the server's user owns keep its owner and mode when written over.
        run(
            "cp",
            &["-p", text(&data.join("PG_VERSION")), text(&data.join(name))],
        );
        fs::write(data.join(name), fs::read(folder.join(from)).unwrap()).unwrap();
    }
    admin
        .batch_execute("ALTER SYSTEM SET ssl_ca_file = 'root.crt'")
        .await
        .unwrap();
    let at = |name: &str| text(&folder.join(name)).to_owned();
    let port = private.port;
    let local = format!("host=localhost hostaddr=127.0.0.1 port={port} user=overnight");
    let by_address = format!("host=127.0.0.1 port={port} user=overnight");
    let elsewhere = format!("host=elsewhere hostaddr=127.0.0.1 port={port} user=overnight");
    let user = |name: &str| local.replace("overnight", name);

    let (reason, shown) = outcome(&format!("{local} sslmode=verify-full sslrootcert=system"))
        .await
        .unwrap_err();
    assert_eq!(reason, Reason::Tls);
    assert!(
        shown.contains("does not offer TLS") && shown.contains("sslmode=verify-full"),
        "{shown}"
    );
    assert_eq!(outcome(&local).await, Ok("plain"));

    admin
        .batch_execute("ALTER SYSTEM SET ssl = on")
        .await
        .unwrap();
    present(&private, &admin, "good").await;
    let (ca, other) = (
        format!("sslrootcert={}", at("ca.crt")),
        format!("sslrootcert={}", at("other.crt")),
    );
    for (conninfo, expected) in [
        (format!("{local} sslmode=disable"), "plain"),
        (format!("{local} sslmode=allow"), "plain"),
        (local.clone(), "tls"),
        (format!("{local} sslmode=require"), "tls"),
        (format!("{elsewhere} sslmode=require"), "tls"),
        (format!("{local} sslmode=require {ca}"), "tls"),
        (format!("{elsewhere} sslmode=verify-ca {ca}"), "tls"),
        (format!("{local} sslmode=verify-full {ca}"), "tls"),
        (format!("{by_address} sslmode=verify-full {ca}"), "tls"),
        (
            format!("{local} sslmode=verify-full {ca} ssl_max_protocol_version=TLSv1.2"),
            "tls",
        ),
        (
            format!("{local} sslmode=verify-full {ca} ssl_min_protocol_version=TLSv1.3 sslsni=0"),
            "tls",
        ),
        (format!("{} sslmode=prefer", user("plain_only")), "plain"),
        (format!("{} sslmode=allow", user("tls_only")), "tls"),
        (
            format!(
                "{} sslmode=require channel_binding=require password=pw",
                user("bound")
            ),
            "tls",
        ),
        (
            format!(
                "{} sslmode=verify-full {ca} sslcert={} sslkey={}",
                user("carol"),
                at("client.crt"),
                at("client.key")
            ),
            "tls",
        ),
    ] {
        assert_eq!(outcome(&conninfo).await, Ok(expected), "{conninfo}");
    }
    for (conninfo, expected) in [
        (format!("{local} sslmode=require {other}"), "UnknownIssuer"),
        (
            format!("{local} sslmode=verify-ca {other}"),
            "UnknownIssuer",
        ),
        (
            format!("{local} sslmode=verify-full {other}"),
            "UnknownIssuer",
        ),
        (
            format!("{local} sslmode=verify-full sslrootcert=system"),
            "UnknownIssuer",
        ),
        (
            format!("{elsewhere} sslmode=verify-full {ca}"),
            "not valid for name",
        ),
        (format!("{} sslmode=require", user("plain_only")), "28000"),
        (format!("{} sslmode=disable", user("tls_only")), "28000"),
        (format!("{} sslmode=require", user("carol")), "certificate"),
        (
            format!("{local} sslmode=verify-full sslrootcert=/nowhere/ca.crt"),
            "read the certificates in `/nowhere/ca.crt`",
        ),
        (
            format!(
                "{local} sslmode=require sslcert={} sslkey=/nowhere/key",
                at("client.crt")
            ),
            "read the client key `/nowhere/key`",
        ),
    ] {
        let (_, shown) = outcome(&conninfo).await.expect_err(&conninfo);
        assert!(shown.contains(expected), "{conninfo}: {shown}");
    }

    present(&private, &admin, "self").await;
    let itself = format!("sslrootcert={}", at("self.crt"));
    assert_eq!(
        outcome(&format!("{local} sslmode=verify-full {itself}")).await,
        Ok("tls")
    );
    assert_eq!(
        outcome(&format!("{local} sslmode=require")).await,
        Ok("tls")
    );
    for conninfo in [
        format!("{elsewhere} sslmode=verify-full {itself}"),
        format!("{local} sslmode=verify-ca {ca}"),
    ] {
        assert_eq!(
            outcome(&conninfo).await.expect_err(&conninfo).0,
            Reason::Tls
        );
    }

    // `-days 0` ends the moment it begins.
    present(&private, &admin, "expired").await;
    let (reason, shown) = outcome(&format!("{elsewhere} sslmode=verify-ca {ca}"))
        .await
        .unwrap_err();
    assert_eq!(reason, Reason::Tls);
    assert!(shown.contains("expired"), "{shown}");
    assert_eq!(
        outcome(&format!("{local} sslmode=require")).await,
        Ok("tls")
    );
    admin.close().await;
}
