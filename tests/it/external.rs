//! The external gate: a command or a URL that looks at the build and decides.

use crate::support::Project;
use crate::support::invariants::check_invariants;
use crate::support::listener::Listener;
use std::time::{Duration, Instant};

fn external(project: &Project, keys: &str) {
    let path = format!("sources/{}/dataset.toml", project.name);
    let toml = std::fs::read_to_string(project.path(&path)).unwrap();
    let before = toml.split("[external]").next().unwrap();
    project.write(&path, &format!("{before}[external]\n{keys}"));
}

fn script(project: &Project, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    project.write("gates/look", &format!("#!/bin/sh\n{text}"));
    let path = project.path("gates/look");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_command_looks_at_the_build_and_its_exit_status_decides() {
    let mut project = Project::new("external_command");
    project.items(10, "canary");
    // What the loader has for itself stays with it.
    for name in ["PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "LC_TIME"] {
        project.env.push((name.into(), "of the loader".into()));
    }
    external(
        &project,
        "command = [\"gates/look\", \"12\"]\nenv = { GATE_TOKEN = \"file:gates/token\" }\n",
    );
    project.write("gates/token", "hunter2\n");
    let psql = project.cluster().embedded.programs().unwrap().join("psql");
    script(
        &project,
        &format!(
            "cat > seen.json\nenv > seen.env\necho \"$GATE_TOKEN\" > seen.token\nrows=$({} -XAtqc 'select count(*) from item')\n\
             echo \"found $rows rows\"\necho canary of the data\n[ \"$rows\" -ge \"$1\" ]\n",
            psql.display()
        ),
    );
    let ended = project.refuses(
        1,
        &[
            "external: exit status 1 after ",
            "it said 2 lines, the first: `found 10 rows`",
        ],
    );
    assert!(!ended.stderr.contains("canary of") && !ended.stderr.contains("hunter2"));
    project.items(12, "canary");
    project.run().code(0);
    let seen: serde_json::Value =
        serde_json::from_slice(&std::fs::read(project.path("seen.json")).unwrap()).unwrap();
    assert_eq!(seen["format"], 1);
    assert_eq!(seen["dataset"], "external_command");
    assert_eq!(seen["build"], project.live());
    assert_eq!(seen["schema_version"], 1);
    assert_eq!(seen["rows"]["item"], 12);
    assert_eq!(seen["connection"]["database"], project.live());
    assert_eq!(seen["connection"]["user"], "overnight");
    assert_eq!(
        std::fs::read_to_string(project.path("seen.token")).unwrap(),
        "hunter2\n"
    );
    let env = std::fs::read_to_string(project.path("seen.env")).unwrap();
    let mut names: Vec<&str> = env
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    // PWD is the shell's own.
    let given = [
        "GATE_TOKEN",
        "HOME",
        "LC_TIME",
        "PATH",
        "PGDATABASE",
        "PGHOST",
        "PGPORT",
        "PGSSLMODE",
        "PGUSER",
        "PWD",
    ];
    assert_eq!(names, given);
    let kept = project.ledger("select count(*) from ledger.finding where gate = 'external'");
    assert_eq!(kept, "2");
}

#[test]
fn a_command_that_hangs_is_ended_and_the_build_with_it() {
    let project = Project::new("external_hangs");
    project.items(10, "x");
    external(&project, "command = [\"gates/look\"]\ntimeout = \"1s\"\n");
    let psql = project.cluster().embedded.programs().unwrap().join("psql");
    // Deaf to SIGTERM, with a session in the build.
    script(
        &project,
        &format!(
            "trap '' TERM\necho looking\n{} -Xc 'select pg_sleep(600)' &\nwhile :; do sleep 1; done\n",
            psql.display()
        ),
    );
    let began = Instant::now();
    project.refuses(
        1,
        &["external: not done within 1.0 s and ended, it said `looking`"],
    );
    assert!(began.elapsed() < Duration::from_secs(60));
    project.write("gates/look", "#!/bin/sh\nexit 0\n");
    project.run().code(0);
    check_invariants(&project);
}

#[test]
fn a_run_that_is_stopped_ends_the_command_too() {
    let project = Project::new("external_stopped");
    project.items(10, "x");
    external(&project, "command = [\"gates/look\"]\n");
    script(
        &project,
        "trap '' TERM INT\necho $$ > pid.new\nmv pid.new pid\nwhile :; do sleep 1; done\n",
    );
    let child = project.start(&["run", &project.name]);
    let end = Instant::now() + Duration::from_secs(60);
    while !project.path("pid").exists() {
        assert!(Instant::now() < end, "the command does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let own = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-TERM", &own])
        .status()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(143),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let pid = std::fs::read_to_string(project.path("pid")).unwrap();
    let listed = std::process::Command::new("ps")
        .args(["-o", "stat=", "-p", pid.trim()])
        .output()
        .unwrap();
    let state = String::from_utf8_lossy(&listed.stdout).trim().to_owned();
    assert!(
        state.is_empty() || state.starts_with('Z'),
        "{pid} is {state}"
    );
    check_invariants(&project);
}

#[test]
fn a_url_decides_with_its_status() {
    let project = Project::new("external_url");
    project.items(10, "x");
    let listener = Listener::new(409);
    external(
        &project,
        &format!(
            "url = \"{}\"\ntimeout = \"2s\"\nheaders = {{ Authorization = \"env:GATE_TOKEN\" }}\n",
            listener.url
        ),
    );
    // A secret that is not there is known before the load.
    project.refuses(
        2,
        &["`[external] Authorization` refers to the variable GATE_TOKEN, which is not set"],
    );
    assert!(listener.take().is_empty());
    let mut project = project;
    project.env = vec![("GATE_TOKEN".into(), "hunter2".into())];
    listener.answers(409, "prices are frozen\nuntil Monday\n");
    let ended = project.refuses(
        1,
        &[
            "external: HTTP status 409 after ",
            "it said 2 lines, the first: `prices are frozen`",
        ],
    );
    assert!(!ended.stderr.contains("hunter2"));
    let asked = listener.take();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("authorization"), Some("hunter2"));
    assert_eq!(asked[0].body["rows"]["item"], 10);
    // A redirect is no yes, and is not followed.
    listener.answers(302, "");
    project.refuses(1, &["external: HTTP status 302"]);
    listener.answers(0, "");
    project.refuses(1, &["external: no answer within 2.0 s"]);
    listener.answers(204, "");
    listener.take();
    project.run().code(0);
    assert_eq!(listener.take()[0].body["build"], project.live());
}

#[test]
fn an_external_gate_that_could_not_be_asked_is_found_by_check() {
    let project = Project::new("external_check");
    for (keys, said) in [
        ("", "[external] needs `command"),
        (
            "command = [\"a\"]\nurl = \"https://b.test\"\n",
            "has both `command` and `url`",
        ),
        ("url = \"b.test\"\n", "begins with neither https://"),
        (
            "command = [\"a\"]\nheaders = { a = \"b\" }\n",
            "has `headers`",
        ),
        ("comand = [\"a\"]\n", "unknown key `comand`"),
        (
            "command = [\"a\"]\ntimeout = \"0s\"\n",
            "has a `timeout` below 100ms",
        ),
    ] {
        external(&project, keys);
        project
            .overnight(&["check", &project.name])
            .code(2)
            .says(&[said, "dataset.toml"]);
    }
}
