//! The alias moves behind a pooler in transaction mode, again and again, under load: no transaction
//! fails and none sees two builds.
//!
//! A busy machine makes transactions wait without any move. The same clients are therefore measured before
//! the first move as well: what they wait longest there is the machine's, and comes on top of the limit.

use super::{Row, percentile};
use crate::support::pooler::first;
use crate::support::{Project, check_invariants};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CLIENTS: usize = 8;
const LIMIT: Duration = Duration::from_millis(250);
/// How long the clients are measured before the first move.
const BEFORE: Duration = Duration::from_secs(4);
const BUILD: &str = "select build from overnight.build";

/// What one client met.
#[derive(Default)]
struct Met {
    failed: Vec<String>,
    mixed: usize,
    /// When each transaction began, and how long it took.
    times: Vec<(Instant, Duration)>,
    /// Builds in the order in which they were seen, without repeats.
    builds: Vec<String>,
}

#[test]
fn no_transaction_fails_or_sees_two_builds_while_a_pooler_is_moved() {
    let row = Row::begin(
        "pgbouncer_flip",
        "flip through PgBouncer (transaction mode) under load: failed, mixed-version transactions, worst added latency",
        ["10 flips: 0 / 0 / 250 ms", "100 flips: 0 / 0 / 250 ms"],
    );
    let flips = row.pick(10, 100);
    let mut project = Project::new("torn_pooler");
    project.behind_poolers(&["transaction"], "drain = \"10s\"");
    let mut nights = Vec::new();
    for rows in [10, 11] {
        project.items(rows, "night");
        project.run().code(0);
        nights.push(project.live());
    }
    let stop = AtomicBool::new(false);
    let (met, first_flip): (Vec<Met>, Instant) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| client(&project, &stop)))
            .collect();
        std::thread::sleep(row.pick(BEFORE, 5 * BEFORE));
        let first_flip = Instant::now();
        for flip in 0..flips {
            std::thread::sleep(Duration::from_millis(200));
            let to = &nights[flip % 2];
            project.overnight(&["rotate", &project.name, to]).code(0);
        }
        std::thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::SeqCst);
        let met = clients.into_iter().map(|one| one.join().unwrap());
        (met.collect(), first_flip)
    });
    check_invariants(&project);

    let mut bad = Vec::new();
    let (mut failed, mut mixed, mut times, mut before) = (0, 0, Vec::new(), Vec::new());
    for (number, client) in met.into_iter().enumerate() {
        failed += client.failed.len();
        mixed += client.mixed;
        bad.extend(client.failed);
        // The first of the two nights is what was live before the first flip to it: each flip shows once.
        if client.builds.len() != flips + 1 {
            bad.push(format!(
                "client {number} saw {} builds",
                client.builds.len()
            ));
        }
        for (began, took) in client.times {
            match began + took < first_flip {
                true => before.push(took),
                false => times.push(took),
            }
        }
    }
    if mixed > 0 {
        bad.push(format!("{mixed} transactions saw two builds"));
    }
    let usual = percentile(&times, 0.5);
    let added = percentile(&times, 1.0) - usual;
    let without = percentile(&before, 1.0).saturating_sub(usual);
    if added > LIMIT + without {
        bad.push(format!(
            "a transaction took {added:?} longer than usual, {without:?} without a move"
        ));
    }
    let count = times.len();
    row.end(
        &format!(
            "{flips} flips, {count} transactions: {failed} / {mixed} / {} ms; {} ms without a flip",
            added.as_millis(),
            without.as_millis()
        ),
        &json!({
            "flips": flips,
            "clients": CLIENTS,
            "transactions": count,
            "failed": failed,
            "mixed": mixed,
            "added_ms": added.as_secs_f64() * 1000.0,
            "without_ms": without.as_secs_f64() * 1000.0,
            "usual_ms": usual.as_secs_f64() * 1000.0,
        }),
        &bad,
    );
}

/// One connection to the pooler for the whole time; each transaction looks twice.
fn client(project: &Project, stop: &AtomicBool) -> Met {
    let mut met = Met::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let open = project.poolers[0]
            .client(&project.reader, &project.name)
            .await
            .unwrap();
        while !stop.load(Ordering::SeqCst) {
            let began = Instant::now();
            let seen = async {
                open.simple_query("begin").await?;
                let one = first(&open, BUILD).await?;
                tokio::time::sleep(Duration::from_millis(3)).await;
                let two = first(&open, BUILD).await?;
                open.simple_query("commit").await?;
                Ok::<_, tokio_postgres::Error>((one.unwrap(), two.unwrap()))
            };
            match seen.await {
                Ok((one, two)) => {
                    met.times.push((began, began.elapsed()));
                    met.mixed += usize::from(one != two);
                    if met.builds.last() != Some(&two) {
                        met.builds.push(two);
                    }
                }
                Err(error) => {
                    met.failed.push(format!("{error:?}"));
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    met
}
