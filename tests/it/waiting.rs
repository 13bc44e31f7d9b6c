//! A run waits at its start for a server and a store that come back, and for nothing else.

use crate::s3::S3Server;
use crate::support::Project;
use crate::support::cluster::LOADER;
use crate::support::project::ended;
use crate::support::stall::StallingProxy;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A port that nothing listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts the command, makes what it waits for when it says `text`, and gives its status and what it said.
fn when_it_says<T>(
    command: &mut Command,
    text: &str,
    make: impl FnOnce() -> T,
) -> (T, i32, String) {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains(text) {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    let made = make();
    stderr.read_to_string(&mut said).unwrap();
    (made, ended(child.wait_with_output().unwrap()).code, said)
}

#[test]
fn a_server_that_comes_back_is_waited_for_and_one_that_refuses_us_is_not() {
    let project = Project::new("wait_server");
    project.items(10, "x");
    let port = free_port();
    let url =
        |database: &str| format!("postgres://{LOADER}@127.0.0.1:{port}/{database}?sslmode=disable");
    let mut run = project.command(&["run", &project.name, "--wait-for", "5m"]);
    run.env("OVERNIGHT_TARGET", url("postgres"));
    let embedded = &project.cluster().embedded;
    let (_, server_port) = embedded.target().reach();
    let server_port = server_port.parse().unwrap();
    let (_proxy, code, said) = when_it_says(&mut run, "waiting for the server until ", || {
        StallingProxy::at(port, embedded.socket_folder(), server_port)
    });
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("connection refused") && said.contains("the server can be reached again"),
        "{said}"
    );
    assert_eq!(project.service("select count(*) from item"), "10");
    // It listens now, and there is no such database.
    let mut wrong = project.command(&["run", &project.name, "--wait-for", "5m"]);
    wrong.env("OVERNIGHT_TARGET", url("nowhere"));
    let told = Project::finish(&mut wrong).code(3);
    assert!(!told.stderr.contains("waiting for"), "{}", told.stderr);
    // Other commands do not wait.
    let nowhere = format!("postgres://{LOADER}@127.0.0.1:{}/postgres", free_port());
    let mut rotate = project.command(&["rotate", &project.name, "--wait-for", "5m"]);
    rotate.env("OVERNIGHT_TARGET", nowhere);
    let told = Project::finish(&mut rotate).code(3);
    assert!(!told.stderr.contains("waiting for"), "{}", told.stderr);
}

#[test]
fn a_store_that_comes_back_is_waited_for_and_keys_that_it_does_not_know_are_not() {
    let mut project = Project::new("wait_store");
    let files = TempDir::new().unwrap();
    let port = free_port();
    for (variable, value) in [
        ("OVERNIGHT_FROM", "s3://nights/raw"),
        ("OVERNIGHT_S3_ENDPOINT", &format!("http://127.0.0.1:{port}")),
        ("OVERNIGHT_WAIT_FOR", "5m"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ACCESS_KEY_ID", "overnight-test-key"),
        ("AWS_SECRET_ACCESS_KEY", "overnight-test-secret"),
    ] {
        project.env.push((variable.to_owned(), value.to_owned()));
    }
    let mut run = project.command(&["run", &project.name]);
    let waits = "waiting for the raw files until ";
    let (server, code, said) = when_it_says(&mut run, waits, || {
        let server = S3Server::start_at(files.path(), port, "nights");
        server.put(
            &format!("raw/{}/items.csv", project.name),
            crate::support::project::items(10, "x"),
        );
        server
    });
    // Whether it was there before its one object is a race; it was waited for.
    assert!(
        said.contains("the raw files can be reached again") || code == 1,
        "{said}"
    );
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "10");
    project
        .env
        .push(("AWS_ACCESS_KEY_ID".into(), "another".into()));
    let told = project.run().code(3);
    assert!(!told.stderr.contains("waiting for"), "{}", told.stderr);
    drop(server);
}
