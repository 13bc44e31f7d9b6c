//! Which objects, and which members of archives in them, a source's `files` asks for.
//!
//! In: `pricing*.zip!*.txt`. Out: the glob of the key, and for each `!` the glob of a member, one for
//! each archive in the archive. A `!` within brackets (`[!a]`) belongs to its glob.

use anyhow::{Context, Result};
use glob::{MatchOptions, Pattern};

/// The globs behind the first `!` of `files`.
#[derive(Debug, Clone, Default)]
pub struct Members {
    globs: Vec<Pattern>,
}

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

impl Members {
    /// Splits the value of `files` into the glob of the key and the members.
    ///
    /// # Errors
    /// A part is not a glob.
    pub fn split(files: &str) -> Result<(Pattern, Members)> {
        let mut globs = parts(files).into_iter().map(|part| {
            Pattern::new(part).with_context(|| match part == files {
                true => format!("`files = \"{files}\"` is not a glob"),
                false => format!("`{part}` in `files = \"{files}\"` is not a glob"),
            })
        });
        let key = globs.next().context("`files` is empty")??;
        let globs = globs.collect::<Result<_>>()?;
        Ok((key, Members { globs }))
    }

    pub(super) fn globs(&self) -> &[Pattern] {
        &self.globs
    }

    /// Whether the source reads members of archives.
    pub fn is_empty(&self) -> bool {
        self.globs.is_empty()
    }
}

fn parts(files: &str) -> Vec<&str> {
    let (mut parts, mut start, mut bracket) = (Vec::new(), 0, None);
    for (at, c) in files.char_indices() {
        match (c, bracket) {
            ('[', None) => bracket = Some(at),
            // A bracket that comes first, or after `!`, is itself a character of the class.
            (']', Some(open)) if !matches!(&files[open + 1..at], "" | "!") => bracket = None,
            ('!', None) => {
                parts.push(&files[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&files[start..]);
    parts
}

/// Whether a glob means this member. One without `/` means a name in any folder of the archive.
pub fn matches(glob: &Pattern, member: &str) -> bool {
    match glob.as_str().contains('/') {
        true => glob.matches_with(member, OPTIONS),
        false => glob.matches_with(file_name(member), OPTIONS),
    }
}

/// Whether a member is what a packing program added: folders, and what macOS puts beside files.
pub fn is_no_data(member: &str) -> bool {
    let name = file_name(member);
    name.is_empty()
        || member.split('/').any(|folder| folder == "__MACOSX")
        || name == ".DS_Store"
        || name.starts_with("._")
}

fn file_name(member: &str) -> &str {
    member.rsplit('/').next().unwrap_or(member)
}

/// A member's name as it is shown and matched: with `/`, without `./` in front.
pub(super) fn tidy(name: &str) -> String {
    let name = name.replace('\\', "/");
    let mut rest = name.as_str();
    while let Some(after) = rest.strip_prefix("./") {
        rest = after;
    }
    rest.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_split_at_marks_that_stand_outside_brackets() {
        let cases: [(&str, &[&str]); 7] = [
            ("a*.txt", &["a*.txt"]),
            ("p*.zip!*.txt", &["p*.zip", "*.txt"]),
            ("p.zip!*.zip!d/*.txt", &["p.zip", "*.zip", "d/*.txt"]),
            ("p[!a].zip![!b]*", &["p[!a].zip", "[!b]*"]),
            ("p[!]!].zip!x", &["p[!]!].zip", "x"]),
            ("p[]!].zip!x", &["p[]!].zip", "x"]),
            ("p.zip!", &["p.zip", ""]),
        ];
        for (files, expected) in cases {
            assert_eq!(parts(files), expected, "{files}");
        }
        let (key, members) = Members::split("p*.zip!*.txt").unwrap();
        assert!(key.matches("price.zip") && members.globs().len() == 1);
        let error = Members::split("p*.zip![").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`[` in `files = \"p*.zip![\"` is not a glob"
        );
    }

    #[test]
    fn a_glob_without_a_folder_means_a_name_in_any_folder() {
        let matches = |glob: &str, member| matches(&Pattern::new(glob).unwrap(), member);
        assert!(matches("*.txt", "a.txt") && matches("*.txt", "2026/11/a.txt"));
        assert!(matches("*/a.txt", "x/a.txt") && !matches("*/a.txt", "x/y/a.txt"));
        assert!(matches("**/a.txt", "x/y/a.txt") && !matches("*.txt", "a.TXT"));
    }

    #[test]
    fn what_packing_programs_add_is_no_data() {
        for name in [
            "folder/",
            "__MACOSX/._a.txt",
            "x/__MACOSX/a.txt",
            ".DS_Store",
            "x/.DS_Store",
            "._a.txt",
        ] {
            assert!(is_no_data(name), "{name}");
        }
        for name in ["a.txt", "x/a.txt", "_a.txt", "MACOSX/a.txt"] {
            assert!(!is_no_data(name), "{name}");
        }
        assert_eq!(tidy("./a\\b.txt"), "a/b.txt");
    }
}
