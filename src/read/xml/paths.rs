//! Which paths below a record's element are wanted, for documents whose paths are not known before.
//!
//! In: the fields and what is ignored; then element and attribute names as they come. Out: for
//! each place its [`Wanted`], decided once when a path is first met, so that going on to a child
//! costs one comparison of names.

use super::Field;
use super::document::local;
use crate::dataset::fold;

/// Who wants the text of a path.
#[derive(Debug, PartialEq)]
pub enum Wanted {
    /// Indices of fields.
    Fields(Vec<usize>),
    Ignored,
    Unknown,
}

/// The paths met so far, as a tree.
pub struct Paths {
    fields: Vec<(String, Option<String>)>,
    ignore: Vec<String>,
    nodes: Vec<Node>,
}

struct Node {
    name: String,
    parent: usize,
    wanted: Wanted,
    /// Elements, and attributes with `@` before their names.
    children: Vec<usize>,
    /// The child met last: records mostly have the same children in the same order.
    last: usize,
}

impl Paths {
    /// The record's element itself.
    pub const ROW: usize = 0;

    pub fn new(fields: &[Field], ignore: &[String]) -> Paths {
        let path = |from: &String| {
            let path = from.strip_suffix("[]").unwrap_or(from);
            let steps: Vec<String> = path.trim_start_matches("./").split('/').map(step).collect();
            steps.join("/")
        };
        let mut paths = Paths {
            fields: fields
                .iter()
                .map(|field| (field.column.clone(), field.from.as_ref().map(path)))
                .collect(),
            ignore: ignore.to_vec(),
            nodes: Vec::new(),
        };
        let wanted = paths.decide(".");
        paths.nodes.push(Node {
            name: ".".into(),
            parent: 0,
            wanted,
            children: Vec::new(),
            last: 0,
        });
        paths
    }

    /// Places met so far.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// The place of a child element.
    pub fn child(&mut self, parent: usize, name: &str) -> usize {
        self.below(parent, "", name)
    }

    /// The place of an attribute.
    pub fn attribute(&mut self, parent: usize, name: &str) -> usize {
        self.below(parent, "@", name)
    }

    pub fn wanted(&self, node: usize) -> &Wanted {
        &self.nodes[node].wanted
    }

    /// The path of a place, below the record's element.
    pub fn path(&self, node: usize) -> String {
        if node == Self::ROW {
            return ".".into();
        }
        let mut steps = Vec::new();
        let mut node = node;
        while node != Self::ROW {
            steps.push(self.nodes[node].name.as_str());
            node = self.nodes[node].parent;
        }
        steps.reverse();
        steps.join("/")
    }

    fn below(&mut self, parent: usize, kind: &str, name: &str) -> usize {
        let is = |node: &Node| node.name.strip_prefix(kind) == Some(name);
        let children = &self.nodes[parent].children;
        let (guess, count) = (self.nodes[parent].last + 1, children.len());
        for offset in 0..count {
            let place = (guess + offset) % count;
            let child = children[place];
            if is(&self.nodes[child]) {
                self.nodes[parent].last = place;
                return child;
            }
        }
        let child = self.nodes.len();
        self.nodes.push(Node {
            name: format!("{kind}{name}"),
            parent,
            wanted: Wanted::Unknown,
            children: Vec::new(),
            last: 0,
        });
        self.nodes[parent].children.push(child);
        self.nodes[parent].last = count;
        self.nodes[child].wanted = match self.nodes[parent].wanted {
            Wanted::Ignored => Wanted::Ignored,
            _ => self.decide(&self.path(child)),
        };
        child
    }

    fn decide(&self, path: &str) -> Wanted {
        let folded = fold(path);
        let wants = |(column, from): &(String, Option<String>)| match from {
            Some(from) => from == path,
            None => *column == folded,
        };
        let fields = self.fields.iter().enumerate();
        let fields: Vec<usize> = fields
            .filter(|(_, field)| wants(field))
            .map(|(index, _)| index)
            .collect();
        if !fields.is_empty() {
            return Wanted::Fields(fields);
        }
        match path != "." && self.ignore.contains(&folded) {
            true => Wanted::Ignored,
            false => Wanted::Unknown,
        }
    }
}

fn step(step: &str) -> String {
    match step.strip_prefix('@') {
        Some(name) => format!("@{}", local(name)),
        None => local(step).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_fields() {
        let field = |column: &str, from: Option<&str>| Field {
            column: column.into(),
            from: from.map(str::to_owned),
        };
        let fields = [
            field("unit_cost", None),
            field("id", Some("@id")),
            field("tags", Some("x:list/tag[]")),
            field("again", Some("@id")),
        ];
        let mut paths = Paths::new(&fields, &["notes".into()]);
        let id = paths.attribute(Paths::ROW, "id");
        assert_eq!(paths.wanted(id), &Wanted::Fields(vec![1, 3]));
        let list = paths.child(Paths::ROW, "list");
        assert_eq!(paths.wanted(list), &Wanted::Unknown);
        let tag = paths.child(list, "tag");
        assert_eq!(paths.wanted(tag), &Wanted::Fields(vec![2]));
        assert_eq!(paths.path(tag), "list/tag");
        let cost = paths.child(Paths::ROW, "Unit-Cost");
        assert_eq!(paths.wanted(cost), &Wanted::Fields(vec![0]));
        // An attribute and an element of one name are two places.
        let element = paths.child(Paths::ROW, "id");
        assert_ne!(element, id);
        assert_eq!(paths.wanted(element), &Wanted::Unknown);
        let notes = paths.child(Paths::ROW, "notes");
        let inside = paths.child(notes, "unit_cost");
        assert_eq!(paths.wanted(inside), &Wanted::Ignored);
        assert_eq!(paths.child(Paths::ROW, "list"), list);
        assert_eq!(paths.attribute(Paths::ROW, "id"), id);
    }
}
