//! The alias moves under clients that come back at once, again and again.

use super::{Row, percentile, seconds};
use crate::support::cluster::ADMIN;
use crate::support::{Project, check_invariants};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const CLIENTS: usize = 6;
const MOST_ERRORS: usize = 2;
const LIMIT: Duration = Duration::from_millis(1500);

/// What one client met during one part of the story.
#[derive(Default, Clone)]
struct Met {
    /// By SQLSTATE; `lost` when the connection ended without one.
    errors: BTreeMap<String, usize>,
    /// From the last answer before an error to the next one.
    unavailable: Duration,
    /// Builds in the order in which they were seen, without repeats.
    builds: Vec<String>,
}

#[test]
fn a_moved_alias_costs_each_client_two_errors_at_most_and_a_blocked_move_changes_nothing() {
    let row = Row::begin(
        "rename_flip",
        "rename flip, clients that reconnect at once: errors per client, unavailable, a blocked flip changes nothing",
        [
            "10 flips: at most 2 / 1.5 s / always",
            "100 flips: at most 2 / p99 1.5 s / always",
        ],
    );
    let flips = row.pick(10, 100);
    let project = Project::new("rename_flip");
    let mut nights = Vec::new();
    for rows in [10, 11] {
        project.items(rows, "night");
        project.run().code(0);
        nights.push(project.live());
    }

    // The parts are a blocked move, then a move, and so on; part 0 is before all of them.
    let (part, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let next = || {
        std::thread::sleep(Duration::from_millis(150));
        part.fetch_add(1, Ordering::SeqCst);
    };
    let mut blocked_bad = Vec::new();
    let met: Vec<Vec<Met>> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| client(&project, 2 * flips + 1, &part, &stop)))
            .collect();
        for flip in 0..flips {
            let to = &nights[flip % 2];
            next();
            if let Err(what) = blocked(&project, to) {
                blocked_bad.push(format!("blocked flip {flip}: {what}"));
            }
            next();
            project.overnight(&["rotate", &project.name, to]).code(0);
        }
        next();
        stop.store(true, Ordering::SeqCst);
        clients.into_iter().map(|one| one.join().unwrap()).collect()
    });
    check_invariants(&project);

    let mut bad = blocked_bad;
    let blocked_held = flips - bad.len();
    let (mut codes, mut times, mut most) = (BTreeMap::new(), Vec::new(), 0);
    for (n, client) in met.iter().enumerate() {
        for flip in 0..flips {
            let (from, to) = (&nights[(flip + 1) % 2], &nights[flip % 2]);
            let (before, after) = (&client[2 * flip + 1], &client[2 * flip + 2]);
            if before.builds.iter().any(|build| build != from) {
                bad.push(format!(
                    "client {n} saw {:?} in a blocked flip",
                    before.builds
                ));
            }
            if !matches!(after.builds.as_slice(), [b] if b == to)
                && !matches!(after.builds.as_slice(), [a, b] if a == from && b == to)
            {
                bad.push(format!("client {n} saw {:?} in flip {flip}", after.builds));
            }
            let errors = after.errors.values().sum();
            most = most.max(errors);
            if errors > MOST_ERRORS {
                bad.push(format!("client {n}, flip {flip}: {:?}", after.errors));
            }
            for (code, count) in &after.errors {
                *codes.entry(code.clone()).or_insert(0) += count;
            }
            times.push(after.unavailable);
        }
    }
    let slow = percentile(&times, row.pick(1.0, 0.99));
    if slow > LIMIT {
        bad.push(format!("a client was without an answer for {slow:?}"));
    }
    row.end(
        &format!(
            "{flips} flips: at most {most} / {} / {blocked_held} of {flips} blocked flips changed nothing",
            seconds(slow)
        ),
        &json!({
            "flips": flips,
            "clients": CLIENTS,
            "most_errors": most,
            "errors": codes,
            "unavailable_s": slow.as_secs_f64(),
            "blocked_held": blocked_held,
        }),
        &bad,
    );
}

/// A move while a superuser is connected, who is never thrown out: it is refused, and all is as
/// it was.
fn blocked(project: &Project, to: &str) -> Result<(), String> {
    let cluster = project.cluster();
    let admin = cluster.block_on(async {
        let admin = cluster.client(ADMIN, &project.name).await?;
        admin
            .batch_execute("set application_name = 'backup'")
            .await?;
        Ok::<_, tokio_postgres::Error>(admin)
    });
    let admin = admin.map_err(|error| format!("{error:?}"))?;
    let state = || {
        let alias = format!(
            "select oid from pg_database where datname = '{}'",
            project.name
        );
        let row =
            "select concat_ws(' ', live_build, previous_build, epoch, held) from ledger.dataset";
        (cluster.one("postgres", &alias), project.ledger(row))
    };
    let before = state();
    let limits = ["--flip-limit", "300ms", "--flip-window", "300ms"];
    let command = [&["rotate", &project.name, to], &limits[..]].concat();
    let told = project.overnight(&command);
    if told.code != 3 || !told.stderr.contains("nothing was changed") {
        return Err(format!("{told:?}"));
    }
    let flip = project.ledger("select state from ledger.flip order by id desc limit 1");
    if state() != before || flip != "abandoned" {
        return Err(format!("{before:?} became {:?}, {flip}", state()));
    }
    cluster
        .block_on(admin.batch_execute("select 1"))
        .map_err(|error| format!("the superuser was thrown out: {error:?}"))
}

/// Asks for the build again and again, and connects at once after an error.
fn client(project: &Project, parts: usize, part: &AtomicUsize, stop: &AtomicBool) -> Vec<Met> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut met = vec![Met::default(); parts + 1];
    runtime.block_on(async {
        let mut session = None;
        let mut answered = Instant::now();
        let mut failing = None;
        while !stop.load(Ordering::SeqCst) {
            let asked = async {
                let open = match session.take() {
                    Some(open) => open,
                    None => {
                        project
                            .cluster()
                            .client(&project.reader, &project.name)
                            .await?
                    }
                };
                let row = open.query_one("select build from overnight.build", &[]);
                let build: String = row.await?.get(0);
                session = Some(open);
                Ok::<_, tokio_postgres::Error>(build)
            };
            let answer = asked.await;
            let now = &mut met[part.load(Ordering::SeqCst)];
            match answer {
                Ok(build) => {
                    if failing.take().is_some() {
                        now.unavailable = now.unavailable.max(answered.elapsed());
                    }
                    if now.builds.last() != Some(&build) {
                        now.builds.push(build);
                    }
                    answered = Instant::now();
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Err(error) => {
                    failing = Some(());
                    let code = error.code().map_or("lost", |code| code.code());
                    *now.errors.entry(code.to_owned()).or_default() += 1;
                }
            }
        }
    });
    met
}
