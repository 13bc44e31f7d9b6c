//! Which tables get their indexes and keys back only after the derive files have filled them.
//!
//! In: what is set aside, the tables that sources fill, the derive files. Out: a [`Late`]: for each such
//! table the derive file behind which its keys come back, the last that is seen writing it. Seen means:
//! the table's name follows INSERT INTO, UPDATE, DELETE FROM, MERGE INTO or TRUNCATE in the text.
//!
//! A wrong guess here must cost time only. So a table keeps its keys where a file could do something
//! else without them and not fail: ON CONFLICT, an exception handler, a foreign key with an action. The
//! rest is for the rehearsal, which runs the files both ways and compares what they leave behind.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::numbered::NumberedFile;
use super::set_aside::SetAside;
use super::tables::{Table, TableKind};

/// Tables whose keys wait for derive files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Late {
    /// By uppermost table: the position of the derive file behind which its keys come back.
    pub behind: BTreeMap<u32, usize>,
}

impl Late {
    /// Finds them; `loaded` are the uppermost tables that sources fill.
    pub fn find(
        set_aside: &SetAside,
        tables: &[Table],
        loaded: &BTreeSet<u32>,
        derive: &[NumberedFile],
    ) -> Late {
        // What runs outside a transaction cannot be rehearsed.
        if derive.iter().any(|file| !file.transaction) {
            return Late::default();
        }
        let files: Vec<Vec<String>> = derive.iter().map(|file| words(&file.text)).collect();
        let mut behind = BTreeMap::new();
        let keys = set_aside.keys.iter().map(|key| key.root_oid);
        let roots: BTreeSet<u32> = keys.filter(|root| !loaded.contains(root)).collect();
        for root in roots {
            let tree = tables
                .iter()
                .filter(|table| root_of(tables, table.oid) == root);
            let names: BTreeSet<String> = tree.map(|table| table.name.to_lowercase()).collect();
            let last = files.iter().rposition(|words| writes(words, &names));
            let needed = files.iter().any(|words| may_need_keys(words, &names));
            match last {
                Some(last) if !needed => drop(behind.insert(root, last)),
                _ => {}
            }
        }
        for key in &set_aside.foreign_keys {
            if has_action(&key.build) {
                behind.remove(&key.root_oid);
                behind.remove(&key.target_root_oid);
            }
        }
        Late { behind }
    }

    pub fn is_empty(&self) -> bool {
        self.behind.is_empty()
    }

    /// Cuts what is set aside into what comes back before the derive files, and what comes back behind
    /// each of them. A foreign key comes back when both its tables are complete.
    pub fn split(&self, all: &SetAside) -> (SetAside, BTreeMap<usize, SetAside>) {
        let mut early = SetAside {
            kept: all.kept.clone(),
            ..SetAside::default()
        };
        let mut late: BTreeMap<usize, SetAside> = BTreeMap::new();
        for key in &all.keys {
            let part = match self.behind.get(&key.root_oid) {
                Some(file) => late.entry(*file).or_default(),
                None => &mut early,
            };
            part.keys.push(key.clone());
        }
        for key in &all.foreign_keys {
            let own = self.behind.get(&key.root_oid);
            let part = match own.max(self.behind.get(&key.target_root_oid)) {
                Some(file) => late.entry(*file).or_default(),
                None => &mut early,
            };
            part.foreign_keys.push(key.clone());
        }
        (early, late)
    }
}

/// The uppermost partitioned table above a table, or that table.
pub fn root_of(tables: &[Table], oid: u32) -> u32 {
    let mut root = oid;
    while let Some(table) = tables.iter().find(|table| table.oid == root) {
        match table.kind {
            TableKind::Partitioned {
                parent: Some(parent),
            }
            | TableKind::Partition { parent } => root = parent,
            _ => break,
        }
    }
    root
}

/// Words in lower case, those of comments and strings among them.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

fn writes(words: &[String], names: &BTreeSet<String>) -> bool {
    let places = (0..words.len()).filter(|at| words.get(*at).is_some_and(|w| names.contains(w)));
    places.into_iter().any(|at| {
        let before = |back: usize| at.checked_sub(back).and_then(|at| words.get(at));
        let word = |back: usize| before(back).map_or("", String::as_str);
        // `schema.table` and `only table` have one word more in between.
        (1..=2).any(|back| {
            matches!(word(back), "into" | "update" | "truncate")
                || (word(back) == "from" && word(back + 1) == "delete")
                || (word(back) == "table" && word(back + 1) == "truncate")
        })
    })
}

/// Says whether a file that speaks of the table could do something else without its keys, in silence.
fn may_need_keys(words: &[String], names: &BTreeSet<String>) -> bool {
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    words.iter().any(|word| names.contains(word)) && (has("conflict") || has("exception"))
}

/// A foreign key that changes rows.
fn has_action(statements: &[String]) -> bool {
    statements
        .iter()
        .any(|sql| sql.contains(" ON DELETE ") || sql.contains(" ON UPDATE "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (bool, bool) {
        let names = BTreeSet::from(["cost".to_owned()]);
        let words = words(text);
        (writes(&words, &names), may_need_keys(&words, &names))
    }

    #[test]
    fn a_table_that_a_file_writes_is_seen() {
        for text in [
            "with x as (select 1) INSERT INTO cost select * from x",
            "insert into Public.Cost (a) values (1)",
            "insert into \"cost\" values (1)",
            "update only cost set a = 1",
            "delete from cost",
            "delete from only cost",
            "truncate table public.cost",
            "merge into cost using plan on true when matched then delete",
        ] {
            assert_eq!(of(text), (true, false), "{text}");
        }
        for text in [
            "insert into total select * from cost",
            "create table x as select from cost",
            "insert into costs values (1)",
        ] {
            assert_eq!(of(text), (false, false), "{text}");
        }
    }

    #[test]
    fn what_could_go_another_way_without_keys_is_seen() {
        assert!(of("insert into cost values (1) on conflict do nothing").1);
        assert!(
            of("do $$ begin insert into cost values (1); exception when others then null; end $$")
                .1
        );
        assert!(!of("insert into other values (1) on conflict do nothing").1);
        assert!(has_action(&[
            "ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES c(d) ON DELETE CASCADE".into()
        ]));
    }
}
