//! Reads the events, and proves that none was changed or taken out.
//!
//! In: the ledger. Out: events as they were written, and for each dataset a [`Chain`] with what does
//! not fit. The hashes are computed here anew, not by the server: whoever can change a row could
//! change the function that made its hash. Somebody with all rights can still write the whole chain
//! anew; the last hash, kept elsewhere, shows that too.

use super::Ledger;
use crate::dataset::hex;
use crate::switch;
use anyhow::{Context, Result};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use std::collections::BTreeMap;

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// Place in the chain of its dataset, from 1.
    pub position: Option<i64>,
    #[serde(skip)]
    id: i64,
    /// UTC, with microseconds.
    pub at: String,
    pub dataset: String,
    #[serde(skip)]
    build_id: Option<i64>,
    pub build: Option<String>,
    pub kind: String,
    pub detail: Option<String>,
    pub actor: String,
    #[serde(skip)]
    hash: Option<Vec<u8>>,
}

/// What is known of the events of one dataset.
#[derive(Debug, Clone, Serialize)]
pub struct Chain {
    pub dataset: String,
    pub events: usize,
    /// Hash of the last event, to be kept where nobody who can write the ledger can write.
    pub last_hash: String,
    /// What does not fit; empty when nothing was changed or taken out.
    pub faults: Vec<String>,
}

/// The end of a chain, as written beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Head {
    position: i64,
    hash: Vec<u8>,
}

impl Ledger {
    /// The newest events, oldest first; of one dataset or of all.
    pub async fn events(&self, dataset: Option<&str>, limit: i64) -> Result<Vec<Event>> {
        let rows = self
            .session
            .query(
                "select e.position, e.id, to_char(e.at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
                        e.dataset, e.build, b.name, e.kind, e.detail, e.actor, e.hash
                 from ledger.event e left join ledger.build b on b.id = e.build
                 where $1::text is null or e.dataset = $1 order by e.id desc limit $2",
                &[&dataset, &limit],
            )
            .await
            .context("read the events from the ledger")?;
        Ok(rows
            .iter()
            .rev()
            .map(|row| Event {
                position: row.get(0),
                id: row.get(1),
                at: row.get(2),
                dataset: row.get(3),
                build_id: row.get(4),
                build: row.get(5),
                kind: row.get(6),
                detail: row.get(7),
                actor: row.get(8),
                hash: row.get(9),
            })
            .collect())
    }

    /// Computes every chain anew, of one dataset or of all.
    pub async fn chains(&self, dataset: Option<&str>) -> Result<Vec<Chain>> {
        // One view of both tables: an event may be added meanwhile.
        self.session
            .batch_execute("begin isolation level repeatable read read only")
            .await?;
        let read = async {
            let rows = self
                .session
                .query(
                    "select dataset, position, hash from ledger.event_head where $1::text is null or dataset = $1",
                    &[&dataset],
                )
                .await
                .context("read the ends of the chains")?;
            let heads: BTreeMap<String, Head> = rows
                .iter()
                .map(|row| {
                    let head = Head {
                        position: row.get(1),
                        hash: row.get(2),
                    };
                    (row.get(0), head)
                })
                .collect();
            anyhow::Ok((heads, self.events(dataset, i64::MAX).await?))
        }
        .await;
        self.rollback().await;
        let (mut heads, events) = read?;
        let mut chains: BTreeMap<String, Vec<Event>> = BTreeMap::new();
        for name in heads.keys() {
            chains.insert(name.clone(), Vec::new());
        }
        for event in events {
            chains.entry(event.dataset.clone()).or_default().push(event);
        }
        Ok(chains
            .into_iter()
            .map(|(dataset, events)| check(&dataset, events, heads.remove(&dataset)))
            .collect())
    }
}

/// Compares the events of one dataset with their hashes and with the end that is written beside them.
fn check(dataset: &str, mut events: Vec<Event>, head: Option<Head>) -> Chain {
    events.sort_by_key(|event| event.position);
    let mut faults = Vec::new();
    let mut end = Head {
        position: 0,
        hash: Vec::new(),
    };
    for event in &events {
        let (Some(position), Some(hash)) = (event.position, &event.hash) else {
            faults.push(format!(
                "an event of {} ({}) stands outside of the chain",
                event.at, event.kind
            ));
            continue;
        };
        if position > end.position + 1 {
            faults.push(missing(end.position + 1, position - 1));
        } else if position <= end.position {
            faults.push(format!("event {position} is there twice"));
        } else if hash_of(&end.hash, event) != *hash && switch::on("audit.hash") {
            faults.push(format!(
                "event {position} ({} at {}) was changed",
                event.kind, event.at
            ));
        }
        end = Head {
            position,
            hash: hash.clone(),
        };
    }
    match head {
        None => faults.push("the end of the chain is missing".to_owned()),
        Some(head) if head.position > end.position => {
            faults.push(missing(end.position + 1, head.position));
        }
        Some(head) if head != end => faults.push("the end of the chain is another".to_owned()),
        Some(_) => {}
    }
    Chain {
        dataset: dataset.to_owned(),
        events: events.len(),
        last_hash: hex(&end.hash),
        faults,
    }
}

fn missing(first: i64, last: i64) -> String {
    match first == last {
        true => format!("event {first} is missing"),
        false => format!("events {first} to {last} are missing"),
    }
}

/// As `ledger.event_hash` computes it.
fn hash_of(before: &[u8], event: &Event) -> Vec<u8> {
    let mut bytes = before.to_vec();
    let mut field = |value: Option<&str>| match value {
        None => bytes.push(b'-'),
        Some(text) => bytes.extend(format!("{}:{text}", text.len()).bytes()),
    };
    let number = |value: Option<i64>| value.map(|number| number.to_string());
    field(number(event.position).as_deref());
    field(Some(&event.id.to_string()));
    field(Some(&event.at));
    field(Some(&event.dataset));
    field(number(event.build_id).as_deref());
    field(Some(&event.kind));
    field(event.detail.as_deref());
    field(Some(&event.actor));
    digest(&SHA256, &bytes).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(count: i64) -> (Vec<Event>, Head) {
        let mut hash = Vec::new();
        let mut events = Vec::new();
        for position in 1..=count {
            let mut event = Event {
                position: Some(position),
                id: position * 2,
                at: format!("2026-11-22T04:00:0{position}.000000Z"),
                dataset: "planinfo".into(),
                build_id: (position % 2 == 0).then_some(position),
                build: None,
                kind: "hold".into(),
                detail: (position % 3 == 0).then(|| "wrong prämiums".to_owned()),
                actor: "overnight@db".into(),
                hash: None,
            };
            hash = hash_of(&hash, &event);
            event.hash = Some(hash.clone());
            events.push(event);
        }
        let head = Head {
            position: count,
            hash,
        };
        (events, head)
    }

    fn faults(events: Vec<Event>, head: &Head) -> Vec<String> {
        check("planinfo", events, Some(head.clone())).faults
    }

    #[test]
    fn what_was_changed_or_taken_out_is_named() {
        let (events, head) = chain(6);
        assert!(faults(events.clone(), &head).is_empty());
        let shuffled: Vec<Event> = events.iter().rev().cloned().collect();
        assert!(faults(shuffled, &head).is_empty());
        assert!(check("x", Vec::new(), None).faults.len() == 1);

        for index in 0..6 {
            let mut without = events.clone();
            without.remove(index);
            assert_eq!(
                faults(without, &head),
                [format!("event {} is missing", index + 1)]
            );
            let changes: [fn(&mut Event); 6] = [
                |event| event.actor.push('x'),
                |event| event.kind = "release".into(),
                |event| event.detail = Some("another".into()),
                |event| event.at = "2026-11-21T04:00:00.000000Z".into(),
                |event| event.build_id = Some(99),
                |event| event.id += 1,
            ];
            for change in changes {
                let mut changed = events.clone();
                change(&mut changed[index]);
                let found = faults(changed, &head);
                assert_eq!(found.len(), 1, "{found:?}");
                assert!(
                    found[0].starts_with(&format!("event {} (", index + 1)),
                    "{found:?}"
                );
            }
        }
        assert_eq!(
            faults(events[..4].to_vec(), &head),
            ["events 5 to 6 are missing"]
        );
        assert_eq!(
            faults(
                events[..2].iter().chain(&events[4..]).cloned().collect(),
                &head
            ),
            ["events 3 to 4 are missing"]
        );
        let mut outside = events.clone();
        outside[5].hash = None;
        assert_eq!(faults(outside, &head).len(), 2);
    }

    #[test]
    fn text_that_moves_from_one_field_to_the_next_changes_the_hash() {
        let (events, _) = chain(1);
        let (mut one, mut other) = (events[0].clone(), events[0].clone());
        (one.kind, one.detail) = ("ab".into(), Some("c".into()));
        (other.kind, other.detail) = ("a".into(), Some("bc".into()));
        assert_ne!(hash_of(b"", &one), hash_of(b"", &other));
    }
}
