//! Tells others what has happened, after it is true.
//!
//! In: the ledger, which says what is true, and the hooks of overnight.toml. Out: deliveries, written
//! down before they are tried and crossed off when somebody took them: at least once, always with the
//! same id. A hook can change nothing: not the alias, not the outcome of a command. What is not
//! delivered now is tried by the next command.

mod deliver;
mod typed;

pub use deliver::{deliver, deliver_unrecorded};
pub use typed::{Hook, HookFile, Kind, resolve};

use crate::crashpoint;
use crate::ledger::Ledger;
use crate::ledger::deliveries::Delivery;
use anyhow::Result;
use jiff::Timestamp;
use rand::Rng;
use serde_json::{Value, json};

/// Something that happened and is no move of the alias.
#[derive(Debug)]
pub struct Event<'e> {
    pub kind: Kind,
    pub dataset: &'e str,
    pub build: Option<&'e str>,
    /// Exit status of the command.
    pub status: u8,
    /// What went wrong, or until when something waits; names and counts, no values of the data.
    pub detail: Option<&'e str>,
}

/// Writes down what hooks are to be told of the moves of an alias since the last look. Gives how
/// many moves there were.
pub async fn tell_moves(ledger: &Ledger, hooks: &[Hook], dataset: &str) -> Result<usize> {
    let flips = ledger.untold_flips(dataset).await?;
    for flip in &flips {
        let kind = match flip.rollback {
            true => Kind::RolledBack,
            false => Kind::Rotated,
        };
        let text = match flip.rollback {
            true => format!("{dataset}: gone back to {}", flip.build),
            false => format!("{dataset}: {} is live", flip.build),
        };
        let more = json!({
            "build": flip.build,
            "previous": flip.previous,
            "schema_version": flip.schema_version,
            "rows": flip.rows,
            "reason": flip.reason,
            "actor": flip.actor,
            "at": flip.at,
            "status": 0,
            "text": text,
        });
        let deliveries = deliveries(hooks, dataset, kind, &more);
        crashpoint::reached("hook.before_record");
        ledger.tell_flip(dataset, flip, &deliveries).await?;
        crashpoint::reached("hook.after_record");
    }
    Ok(flips.len())
}

/// Writes down what hooks are to be told of anything else.
pub async fn tell(ledger: &Ledger, hooks: &[Hook], event: &Event<'_>) -> Result<()> {
    let deliveries = deliveries(hooks, event.dataset, event.kind, &document_of(event));
    ledger.add_deliveries(event.dataset, &deliveries).await
}

fn document_of(event: &Event<'_>) -> Value {
    let Event { dataset, kind, .. } = event;
    let text = match (kind, event.build, event.detail) {
        (Kind::Unchanged, Some(build), _) => format!("{dataset}: unchanged, {build} stays live"),
        (Kind::Verified, Some(build), None) => format!("{dataset}: {build} is verified and waits"),
        (Kind::Verified, Some(build), Some(until)) => {
            format!("{dataset}: {build} is verified and waits for approval until {until}")
        }
        (kind, _, Some(detail)) => format!("{dataset}: {}: {detail}", kind.word()),
        (kind, _, None) => format!("{dataset}: {}", kind.word()),
    };
    json!({
        "build": event.build,
        "at": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "status": event.status,
        "detail": event.detail,
        "text": text,
    })
}

/// The same event for everybody who wants to know of it.
fn deliveries(hooks: &[Hook], dataset: &str, kind: Kind, more: &Value) -> Vec<Delivery> {
    let event = format!("{:032x}", rand::rng().random::<u128>());
    let mut document = json!({
        "format": 1,
        "event": event,
        "kind": kind.word(),
        "ok": kind.is_ok(),
        "dataset": dataset,
    });
    if let (Some(document), Some(more)) = (document.as_object_mut(), more.as_object()) {
        document.extend(more.clone());
    }
    let wanting = hooks.iter().filter(|hook| hook.wants(dataset, kind));
    wanting
        .map(|hook| Delivery {
            hook: hook.name.clone(),
            event: event.clone(),
            kind: kind.word().into(),
            document: document.to_string(),
        })
        .collect()
}
