use super::*;
use std::fs;

fn resolve(text: &str, variables: &[(&str, &str)]) -> Result<Target> {
    let env = |name: &str| {
        variables
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    };
    Target::resolve(Some(text).filter(|text| !text.is_empty()), &env)
}

fn shown(text: &str, variables: &[(&str, &str)]) -> String {
    match resolve(text, variables) {
        Ok(target) => target.url_for(target.database().unwrap_or("none"), None),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn hosts_that_are_not_this_machine_are_verified_by_default() {
    let mode = |text| resolve(text, &[]).unwrap().ssl_mode().as_str();
    for local in [
        "host=/run/x",
        "host=localhost",
        "host=127.0.0.7",
        "host=::1",
        "host=db hostaddr=127.0.0.1",
    ] {
        assert_eq!(mode(local), "prefer", "{local}");
    }
    for remote in [
        "host=db",
        "host=10.0.0.1",
        "host=localhost hostaddr=10.0.0.1",
        "host=localhost,db",
    ] {
        assert_eq!(mode(remote), "verify-full", "{remote}");
    }
    assert_eq!(mode("host=db sslmode=disable"), "disable");
    assert_eq!(mode("host=localhost sslrootcert=system"), "verify-full");
}

#[test]
fn the_connection_string_beats_the_service_beats_the_variables() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pg_service.conf");
    fs::write(&file, "[s]\nhost=service\nuser=service\nport=2\n").unwrap();
    let path = file.to_str().unwrap();
    let variables = [
        ("PGSERVICEFILE", path),
        ("PGHOST", "env"),
        ("PGUSER", "env"),
        ("PGDATABASE", "env"),
        ("PGSSLMODE", "require"),
    ];
    assert_eq!(
        shown("service=s host=text", &variables),
        "postgresql://service@text:2/env?sslmode=require"
    );
    assert_eq!(
        shown("user=u", &variables),
        "postgresql://u@env:5432/env?sslmode=require"
    );
    let home = [
        ("HOME", folder.path().to_str().unwrap()),
        ("PGSYSCONFDIR", folder.path().to_str().unwrap()),
    ];
    assert_eq!(
        shown("service=s dbname=d sslmode=require", &home),
        "postgresql://service@service:2/d?sslmode=require"
    );
    assert!(
        shown("service=nope", &home).contains("look up service `nope`: it is not defined in `")
    );
}

#[test]
fn urls_survive_a_round_trip() {
    for url in [
        "postgresql://u@/d?host=%2Frun%2Fpg&port=6000",
        "postgresql://a%40b@db.example:5433/x%20y?sslmode=verify-full&sslrootcert=system",
        "postgresql://u@[::1]:5432/d",
        "postgresql://u@%2Frun%2Fa:5432,b:5433/d?sslmode=verify-full&sslrootcert=%2Fca.pem",
        "postgresql://u@h:5432/d?hostaddr=10.0.0.1&sslmode=require&sslcert=%2Fc&sslkey=%2Fk&sslsni=0&sslnegotiation=direct\
         &ssl_min_protocol_version=TLSv1.3&channel_binding=require&target_session_attrs=read-write&options=-c%20a%3Db",
    ] {
        assert_eq!(shown(url, &[]), url);
    }
    let target = resolve("postgresql://u:canary@localhost/d", &[]).unwrap();
    assert_eq!(
        target.url_for("other", Some("reader")),
        "postgresql://reader@localhost:5432/other"
    );
    assert!(!format!("{target:?}").contains("canary"));
}

#[test]
fn what_cannot_be_honoured_is_an_error_that_names_it() {
    for (text, says) in [
        (
            "hots=x",
            "unknown connection option `hots` in the connection string",
        ),
        (
            "host=x password=a b!=canary",
            "unknown connection option `(not a word)`",
        ),
        (
            "postgresql://h/d?sslmod=x",
            "unknown connection option `sslmod`",
        ),
        (
            "sslmode=on",
            "`sslmode=on` in the connection string: must be one of disable, allow,",
        ),
        ("host=a,b hostaddr=1.2.3.4", "lists 1 addresses for 2 hosts"),
        ("host=a,b port=1,2,3", "lists 3 ports for 2 hosts"),
        ("host=a port=0", "from 1 to 65535"),
        ("host=@x", "abstract"),
        ("host=a hostaddr=b", "must be an IP address"),
        ("host=a sslmode=verify-ca", "needs `sslrootcert`"),
        ("host=a sslmode=require sslrootcert=system", "too weak"),
        ("host=a sslcrl=/x", "revocation lists"),
        ("host=a sslcert=/x", "needs `sslkey`"),
        ("host=a requirepeer=x", "requirepeer"),
        ("host=a connect_timeout=soon", "whole number of seconds"),
        ("host=a target_session_attrs=standby", "overnight writes"),
        ("host=a gssencmode=require", "GSSAPI"),
        (
            "host=localhost sslnegotiation=direct",
            "needs `sslmode=require`",
        ),
        ("host=a ssl_max_protocol_version=TLSv1.1", "only TLSv1.2"),
    ] {
        let shown = shown(text, &[]);
        assert!(shown.contains(says), "{text}: {shown}");
        assert!(!shown.contains("canary"), "{text}: {shown}");
    }
    assert!(shown("host=a", &[("PGSSLMODE", "x")]).contains("in the variable PGSSLMODE"));
    assert!(shown("host=a", &[("PGSSLCRL", "/x")]).contains("in the variable PGSSLCRL"));
}

#[test]
fn passwords_of_the_file_follow_host_database_and_role() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pass");
    fs::write(
        &file,
        "localhost:*:d:u:local\nh:5432:d:u:network\nh:5432:*:reader:readers\n",
    )
    .unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let variables = [("PGPASSFILE", file.to_str().unwrap())];
    let password = |text, database, user| {
        let target = resolve(text, &variables).unwrap();
        target
            .password(&target.hosts()[0], database, user)
            .map(|secret| secret.expose().to_owned())
    };
    assert_eq!(
        password("host=/tmp user=u", "d", "u").as_deref(),
        Some("local")
    );
    assert_eq!(
        password("host=h user=u", "d", "u").as_deref(),
        Some("network")
    );
    assert_eq!(password("host=h user=u", "e", "u"), None);
    assert_eq!(
        password("host=h user=u", "e", "reader").as_deref(),
        Some("readers")
    );
    assert_eq!(
        password("host=h user=u password=p", "d", "u").as_deref(),
        Some("p")
    );
    assert_eq!(
        password("host=h user=u password=p", "d", "other"),
        None,
        "a role must not get the password of another"
    );
    assert_eq!(
        password("host=h user=u password=p", "d", "reader").as_deref(),
        Some("readers")
    );
}

#[test]
fn connect_timeout_follows_libpq() {
    let timeout = |text| {
        resolve(text, &[])
            .unwrap()
            .connect_timeout
            .map(|time| time.as_secs())
    };
    assert_eq!(timeout("host=a"), Some(10));
    assert_eq!(timeout("host=a connect_timeout=1"), Some(2));
    assert_eq!(timeout("host=a connect_timeout=30"), Some(30));
    assert_eq!(timeout("host=a connect_timeout=0"), None);
}

#[test]
fn the_environment_names_a_server_or_not() {
    assert!(Target::is_named_by(
        &|name| (name == "PGSERVICE").then(|| "x".into())
    ));
    assert!(!Target::is_named_by(
        &|name| (name == "PGUSER").then(|| "x".into())
    ));
}
