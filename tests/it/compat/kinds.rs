//! Kinds of change between two builds, each listed as breaking, as something to know, or as nothing.

use crate::support::cluster::LOADER;
use crate::support::database::Database;
use overnight::verify::compat::changes::Changes;
use overnight::verify::compat::compare::compare;
use overnight::verify::compat::shape::Shape;

/// What a change of the schema in `base.sql` must be told as.
enum Means {
    Breaks(&'static [&'static str]),
    Notes(&'static [&'static str]),
    Adds(&'static [&'static str]),
    Nothing,
}
use Means::{Adds, Breaks, Notes, Nothing};

const CASES: &[(&str, Means)] = &[
    // Tables and views.
    (
        "drop table part.member cascade",
        Breaks(&[
            "materialized view totals: gone",
            "table part.member: gone",
            "view names: gone",
        ]),
    ),
    (
        "alter table public.open rename to opened",
        Breaks(&["table open: gone; `opened` has its columns"]),
    ),
    ("drop view public.names", Breaks(&["view names: gone"])),
    (
        "drop materialized view public.totals",
        Breaks(&["materialized view totals: gone"]),
    ),
    (
        "drop schema part cascade",
        Breaks(&[
            "materialized view totals: gone",
            "schema part: gone",
            "view names: gone",
        ]),
    ),
    (
        "drop view public.names; create materialized view public.names as select id, name from part.member;
         grant select on public.names to compat_reader",
        Notes(&["view names: became a materialized view"]),
    ),
    (
        "alter table public.plan enable row level security",
        Breaks(&["table plan: row security was switched on, readers may see fewer rows"]),
    ),
    ("create table public.more (id integer)", Adds(&["table more"])),
    ("create schema later", Nothing),
    (
        "drop table public.log_2025",
        Notes(&["partition log_2025: gone"]),
    ),
    // Columns.
    (
        "alter table public.plan drop column note",
        Breaks(&[
            "column plan.note: gone",
            "table plan: the index btree (note) WHERE (premium > (10)::numeric) is gone",
        ]),
    ),
    (
        "alter table public.plan rename column seen to looked",
        Breaks(&["column plan.seen: gone; `looked` stands in its place"]),
    ),
    (
        "alter table public.plan alter column premium type numeric(8,2)",
        Breaks(&["column plan.premium: numeric(12,2) became numeric(8,2)"]),
    ),
    (
        "alter table public.plan alter column premium type numeric(14,2)",
        Nothing,
    ),
    (
        "alter table public.plan alter column premium type numeric(14,4)",
        Breaks(&["column plan.premium: numeric(12,2) became numeric(14,4)"]),
    ),
    (
        "alter table public.plan alter column code type character varying(5)",
        Breaks(&["column plan.code: character varying(10) became character varying(5)"]),
    ),
    (
        "alter table public.plan alter column code type character varying(20)",
        Nothing,
    ),
    (
        "alter table public.open alter column b type bigint",
        Nothing,
    ),
    (
        "alter table public.open alter column b type text",
        Breaks(&["column open.b: integer became text"]),
    ),
    (
        "alter table public.plan alter column seen type timestamp without time zone",
        Nothing,
    ),
    (
        "alter table public.plan alter column seen type timestamp with time zone",
        Breaks(&["column plan.seen: timestamp(3) without time zone became timestamp with time zone"]),
    ),
    (
        "alter table public.plan alter column price type numeric(12,2)",
        Nothing,
    ),
    (
        "alter table public.plan alter column premium drop not null",
        Breaks(&["column plan.premium: may be null now"]),
    ),
    (
        "alter table public.plan alter column note set not null",
        Nothing,
    ),
    (
        "alter table public.plan alter column seen drop default",
        Nothing,
    ),
    (
        "alter table public.plan alter column note type text collate \"POSIX\"",
        Breaks(&["column plan.note: collation the default became `POSIX`"]),
    ),
    (
        "alter table part.member alter column id drop identity",
        Notes(&["column part.member.id: is no identity any more"]),
    ),
    (
        "alter table public.plan add column extra integer",
        Adds(&["column plan.extra"]),
    ),
    (
        "alter table public.open rename a to x; alter table public.open rename b to a;
         alter table public.open rename x to b; revoke all (a, b) on public.open from public;
         grant select (a) on public.open to public",
        Notes(&["table open: `select *` gives the columns in another order"]),
    ),
    // Keys, checks and indexes.
    (
        "alter table part.member drop constraint member_pkey",
        Breaks(&["table part.member: PRIMARY KEY (id) is gone or changed"]),
    ),
    (
        "alter table public.plan drop constraint plan_code_key",
        Breaks(&["table plan: UNIQUE (code) is gone or changed"]),
    ),
    (
        "alter table part.member drop constraint member_plan_fkey",
        Breaks(&["table part.member: FOREIGN KEY (plan) REFERENCES plan (id) is gone or changed"]),
    ),
    (
        "alter table part.member drop constraint member_plan_fkey;
         alter table part.member add constraint other foreign key (plan) references public.plan on delete cascade",
        Nothing,
    ),
    (
        "alter table public.plan drop constraint plan_premium_check",
        Breaks(&["table plan: CHECK ((premium > (0)::numeric)) is gone or changed"]),
    ),
    (
        "alter table public.plan add check (id > 0)",
        Nothing,
    ),
    (
        "drop index public.plan_note",
        Breaks(&["table plan: the index btree (note) WHERE (premium > (10)::numeric) is gone"]),
    ),
    (
        "drop index public.plan_note; create index other on public.plan (note) with (fillfactor = 50) where premium > 10",
        Nothing,
    ),
    (
        "drop index public.plan_note; create index plan_note on public.plan (note)",
        Breaks(&["table plan: the index btree (note) WHERE (premium > (10)::numeric) is gone"]),
    ),
    (
        "drop index public.plan_code_idx; create index on public.plan (code)",
        Breaks(&["table plan: the index hash (code) is gone"]),
    ),
    (
        "drop index public.plan_lower_idx; create index on public.plan (lower(code))",
        Breaks(&["table plan: the unique index btree (lower((code)::text)) is gone"]),
    ),
    ("create index on public.plan (seen)", Nothing),
    // Functions.
    (
        "drop function public.latest()",
        Breaks(&["function latest(): gone"]),
    ),
    (
        "drop function public.cheaper(numeric, numeric);
         create function public.cheaper(amount numeric) returns integer language sql immutable as 'select 1'",
        Breaks(&["function cheaper(numeric, numeric): gone"]),
    ),
    (
        "drop function public.cheaper(numeric, numeric);
         create function public.cheaper(amount numeric, than numeric default 10) returns boolean
         language sql immutable as 'select amount < than'",
        Breaks(&["function cheaper(numeric, numeric): returns boolean, it was integer"]),
    ),
    (
        "alter function public.cheaper(numeric, numeric) volatile",
        Breaks(&["function cheaper(numeric, numeric): is volatile, it was immutable"]),
    ),
    ("alter function public.latest() immutable", Nothing),
    (
        "drop function public.cheaper(numeric, numeric);
         create function public.cheaper(amount numeric, than numeric) returns integer
         language sql immutable as 'select (amount < than)::integer'",
        Breaks(&["function cheaper(numeric, numeric): fewer arguments may be left out"]),
    ),
    (
        "drop function public.cheaper(numeric, numeric);
         create function public.cheaper(amount numeric, other numeric default 10) returns integer
         language sql immutable as 'select (amount < other)::integer'",
        Breaks(&["function cheaper(numeric, numeric): its arguments have other names"]),
    ),
    (
        "alter function public.latest() security invoker",
        Breaks(&["function latest(): no longer runs with its owner's rights"]),
    ),
    (
        "alter function public.cheaper(numeric, numeric) strict",
        Breaks(&["function cheaper(numeric, numeric): answers null where an argument is null"]),
    ),
    (
        "drop procedure public.nothing()",
        Breaks(&["procedure nothing(): gone"]),
    ),
    (
        "drop aggregate public.total(numeric)",
        Breaks(&["aggregate total(numeric): gone"]),
    ),
    (
        "create function public.more() returns integer language sql as 'select 1'",
        Adds(&["function more()"]),
    ),
    // Types and sequences.
    (
        "alter type public.mood rename to old_mood; create type public.mood as enum ('sad', 'glad');
         alter table public.plan alter column mood type public.mood using null; drop type public.old_mood",
        Breaks(&["enum mood: the value 'calm' is gone"]),
    ),
    (
        "alter type public.mood add value 'wild'",
        Adds(&["value 'wild' of enum mood"]),
    ),
    (
        "alter type public.mood rename to old_mood; create type public.mood as enum ('glad', 'sad', 'calm');
         alter table public.plan alter column mood type public.mood using null; drop type public.old_mood",
        Notes(&["enum mood: its values are sorted otherwise"]),
    ),
    (
        "alter domain public.dollars drop constraint positive",
        Breaks(&["domain dollars: CHECK ((VALUE >= (0)::numeric)) is gone or changed"]),
    ),
    (
        "alter domain public.dollars drop not null",
        Breaks(&["domain dollars: may be null now"]),
    ),
    (
        "alter table public.plan alter column price type numeric(12,2); drop domain public.dollars",
        Breaks(&["domain dollars: gone"]),
    ),
    (
        "alter domain public.dollars rename to old_dollars;
         create domain public.dollars as numeric(10,2) not null constraint positive check (value >= 0);
         alter table public.plan alter column price type public.dollars; drop domain public.old_dollars",
        Breaks(&["domain dollars: numeric(12,2) became numeric(10,2)"]),
    ),
    (
        "alter type public.pair drop attribute high",
        Breaks(&["column pair.high: gone"]),
    ),
    ("drop type public.pair", Breaks(&["type pair: gone"])),
    (
        "drop sequence public.counter",
        Breaks(&["sequence counter: gone"]),
    ),
    // Rights.
    (
        "revoke select on public.plan from compat_reader",
        Breaks(&["role compat_reader lost SELECT on plan"]),
    ),
    (
        "revoke usage on schema part from compat_reader",
        Breaks(&["role compat_reader lost USAGE on schema part"]),
    ),
    (
        "revoke execute on function public.latest() from compat_reader, public",
        Breaks(&[
            "PUBLIC lost EXECUTE on function latest()",
            "role compat_reader lost EXECUTE on function latest()",
        ]),
    ),
    (
        "revoke select (a) on public.open from public",
        Breaks(&[
            "PUBLIC lost SELECT on column open.a",
            "role compat_reader lost SELECT on column open.a",
        ]),
    ),
    (
        "grant select on public.open to compat_reader",
        Nothing,
    ),
    (
        "grant update on public.plan to compat_reader",
        Notes(&["role compat_reader gained UPDATE on plan"]),
    ),
    (
        "grant select on public.plan to public",
        Notes(&["PUBLIC gained SELECT on plan"]),
    ),
    // Words about things.
    (
        "comment on table public.plan is 'all plans'",
        Nothing,
    ),
];

#[tokio::test]
async fn each_kind_of_change_is_told_as_what_it_means_for_a_service() {
    let database = Database::new().await;
    let role =
        "do $$ begin create role compat_reader; exception when duplicate_object then null; end $$";
    database.admin().await.batch_execute(role).await.unwrap();
    let server = database.server(LOADER).await;
    let session = server.connect(&database.name, "test").await.unwrap();
    session.batch_execute("begin").await.unwrap();
    session
        .batch_execute(include_str!("base.sql"))
        .await
        .unwrap();
    session.batch_execute("commit").await.unwrap();
    let roles = ["compat_reader".to_owned(), "public".to_owned()];
    let live = Shape::read(&session, &roles).await.unwrap();
    assert_eq!(compare(&live, &live), Changes::default());

    let mut wrong = Vec::new();
    for (change, means) in CASES {
        session.batch_execute("begin").await.unwrap();
        session
            .batch_execute(change)
            .await
            .unwrap_or_else(|error| panic!("{change}: {error:?}"));
        let candidate = Shape::read(&session, &roles).await.unwrap();
        session.batch_execute("rollback").await.unwrap();
        let mut found = compare(&live, &candidate);
        found.breaking.sort();
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let mut expected = Changes::default();
        match means {
            Breaks(texts) => expected.breaking = lines(texts),
            Notes(texts) => expected.notable = lines(texts),
            Adds(texts) => expected.additions = lines(texts),
            Nothing => {}
        }
        // What a breaking change brings along is not the matter of its case.
        if matches!(means, Breaks(_)) {
            found.notable.clear();
            found.additions.clear();
        }
        if found != expected {
            wrong.push(format!(
                "{change}\n  expected {expected:?}\n  found    {found:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        CASES.len(),
        wrong.join("\n")
    );
    assert!(CASES.len() >= 60);
}
