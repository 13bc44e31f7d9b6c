//! One gate and its verdict, and what somebody accepts in spite of it.
//!
//! A gate has one name, which stands in messages, in the ledger and behind `--accept`. Its finding
//! holds counts and names, never a value of the data.

use crate::problem::Problem;
use crate::switch;
use anyhow::{Context, Result, bail};
use serde::Serialize;

/// What became of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Passed,
    /// Somebody should read it tomorrow; it stops nothing.
    Warned,
    Failed,
    /// Failed, and somebody took the responsibility: `--accept GATE --reason TEXT`.
    Accepted,
}

impl Verdict {
    fn from_word(word: &str) -> Result<Verdict> {
        let all = [
            Verdict::Passed,
            Verdict::Warned,
            Verdict::Failed,
            Verdict::Accepted,
        ];
        let verdict = all.into_iter().find(|verdict| verdict.word() == word);
        verdict.with_context(|| format!("the ledger holds the verdict `{word}`"))
    }

    /// As written in the ledger.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Warned => "warned",
            Verdict::Failed => "failed",
            Verdict::Accepted => "accepted",
        }
    }
}

/// One gate and what it found.
#[derive(Debug, Clone, Serialize)]
pub struct Gate {
    pub gate: String,
    pub verdict: Verdict,
    /// In words: counts and names, never a value of the data.
    pub finding: String,
}

impl Gate {
    /// Passed or failed.
    pub fn new(gate: impl Into<String>, passed: bool, finding: impl Into<String>) -> Gate {
        Gate {
            gate: gate.into(),
            verdict: if passed {
                Verdict::Passed
            } else {
                Verdict::Failed
            },
            finding: finding.into(),
        }
    }

    /// As the ledger has it.
    pub fn recorded(gate: String, verdict: &str, finding: String) -> Result<Gate> {
        Ok(Gate {
            gate,
            verdict: Verdict::from_word(verdict)?,
            finding,
        })
    }

    /// Passed if nothing was found.
    pub fn none(gate: impl Into<String>, found: &[String]) -> Gate {
        match found {
            [] => Gate::new(gate, true, "none"),
            found => Gate::new(gate, false, found.join(", ")),
        }
    }

    /// A failure of this gate is only a warning.
    #[must_use]
    pub fn only_warns(mut self) -> Gate {
        if self.verdict == Verdict::Failed {
            self.verdict = Verdict::Warned;
        }
        self
    }

    /// Whether it stops the build.
    pub fn stops(&self) -> bool {
        self.verdict == Verdict::Failed
    }
}

/// Gates that somebody accepts for one command, and why.
#[derive(Debug, Default, Clone)]
pub struct Overrides {
    gates: Vec<String>,
    reason: String,
}

/// Without these nothing that overnight says about a build would be true.
const NEVER: [&str; 2] = ["stamp", "hold"];

impl Overrides {
    /// # Errors
    /// Status 2: no reason, or a gate that is never optional.
    pub fn new(gates: Vec<String>, reason: Option<&str>) -> Result<Overrides> {
        let reason = reason.unwrap_or_default().trim();
        if !gates.is_empty() && reason.is_empty() && switch::on("accept.reason") {
            bail!(
                Problem::usage("--accept needs --reason TEXT")
                    .hint("the reason is kept in the ledger with your name")
            );
        }
        if let Some(gate) = gates.iter().find(|gate| NEVER.contains(&gate.as_str()))
            && switch::on("accept.never")
        {
            bail!(Problem::usage(format!("the gate `{gate}` is not optional")));
        }
        Ok(Overrides {
            gates,
            reason: reason.to_owned(),
        })
    }

    /// Turns what failed and was accepted into that.
    pub fn apply(&self, gates: &mut [Gate]) {
        for gate in gates.iter_mut().filter(|gate| gate.stops()) {
            if self.gates.contains(&gate.gate) {
                gate.verdict = Verdict::Accepted;
            }
        }
    }

    /// Whether nothing is accepted.
    pub fn is_empty(&self) -> bool {
        self.gates.is_empty()
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// What did not pass: one gate on the line, several on a line each, the worst first.
pub fn failures(gates: &[Gate]) -> Option<String> {
    let mut failed: Vec<&Gate> = gates.iter().filter(|gate| gate.stops()).collect();
    failed.sort_by_key(|gate| rank(&gate.gate));
    let line = |gate: &&Gate| format!("{}: {}", gate.gate, gate.finding);
    match failed.as_slice() {
        [] => None,
        [gate] => Some(line(gate)),
        gates => {
            let lines: Vec<String> = gates.iter().map(line).collect();
            let lines = lines.join("\n").replace('\n', "\n  ");
            Some(format!("{} gates did not pass:\n  {lines}", gates.len()))
        }
    }
}

/// What is lost or damaged comes first, then what services would meet, then what the project checks,
/// and last what may be right although it is unusual.
fn rank(gate: &str) -> usize {
    const AFTER: [&[&str]; 3] = [
        &[
            "compatibility",
            "consumers",
            "missing rights",
            "replicas",
            "group",
            "approval",
        ],
        &["check ", "golden ", "external"],
        &[
            "change of",
            "profile of",
            "groups of",
            "keys of",
            "limits of",
        ],
    ];
    let place = AFTER
        .iter()
        .position(|names| names.iter().any(|name| gate.starts_with(name)));
    place.map_or(0, |place| place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_gate_stops_nothing_and_stays_visible() {
        let mut gates = [Gate::new("a", false, "3"), Gate::new("b", false, "4")];
        let overrides = Overrides::new(vec!["a".into()], Some("known")).unwrap();
        overrides.apply(&mut gates);
        assert_eq!(gates[0].verdict, Verdict::Accepted);
        assert_eq!(failures(&gates).unwrap(), "b: 4");
    }

    #[test]
    fn several_failures_have_a_line_each_and_the_worst_is_first() {
        let failed = |name: &str, finding: &str| Gate::new(name, false, finding);
        let gates = [
            failed("change of item", "3 rows"),
            failed("compatibility", "2 changes:\n  a: gone"),
            failed("check 010_a.sql", "1 row"),
            Gate::new("check 020_b.sql", true, "none"),
            failed("rows of item", "4"),
        ];
        assert_eq!(
            failures(&gates).unwrap(),
            "4 gates did not pass:\n  rows of item: 4\n  compatibility: 2 changes:\n    a: gone\n  \
             check 010_a.sql: 1 row\n  change of item: 3 rows"
        );
    }

    #[test]
    fn an_override_needs_a_reason_and_a_gate_that_is_optional() {
        assert!(Overrides::new(vec!["a".into()], None).is_err());
        assert!(Overrides::new(vec!["a".into()], Some("  ")).is_err());
        assert!(Overrides::new(vec!["stamp".into()], Some("x")).is_err());
        assert!(Overrides::new(Vec::new(), None).is_ok());
    }
}
