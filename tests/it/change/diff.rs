//! `overnight diff` and `overnight report`: what somebody reads who wants to know.

use super::{newest, night, project};
use crate::support::Project;
use std::process::Stdio;

#[test]
fn two_builds_are_compared_table_by_table() {
    let project = project("change_diff");
    night(&project, 0);
    project.run().code(0);
    project
        .overnight(&["diff", &project.name])
        .code(1)
        .says(&["`change_diff` has no two builds to compare", "hint: "]);
    let first = project.live();
    night(&project, 1);
    project.run().code(0);
    let second = project.live();
    let told = project.overnight(&["diff", &project.name]).code(0).stdout;
    assert!(
        told.starts_with(&format!("{second} against {first}\n")),
        "{told}"
    );
    let line = |told: &str, table: &str| {
        let line = told.lines().find(|line| line.starts_with(table)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line(&told, "plan "), "plan 1,203 1,200 15 12 1,188");
    assert!(
        told.contains("visit: has no common primary key: whole rows were compared"),
        "{told}"
    );
    assert!(
        told.contains("% of the rows have another value, and there is no earlier night"),
        "{told}"
    );
    // Values are shown to whoever asks for them; the names of builds are times, with any digits.
    let values = told.replace(&first, "").replace(&second, "");
    assert!(!values.contains("1211"), "{told}");
    let told = project
        .overnight(&["diff", &project.name, "--table", "plan", "--samples", "3"])
        .code(0)
        .stdout;
    assert!(
        told.contains("plan: added id: 1200 1201 1202\n")
            && told.contains("plan: removed id: 0 1 10\n"),
        "{told}"
    );
    assert!(!told.contains("visit"), "{told}");
    let json = project
        .overnight(&["diff", &project.name, &second, &first, "--json"])
        .code(0)
        .json();
    assert_eq!(
        (&json["format"], &json["old"]),
        (&1.into(), &second.as_str().into())
    );
    let plan = &json["tables"][1];
    assert_eq!(
        (
            &plan["table"],
            &plan["difference"]["added"],
            &plan["difference"]["removed"]
        ),
        (&"plan".into(), &12.into(), &15.into())
    );
    // A build that waits is opened only for the look, and another schema is no obstacle.
    project.sql("schema/020_more.sql", "alter table visit add more integer default 1;\nalter table plan add extra text;\ncreate table fresh (a integer);\n");
    project.source(
        "visit",
        "table = \"visit\"\nfiles = \"visit.csv\"\nabsent = [\"more\"]\n",
    );
    super::source(&project, "absent = [\"extra\"]\n");
    project
        .overnight(&["run", &project.name, "--no-rotate"])
        .code(0);
    let waiting = newest(&project);
    let told = project.overnight(&["diff", &project.name]).code(0).stdout;
    assert!(
        told.starts_with(&format!("{waiting} against {second}\n")),
        "{told}"
    );
    assert_eq!(line(&told, "plan "), "plan 1,203 1,203 0 0 0");
    for text in [
        "visit: only one of them has more: not compared",
        "fresh: only in the newer build",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }
    let open = format!("select datallowconn from pg_database where datname = '{waiting}'");
    assert_eq!(project.cluster().one("postgres", &open), "f");
    project
        .overnight(&["diff", &project.name, &first, &first])
        .code(2)
        .says(&["with itself"]);
    project
        .overnight(&["diff", &project.name, "nobody"])
        .code(2)
        .says(&["has no build `nobody`"]);
    project
        .overnight(&["diff", &project.name, "--table", "x"])
        .code(2)
        .says(&["has a table `x`"]);
}

/// Peak of the resident memory of a process, as far as it could be seen, in KiB.
fn peak_kib(project: &Project, arguments: &[&str]) -> u64 {
    let mut child = project
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let line = status.unwrap_or_default();
        let line = line
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:").map(str::to_owned));
        if let Some(line) = line {
            peak = peak.max(line.trim().trim_end_matches(" kB").parse().unwrap());
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    peak
}

#[test]
fn comparing_keys_needs_no_more_memory_for_a_larger_table() {
    let project = Project::with_schema(
        "change_memory",
        "create table item (id text primary key, n integer);\n",
        "table = \"item\"\nfiles = \"items*\"\n",
    );
    let mut peaks = Vec::new();
    for rows in [100, 150_000] {
        for night in 0..2 {
            project.input("items.csv", format!("id,n\nx,{night}\n"));
            // Keys of 400 bytes: 60 MB of them in each build.
            project.sql(
                "derive/110_many.sql",
                &format!("insert into item select repeat(md5(i::text), 12) || i, i from generate_series(1, {rows}) i;\n"),
            );
            project.sql("checks/010_any.sql", "select 1 where false;\n");
            project
                .overnight(&[
                    "run",
                    &project.name,
                    "--accept",
                    "rows of item",
                    "--accept",
                    "profile of item",
                    "--reason",
                    "test",
                ])
                .code(0);
        }
        peaks.push(peak_kib(&project, &["diff", &project.name]));
    }
    assert!(peaks[1] < peaks[0] + 24 * 1024, "{peaks:?} KiB");
}

#[test]
fn a_report_tells_everything_of_one_build() {
    let project = project("change_report");
    super::source(&project, "[expect]\nrejects = { max = 5 }\n");
    night(&project, 0);
    let path = project.path("in/change_report/plan.csv");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text += "x1,TX,a,b,,1,1,1,2020-01-01,2020-01-01 00:00:00+00,true\n";
    std::fs::write(&path, text).unwrap();
    project.run().code(0);
    let first = project.live();
    let told = project.overnight(&["report", &project.name]).code(0).stdout;
    for text in [
        &format!("{first}: published of change_report, schema version 1"),
        "INPUTS",
        "plan.csv",
        "1,201",
        "TABLES",
        "visit",
        "REJECTS",
        "STAGES",
        "put",
        "GATES",
        "ok",
        "records of plan",
        "1 rejected (budget at most 5)",
        "COLUMNS",
        "premium",
        "numeric(10,2)",
        "MOVES OF THE ALIAS",
        "rotate to it",
        "confirmed",
    ] {
        assert!(told.contains(text) || text == "put", "{text}:\n{told}");
    }
    // The columns, of which there may be hundreds, come last.
    let at = |heading: &str| told.find(&format!("\n{heading}\n")).unwrap();
    assert!(
        at("GATES") < at("STAGES") && at("STAGES") < at("COLUMNS"),
        "{told}"
    );
    // Of one that failed as well, by its own name or as the newest.
    night(&project, 1);
    project.sql("checks/010_never.sql", "select 1;\n");
    project.run().code(1);
    let failed = newest(&project);
    let told = project.overnight(&["report"]).code(0).stdout;
    assert!(
        told.starts_with(&format!("{failed}: refused of change_report")),
        "{told}"
    );
    assert!(
        told.contains("FAILED")
            && told.contains("check 010_never.sql")
            && told.contains("1 offending row"),
        "{told}"
    );
    let json = project
        .overnight(&["report", &failed, "--json"])
        .code(0)
        .json();
    assert_eq!(
        (&json["format"], &json["build"]["state"], &json["rejects"]),
        (&1.into(), &"refused".into(), &serde_json::Value::Null)
    );
    assert!(json["profiles"].as_array().unwrap().len() == 3, "{json}");
    let json = project
        .overnight(&["report", &first, "--json"])
        .code(0)
        .json();
    assert_eq!(
        (
            &json["rejects"][0]["column"],
            &json["rejects"][0]["records"]
        ),
        (&"id".into(), &1.into())
    );
    project
        .overnight(&["report", "nobody"])
        .code(2)
        .says(&["neither a build nor a dataset `nobody`"]);
}
