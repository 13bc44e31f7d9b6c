//! A build against the night before, and against itself.

pub mod corruptions;
mod declared;
mod diff;
mod nights;

use crate::support::Project;
use std::fmt::Write;

/// Rows of `plan`; every sixth has one of `visit` more than the others.
pub const PLANS: u64 = 1200;

const SCHEMA: &str = "create table plan (
    id integer primary key,
    state text not null,
    city text not null,
    name text not null,
    remark text,
    premium numeric(10,2) not null,
    deductible numeric(10,2) not null,
    members integer not null,
    started date not null,
    seen timestamptz not null,
    active boolean not null
);
create index plan_state on plan (state);
-- No key: nothing tells its rows apart.
create table visit (plan integer not null references plan, code text not null, amount numeric(10,2));
create table per_state (state text primary key, plans bigint not null default 0);
create view active_plan as select id, name from plan where active;
create function twice(n integer) returns integer language sql as 'select 2 * n';
create sequence ticket start 100;
create function keep() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger plan_keep before update on plan for each row execute function keep();
";

/// A dataset of two sources and one derived table.
pub fn project(name: &str) -> Project {
    let project = Project::with_schema(name, SCHEMA, "table = \"plan\"\nfiles = \"plan.csv\"\n");
    std::fs::remove_file(project.path(&format!("sources/{name}/item.toml"))).unwrap();
    source(&project, "");
    project.source("visit", "table = \"visit\"\nfiles = \"visit.csv\"\n");
    project.sql(
        "derive/110_per_state.sql",
        "insert into per_state select state, count(*) from plan group by 1;\n",
    );
    project
}

/// `plan.toml` with such expectations.
pub fn source(project: &Project, expect: &str) {
    let text = format!("table = \"plan\"\nfiles = \"plan.csv\"\n{expect}");
    project.source("plan", &text);
}

/// A number that looks random and is always the same.
fn dice(a: u64, b: u64) -> u64 {
    let mut x = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 31;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 29)
}

const STATES: [&str; 8] = ["TX", "CA", "NY", "FL", "OH", "ME", "WA", "VT"];
const CITIES: [&str; 6] = [
    "Añasco",
    "San José",
    "Peñuelas",
    "Austin",
    "Loíza",
    "Bayamón",
];

/// Writes the files of a night: of every hundred rows about three have other values than the
/// night before, one is new and one is gone.
pub fn night(project: &Project, night: u64) {
    let mut plans =
        String::from("id,state,city,name,remark,premium,deductible,members,started,seen,active\n");
    let mut visits = String::from("plan,code,amount\n");
    let first = night * 12;
    // Every row is seen anew every night: that is as it should be.
    let (month, day) = match night {
        0..30 => (9, night + 1),
        30..61 => (10, night - 29),
        _ => (11, night - 60),
    };
    for id in first..first + PLANS + night * 3 {
        // In which of the nights so far this row was last touched.
        let touched = (1..=night)
            .rev()
            .find(|n| dice(id, *n) % 100 < 3)
            .unwrap_or(0);
        let roll = |what: u64| dice(id * 31 + what, touched);
        let state = STATES[(dice(id, 77) % 8) as usize];
        let city = CITIES[(dice(id, 78) % 6) as usize];
        let remark = match roll(1) % 3 {
            0 => String::new(),
            kind => format!("remark {kind} of plan {} in {city}", roll(2) % 500),
        };
        writeln!(
            plans,
            "{id},{state},{city},Plan {} of {city},{remark},{}.{:02},{}.{:02},{},20{:02}-{:02}-{:02},2026-{month:02}-{day:02} 0{}:00:00+00,{}",
            roll(3) % 900,
            20 + roll(4) % 180,
            1 + roll(5) % 99,
            1000 + roll(6) % 4000,
            1 + roll(7) % 99,
            roll(8) % 50_000,
            10 + dice(id, 79) % 15,
            1 + dice(id, 80) % 12,
            1 + dice(id, 81) % 28,
            dice(id, 82) % 10,
            roll(9) % 10 < 8
        )
        .unwrap();
        for visit in 0..1 + dice(id, 83) % 2 {
            let (code, cents) = (roll(10 + visit) % 40, roll(20 + visit) % 100);
            writeln!(visits, "{id},V{code:03},{}.{cents:02}", 5 + code * 3).unwrap();
        }
    }
    project.input("plan.csv", plans);
    project.input("visit.csv", visits);
}

/// The name of the newest build.
pub fn newest(project: &Project) -> String {
    project.ledger("select name from ledger.build order by id desc limit 1")
}
