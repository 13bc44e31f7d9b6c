//! What must not be published: each corruption is made for real, and a gate must name it.

use super::{newest, night, project};
use crate::support::Project;

/// Made by a derive file, so before anything is measured: only the nights before can tell. What is done, and
/// what the gates say.
const BY_NIGHT: &[(&str, &str, &[&str])] = &[
    (
        "swapped columns",
        "update plan set premium = deductible, deductible = premium",
        &["profile of plan", "premium: "],
    ),
    (
        "swapped texts",
        "update plan set state = city, city = state",
        &["profile of plan", "state: "],
    ),
    (
        "shifted rows of one column",
        "update plan p set members = o.members from (select id, lead(members, 1, 0) over (order by id) as members from plan) o where o.id = p.id",
        &["profile of plan", "members: ", "have another value"],
    ),
    (
        "mojibake",
        "update plan set city = convert_from(convert_to(city, 'UTF8'), 'WIN1252') where city <> 'Austin'",
        &["profile of plan", "city: ", "wrong encoding"],
    ),
    (
        "halved",
        "alter table visit drop constraint visit_plan_fkey; delete from plan where id % 2 = 0; delete from visit where plan % 2 = 0; alter table visit add constraint visit_plan_fkey foreign key (plan) references plan",
        &["profile of plan", "rows instead of"],
    ),
    (
        "doubled rows of a table without a key",
        "insert into visit select * from visit",
        &["profile of visit", "rows instead of", "(+10"],
    ),
    (
        "set to null",
        "update plan set remark = null",
        &["profile of plan", "remark: nulls", "-> 100.0%"],
    ),
    (
        "set to a constant",
        "update plan set premium = 100",
        &["profile of plan", "premium: "],
    ),
    (
        "dates moved by a century",
        "update plan set started = started - interval '100 years'",
        &["started: days moved by -36"],
    ),
    (
        "times 100",
        "update plan set premium = premium * 100",
        &["premium: typical size times "],
    ),
    (
        "sign flipped",
        "update plan set members = -members",
        &["members: below zero"],
    ),
    (
        "texts cut",
        "update plan set name = left(name, 6)",
        &["name: average length"],
    ),
    (
        "texts padded",
        "update plan set name = name || '  '",
        &["name: white space at an end 0.0% -> 100.0%"],
    ),
    (
        "in capitals",
        "update plan set name = upper(name)",
        &["name: in capitals"],
    ),
    (
        "white space",
        "update plan set city = ' ' || city",
        &["city: white space at an end"],
    ),
    (
        "rounded",
        "update plan set premium = round(premium)",
        &["premium: with a fraction"],
    ),
    (
        "one group missing",
        "delete from visit using plan where plan.id = visit.plan and state = 'TX'; delete from plan where state = 'TX'",
        &["profile of plan", "state: ", "had a value that is gone"],
    ),
    (
        "other keys",
        "alter table visit drop constraint visit_plan_fkey; update plan set id = id + 1000000; update visit set plan = plan + 1000000; alter table visit add constraint visit_plan_fkey foreign key (plan) references plan",
        &["profile of plan", "of the keys or rows are others"],
    ),
    (
        "random values",
        "update plan set members = (random() * 50000)::int",
        &["members: ", "have another value"],
    ),
    (
        "other rows of a table without a key",
        "update visit set amount = amount + 0.01",
        &["profile of visit", "of the keys or rows are others"],
    ),
    (
        "emptied",
        "truncate visit",
        &["profile of visit", "0 rows instead of"],
    ),
    (
        "unlogged",
        "alter table per_state set unlogged",
        &["unlogged"],
    ),
];

/// Makes each of [`BY_NIGHT`] in a night of its own; returns how many there are and what was missed.
pub fn by_night(name: &str, first: u64) -> (usize, Vec<String>) {
    let project = project(name);
    for number in first..first + 3 {
        night(&project, number);
        project.run().code(0);
    }
    let live = project.live();
    night(&project, first + 3);
    let mut missed = Vec::new();
    for (what, sql, says) in BY_NIGHT {
        // A change of row counts would be found by counting; here the figures must find it.
        project.sql("derive/120_corrupt.sql", &format!("{sql};\n"));
        let ended = project.overnight(&["run", &project.name, "--no-rotate"]);
        let found = ended.code == 1 && says.iter().all(|text| ended.stderr.contains(text));
        if !found || project.live() != live {
            missed.push(format!("{what}: {} {}", ended.code, ended.stderr));
        }
    }
    // And without a corruption the same night is published.
    let corrupt = format!("sql/{name}/derive/120_corrupt.sql");
    std::fs::remove_file(project.path(&corrupt)).unwrap();
    project.run().code(0);
    assert_ne!(project.live(), live);
    (BY_NIGHT.len(), missed)
}

/// Made in a finished build that waits: what is, is compared with what was measured. By the owner
/// unless the test can only do it as a superuser.
const AFTERWARDS: &[(&str, &str, &str)] = &[
    (
        "swapped columns",
        "update plan set premium = deductible, deductible = premium",
        "content of plan",
    ),
    (
        "shifted rows",
        "update plan p set members = o.members from (select id, lead(members, 1, 0) over (order by id) as members from plan) o where o.id = p.id",
        "content of plan",
    ),
    (
        "two values swapped",
        "update plan p set members = o.members from plan o where (p.id, o.id) in ((100, 101), (101, 100))",
        "belong to other rows",
    ),
    (
        "lost grants",
        "revoke select on visit from READER",
        "missing rights of readers",
    ),
    (
        "dropped index",
        "drop index plan_state",
        "missing: index public.plan_state",
    ),
    (
        "mojibake",
        "update plan set city = convert_from(convert_to(city, 'UTF8'), 'WIN1252') where city = 'Loíza'",
        "column city holds other values",
    ),
    (
        "halved",
        "delete from visit where plan % 2 = 0",
        "rows of visit",
    ),
    (
        "doubled",
        "insert into visit select * from visit",
        "rows of visit",
    ),
    (
        "null",
        "update plan set remark = null where id = 100",
        "column remark holds other values",
    ),
    (
        "constant",
        "update plan set active = true",
        "column active holds other values",
    ),
    (
        "dates",
        "update plan set started = started + interval '100 years'",
        "column started",
    ),
    (
        "times 100",
        "update plan set premium = premium * 100 where id < 90",
        "column premium",
    ),
    (
        "sign",
        "update plan set members = -members where id = 100",
        "column members",
    ),
    ("cut", "update plan set name = left(name, 9)", "column name"),
    (
        "padded",
        "update plan set name = name || ' ' where id = 100",
        "column name",
    ),
    (
        "capitals",
        "update plan set name = upper(name) where id = 100",
        "column name",
    ),
    (
        "white space",
        "update plan set remark = replace(remark, ' ', '  ')",
        "column remark",
    ),
    (
        "rounded",
        "update visit set amount = round(amount)",
        "column amount",
    ),
    (
        "group missing",
        "delete from visit using plan where plan.id = visit.plan and state = 'TX'",
        "rows of visit",
    ),
    (
        "keys renumbered",
        "alter table visit drop constraint visit_plan_fkey; update plan set id = id + 5000",
        "column id holds other values",
    ),
    (
        "random values",
        "update plan set members = (random() * 50000)::int where id % 10 = 0",
        "column members",
    ),
    ("truncated", "truncate visit", "rows of visit"),
    (
        "rows of another night",
        "update plan set seen = seen - interval '1 day'",
        "column seen",
    ),
    (
        "a derived table",
        "update per_state set plans = plans + 1 where state = 'TX'",
        "content of per_state",
    ),
    (
        "unlogged",
        "alter table visit set unlogged",
        "unlogged tables",
    ),
    (
        "not analyzed",
        // The server itself would analyze it sooner or later.
        "create table copy with (autovacuum_enabled = off) as select * from visit; drop table visit cascade; alter table copy rename to visit; alter table visit owner to overnight",
        "tables never analyzed",
    ),
    (
        "orphans",
        "alter table visit drop constraint visit_plan_fkey; update visit set plan = -1 where plan = 100; alter table visit add constraint visit_plan_fkey foreign key (plan) references plan not valid",
        "unvalidated constraints",
    ),
    (
        "orphans behind the key's back",
        "set session_replication_role = replica; update visit set plan = -1 where plan = 100",
        "content of visit",
    ),
    (
        "disabled trigger",
        "alter table plan disable trigger plan_keep",
        "disabled triggers",
    ),
    (
        "view",
        "create or replace view active_plan as select id, name from plan",
        "missing: view public.active_plan",
    ),
    (
        "function",
        "create or replace function twice(n integer) returns integer language sql as 'select 3 * n'",
        "function public.twice",
    ),
    (
        "default",
        "alter table per_state alter plans set default 1",
        "column public.per_state.plans",
    ),
    (
        "sequence",
        "select nextval('public.ticket')",
        "sequence public.ticket is at",
    ),
    (
        "wrong stamp",
        "update overnight.build set nonce = 'x'",
        "stamp",
    ),
    (
        "extra rows",
        "insert into visit values (100, 'V000', 1)",
        "rows of visit",
    ),
    (
        "type",
        "alter table plan alter members type bigint",
        "column public.plan.members",
    ),
    (
        "collation",
        "alter table visit alter code type text collate \"POSIX\"",
        "column public.visit.code",
    ),
    (
        "catalog and its copy",
        "drop index plan_state; delete from overnight.finished where line like 'index public.plan_state:%'",
        "what the stamp says of it was changed",
    ),
];

/// Makes each of [`AFTERWARDS`]; returns how many there are and what was missed.
pub fn afterwards(name: &str, number: u64) -> (usize, Vec<String>) {
    let project = project(name);
    night(&project, number);
    project
        .overnight(&["run", &project.name, "--no-rotate"])
        .code(0);
    let build = newest(&project);
    project
        .overnight(&["verify", &project.name, &build])
        .code(0);
    let admin = |sql: &str| project.cluster().sql("postgres", sql).unwrap();
    let pristine = format!("{build}_pristine");
    admin(&format!("create database {pristine} template {build}"));
    let mut missed = Vec::new();
    for (what, sql, says) in AFTERWARDS {
        replace(&project, &build, &pristine);
        admin(&format!("alter database {build} allow_connections true"));
        let sql = sql.replace("READER", &project.reader);
        let sql = format!("set search_path = public; {sql}");
        project
            .cluster()
            .sql(&build, &sql)
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        admin(&format!("alter database {build} allow_connections false"));
        let told = project.overnight(&["verify", &project.name, &build]);
        let failed: Vec<&str> = told
            .stdout
            .lines()
            .filter(|line| line.contains("FAILED"))
            .collect();
        if told.code != 1 || !failed.iter().any(|line| line.contains(says)) {
            missed.push(format!("{what}: {} {failed:?} {}", told.code, told.stderr));
        }
    }
    replace(&project, &build, &pristine);
    project
        .overnight(&["verify", &project.name, &build])
        .code(0);
    admin(&format!("drop database {pristine}"));
    (AFTERWARDS.len(), missed)
}

/// Puts the build back as it was: a copy, of which the ledger is told.
fn replace(project: &Project, build: &str, pristine: &str) {
    let admin = |sql: &str| project.cluster().sql("postgres", sql).unwrap();
    admin(&format!("drop database {build} with (force)"));
    admin(&format!(
        "create database {build} template {pristine} owner overnight allow_connections false"
    ));
    admin(&format!("revoke all on database {build} from public"));
    let oid = project.cluster().one(
        "postgres",
        &format!("select oid from pg_database where datname = '{build}'"),
    );
    project.ledger(&format!(
        "update ledger.build set database_oid = {oid} where name = '{build}'"
    ));
}
