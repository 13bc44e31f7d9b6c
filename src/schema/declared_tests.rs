use super::*;
use std::path::Path;

fn read(sql: &str) -> Declared {
    let file = NumberedFile::new(Path::new("sql/x/schema/010_t.sql"), sql.to_owned()).unwrap();
    declared(&[file]).unwrap()
}

fn columns(table: &Table) -> Vec<(&str, u32, i32, bool)> {
    let columns = table.columns.iter();
    columns
        .map(|c| (c.name.as_str(), c.base.oid, c.base.typmod, c.not_null))
        .collect()
}

#[test]
fn columns_have_the_types_and_modifiers_that_the_server_gives_them() {
    let found = read(
        "select overnight.declare_version(1);
         create unlogged table if not exists drug.price (
             id bigint generated always as identity primary key,
             \"Plan Id\" text collate \"C\" not null, -- a comment, with a comma
             cost numeric(6,2) default 0.5 check (cost > 0 and cost < 10),
             low numeric(3,-2),
             code char(11), letter char, name character varying (44),
             at timestamp(3) with time zone, day date, clock time without time zone,
             span interval day to second(2),
             ratio double precision, flags boolean [], tags varchar(5)[3],
             twice numeric generated always as (cost * 2) stored,
             constraint p primary key (\"Plan Id\", code),
             unique (code, day)
         );",
    );
    assert_eq!(found.notes, []);
    let [table] = found.tables.as_slice() else {
        panic!("{:?}", found.tables);
    };
    assert_eq!(
        (table.schema.as_str(), table.name.as_str()),
        ("drug", "price")
    );
    assert_eq!(
        columns(table),
        [
            ("id", 20, -1, true),
            ("Plan Id", 25, -1, true),
            ("cost", 1700, (6 << 16) + 2 + 4, false),
            ("low", 1700, ((3 << 16) | (-2 & 0x7FF)) + 4, false),
            ("code", 1042, 15, true),
            ("letter", 1042, 5, false),
            ("name", 1043, 48, false),
            ("at", 1184, 3, false),
            ("day", 1082, -1, false),
            ("clock", 1083, -1, false),
            ("span", 1186, -1, false),
            ("ratio", 701, -1, false),
            ("flags", 0, -1, false),
            ("tags", 0, 9, false),
            ("twice", 1700, -1, false),
        ]
    );
    assert_eq!(table.columns[0].identity, Identity::Always);
    assert!(table.columns[14].generated && !table.columns[0].generated);
}

#[test]
fn enums_domains_and_later_changes_count() {
    let found = read(
        "create type tier as enum ('preferred', 'it''s not');
         create domain zip as text not null check (value ~ '^[0-9]{5}$');
         create table a (t tier, z zip) partition by list (t);
         create table a_1 partition of a for values in ('preferred');
         alter table only a add column n int not null, add primary key (t);",
    );
    let [table] = found.tables.as_slice() else {
        panic!("{:?}", found.tables);
    };
    assert!(matches!(table.kind, TableKind::Partitioned { .. }));
    let labels = vec!["preferred".to_owned(), "it's not".to_owned()];
    assert_eq!(table.columns[0].base.kind, Kind::Enum { labels });
    assert_eq!(
        columns(table),
        [("t", 0, -1, true), ("z", 25, -1, true), ("n", 23, -1, true)]
    );
}

#[test]
fn what_only_the_server_knows_is_said() {
    let found = read(
        "create table t (place point, like other);
         create table copy as select 1 as one;
         alter table t drop column place;",
    );
    assert_eq!(columns(&found.tables[0]), [("place", 25, -1, false)]);
    assert_eq!(found.notes.len(), 4, "{:?}", found.notes);
}

#[test]
fn a_length_beyond_any_type_does_not_end_the_program() {
    let found = read("create table t (a varchar(2147483647), b char(2147483647));");
    let typmods: Vec<i32> = columns(&found.tables[0]).iter().map(|c| c.2).collect();
    assert_eq!(typmods, [i32::MAX, i32::MAX]);
}
