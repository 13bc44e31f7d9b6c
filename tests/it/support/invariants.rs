//! What must be true whenever no command is at work, whatever happened before.

use super::Project;
use super::cluster::{ADMIN, Cluster};
use std::time::{Duration, Instant};

/// Fails with everything that is not as it must be.
#[track_caller]
pub fn check_invariants(project: &Project) {
    let found = violations(project);
    assert!(found.is_empty(), "{}: {found:#?}", project.name);
}

struct Build {
    id: String,
    name: String,
    nonce: String,
    state: String,
    oid: String,
}

/// Compares ledger, catalog, stamps and sessions. Empty when all is well.
pub fn violations(project: &Project) -> Vec<String> {
    let cluster = project.cluster();
    let mut found = Vec::new();
    if !sessions_end(project) {
        found.push("sessions of overnight are left".into());
    }
    let control = format!(
        "select has_database_privilege('public', '{}', 'connect')::text",
        project.control
    );
    if cluster.one("postgres", &control) != "false" {
        found.push("the control database is open to everybody".into());
    }
    let row = ledger_row(
        project,
        &format!(
            "select coalesce(live_build, 0)::text, coalesce(previous_build, 0)::text from ledger.dataset where dataset = '{}'",
            project.name
        ),
    );
    let (live, previous) = (row[0].clone(), row[1].clone());
    let builds = builds(project);
    let by_id = |id: &str| builds.iter().find(|build| build.id == id);
    // Only a rename gives the live build another name.
    let alias_name = match by_id(&live) {
        Some(build) if project.keeps_names() => build.name.clone(),
        _ => project.name.clone(),
    };
    found.extend(leads(
        project,
        by_id(&live).map(|build| (build, alias_name.as_str())),
    ));

    // The alias is the live build, open to its readers, closed to everybody else.
    let alias = cluster
        .sql(
            "postgres",
            &format!(
                "select oid::text, datallowconn::text, datconnlimit::text from pg_database where datname = '{alias_name}'"
            ),
        )
        .unwrap()
        .into_iter()
        .next();
    match (by_id(&live), &alias) {
        (None, None) => {}
        (None, Some(_)) => found.push("nothing is live and the alias exists".into()),
        (Some(build), None) => found.push(format!("{} is live and the alias is gone", build.name)),
        (Some(build), Some(row)) => {
            if row[0].as_deref() != Some(&build.oid) {
                found.push(format!("the alias is not the live build {}", build.name));
            }
            if row[1].as_deref() != Some("true") || row[2].as_deref() != Some("-1") {
                found.push("the live build is not open".into());
            }
            if build.state != "published" {
                found.push(format!("the live build is {}", build.state));
            }
        }
    }

    // Each build of the ledger is in the catalog exactly as its state says.
    for build in &builds {
        let name = if build.id == live {
            &alias_name
        } else {
            &build.name
        };
        let database = cluster
            .sql(
                "postgres",
                &format!(
                    "select datname, datallowconn::text, (datconnlimit = -2)::text
                     from pg_database where oid = {0} or datname = '{1}'",
                    build.oid, build.name
                ),
            )
            .unwrap();
        match (build.state.as_str(), database.as_slice()) {
            ("dropped" | "failed", []) => {}
            // Its drop was cut short by the server: nobody can open it, and the next retirement
            // drops it.
            ("tombstone", [row]) if row[2].as_deref() == Some("true") => {}
            ("verified" | "published" | "tombstone", [row]) => {
                if row[0].as_ref() != Some(name) {
                    found.push(format!("{} is called {:?}", build.name, row[0]));
                }
                let open = row[1].as_deref() == Some("true");
                if open != (build.state == "published") {
                    found.push(format!("{} is {}, open: {open}", build.name, build.state));
                }
                found.extend(stamp(cluster, name, open, build));
            }
            // Closed, and not verified.
            ("refused", [row]) => {
                if row[0].as_ref() != Some(&build.name) || row[1].as_deref() != Some("false") {
                    found.push(format!("{} is refused: {row:?}", build.name));
                }
            }
            // What the next run can resume: open to its owner alone, with its receipts.
            ("loading", [_]) => {
                let receipts = "select count(*) > 0 and (to_regclass('overnight.set_aside') is not null or exists (select from overnight.filled))
                                from overnight.loaded";
                if cluster.one(&build.name, receipts) != "t" {
                    found.push(format!(
                        "{} is loading and nobody can resume it",
                        build.name
                    ));
                }
            }
            (state, rows) => found.push(format!("{} is {state}: {rows:?}", build.name)),
        }
    }

    // No database that looks like ours is unknown.
    let known: Vec<&str> = builds.iter().map(|build| build.name.as_str()).collect();
    for database in project.databases() {
        if database != project.name && !known.contains(&database.as_str()) {
            found.push(format!("{database} is not in the ledger"));
        }
    }

    let open = project.ledger(
        "select string_agg(id || ' ' || state, ', ') from ledger.flip where state in ('intent', 'switched')",
    );
    if !open.is_empty() {
        found.push(format!("moves are open: {open}"));
    }

    // What can be gone back to is there.
    let earlier = builds.iter().any(|build| {
        build.state == "published"
            && live.parse::<i64>().unwrap() > build.id.parse::<i64>().unwrap()
    });
    match by_id(&previous) {
        None if earlier => found.push("an earlier build exists and none is the previous".into()),
        Some(build) if build.state != "published" => {
            found.push(format!("the previous build is {}", build.state))
        }
        _ => {}
    }

    let public = cluster.one(
        "postgres",
        &format!(
            "select string_agg(datname, ', ') from pg_database d
             where (datname = '{0}' or starts_with(datname, '{0}_') or datname = '{1}') and exists (
                 select from aclexplode(coalesce(datacl, acldefault('d', datdba))) a where a.grantee = 0)",
            project.name, project.control
        ),
    );
    if !public.is_empty() {
        found.push(format!("open to the public: {public}"));
    }
    found
}

/// The pointer, and every pooler, lead to the live build and let clients through.
fn leads(project: &Project, live: Option<(&Build, &str)>) -> Vec<String> {
    let mut found = Vec::new();
    let pointer = project
        .cluster()
        .sql(
            &project.control,
            &format!(
                "select a.build, a.database, (a.epoch = d.epoch)::text from overnight.alias a
                 join ledger.dataset d using (dataset) where dataset = '{}'",
                project.name
            ),
        )
        .unwrap();
    let expected: Vec<Vec<Option<String>>> = live
        .iter()
        .map(|(build, database)| {
            [build.name.as_str(), database, "true"]
                .map(|text| Some(text.to_owned()))
                .to_vec()
        })
        .collect();
    if pointer != expected {
        found.push(format!("the pointer is {pointer:?}, not {expected:?}"));
    }
    for pooler in project.poolers.iter().filter(|pooler| pooler.is_running()) {
        let leads = pooler.leads_to(&project.name);
        if leads.as_deref() != live.map(|(_, database)| database) {
            found.push(format!(
                "a pooler leads to {leads:?}, not to {live:?}",
                live = live.map(|(_, database)| database)
            ));
        }
        if pooler.is_paused(&project.name) {
            found.push("a pooler is paused".into());
        }
    }
    found
}

/// The stamp inside is the ledger's, and verified.
fn stamp(cluster: &Cluster, name: &str, open: bool, build: &Build) -> Option<String> {
    let turn = |on: bool| {
        if !open {
            let sql = format!("alter database \"{name}\" allow_connections {on}");
            cluster.sql("postgres", &sql).unwrap();
        }
    };
    turn(true);
    let inside = cluster.sql_as(
        ADMIN,
        name,
        "select build, nonce, (verified_at is not null)::text from overnight.build",
    );
    turn(false);
    let expected = [&build.name, &build.nonce, "true"].map(|text| Some(text.to_owned()));
    match inside {
        Ok(rows) if rows.len() == 1 && rows[0] == expected => None,
        other => Some(format!("the stamp of {name} is {other:?}")),
    }
}

fn builds(project: &Project) -> Vec<Build> {
    let rows = project
        .cluster()
        .sql(
            &project.control,
            &format!(
                "select id::text, name, nonce, state, coalesce(database_oid, 0)::text
                 from ledger.build where dataset = '{}'",
                project.name
            ),
        )
        .unwrap();
    rows.into_iter()
        .map(|row| {
            let mut cells = row.into_iter().map(Option::unwrap);
            Build {
                id: cells.next().unwrap(),
                name: cells.next().unwrap(),
                nonce: cells.next().unwrap(),
                state: cells.next().unwrap(),
                oid: cells.next().unwrap(),
            }
        })
        .collect()
}

fn ledger_row(project: &Project, sql: &str) -> Vec<String> {
    let rows = project.cluster().sql(&project.control, sql).unwrap();
    rows.into_iter()
        .next()
        .unwrap()
        .into_iter()
        .map(Option::unwrap)
        .collect()
}

/// Waits until the server has noticed that our processes are gone; false after ten seconds.
pub fn sessions_end(project: &Project) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        if sessions(project, "overnight %").is_empty() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// What the sessions of the tool do in this project's databases, by application name.
pub fn sessions(project: &Project, application: &str) -> Vec<String> {
    let sql = format!(
        "select application_name from pg_stat_activity
         where application_name like '{application}' and (datname = '{0}' or starts_with(datname, '{0}_') or datname = '{1}')",
        project.name, project.control
    );
    let rows = project.cluster().sql("postgres", &sql).unwrap();
    rows.into_iter().filter_map(|row| row[0].clone()).collect()
}

/// Waits until a session of the tool with such a name is at work.
#[track_caller]
pub fn wait_for_session(project: &Project, application: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    while sessions(project, application).is_empty() {
        assert!(Instant::now() < end, "no session `{application}` came");
        std::thread::sleep(Duration::from_millis(20));
    }
}
