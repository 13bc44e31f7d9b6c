//! What is hidden stays hidden: in the rows, in artifacts, in messages and in the server's log.

use super::{ORPHANS, books, forget, on_a_laptop, set_rules};
use crate::support::Project;
use std::fs;

const KEY: &str = "a-key-that-nobody-may-see-2026";

const RULES: &str = r#"
[subset]
privacy = "deny"
references = [{ from = "review(isbn)", to = "book(isbn)", children = "all" }]
[subset.tables]
item = { limit = 5, columns = { "*" = "keep", seen = "null", price = "drop" } }
publisher = { columns = { "*" = "keep" } }
author = { columns = { id = "keep", best_book = "keep", name = "fake:name", email = "hash" } }
edition = { columns = { "*" = "keep", printed = "shuffle" } }
book = { percent = 2, columns = { "*" = "keep", isbn = "hash", title = "fake:company" } }
review = { columns = { isbn = "hash", stars = "keep", words = "null" } }
"#;

fn masked(name: &str) -> Project {
    let mut project = books(name, RULES);
    project
        .env
        .push(("OVERNIGHT_SUBSET_KEY".into(), KEY.into()));
    project
}

#[test]
fn masked_columns_hold_nothing_of_the_build_and_keys_still_lead_somewhere() {
    let mut project = masked("subset_mask");
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    project.overnight(&["subset", "subset_mask"]).code(0);
    let one = |sql: &str| laptop.one("subset_mask", sql);
    assert_eq!(one(ORPHANS), "0 0 0 0 0 0 0");
    let books: u64 = one("select count(*) from book").parse().unwrap();
    assert!(books > 100, "{books}");
    // Every review of a chosen book came, by the hash of its number.
    assert_eq!(one("select count(*) from review"), (2 * books).to_string());
    for nothing in [
        "select count(*) from book where isbn like 'isbn-%' or length(isbn) <> 32 or title not like '% Inc.'",
        "select count(*) from review where isbn like 'isbn-%' or words is not null",
        "select count(*) from author where name like 'author %' or name !~ '^[A-Z][a-z]+ [A-Z][a-z]+$' or email like '%@%' or length(email) <> 32",
        "select count(*) from item where seen is not null or price is not null",
    ] {
        assert_eq!(one(nothing), "0", "{nothing}");
    }
    // Different values stay different, and what is shuffled is the same heap of values.
    assert_eq!(
        one("select count(distinct email) = count(*) from author"),
        "t"
    );
    assert_eq!(one("select count(distinct name) > 20 from author"), "t");
    let editions = one("select string_agg(format('(%s,%s)', book_id, number), ',') from edition");
    let heap = "select md5(string_agg(printed::text, ',' order by printed)) from edition";
    assert_eq!(
        one(heap),
        project.service(&format!("{heap} where (book_id, number) in ({editions})"))
    );
    let moved: u64 =
        one("select count(*) from edition where printed <> date '2020-01-01' + book_id")
            .parse()
            .unwrap();
    let all: u64 = one("select count(*) from edition").parse().unwrap();
    assert!(moved * 2 > all, "{moved} of {all}");

    // The same key makes the same values, another one others, in artifacts as well.
    let take = |file: &str| {
        project
            .overnight(&["subset", "subset_mask", "--to", file])
            .code(0);
        fs::read(project.path(file)).unwrap()
    };
    let first = take("first.tar.zst");
    assert_eq!(take("again.tar.zst"), first);
    let mut other = project.command(&["subset", "subset_mask", "--to", "other.tar.zst"]);
    other.env("OVERNIGHT_SUBSET_KEY", "quite-another-key-2026");
    Project::finish(&mut other).code(0);
    assert_ne!(fs::read(project.path("other.tar.zst")).unwrap(), first);
    let plain = zstd::decode_all(first.as_slice()).unwrap();
    for canary in [
        "@books.invalid",
        "isbn-",
        "author 1",
        "title 1",
        "words of",
        KEY,
    ] {
        let found = plain
            .windows(canary.len())
            .any(|at| at == canary.as_bytes());
        // The SQL that derives the rows is not in it, as nothing is derived again.
        assert!(!found, "{canary}");
    }
    forget(laptop, "subset_mask");
}

#[test]
fn the_key_is_neither_logged_nor_said() {
    let mut project = masked("subset_secret");
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    let ended = project
        .overnight(&["-vv", "subset", "subset_secret"])
        .code(0);
    assert!(!ended.stderr.contains(KEY), "{}", ended.stderr);
    let derived = {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, KEY.as_bytes());
        overnight::dataset::hex(ring::hmac::sign(&key, b"overnight subset subset_secret").as_ref())
    };
    for server in [project.cluster(), laptop] {
        let log = fs::read(server.embedded.log()).unwrap();
        let log = String::from_utf8_lossy(&log);
        // Statements are logged here, so there would be something to find.
        assert!(log.contains("overnight_subset_secret") || server.home == laptop.home);
        for secret in [KEY, &derived] {
            assert!(!log.contains(secret), "{secret}");
        }
    }
    forget(laptop, "subset_secret");
}

#[test]
fn an_undeclared_column_is_an_error_where_nothing_is_let_through() {
    let project = masked("subset_deny");
    project.run().code(0);
    set_rules(&project, &RULES.replace("stars = \"keep\", ", ""));
    project
        .overnight(&["subset", "subset_deny", "--to", "x.tar.zst"])
        .code(2)
        .says(&["[subset.tables.review]: nobody has said what becomes of stars"]);
    set_rules(
        &project,
        &RULES.replace("publisher = { columns = { \"*\" = \"keep\" } }\n", ""),
    );
    project
        .overnight(&["subset", "subset_deny", "--plan"])
        .code(2)
        .says(&["[subset.tables.publisher]: nobody has said what becomes of id, name, parent_id"]);
    assert!(!project.path("x.tar.zst").exists());
}

#[test]
fn masks_that_could_not_hold_are_refused_before_anything_is_copied() {
    let mut project = masked("subset_unfit");
    project.run().code(0);
    let book = |columns: &str| format!("[subset.tables]\nbook = {{ columns = {{ {columns} }} }}\n");
    for (rules, says) in [
        (book("title = \"null\""), "[subset.tables.book.columns] title: it may not be null"),
        (book("title = \"drop\""), "has no default that could take its place"),
        (book("id = \"hash\""), "hashes of an integer would meet"),
        (book("isbn = \"fake:name\""), "invented values repeat"),
        (book("first_number = \"hash\""), "`hash` is for text, uuid, bigint and integer"),
        (book("publisher_id = \"shuffle\""), "would break the reference"),
        (book("publisher_id = \"hash\""), "would break the reference"),
        (book("title = \"fake:book\""), "is nothing that a column can become"),
        (
            "[subset]\nreferences = [{ from = \"review(isbn)\", to = \"book(isbn)\" }]\n[subset.tables]\nreview = { columns = { isbn = \"hash\" } }\n".into(),
            "the masks of review(isbn) -> book(isbn) would break the reference",
        ),
    ] {
        set_rules(&project, &rules);
        project
            .overnight(&["subset", "subset_unfit", "--to", "x.tar.zst"])
            .code(2)
            .says(&[says]);
    }
    // A reference that is taken out breaks nothing.
    set_rules(&project, &book("publisher_id = \"null\""));
    project
        .overnight(&["subset", "subset_unfit", "--to", "y.tar.zst"])
        .code(0);
    set_rules(&project, RULES);
    for (key, code, says) in [
        (
            None,
            2,
            "`subset.key` refers to the variable OVERNIGHT_SUBSET_KEY, which is not set",
        ),
        (
            Some("short"),
            2,
            "the key of the masks is shorter than 16 bytes",
        ),
    ] {
        project
            .env
            .retain(|(name, _)| name != "OVERNIGHT_SUBSET_KEY");
        project
            .env
            .extend(key.map(|key| ("OVERNIGHT_SUBSET_KEY".to_owned(), key.to_owned())));
        project
            .overnight(&["subset", "subset_unfit", "--to", "x.tar.zst"])
            .code(code)
            .says(&[says]);
    }
    assert!(!project.path("x.tar.zst").exists());
}
