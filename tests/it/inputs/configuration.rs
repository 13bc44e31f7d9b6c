//! Files of the project that are wrong: found without a server, with their line.

use crate::support::Project;

/// `check` and `run` say the same, and neither needs or makes anything on the server.
#[track_caller]
fn assert_refused(project: &Project, texts: &[&str]) {
    project.overnight(&["check"]).code(2).says(texts);
    project.refuses(2, texts);
    assert!(project.databases().is_empty());
}

#[test]
fn unknown_keys_are_errors_with_their_line() {
    let project = Project::new("config_keys");
    project.items(1, "x");
    for (text, line, key) in [
        (
            "table = \"item\"\nfiles = \"items*\"\nfile = \"x\"\n",
            3,
            "`file`",
        ),
        (
            "table = \"item\"\nfiles = \"items*\"\n[format]\ndelimitr = \"|\"\n",
            4,
            "`delimitr`",
        ),
        (
            "table = \"item\"\nfiles = \"items*\"\n[expect.rows]\nmin = 1\nmost = 2\n",
            5,
            "`most`",
        ),
        (
            "table = \"item\"\nfiles = \"items*\"\n[expect]\nrejects = { maximum = 2 }\n",
            4,
            "`maximum`",
        ),
        (
            "table = \"item\"\nfiles = \"items*\"\n[columns]\nprice = { form = \"P\" }\n",
            4,
            "`form`",
        ),
    ] {
        project.source("item", text);
        assert_refused(&project, &["item.toml", &format!("line {line}: "), key]);
    }
    project.source("item", "table = \"item\"\nfiles = \"items*\"\n");
    let good = std::fs::read_to_string(project.path("sources/config_keys/dataset.toml")).unwrap();
    project.write(
        "sources/config_keys/dataset.toml",
        &format!("{good}max_aeg = \"1h\"\n"),
    );
    assert_refused(&project, &["dataset.toml", "line 6: ", "`max_aeg`"]);
    project.write("sources/config_keys/dataset.toml", &good);
    project.write("overnight.toml", "workers = 2\ntaget = \"x\"\n");
    assert_refused(&project, &["overnight.toml`: line 2: ", "`taget`"]);
}

#[test]
fn values_that_make_no_sense_are_errors_that_say_what_would() {
    let project = Project::new("config_values");
    project.items(1, "x");
    for (more, texts) in [
        (
            "[format]\ndelimiter = \"||\"\n",
            ["`delimiter = \"||\"`", "one ASCII character"],
        ),
        (
            "[format]\ndelimiter = '\"'\n",
            ["the delimiter and the quote", "must differ"],
        ),
        (
            "[format]\nencoding = \"utf-17\"\n",
            ["encoding `utf-17` is not known", "windows-1252"],
        ),
        (
            "[format]\nheader = false\n",
            ["`header = false` needs `names", "in order"],
        ),
        (
            "[format]\nnames = [\"a\"]\n",
            ["`names` is for files without a header", "header = false"],
        ),
        ("[format]\nkind = \"html\"\n", ["line 4", "html"]),
        (
            "[expect]\nrejects = { max = \"2 pct\" }\n",
            ["line 4", "`2 pct` is not a share: write it as `20%`"],
        ),
        ("[columns]\nid = { parse = \"hex\" }\n", ["line 4", "hex"]),
    ] {
        project.source(
            "item",
            &format!("table = \"item\"\nfiles = \"items*\"\n{more}"),
        );
        assert_refused(&project, &texts);
    }
}

#[test]
fn files_that_nothing_would_read_are_errors_and_never_passed_over() {
    let project = Project::new("config_strays");
    project.items(1, "x");
    for (path, text) in [
        (
            "sources/config_strays/price.tmol",
            "only `.toml` files belong",
        ),
        (
            "sources/config_strays/notes.txt",
            "only `.toml` files belong",
        ),
        ("sql/config_strays/schema/extra.sql", "NNN_words.sql"),
        ("sql/config_strays/derive/20_short.sql", "NNN_words.sql"),
        ("sql/config_strays/checks/010_Names.SQL", "NNN_words.sql"),
        (
            "sql/config_strays/check/010_names.sql",
            "schema, derive, checks and golden",
        ),
        (
            "sql/config_strays/010_names.sql",
            "schema, derive, checks and golden",
        ),
    ] {
        project.write(path, "select 1;\n");
        let name = path.rsplit('/').next().unwrap();
        let name = if path.contains("/check/") {
            "check"
        } else {
            name
        };
        assert_refused(&project, &[name, text]);
        std::fs::remove_file(project.path(path)).unwrap();
        if path.contains("/check/") {
            std::fs::remove_dir(project.path("sql/config_strays/check")).unwrap();
        }
    }
    project.sql("checks/010_one.sql", "select 1 where false;\n");
    project.sql("checks/010_two.sql", "select 1 where false;\n");
    assert_refused(
        &project,
        &["010_one.sql", "010_two.sql", "have the same number"],
    );
    std::fs::remove_file(project.path("sql/config_strays/checks/010_two.sql")).unwrap();
    for (text, texts) in [
        (
            "select 1;\n\\copy item from 'x'\n",
            ["010_one.sql` line 2", "psql"],
        ),
        (
            "select 1;\n\nselect 'open;\n",
            ["010_one.sql` line 3", "never closed"],
        ),
        (
            "begin;\nselect 1;\ncommit;\n",
            ["010_one.sql` line 1", "transaction"],
        ),
    ] {
        project.sql("checks/010_one.sql", text);
        assert_refused(&project, &texts);
    }
}
