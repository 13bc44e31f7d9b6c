//! `[groups]`: datasets whose aliases move together or not at all.
//!
//! In: the key as typed, and the project's folder. Out: [`Groups`], checked: every member exists, no
//! dataset is in two groups, and no group is called like a dataset. Members are kept in the order of
//! their names, which is also the order in which their locks are taken.

use crate::dataset::check_name;
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::Path;

/// Datasets whose aliases move in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    /// At least two, by name.
    pub members: Vec<String>,
}

/// All groups of a project.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    list: Vec<Group>,
}

/// What moves at once: one alias, or those of a group.
#[derive(Debug, Clone, Copy)]
pub enum Unit<'u> {
    /// A dataset that is in no group.
    Alone(&'u str),
    /// One member of a group, without the others.
    Member(&'u str, &'u Group),
    Group(&'u Group),
}

impl<'u> Unit<'u> {
    /// What to type for it.
    pub fn name(self) -> &'u str {
        match self {
            Unit::Alone(name) | Unit::Member(name, _) => name,
            Unit::Group(group) => &group.name,
        }
    }

    /// The group, where all of it moves.
    pub fn group(self) -> Option<&'u Group> {
        match self {
            Unit::Group(group) => Some(group),
            Unit::Alone(_) | Unit::Member(..) => None,
        }
    }
}

impl Group {
    /// The members but this one, for messages.
    pub fn others(&self, than: &[&str]) -> String {
        let others: Vec<String> = self
            .members
            .iter()
            .filter(|member| !than.contains(&member.as_str()))
            .map(|member| format!("`{member}`"))
            .collect();
        others.join(", ")
    }
}

impl Groups {
    /// # Errors
    /// Status 2 that names the group.
    pub fn read(typed: Option<BTreeMap<String, Vec<String>>>, project: &Path) -> Result<Groups> {
        let mut list: Vec<Group> = Vec::new();
        for (name, mut members) in typed.unwrap_or_default() {
            check_name(&name).with_context(|| Problem::usage("read `groups`"))?;
            let wrong = |text: String| {
                Problem::usage(format!("the group `{name}` of overnight.toml {text}"))
            };
            let exists = |dataset: &str| project.join("sources").join(dataset).is_dir();
            if exists(&name) {
                bail!(wrong("is called like a dataset".into()).hint("give it another name"));
            }
            members.sort();
            if let Some(pair) = members.windows(2).find(|pair| pair[0] == pair[1]) {
                bail!(wrong(format!("names `{}` twice", pair[0])));
            }
            if members.len() < 2 {
                bail!(
                    wrong("has fewer than two members".into())
                        .hint("a dataset of its own needs no group")
                );
            }
            for member in &members {
                if !exists(member) {
                    bail!(wrong(format!("names `{member}`, which is no dataset here")));
                }
                if let Some(other) = list.iter().find(|group| group.members.contains(member)) {
                    bail!(
                        wrong(format!(
                            "names `{member}`, which is in the group `{}` already",
                            other.name
                        ))
                        .hint("a dataset moves with one group at most")
                    );
                }
            }
            list.push(Group { name, members });
        }
        Ok(Groups { list })
    }

    /// The group of this name.
    pub fn named(&self, name: &str) -> Option<&Group> {
        self.list.iter().find(|group| group.name == name)
    }

    /// The group that a dataset is in.
    pub fn of(&self, dataset: &str) -> Option<&Group> {
        let mut list = self.list.iter();
        list.find(|group| group.members.iter().any(|member| member == dataset))
    }

    /// What to type so that a dataset moves: its group, or the dataset itself.
    pub fn typed_for<'u>(&'u self, dataset: &'u str) -> &'u str {
        self.of(dataset).map_or(dataset, |group| &group.name)
    }

    /// A name as typed, for what moves aliases: a group, or one dataset.
    pub fn unit<'u>(&'u self, name: &'u str) -> Unit<'u> {
        match (self.named(name), self.of(name)) {
            (Some(group), _) => Unit::Group(group),
            (None, Some(group)) => Unit::Member(name, group),
            (None, None) => Unit::Alone(name),
        }
    }

    /// Names as typed, for what builds: groups, by their name or by that of all members, and single
    /// datasets; each where it stood first.
    ///
    /// # Errors
    /// Status 2 when some members of a group are named and others are not.
    pub fn units<'u>(&'u self, names: &'u [String]) -> Result<Vec<Unit<'u>>> {
        let mut units: Vec<Unit> = Vec::new();
        for name in names {
            let unit = match self.unit(name) {
                Unit::Member(_, group) => {
                    let typed: Vec<&str> = names.iter().map(String::as_str).collect();
                    let missing = group.others(&typed);
                    if !missing.is_empty() && !typed.contains(&group.name.as_str()) {
                        bail!(
                            Problem::usage(format!(
                                "`{name}` is in the group `{}` and moves with {missing} only",
                                group.name
                            ))
                            .hint(format!(
                                "name the group, `overnight run {}`, or all of its members",
                                group.name
                            ))
                        );
                    }
                    Unit::Group(group)
                }
                unit => unit,
            };
            let is_group = unit.group().is_some();
            if !(is_group && units.iter().any(|known| known.name() == unit.name())) {
                units.push(unit);
            }
        }
        Ok(units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(datasets: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for dataset in datasets {
            std::fs::create_dir_all(folder.path().join("sources").join(dataset)).unwrap();
        }
        folder
    }

    fn typed(groups: &[(&str, &[&str])]) -> Option<BTreeMap<String, Vec<String>>> {
        let owned = |members: &[&str]| members.iter().map(|name| (*name).to_owned()).collect();
        let groups = groups.iter();
        Some(
            groups
                .map(|(name, members)| ((*name).to_owned(), owned(members)))
                .collect(),
        )
    }

    #[test]
    fn a_group_that_cannot_be_meant_is_refused_by_name() {
        let folder = project(&["a", "b", "c"]);
        for (groups, says) in [
            (typed(&[("a", &["b", "c"])]), "is called like a dataset"),
            (typed(&[("g", &["a"])]), "has fewer than two members"),
            (typed(&[("g", &["a", "a"])]), "names `a` twice"),
            (
                typed(&[("g", &["a", "z"])]),
                "names `z`, which is no dataset here",
            ),
            (
                typed(&[("g", &["a", "b"]), ("h", &["b", "c"])]),
                "the group `h` of overnight.toml names `b`, which is in the group `g` already",
            ),
            (typed(&[("G h", &["a", "b"])]), "read `groups`"),
        ] {
            let error = Groups::read(groups, folder.path()).unwrap_err();
            let text = format!("{error:#}");
            assert!(text.contains(says), "{text}");
        }
    }

    #[test]
    fn a_group_is_run_as_a_whole_or_not_at_all() {
        let folder = project(&["a", "b", "c"]);
        let groups = Groups::read(typed(&[("g", &["b", "a"])]), folder.path()).unwrap();
        let names = |names: &[&str]| -> Result<Vec<String>> {
            let owned: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let units = groups.units(&owned)?;
            Ok(units.iter().map(|unit| unit.name().to_owned()).collect())
        };
        assert_eq!(names(&["g"]).unwrap(), ["g"]);
        assert_eq!(names(&["b", "c", "a"]).unwrap(), ["g", "c"]);
        assert_eq!(names(&["c", "g", "a"]).unwrap(), ["c", "g"]);
        let text = names(&["c", "b"]).unwrap_err().to_string();
        assert_eq!(text, "`b` is in the group `g` and moves with `a` only");
    }
}
