//! Makes the deliveries that the ledger has waiting.
//!
//! Each hook is told on its own, so that one that hangs does not keep another waiting, and the newest
//! event first. An attempt that fails is repeated with growing pauses while `try_for` lasts; what is
//! left then stays in the ledger.

use super::{Event, Hook, deliveries, document_of};
use crate::crashpoint;
use crate::ledger::Ledger;
use crate::ledger::deliveries::Claimed;
use crate::outside::Answer;
use crate::switch;
use anyhow::Result;
use futures_util::future::join_all;
use std::time::{Duration, Instant};

/// Before the second attempt; doubled after each, up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// What a claim lasts beyond the timeout of its attempt, which ends a command not at once.
const LEASE_BEYOND: Duration = Duration::from_secs(10);

/// Tells every hook what waits for it. What could not be delivered is a warning. Returns whether all of
/// it was delivered.
///
/// # Errors
/// The ledger cannot be read or written; what was delivered meanwhile may be delivered again.
pub async fn deliver(ledger: &Ledger, hooks: &[Hook]) -> Result<bool> {
    let told = join_all(hooks.iter().map(|hook| tell_one(ledger, hook))).await;
    let told: Vec<bool> = told.into_iter().collect::<Result<_>>()?;
    Ok(told.into_iter().all(|delivered| delivered))
}

async fn tell_one(ledger: &Ledger, hook: &Hook) -> Result<bool> {
    let began = Instant::now();
    let mut pause = PAUSE;
    loop {
        let mut last = None;
        for id in ledger.waiting_deliveries(&hook.name).await? {
            if last.is_some() && began.elapsed() >= hook.try_for {
                break;
            }
            let Some(claimed) = ledger.claim_delivery(id, lease(hook)).await? else {
                continue;
            };
            crashpoint::reached("hook.before_delivery");
            let answer = send(hook, &claimed).await;
            crashpoint::reached("hook.after_delivery");
            let error = (!answer.ok).then_some(answer.text);
            ledger
                .settle_delivery(claimed.id, error.as_deref(), hook.give_up_after)
                .await?;
            last = error.or(last);
        }
        let Some(error) = last else { return Ok(true) };
        if began.elapsed() + pause > hook.try_for || !switch::on("hook.retry") {
            tracing::warn!(
                hook = %hook.name,
                "not delivered: {error}; the next command tries again"
            );
            return Ok(false);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn lease(hook: &Hook) -> Duration {
    let timeout = hook.call.as_ref().map(|call| call.timeout);
    timeout.unwrap_or_default() + LEASE_BEYOND
}

async fn send(hook: &Hook, claimed: &Claimed) -> Answer {
    let call = match &hook.call {
        Ok(call) => call,
        Err(why) => {
            return Answer {
                ok: false,
                text: why.clone(),
            };
        }
    };
    let env = [
        ("OVERNIGHT_EVENT", claimed.event.clone()),
        ("OVERNIGHT_KIND", claimed.kind.clone()),
        ("OVERNIGHT_DATASET", claimed.dataset.clone()),
    ];
    let document = format!("{}\n", claimed.document);
    call.send(&document, &env, Some(&claimed.event)).await
}

/// Tells hooks what no ledger could keep, because its server does not answer: once, and no more.
pub async fn deliver_unrecorded(hooks: &[Hook], event: &Event<'_>) {
    let document = document_of(event);
    for delivery in deliveries(hooks, event.dataset, event.kind, &document) {
        let Some(hook) = hooks.iter().find(|hook| hook.name == delivery.hook) else {
            continue;
        };
        let claimed = Claimed {
            id: 0,
            event: delivery.event,
            dataset: event.dataset.to_owned(),
            kind: delivery.kind,
            document: delivery.document,
        };
        let answer = send(hook, &claimed).await;
        if !answer.ok {
            tracing::warn!(hook = %hook.name, "not delivered: {}", answer.text);
        }
    }
}
