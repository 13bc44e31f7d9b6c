//! The number of a record in its object, known before its chunk is parsed.
//!
//! In: the chunks of one object in order. Out: for each the plan that says how many records lie before
//! it. Chunks are parsed side by side, so whoever cuts them counts their records, with the same parser
//! and no columns: what is a record cannot differ then. Only sources that ask for the number pay for
//! it; an object of theirs is cut into fields twice.

use super::{Origin, Spelling};
use crate::read::parse::{RowPlan, Scratch, parse};
use crate::read::split::Chunk;
use std::sync::Arc;

/// Hands out the plan of one object for one chunk after the other.
pub struct Numbered {
    plan: Arc<RowPlan>,
    counting: Option<Counting>,
}

struct Counting {
    /// The plan without its columns.
    bare: RowPlan,
    before: u64,
    memory: Vec<u8>,
    scratch: Scratch,
}

impl Numbered {
    /// Starts before the first chunk.
    #[must_use]
    pub fn new(plan: Arc<RowPlan>) -> Numbered {
        let asked = plan.columns.iter().any(|column| number(&column.spelling));
        let counting = asked.then(|| Counting {
            bare: RowPlan {
                columns: Vec::new(),
                ..RowPlan::clone(&plan)
            },
            before: 0,
            // Not the room that rows would need.
            memory: vec![0],
            scratch: Scratch::default(),
        });
        Numbered { plan, counting }
    }

    /// The plan for the next chunk.
    pub fn of(&mut self, chunk: &Chunk) -> Arc<RowPlan> {
        let Some(counting) = &mut self.counting else {
            return Arc::clone(&self.plan);
        };
        let mut plan = RowPlan::clone(&self.plan);
        for column in &mut plan.columns {
            if number(&column.spelling) {
                let spelling = column.spelling.as_deref();
                column.spelling = spelling.map(|spelling| {
                    Arc::new(Spelling {
                        from: Origin::Record {
                            before: counting.before,
                        },
                        ..spelling.clone()
                    })
                });
            }
        }
        let memory = std::mem::take(&mut counting.memory);
        let counted = parse(chunk, &counting.bare, memory, &mut counting.scratch);
        counting.before += counted.records;
        counting.memory = counted.rows;
        Arc::new(plan)
    }
}

fn number(spelling: &Option<Arc<Spelling>>) -> bool {
    let spelling = spelling.as_deref();
    spelling.is_some_and(|spelling| matches!(spelling.from, Origin::Record { .. }))
}
