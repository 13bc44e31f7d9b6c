//! The connection keywords of libpq: which exist, which variable sets them, what overnight does with them.
//!
//! In: a keyword as the user typed it. Out: its entry, or nothing when libpq does not know it.
//! A keyword that would make the connection safer must never be ignored: what is not implemented
//! and not harmless is refused by name.
//!
//! Source: <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS> and
//! <https://www.postgresql.org/docs/current/libpq-envars.html>.

/// What overnight does with a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its value is used.
    Used,
    /// Accepted and ignored: it changes nothing for overnight, or overnight sets its own value.
    Ignored,
    /// An error when set to anything but the empty text, with the reason.
    Refused(&'static str),
}

/// One connection keyword.
#[derive(Debug)]
pub(super) struct Keyword {
    pub name: &'static str,
    pub variable: Option<&'static str>,
    pub standing: Standing,
}

const fn used(name: &'static str, variable: &'static str) -> Keyword {
    Keyword {
        name,
        variable: Some(variable),
        standing: Standing::Used,
    }
}

const fn ignored(name: &'static str, variable: Option<&'static str>) -> Keyword {
    Keyword {
        name,
        variable,
        standing: Standing::Ignored,
    }
}

const fn refused(name: &'static str, variable: Option<&'static str>, why: &'static str) -> Keyword {
    Keyword {
        name,
        variable,
        standing: Standing::Refused(why),
    }
}

const NO_OAUTH: &str = "OAuth is not supported";
const NO_CRL: &str =
    "revocation lists are not supported, and ignoring one would be less safe than asked for";

/// Every keyword, in the order of the manual. `service` and `servicefile` are read before the others.
pub(super) const KEYWORDS: &[Keyword] = &[
    used("host", "PGHOST"),
    used("hostaddr", "PGHOSTADDR"),
    used("port", "PGPORT"),
    used("dbname", "PGDATABASE"),
    used("user", "PGUSER"),
    used("password", "PGPASSWORD"),
    used("passfile", "PGPASSFILE"),
    refused(
        "require_auth",
        Some("PGREQUIREAUTH"),
        "the authentication method cannot be chosen",
    ),
    used("channel_binding", "PGCHANNELBINDING"),
    used("connect_timeout", "PGCONNECT_TIMEOUT"),
    ignored("client_encoding", Some("PGCLIENTENCODING")),
    used("options", "PGOPTIONS"),
    ignored("application_name", Some("PGAPPNAME")),
    ignored("fallback_application_name", None),
    ignored("keepalives", None),
    ignored("keepalives_idle", None),
    ignored("keepalives_interval", None),
    ignored("keepalives_count", None),
    ignored("tcp_user_timeout", None),
    refused(
        "replication",
        None,
        "overnight does not use replication connections",
    ),
    used("gssencmode", "PGGSSENCMODE"),
    used("sslmode", "PGSSLMODE"),
    used("sslnegotiation", "PGSSLNEGOTIATION"),
    ignored("sslcompression", Some("PGSSLCOMPRESSION")),
    used("sslcert", "PGSSLCERT"),
    used("sslkey", "PGSSLKEY"),
    refused(
        "sslkeylogfile",
        None,
        "TLS secrets are not written to files",
    ),
    refused(
        "sslpassword",
        None,
        "encrypted client keys are not supported; decrypt the key file",
    ),
    used("sslcertmode", "PGSSLCERTMODE"),
    used("sslrootcert", "PGSSLROOTCERT"),
    refused("sslcrl", Some("PGSSLCRL"), NO_CRL),
    refused("sslcrldir", Some("PGSSLCRLDIR"), NO_CRL),
    used("sslsni", "PGSSLSNI"),
    refused(
        "requirepeer",
        Some("PGREQUIREPEER"),
        "the owner of a socket cannot be checked",
    ),
    used("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    used("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    ignored("min_protocol_version", Some("PGMINPROTOCOLVERSION")),
    ignored("max_protocol_version", Some("PGMAXPROTOCOLVERSION")),
    ignored("krbsrvname", Some("PGKRBSRVNAME")),
    ignored("gsslib", Some("PGGSSLIB")),
    ignored("gssdelegation", Some("PGGSSDELEGATION")),
    refused(
        "scram_client_key",
        None,
        "SCRAM pass-through is not supported",
    ),
    refused(
        "scram_server_key",
        None,
        "SCRAM pass-through is not supported",
    ),
    used("service", "PGSERVICE"),
    used("servicefile", "PGSERVICEFILE"),
    used("target_session_attrs", "PGTARGETSESSIONATTRS"),
    // A preference, not a promise: trying the hosts in the order given satisfies `random` too.
    ignored("load_balance_hosts", Some("PGLOADBALANCEHOSTS")),
    refused("oauth_issuer", None, NO_OAUTH),
    refused("oauth_client_id", None, NO_OAUTH),
    refused("oauth_client_secret", None, NO_OAUTH),
    refused("oauth_scope", None, NO_OAUTH),
];

/// The entry of a keyword, `None` when libpq does not know it either.
pub(super) fn find(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name == name)
}
