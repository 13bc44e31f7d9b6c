//! Whoever reads stdout and stderr may go away, or their disk may be full: no command is ended or
//! stopped by that.

use crate::support::Project;
use crate::support::invariants::wait_for_session;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A stream to which nothing can be written.
#[derive(Debug, Clone, Copy)]
enum Broken {
    /// The disk behind it is full.
    Full,
    /// Its reader has gone away.
    Closed,
}

impl Broken {
    const BOTH: [Broken; 2] = [Broken::Full, Broken::Closed];

    fn open(self) -> Stdio {
        match self {
            Broken::Full => OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .unwrap()
                .into(),
            Broken::Closed => {
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                writer.into()
            }
        }
    }
}

/// Waits for the end; a command that hangs is killed, and its status says so.
fn end(command: &mut Command) -> ExitStatus {
    let mut child = command.spawn().unwrap();
    let limit = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > limit {
            child.kill().unwrap();
            return child.wait().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every command, with the status it must end with, and whether it prints data.
const COMMANDS: &[(&str, i32, bool)] = &[
    ("run NAME --force", 0, true),
    ("run NAME", 0, true),
    ("plan NAME", 0, true),
    ("verify NAME", 0, true),
    ("status", 0, true),
    ("status NAME", 0, true),
    ("status nope", 2, false),
    ("builds NAME", 0, true),
    ("report NAME", 0, true),
    ("diff NAME", 0, true),
    ("audit NAME", 0, true),
    ("consumers NAME", 0, true),
    ("doctor NAME", 1, true),
    ("check NAME --files", 0, true),
    ("url NAME", 0, true),
    ("guard NAME --supports 1.. --consumer someone", 0, true),
    ("hold NAME --reason later", 0, true),
    ("rotate NAME", 1, false),
    ("release NAME", 0, true),
    ("rollback NAME --reason back", 0, true),
    ("release NAME", 0, true),
    ("reconcile NAME", 0, true),
    ("retire NAME", 0, true),
    ("schema", 0, true),
    ("infer in/NAME/items.csv", 0, true),
    ("init another", 0, true),
    ("completions bash", 0, true),
    ("man", 0, true),
    ("server status", 0, true),
    ("subset nope", 2, false),
    ("run nope", 2, false),
    ("--help", 0, true),
    ("run --no-such-flag", 2, false),
];

fn arguments(line: &str, name: &str) -> Vec<String> {
    let words = line.split(' ');
    words.map(|word| word.replace("NAME", name)).collect()
}

/// The command of a line of the table.
fn command(project: &Project, line: &str) -> Command {
    let arguments = arguments(line, &project.name);
    project.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Two published builds.
fn project(name: &str) -> Project {
    let project = Project::new(name);
    for rows in [10, 11] {
        project.items(rows, "item");
        project.run().code(0);
    }
    project
}

#[test]
fn no_command_needs_a_reader_of_its_messages() {
    let project = project("output_stderr");
    for broken in Broken::BOTH {
        for (line, code, _) in COMMANDS {
            let _ = std::fs::remove_dir_all(project.path("another"));
            let mut command = command(&project, line);
            let status = end(command.stdout(Stdio::null()).stderr(broken.open()));
            assert_eq!(
                status.code(),
                Some(*code),
                "{line} with stderr {broken:?}: {status}"
            );
        }
    }
    // Runs that fail: for the data, and for want of a server.
    let live = project.live();
    project.input("items.csv", "id,name,price,seen\n1,item,dear,2026-01-01\n");
    for broken in Broken::BOTH {
        let mut command = project.command(&["run", &project.name, "-v"]);
        let status = end(command.stdout(Stdio::null()).stderr(broken.open()));
        assert_eq!(
            status.code(),
            Some(1),
            "a refused run with stderr {broken:?}: {status}"
        );
        let mut command = project.command(&["run", &project.name]);
        command.env("OVERNIGHT_TARGET", "postgres://x@127.0.0.1:1/postgres");
        let status = end(command.stdout(Stdio::null()).stderr(broken.open()));
        assert_eq!(
            status.code(),
            Some(3),
            "no server, stderr {broken:?}: {status}"
        );
    }
    assert_eq!(project.live(), live);
}

#[test]
fn data_that_was_not_written_is_an_error_and_a_reader_that_left_is_none() {
    let project = project("output_stdout");
    for broken in Broken::BOTH {
        for (line, code, prints) in COMMANDS {
            let _ = std::fs::remove_dir_all(project.path("another"));
            let mut command = command(&project, line);
            let mut child = command
                .stdout(broken.open())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut said = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut said)
                .unwrap();
            let status = child.wait().unwrap();
            let expected = match (broken, prints) {
                (Broken::Full, true) => 3,
                _ => *code,
            };
            assert_eq!(
                status.code(),
                Some(expected),
                "{line} with stdout {broken:?}: {said}"
            );
            assert_eq!(
                said.contains("write to standard output"),
                expected == 3,
                "{line}: {said}"
            );
        }
    }
}

/// What is left of a list of datasets runs, and hooks are notified, when stdout is full.
#[test]
fn a_full_disk_behind_stdout_does_not_keep_the_work_from_its_end() {
    let project = project("output_rest");
    project.write(
        "overnight.toml",
        "[[hook]]\nname = \"note\"\non = [\"rotated\"]\ncommand = [\"touch\", \"notified\"]\n",
    );
    project.items(12, "more");
    let before = project.live();
    let mut command = project.command(&["run", &project.name]);
    let status = end(command.stdout(Broken::Full.open()).stderr(Stdio::null()));
    assert_eq!(status.code(), Some(3));
    assert_ne!(project.live(), before);
    assert!(project.path("notified").exists());
}

/// Text that nothing of a name can repaint or forge.
#[track_caller]
fn assert_printable(what: &str, text: &str) {
    let raw = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(raw, None, "{what}: {text:?}");
    let forged = text.lines().find(|line| line.starts_with("FORGED"));
    assert_eq!(forged, None, "{what}: {text:?}");
}

#[test]
fn names_chosen_by_others_are_escaped_in_every_text() {
    let evil = "items\x1b[31mred\x07\u{9b}\nFORGED.csv";
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive
        .start_file(evil, zip::write::SimpleFileOptions::default())
        .unwrap();
    archive
        .write_all(b"id,name,price,seen\n1,item,dear,2026-01-01\n")
        .unwrap();
    let archive = archive.finish().unwrap().into_inner();
    let good: &[u8] = b"id,name,price,seen\n1,item,1.50,2026-01-01\n";
    let bad: &[u8] = b"id,name,price,seen\n1,item,dear,2026-01-01\n";
    let project = Project::with_schema(
        "output_names",
        crate::support::project::TABLE,
        "table = \"item\"\nfiles = \"items*\"\n",
    );
    project.input(&format!("unused{evil}"), good);
    let commands = [
        "plan NAME",
        "check NAME --files",
        "run NAME --force -v",
        "status",
        "builds NAME",
        "report NAME",
        "doctor NAME",
        "audit NAME",
        "infer in/output_names",
    ];
    for (what, bytes, code) in [
        ("a good file", good, 0),
        ("a bad file", bad, 1),
        ("a bad member", &archive, 1),
    ] {
        project.input(evil, bytes);
        for line in commands {
            let ended = Project::finish(&mut command(&project, line));
            if line.starts_with("run") {
                assert_eq!(ended.code, code, "{what}: {}", ended.stderr);
                assert!(
                    ended.stderr.contains("\\u{1b}[31mred\\u{7}"),
                    "{}",
                    ended.stderr
                );
            }
            // What `infer` prints is TOML, in which a string may have lines.
            let stdout = match line.starts_with("infer") {
                true => ended.stdout.replace("\nFORGED", ""),
                false => ended.stdout,
            };
            assert_printable(&format!("{what}, {line}, stdout"), &stdout);
            assert_printable(&format!("{what}, {line}, stderr"), &ended.stderr);
        }
        let failures =
            project.ledger("select coalesce(string_agg(failure, ' '), '') from ledger.build");
        assert_printable(what, &failures);
    }
    // The name itself is kept as it is, for programs.
    let report = project
        .overnight(&["report", &project.name, "--json"])
        .code(0);
    assert!(
        report.stdout.contains("\\u001b[31mred\\u0007"),
        "{}",
        report.stdout
    );
}

/// A terminal of 80 columns: what the program writes to, and where it arrives.
fn terminal() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap();
    let slave = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path.to_str().unwrap())
        .unwrap();
    let size = rustix::termios::Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(&slave, size).unwrap();
    (slave, master.into())
}

/// Rows that take 5 ms each to load.
fn slow(name: &str) -> Project {
    let project = Project::with_schema(
        name,
        "create table a_table_with_a_rather_long_name (id integer primary key, name text not null, price numeric(8,2), seen date);
         create function slow() returns trigger language plpgsql as
             $$ begin perform pg_catalog.pg_sleep(0.005); return new; end $$;
         create trigger slow before insert on a_table_with_a_rather_long_name
             for each row execute function slow();",
        "table = \"a_table_with_a_rather_long_name\"\nfiles = \"items*\"\n",
    );
    project.items(1000, "item");
    project
}

#[test]
fn a_terminal_that_goes_away_in_the_middle_does_not_end_a_run() {
    let project = slow("output_hangup");
    let (slave, master) = terminal();
    let mut command = project.command(&["run", &project.name]);
    let mut child = command.stdout(Stdio::null()).stderr(slave).spawn().unwrap();
    drop(command);
    let reader = std::thread::spawn(move || {
        let (mut master, mut seen) = (master, Vec::new());
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&seen).contains("% of") {
            let read = master.read(&mut buffer).unwrap();
            seen.extend_from_slice(&buffer[..read]);
        }
    });
    // The thread has seen a bar and closed the terminal.
    reader.join().unwrap();
    let status = child.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(0), None));
    assert_eq!(
        project.service("select count(*) from a_table_with_a_rather_long_name"),
        "1000"
    );
}

#[test]
fn bars_fit_the_terminal_and_leave_nothing_behind() {
    let project = slow("output_bars");
    let (slave, mut master) = terminal();
    let mut command = project.command(&["run", &project.name]);
    let mut child = command.stdout(Stdio::null()).stderr(slave).spawn().unwrap();
    drop(command);
    let reader = std::thread::spawn(move || {
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        // A terminal without a writer is an error of the read.
        while let Ok(read @ 1..) = master.read(&mut buffer) {
            seen.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    });
    wait_for_session(&project, "overnight load %");
    std::thread::sleep(Duration::from_secs(2));
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::INT,
    )
    .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let seen = reader.join().unwrap();
    assert!(
        seen.contains("a_table_with_a_rathe") && seen.contains("] "),
        "{seen:?}"
    );
    let screen = Screen::after(&seen);
    // Each bar is one row, and has all its parts once a row is loaded.
    assert!(
        screen.bars.iter().any(|row| row.contains(" rows")),
        "{seen:?}"
    );
    for row in &screen.bars {
        assert!(row.starts_with("  a_table_with_a_rathe ["), "{row:?}");
    }
    let rest = screen.rows.join("\n");
    assert!(rest.contains("stopped: "), "{rest}");
    assert!(
        !rest.contains("% of") && !rest.contains(" rows"),
        "{rest}\n{seen:?}"
    );
}

const COLUMNS: usize = 80;

/// What a terminal shows after some output, as far as the program uses it.
#[derive(Default)]
struct Screen {
    rows: Vec<String>,
    /// Every row of a bar that was full at some time.
    bars: Vec<String>,
    row: usize,
    column: usize,
}

impl Screen {
    fn after(output: &str) -> Screen {
        let mut screen = Screen::default();
        let mut rest = output.chars();
        while let Some(c) = rest.next() {
            match c {
                '\n' => screen.go(screen.row + 1, 0),
                '\r' => screen.column = 0,
                '\x1b' => {
                    let mut code = String::new();
                    for c in rest.by_ref().skip(1) {
                        code.push(c);
                        if c.is_ascii_alphabetic() {
                            break;
                        }
                    }
                    screen.control(&code);
                }
                c => screen.put(c),
            }
        }
        screen
    }

    fn go(&mut self, row: usize, column: usize) {
        (self.row, self.column) = (row, column);
        while self.rows.len() <= row {
            self.rows.push(String::new());
        }
    }

    fn control(&mut self, code: &str) {
        let count = || code[..code.len() - 1].parse::<usize>().unwrap();
        match code.chars().last().unwrap() {
            'A' => self.go(self.row.checked_sub(count()).unwrap(), self.column),
            'B' => self.go(self.row + count(), self.column),
            'K' => self.rows[self.row].clear(),
            _ => {}
        }
    }

    fn put(&mut self, c: char) {
        if self.column == COLUMNS {
            self.go(self.row + 1, 0);
        }
        self.go(self.row, self.column);
        let mut row: Vec<char> = self.rows[self.row].chars().collect();
        row.resize(row.len().max(self.column + 1), ' ');
        row[self.column] = c;
        self.column += 1;
        self.rows[self.row] = row.into_iter().collect();
        let row = &self.rows[self.row];
        if self.column == COLUMNS && row.contains('[') && row.contains(']') {
            self.bars.push(row.clone());
        }
    }
}
