//! Paths into a JSON value: `a.b[0].c`, `lines[].code`, `["a.b"].c`.
//!
//! In: the texts of the source file. Out: a [`Node`] of what to take where, so that a text is read
//! once for all of them.

use anyhow::{Context, Result, bail, ensure};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    /// Counted from zero.
    Item(usize),
    /// Each item of the array that is exploded.
    Each,
}

/// Reads a path.
///
/// # Errors
/// It is none; the message says how one is written.
pub fn path(text: &str) -> Result<Vec<Step>> {
    let wrong = || {
        format!(
            "`{text}` is no path: write keys and places such as a.b[0].c, items[].code, or [\"a key with a . in it\"].c"
        )
    };
    let mut steps = Vec::new();
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix("[\"") {
            let (key, after) = after.split_once("\"]").with_context(wrong)?;
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (item, after) = after.split_once(']').with_context(wrong)?;
            steps.push(match item {
                "" => Step::Each,
                item => Step::Item(item.parse().with_context(wrong)?),
            });
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            ensure!(!key.is_empty(), wrong());
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        }
        if rest.is_empty() {
            return Ok(steps);
        }
        if let Some(after) = rest.strip_prefix('.') {
            ensure!(!after.starts_with('['), wrong());
            rest = after;
        } else if !rest.starts_with('[') {
            bail!(wrong());
        }
    }
}

/// What to take of a value and of what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub keys: Vec<(String, Node)>,
    pub items: Vec<(usize, Node)>,
    /// Fields whose value this is.
    pub takes: Vec<usize>,
    /// This is the array to explode.
    pub explodes: bool,
    /// Fields here and below.
    pub below: Vec<usize>,
}

impl Node {
    /// The node at the end of a path, made where there is none; every node on the way learns of the
    /// field.
    pub fn at(&mut self, steps: &[Step], field: Option<usize>) -> &mut Node {
        self.below.extend(field);
        let Some((step, rest)) = steps.split_first() else {
            self.takes.extend(field);
            return self;
        };
        let next = match step {
            Step::Key(key) => child(&mut self.keys, key),
            Step::Item(item) => child(&mut self.items, item),
            // The caller has taken it off.
            Step::Each => self,
        };
        next.at(rest, field)
    }
}

fn child<'n, K: PartialEq + Clone>(children: &'n mut Vec<(K, Node)>, key: &K) -> &'n mut Node {
    let known = children.iter().position(|(known, _)| known == key);
    let index = known.unwrap_or(children.len());
    if known.is_none() {
        children.push((key.clone(), Node::default()));
    }
    &mut children[index].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_keys_places_and_the_exploded_array() {
        let key = |key: &str| Step::Key(key.into());
        for (text, steps) in [
            ("a", vec![key("a")]),
            ("a b", vec![key("a b")]),
            (
                "a.b[0].c",
                vec![key("a"), key("b"), Step::Item(0), key("c")],
            ),
            ("a[1][2]", vec![key("a"), Step::Item(1), Step::Item(2)]),
            ("[3]", vec![Step::Item(3)]),
            ("a[]", vec![key("a"), Step::Each]),
            ("a[].b", vec![key("a"), Step::Each, key("b")]),
            ("[\"a.b\"].c", vec![key("a.b"), key("c")]),
        ] {
            assert_eq!(path(text).unwrap(), steps, "{text}");
        }
        for wrong in [
            "", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[0]b", "a.[0]", "[\"a",
        ] {
            let message = path(wrong).unwrap_err().to_string();
            assert!(message.contains("is no path"), "{wrong}: {message}");
        }
    }
}
