//! The gate in the life of a dataset: what stops a night, and what lets it through.

use crate::support::Project;

const WITH_ALL: &str = "create table item (id integer primary key, name text not null, price numeric(12,2), seen date);
create index on item (name);
create view cheap as select id, price from item where price < 5;\n";
const WITH_LESS: &str = "create table item (id integer primary key, name text not null, price numeric(8,2), seen text);\n";
const WITH_MORE: &str = "create table item (id bigint primary key, name text not null, price numeric(14,2), seen date, extra text);
create index on item (name);
create index on item (seen);
create view cheap as select id, price from item where price < 5;\n";

fn schema(project: &Project, version: i32, tables: &str) {
    project.sql(
        "schema/010_tables.sql",
        &format!("select overnight.declare_version({version});\n{tables}"),
    );
    dataset_toml(project, version, &[&project.reader]);
}

fn dataset_toml(project: &Project, version: i32, readers: &[&str]) {
    project.write(
        &format!("sources/{}/dataset.toml", project.name),
        &format!(
            "schema_version = {version}\nfiles_under = \"{0}/\"\nreaders = {readers:?}\nprobe = {{ user = \"{1}\" }}\n",
            project.name, project.reader
        ),
    );
}

/// A dataset whose first night is published.
fn published(name: &str) -> Project {
    let project = Project::with_schema(name, WITH_ALL, "table = \"item\"\nfiles = \"items*\"\n");
    schema(&project, 1, WITH_ALL);
    project.items(5, "first");
    project.run().code(0);
    project
}

/// What the gate found last.
fn finding(project: &Project) -> String {
    project.ledger(
        "select verdict || ': ' || finding from ledger.finding where gate = 'compatibility' order by id desc limit 1",
    )
}

#[test]
fn a_breaking_change_stops_the_night_and_every_one_is_listed() {
    let project = published("compat_stop");
    assert_eq!(
        finding(&project),
        "passed: no other build is live, nothing to compare with"
    );
    let first = project.live();
    schema(&project, 1, WITH_LESS);
    project.items(6, "second");
    let ended = project.refuses(
        1,
        &[
            &format!(
                "compatibility: 4 breaking changes since `{first}`, and the schema version is 1:\n"
            ),
            "\n  column item.price: numeric(12,2) became numeric(8,2)\n",
            "\n  column item.seen: date became text\n",
            "\n  table item: the index btree (name) is gone\n",
            "\n  view cheap: gone\n",
            "hint: the alias was not touched",
            "raise `schema_version` in dataset.toml",
            "--accept compatibility --reason TEXT",
        ],
    );
    assert!(!ended.stderr.contains("overnight."), "{}", ended.stderr);
    assert_eq!(project.live(), first);
    // The first night's services go on, and the same files pass with the version raised.
    assert_eq!(project.service("select count(*) from cheap"), "4");
    schema(&project, 2, WITH_LESS);
    project.run().code(0);
    assert!(
        finding(&project).starts_with(&format!(
            "passed: 4 breaking changes since `{first}`, announced by the schema version, 1 before and 2 now:"
        )),
        "{}",
        finding(&project)
    );
    assert_eq!(
        project.service("select pg_typeof(seen) from item limit 1"),
        "text"
    );

    // Back to the lower version is a breaking change by itself.
    schema(&project, 1, WITH_LESS);
    project.items(7, "third");
    project.refuses(
        1,
        &[
            "1 breaking change since",
            "\n  schema version: 2 became 1\n",
        ],
    );
}

#[test]
fn a_change_that_adds_and_widens_passes_and_is_told() {
    let project = published("compat_add");
    let first = project.live();
    schema(&project, 1, WITH_MORE);
    project.source(
        "item",
        "table = \"item\"\nfiles = \"items*\"\nabsent = [\"extra\"]\n",
    );
    project.items(6, "second");
    project.run().code(0);
    assert_eq!(
        finding(&project),
        format!(
            "passed: nothing that services of `{first}` use is gone\n1 addition:\n  column item.extra"
        )
    );
    // The earlier build lacks the column: told, and no reason against it.
    let told = project
        .overnight(&["verify", &project.name, &first])
        .code(0);
    assert!(
        told.stdout.contains("warning") && told.stdout.contains("column item.extra: gone"),
        "{}",
        told.stdout
    );
    // Of the live build nothing is compared with itself.
    let told = project.overnight(&["verify", &project.name]).code(0);
    assert!(
        told.stdout.contains("nothing to compare with"),
        "{}",
        told.stdout
    );
}

#[test]
fn a_breaking_change_can_be_accepted_by_somebody_with_a_reason() {
    let project = published("compat_accept");
    schema(&project, 1, WITH_LESS);
    project.items(6, "second");
    let name = project.name.clone();
    project.refuses_to(
        &["run", &name, "--accept", "compatibility"],
        2,
        &["--accept needs --reason TEXT"],
    );
    project
        .overnight(&[
            "run",
            &name,
            "--accept",
            "compatibility",
            "--reason",
            "told them all",
        ])
        .code(0)
        .says(&["accepted"]);
    assert_eq!(project.service("select count(*) from item"), "6");
    assert!(finding(&project).starts_with("accepted: 4 breaking changes"));
    let audit = project.ledger(
        "select e.kind || '|' || b.name || '|' || (e.detail like 'compatibility: 4 breaking changes%(told them all)')
                || '|' || (e.actor like 'overnight@%run compat_accept')
         from ledger.event e join ledger.build b on b.id = e.build where e.kind = 'accepted'",
    );
    assert_eq!(audit, format!("accepted|{}|true|true", project.live()));
}

#[test]
fn a_reader_who_would_be_left_out_is_a_breaking_change() {
    let project = published("compat_reader_gone");
    let other = "compat_reader_gone_other";
    project
        .cluster()
        .sql("postgres", &format!("create role {other} login"))
        .unwrap();
    dataset_toml(&project, 1, &[&project.reader, other]);
    project.items(6, "second");
    project.run().code(0);
    dataset_toml(&project, 1, &[&project.reader]);
    project.items(7, "third");
    project.refuses(
        1,
        &[&format!(
            "\n  role {other} may connect to the live build and is not among `readers` any more"
        )],
    );
    dataset_toml(&project, 1, &[&project.reader, other]);
    project.run().code(0);
}

#[test]
fn changes_by_hand_in_the_live_database_are_a_warning() {
    let project = published("compat_by_hand");
    let cluster = project.cluster();
    for sql in [
        "create schema mine",
        "create index by_hand on item (price)",
        "grant select on item to public",
    ] {
        cluster.sql(&project.name, sql).unwrap();
    }
    project.items(6, "second");
    project.run().code(0);
    let found = finding(&project);
    assert!(found.starts_with("warned: "), "{found}");
    for line in [
        "made by hand in the live build alone: schema mine: gone",
        "made by hand in the live build alone: table item: the index btree (price) is gone",
        "made by hand in the live build alone: PUBLIC lost SELECT on item",
    ] {
        assert!(found.contains(line), "{line}:\n{found}");
    }
    // The next night has nothing to tell.
    project.items(7, "third");
    project.run().code(0);
    assert!(
        finding(&project).starts_with("passed: "),
        "{}",
        finding(&project)
    );
}
