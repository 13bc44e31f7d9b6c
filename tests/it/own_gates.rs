//! What a tired operator reads when a gate of the project's own says no.

use crate::support::Project;

/// The error and the hint, without what changes from run to run.
fn told(project: &Project, stderr: &str) -> String {
    let mut text = stderr
        .lines()
        .map(|line| line.split_once("Z  ").map_or(line, |(_, text)| text))
        .filter(|line| {
            ["error: ", "hint: ", "  "]
                .iter()
                .any(|begin| line.starts_with(begin))
        })
        .collect::<Vec<_>>()
        .join("\n");
    for name in project
        .ledger("select string_agg(name, ' ') from ledger.build")
        .split(' ')
    {
        text = text.replace(name, "BUILD");
    }
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for index in 1..words.len() {
        let unit = words[index].trim_end_matches([',', ')', ';']);
        if matches!(unit, "ms" | "s") && words[index - 1].parse::<f64>().is_ok() {
            words[index - 1] = "N".into();
        }
    }
    words.join(" ")
}

#[test]
fn each_gate_says_what_is_wrong_and_that_nothing_was_touched() {
    let project = Project::new("own_gates");
    project.items(100, "x");
    project.sql(
        "golden/010_list.sql",
        "select id, name from item where id > 90;\n",
    );
    project.run().code(0);
    let path = "sources/own_gates/dataset.toml";
    let toml = std::fs::read_to_string(project.path(path)).unwrap();
    project.write(
        path,
        &format!("{toml}warm = [\"item\"]\n[external]\ncommand = [\"sh\", \"-c\", \"echo 3 plans lack a county; exit 4\"]\n"),
    );
    project.items(90, "x");
    project.sql(
        "checks/010_cheap.sql",
        "-- overnight: max = \"5%\", of = \"item\", show = [\"id\"]\nselect * from item where price < 10;\n",
    );
    let ended = project.run().code(1);
    insta::assert_snapshot!(told(&project, &ended.stderr), @r"
    error: run `own_gates`: verify `BUILD`: 3 gates did not pass:
      check 010_cheap.sql: 9 offending rows, at most 4 allowed (5% of the 90 in item)
      golden 010_list.sql: as own_gates_reader: no row, 10 on live
      external: exit status 4 after N s, it said `3 plans lack a county`
    hint: the alias was not touched; services stay on the build they have; the build is kept, closed: `overnight inspect own_gates BUILD` opens it, `overnight rotate own_gates BUILD --accept GATE --reason TEXT` publishes it as it is
    ");

    let approval = toml + "approval = { expires = \"1s\" }\n";
    project.write(path, &approval);
    std::fs::remove_dir_all(project.path("sql/own_gates/golden")).unwrap();
    std::fs::remove_dir_all(project.path("sql/own_gates/checks")).unwrap();
    project.run().code(0);
    project.ledger("update ledger.approval set expires_at = '2026-01-02 03:04:05Z'");
    let ended = project.overnight(&["rotate", &project.name]).code(1);
    insta::assert_snapshot!(told(&project, &ended.stderr), @r"
    error: move `own_gates` to `BUILD`: approval: nobody approved it before 2026-01-02T03:04:05Z; the next run builds anew
    hint: the alias was not touched; services stay on the build they have
    ");
}
