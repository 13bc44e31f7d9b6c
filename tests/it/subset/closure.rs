//! Which rows are taken, why, and when there are too many.

use super::{books, set_rules};
use serde_json::Value;

/// Rows of a table, and how many of them for which reason.
fn rows(plan: &Value, table: &str) -> (u64, Vec<(String, u64)>) {
    let tables = plan["plan"]["tables"].as_array().unwrap();
    let found = tables.iter().find(|one| one["table"] == table).unwrap();
    let why = found["why"].as_array().unwrap();
    let why = why.iter().map(|why| {
        (
            why["because"].as_str().unwrap().to_owned(),
            why["rows"].as_u64().unwrap(),
        )
    });
    (found["rows"].as_u64().unwrap(), why.collect())
}

#[test]
fn the_plan_says_what_comes_and_why_and_copies_nothing() {
    let project = books(
        "subset_plan",
        r#"
[subset]
references = [
    { from = "review(isbn)", to = "book(isbn)", children = 2 },
    { from = "edition(book_id)", to = "book(id)", children = "all" },
]
[subset.tables]
book = { include = [[4]], where = "id in (8, 2011)" }
publisher = { all = true }
"#,
    );
    project.run().code(0);
    let before = project.databases();
    let ended = project
        .overnight(&["subset", "subset_plan", "--plan", "--json"])
        .code(0);
    let plan = ended.json();
    // Authors bring their best books, and these their authors, who have brought them.
    let (books, why) = rows(&plan, "book");
    assert_eq!(
        why[..2],
        [("its rule".into(), 2), ("include".into(), 1)],
        "{why:?}"
    );
    assert_eq!(why[2].0, "parents of author(best_book) -> book(id)");
    assert_eq!(books, why.iter().map(|(_, rows)| rows).sum::<u64>());
    // Each book has 1 + id % 3 editions and two reviews.
    let (reviews, why) = rows(&plan, "review");
    assert_eq!(reviews, 2 * books);
    assert_eq!(why[0].0, "children of review(isbn) -> book(isbn)");
    assert_eq!(
        rows(&plan, "publisher"),
        (60, vec![("whole table".into(), 60)])
    );
    assert_eq!(rows(&plan, "item").0, 0);
    let told = project
        .overnight(&["subset", "subset_plan", "--plan"])
        .code(0)
        .stdout;
    for text in [
        "whole table",
        "its rule",
        "children of review(isbn) -> book(isbn)",
        "rows, about",
    ] {
        assert!(told.contains(text), "{told}");
    }
    assert_eq!(project.databases(), before);
}

#[test]
fn a_subset_that_grows_over_its_limit_names_what_blew_it() {
    let rules = |limit: &str| {
        format!(
            "[subset]\n{limit}\nreferences = [{{ from = \"review(isbn)\", to = \"book(isbn)\", children = \"all\" }}]\n\
             tables = {{ book = {{ percent = 10 }} }}\n"
        )
    };
    let project = books("subset_limit", &rules("max_rows = 3000"));
    project.run().code(0);
    project
        .overnight(&["subset", "subset_limit", "--plan"])
        .code(1)
        .says(&[
            "the subset grows over max_rows = 3000",
            "children of review(isbn) -> book(isbn)",
            "hint: take a smaller share",
        ]);
    set_rules(&project, &rules("max_bytes = \"20KiB\""));
    project
        .overnight(&["subset", "subset_limit", "--plan"])
        .code(1)
        .says(&[
            "the subset grows over max_bytes = \"20.0 KiB\"",
            "its rule brought",
        ]);
    set_rules(&project, &rules("max_rows = 100_000"));
    project
        .overnight(&["subset", "subset_limit", "--plan"])
        .code(0);
}

#[test]
fn the_share_of_a_table_is_by_its_key_and_the_seed_alone() {
    let project = books(
        "subset_share",
        "[subset.tables]\nreview = { percent = 5 }\n",
    );
    project.run().code(0);
    let share = |rules: &str| {
        set_rules(&project, rules);
        let ended = project.overnight(&["subset", "subset_share", "--plan", "--json"]);
        let plan = ended.code(0).json();
        let by_rule = |table: &str| {
            let (_, why) = rows(&plan, table);
            why.iter()
                .find(|(because, _)| because == "its rule")
                .map_or(0, |(_, rows)| *rows)
        };
        (by_rule("book"), by_rule("review"))
    };
    // md5 of "overnight/book/" and the key, below one twentieth of the digits: as any server counts it.
    let expected = |seed: &str| -> u64 {
        project
            .service(&format!(
                "select count(*) from book where md5('{seed}/book/' || id::text) collate \"C\" < '0cccccccccccc'"
            ))
            .parse()
            .unwrap()
    };
    let (books, reviews) = share("[subset.tables]\nbook = { percent = 5 }\n");
    assert_eq!((books, reviews), (expected("overnight"), 0));
    assert!((300..700).contains(&books), "{books}");
    let (other, _) = share("[subset]\nseed = \"2027\"\n[subset.tables]\nbook = { percent = 5 }\n");
    assert_eq!(other, expected("2027"));
    // Without any rule, one per cent of each table; rows without a key are told apart by all they hold.
    let (books, reviews) = share("");
    assert!((50..300).contains(&books), "{books}");
    assert!((100..300).contains(&reviews), "{reviews}");
    let (books, _) = share("[subset.tables]\nbook = { percent = 5, limit = 7 }\n");
    assert_eq!(books, 7);
}

#[test]
fn rules_that_cannot_be_meant_are_refused_with_what_there_is() {
    let project = books("subset_wrong", "");
    project.run().code(0);
    for (rules, code, says) in [
        (
            "[subset.tables]\nboook = { all = true }\n",
            2,
            "the build has no such table",
        ),
        (
            "[subset.tables]\nbook = { all = true, percent = 3 }\n",
            2,
            "write one of all, none",
        ),
        (
            "[subset.tables]\nbook = { percent = 101 }\n",
            2,
            "percent = 101 is out of range",
        ),
        (
            "[subset.tables]\nbook = { include = [[1, 2]] }\n",
            2,
            "each key has the one column of the primary key (id)",
        ),
        (
            "[subset.tables]\nbook = { include = [[10001]] }\n",
            1,
            "include, key 1: the build has no such row",
        ),
        (
            "[subset.tables]\nreview = { include = [[1]] }\n",
            2,
            "include needs a primary key",
        ),
        (
            "[subset.tables]\nbook = { where = \"titel = 'x'\" }\n",
            2,
            "choose rows of `book` by its rule",
        ),
        (
            "[subset.tables]\nbook = { columns = { titel = \"null\" } }\n",
            2,
            "there is no column `titel`",
        ),
        (
            "[subset]\nreferences = [{ from = \"review.isbn\", to = \"book(isbn)\" }]\n",
            2,
            "is not of the form",
        ),
        (
            "[subset]\nreferences = [{ from = \"review(isbn)\", to = \"book(isbn, id)\" }]\n",
            2,
            "different numbers of columns",
        ),
        ("[subset]\nchildren = \"some\"\n", 2, "write a number"),
        ("[subset]\npercents = 3\n", 2, "line 7"),
    ] {
        set_rules(&project, rules);
        project
            .overnight(&["subset", "subset_wrong", "--plan"])
            .code(code)
            .says(&[says]);
    }
}

#[test]
fn a_build_that_is_not_there_or_was_never_published_is_refused() {
    let project = books("subset_build", "");
    project
        .overnight(&["subset", "subset_build", "--plan"])
        .code(2)
        .says(&["was never run on this server"]);
    project
        .overnight(&["run", "subset_build", "--no-rotate"])
        .code(0);
    project
        .overnight(&["subset", "subset_build", "--plan"])
        .code(1)
        .says(&["nothing of `subset_build` is live"]);
    let waiting = project.ledger("select name from ledger.build");
    project
        .overnight(&["subset", "subset_build", "--plan", "--build", &waiting])
        .code(1)
        .says(&["is verified: a subset is taken of a build that was published"]);
    project.overnight(&["rotate", "subset_build"]).code(0);
    project
        .overnight(&["subset", "subset_build", "--plan", "--build", &waiting])
        .code(0);
    project
        .overnight(&[
            "subset",
            "subset_build",
            "--plan",
            "--build",
            "subset_build_1",
        ])
        .code(2)
        .says(&["has no build `subset_build_1`"]);
}
