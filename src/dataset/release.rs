//! The keys of `dataset.toml` that say who else must agree before services see a build.
//!
//! In: their TOML. Out: checked values; nobody is asked here, and no secret is looked up.

use crate::outside::Typed;
use crate::units::Span;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Somebody outside who looks at each build before it is sealed.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// A program and its arguments; exit status 0 means yes. It gets JSON on standard input and the connection in PG* variables.
    #[schemars(extend("default" = [], "examples" = [["./gates/compare", "--strict"]]))]
    #[serde(default)]
    pub command: Vec<String>,
    /// A URL that the JSON is posted to; a status of 200 to 299 means yes. `env:NAME` or `file:PATH` where it is a secret.
    #[schemars(extend("x-default" = "none", "examples" = ["https://gate.example.com/planinfo"]))]
    pub url: Option<String>,
    /// When it must have answered.
    #[schemars(extend("default" = "5m", "examples" = ["30m"]))]
    pub timeout: Option<Span>,
    /// More variables for the command: texts, `env:NAME` or `file:PATH`.
    #[schemars(extend("default" = {}, "examples" = [{ "PGPASSWORD": "file:/run/secrets/gate" }]))]
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Headers for the URL: texts, `env:NAME` or `file:PATH`.
    #[schemars(extend("default" = {}, "examples" = [{ "Authorization": "env:GATE_TOKEN" }]))]
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

impl External {
    /// The keys that say whom to ask.
    pub fn typed(&self) -> Typed<'_> {
        Typed {
            table: "[external]",
            command: &self.command,
            url: self.url.as_deref(),
            timeout: self.timeout,
            env: &self.env,
            headers: &self.headers,
        }
    }
}

/// A build waits for an operator.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// How long a build waits; afterwards it is too old to be published.
    #[schemars(extend("default" = "12h", "examples" = ["6h"]))]
    #[serde(default = "default_expiry")]
    pub expires: Span,
}

fn default_expiry() -> Span {
    Span(std::time::Duration::from_secs(12 * 3600))
}

impl Default for Approval {
    fn default() -> Self {
        Approval {
            expires: default_expiry(),
        }
    }
}
