//! What is different between two builds, in words for whoever is woken up by it.

/// Differences, by what they mean for a service.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Changes {
    /// A query that works on the live build may fail or answer otherwise.
    pub breaking: Vec<String>,
    /// Somebody should know; well-written queries do not notice.
    pub notable: Vec<String>,
    pub additions: Vec<String>,
}

impl Changes {
    pub fn breaks(&mut self, what: impl Into<String>) {
        self.breaking.push(what.into());
    }

    pub fn notes(&mut self, what: impl Into<String>) {
        self.notable.push(what.into());
    }

    pub fn adds(&mut self, what: impl Into<String>) {
        self.additions.push(what.into());
    }
}

/// Lines that one finding lists; of more there is only the number.
const MAX_LISTED: usize = 25;

/// A line for each, and how many more.
pub fn listed(lines: &[String]) -> String {
    let mut out: String = lines
        .iter()
        .take(MAX_LISTED)
        .map(|line| format!("\n  {line}"))
        .collect();
    if let Some(more) = lines.len().checked_sub(MAX_LISTED).filter(|more| *more > 0) {
        out += &format!("\n  and {more} more");
    }
    out
}

/// `1 change`, `2 changes`.
pub fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut_and_says_how_much_is_left() {
        let lines: Vec<String> = (0..28).map(|number| format!("line {number}")).collect();
        let text = listed(&lines);
        assert_eq!(text.lines().count(), 1 + 25 + 1);
        assert!(text.ends_with("\n  and 3 more"), "{text}");
        assert_eq!(listed(&lines[..25]).lines().count(), 26);
        assert_eq!(
            counted(1, "change") + &counted(2, "change"),
            "1 change2 changes"
        );
    }
}
