//! What is still missing of that which was set aside, in a build that somebody began to put together.
//!
//! In: a [`SetAside`] as it was taken out, and a session on the build. Out: [`Missing`]: what has to be
//! made yet, and the statements that first drop what is there by halves. An index may be there and not
//! yet be the constraint of its table; a foreign key may be there and not be validated.
//!
//! Easy to break: something counts as back only if the catalog gives the very statements for it that
//! it was taken out with. Whatever looks otherwise is dropped and made again, which costs time only.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use tokio_postgres::Client;

use super::set_aside::{ForeignKey, Key, SetAside, plan};

/// What has to be made yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Missing {
    /// To be put back as after a load.
    pub left: SetAside,
    /// Statements that drop what is there by halves, in order; to be run before.
    pub drops: Vec<String>,
}

impl SetAside {
    /// Compares with what the database has now; changes nothing. What belongs to the uppermost tables
    /// `anew` counts as missing, and is dropped where it is there: they are loaded again.
    ///
    /// # Errors
    /// The server refuses to show its catalog.
    pub async fn missing(&self, client: &Client, anew: &BTreeSet<u32>) -> Result<Missing> {
        Ok(self.against(&plan(client).await?, anew))
    }

    /// What of `self` is missing in `found`.
    fn against(&self, found: &SetAside, anew: &BTreeSet<u32>) -> Missing {
        let there: HashMap<&str, &Key> = found
            .keys
            .iter()
            .map(|key| (key.ident.as_str(), key))
            .collect();
        let mut open: BTreeSet<u32> = BTreeSet::new();
        for key in &self.keys {
            let now = there.get(key.ident.as_str());
            let back = now
                .is_some_and(|now| same_key(key, now) && parent(self, key) == parent(found, now));
            if !back || anew.contains(&key.root_oid) {
                open.insert(key.oid);
            }
        }
        let roots_of = |open: &BTreeSet<u32>| -> BTreeSet<u32> {
            let keys = self.keys.iter().filter(|key| open.contains(&key.oid));
            keys.map(|key| key.root_oid).collect()
        };
        // Keys of partitioned tables hang together: all of a tree, or none.
        let unfinished = roots_of(&open);
        let trees: BTreeSet<u32> = self
            .keys
            .iter()
            .filter(|key| key.partitioned && unfinished.contains(&key.root_oid))
            .map(|key| key.root_oid)
            .collect();
        open.extend(
            self.keys
                .iter()
                .filter(|key| trees.contains(&key.root_oid))
                .map(|key| key.oid),
        );
        // A foreign key was put back behind all keys of both tables; otherwise it is not ours.
        let mut unfinished = roots_of(&open);
        unfinished.extend(anew);
        let foreign_is_back = |key: &&ForeignKey| {
            let roots = [key.root_oid, key.target_root_oid];
            !roots.iter().any(|root| unfinished.contains(root))
                && found.foreign_keys.iter().any(|now| now == *key)
        };
        let left = SetAside {
            keys: self
                .keys
                .iter()
                .filter(|key| open.contains(&key.oid))
                .cloned()
                .collect(),
            foreign_keys: self
                .foreign_keys
                .iter()
                .filter(|key| !foreign_is_back(key))
                .cloned()
                .collect(),
            kept: self.kept.clone(),
        };
        let half_foreign = found.foreign_keys.iter().filter(|now| {
            let same = |key: &&ForeignKey| key.take_out == now.take_out;
            left.foreign_keys.iter().any(|key| same(&key))
        });
        let half = found.keys.iter().filter(|now| {
            let same = |key: &Key| key.ident == now.ident;
            // Parts go with their parent.
            now.parent.is_none() && left.keys.iter().any(same)
        });
        let drops = half_foreign
            .map(|key| key.take_out.clone())
            .chain(half.map(|key| key.take_out.clone()))
            .collect();
        Missing { left, drops }
    }
}

/// All but the identifiers of the indexes, which are new ones.
fn same_key(a: &Key, b: &Key) -> bool {
    let bare = |key: &Key| Key {
        oid: 0,
        parent: None,
        ..key.clone()
    };
    bare(a) == bare(b)
}

/// The name of the index that a key is a part of.
fn parent<'s>(all: &'s SetAside, key: &Key) -> Option<&'s str> {
    let parent = key.parent?;
    let found = all.keys.iter().find(|other| other.oid == parent);
    found.map(|other| other.ident.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(oid: u32, table: u32, ident: &str) -> Key {
        Key {
            name: format!("index {ident}"),
            oid,
            table_oid: table,
            root_oid: table,
            parent: None,
            ident: ident.into(),
            partitioned: false,
            weight: 30,
            take_out: format!("DROP INDEX {ident}"),
            build: format!("CREATE INDEX {ident}"),
            whole: false,
            finish: Vec::new(),
        }
    }

    fn foreign(table: u32, target: u32) -> ForeignKey {
        ForeignKey {
            name: "foreign key".into(),
            table_oid: table,
            root_oid: table,
            target_root_oid: target,
            take_out: format!("ALTER TABLE t{table} DROP CONSTRAINT f"),
            build: vec!["ADD … NOT VALID".into()],
            validate: Some("VALIDATE".into()),
        }
    }

    fn set(keys: Vec<Key>, foreign_keys: Vec<ForeignKey>) -> SetAside {
        SetAside {
            keys,
            foreign_keys,
            kept: Vec::new(),
        }
    }

    fn idents(missing: &Missing) -> Vec<&str> {
        missing.left.keys.iter().map(|key| &*key.ident).collect()
    }

    #[test]
    fn what_is_back_stays_and_what_is_half_made_is_made_again() {
        let mut primary = key(1, 1, "a_pkey");
        primary.finish = vec!["ADD PRIMARY KEY USING INDEX".into()];
        let stored = set(vec![primary, key(2, 1, "a_x"), key(3, 2, "b_x")], vec![]);
        // The index of the primary key is there, and is not yet a key.
        let found = set(vec![key(11, 1, "a_pkey"), key(12, 1, "a_x")], vec![]);
        let missing = stored.against(&found, &BTreeSet::new());
        assert_eq!(idents(&missing), ["a_pkey", "b_x"]);
        assert_eq!(missing.drops, ["DROP INDEX a_pkey"]);
    }

    #[test]
    fn a_table_that_is_loaded_anew_loses_its_keys_and_the_foreign_keys_to_it() {
        let keys = vec![key(1, 1, "a_pkey"), key(2, 2, "b_pkey")];
        let stored = set(keys, vec![foreign(1, 2)]);
        let missing = stored.against(&stored, &BTreeSet::from([2]));
        assert_eq!(idents(&missing), ["b_pkey"]);
        assert_eq!(missing.left.foreign_keys, stored.foreign_keys);
        assert_eq!(
            missing.drops,
            ["ALTER TABLE t1 DROP CONSTRAINT f", "DROP INDEX b_pkey"]
        );
    }

    #[test]
    fn an_index_of_somebody_else_is_left_alone() {
        let stored = set(vec![key(1, 1, "a_x")], vec![]);
        let found = set(vec![key(9, 1, "a_x"), key(10, 1, "stays")], vec![]);
        assert_eq!(stored.against(&found, &BTreeSet::new()), Missing::default());
    }

    #[test]
    fn keys_of_a_partitioned_table_are_all_there_or_are_all_made_again() {
        let whole = Key {
            partitioned: true,
            ..key(1, 10, "p_x")
        };
        let part = |oid, ident: &str| Key {
            root_oid: 10,
            parent: Some(1),
            ..key(oid, oid + 100, ident)
        };
        let stored = set(
            vec![whole.clone(), part(2, "p1_x"), part(3, "p2_x")],
            vec![],
        );
        assert_eq!(
            stored.against(&stored, &BTreeSet::new()),
            Missing::default()
        );
        // One part is built and not attached.
        let loose = Key {
            parent: None,
            ..part(3, "p2_x")
        };
        let found = set(vec![whole, part(2, "p1_x"), loose], vec![]);
        let missing = stored.against(&found, &BTreeSet::new());
        assert_eq!(idents(&missing), ["p_x", "p1_x", "p2_x"]);
        assert_eq!(missing.drops, ["DROP INDEX p_x", "DROP INDEX p2_x"]);
    }

    #[test]
    fn a_foreign_key_that_is_not_validated_or_lacks_its_keys_is_added_again() {
        let keys = || vec![key(1, 1, "a_pkey"), key(2, 2, "b_pkey")];
        let stored = set(keys(), vec![foreign(1, 2)]);
        assert_eq!(
            stored.against(&stored, &BTreeSet::new()),
            Missing::default()
        );
        let mut unchecked = stored.clone();
        unchecked.foreign_keys[0].validate = None;
        let missing = stored.against(&unchecked, &BTreeSet::new());
        assert_eq!(missing.left.foreign_keys, stored.foreign_keys);
        assert_eq!(missing.drops, ["ALTER TABLE t1 DROP CONSTRAINT f"]);
        let lacking = set(vec![key(1, 1, "a_pkey")], vec![foreign(1, 2)]);
        let missing = stored.against(&lacking, &BTreeSet::new());
        assert_eq!(idents(&missing), ["b_pkey"]);
        assert_eq!(missing.drops, ["ALTER TABLE t1 DROP CONSTRAINT f"]);
    }
}
