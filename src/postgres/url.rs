//! Resolves what the user configured into one [`Target`], as libpq does.
//!
//! In: a connection string, perhaps none, and the environment as a closure (nothing else reads it).
//! Out: a [`Target`]. Order of precedence: connection string, service file, `PG*` variables, defaults.
//!
//! Two deliberate differences from libpq: a host that is not this machine is verified
//! (`sslmode=verify-full`) unless told otherwise, and what cannot be honoured is refused by name.

use super::{
    conninfo,
    keyword::{self, KEYWORDS, Standing},
    passfile::Passfile,
    service,
    target::{
        ChannelBinding, DEFAULT_CONNECT_TIMEOUT, DEFAULT_SOCKET_FOLDERS, Host, Place, Roots,
        SslMode, Target, Tls, TlsVersion,
    },
};
use crate::secret::Secret;
use anyhow::{Context, Result, bail, ensure};
use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// A look-up of environment variables.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Who set a keyword; errors say so.
#[derive(Clone, Copy)]
enum Origin {
    Text,
    Service,
    Variable(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Text => out.write_str("in the connection string"),
            Origin::Service => out.write_str("in the service file"),
            Origin::Variable(name) => write!(out, "in the variable {name}"),
        }
    }
}

/// The keywords that are set, each with who set it.
struct Settings(BTreeMap<&'static str, (String, Origin)>);

impl Settings {
    /// The value unless it is empty: to libpq an empty text is the default too.
    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|(value, _)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// An error about the value of a keyword. The value is shown: passwords never come here.
    fn wrong(&self, name: &str, says: impl fmt::Display) -> anyhow::Error {
        match self.0.get(name) {
            Some((value, origin)) => anyhow::anyhow!("`{name}={value}` {origin}: {says}"),
            None => anyhow::anyhow!("`{name}`: {says}"),
        }
    }

    fn store(&mut self, name: &str, value: String, origin: Origin, replace: bool) -> Result<()> {
        let Some(keyword) = keyword::find(name) else {
            let plain =
                name.len() <= 40 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            // A strange word may be a piece of an unquoted password.
            let shown = if plain { name } else { "(not a word)" };
            bail!("unknown connection option `{shown}` {origin}");
        };
        if let Standing::Refused(why) = keyword.standing {
            ensure!(
                value.is_empty(),
                "connection option `{name}` {origin}: {why}"
            );
        }
        if keyword.standing == Standing::Used && (replace || !self.0.contains_key(keyword.name)) {
            self.0.insert(keyword.name, (value, origin));
        }
        Ok(())
    }

    fn collect(text: Option<&str>, env: Environment) -> Result<Settings> {
        let mut settings = Settings(BTreeMap::new());
        for (name, value) in conninfo::parse(text.unwrap_or_default())? {
            settings.store(&name, value, Origin::Text, true)?;
        }
        let path = |settings: &Settings, keyword: &str, variable| {
            settings
                .get(keyword)
                .map(str::to_owned)
                .or_else(|| env(variable))
                .map(PathBuf::from)
        };
        let service = settings
            .get("service")
            .map(str::to_owned)
            .or_else(|| env("PGSERVICE"));
        if let Some(service) = service.filter(|name| !name.is_empty()) {
            let places = service::Places {
                explicit: path(&settings, "servicefile", "PGSERVICEFILE"),
                home: env("HOME").map(PathBuf::from),
                system_folder: env("PGSYSCONFDIR").map(PathBuf::from),
            };
            for (name, value) in service::look_up(&service, &places)? {
                settings.store(&name, value, Origin::Service, false)?;
            }
        }
        for keyword in KEYWORDS {
            if let Some((variable, value)) =
                keyword.variable.and_then(|name| Some((name, env(name)?)))
            {
                settings.store(keyword.name, value, Origin::Variable(variable), false)?;
            }
        }
        Ok(settings)
    }

    /// The text of a keyword that takes one of a few words.
    fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let known = words
            .iter()
            .find(|(word, _)| *word == value)
            .map(|(_, meaning)| *meaning);
        known.map(Some).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(name, format_args!("must be one of {}", words.join(", ")))
        })
    }
}

impl Target {
    /// Whether the environment names a server, so that no private one is needed.
    pub fn is_named_by(env: Environment) -> bool {
        ["PGHOST", "PGHOSTADDR", "PGSERVICE"]
            .iter()
            .any(|name| env(name).is_some_and(|value| !value.is_empty()))
    }

    /// Resolves a connection string, or the environment alone, into a target. Reads the service file,
    /// the password file and nothing else; opens no connection.
    ///
    /// # Errors
    /// A malformed string, an unknown option, a value that makes no sense, an option that cannot be
    /// honoured, a service that is not defined.
    pub fn resolve(text: Option<&str>, env: Environment) -> Result<Target> {
        let settings = Settings::collect(text, env).context("resolve the database target")?;
        build(&settings, env).context("resolve the database target")
    }
}

fn build(settings: &Settings, env: Environment) -> Result<Target> {
    let home = env("HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from);
    let mut warnings = Vec::new();
    let hosts = hosts(settings)?;
    let user = match settings.get("user") {
        Some(user) => user.to_owned(),
        None => system_user(env)?,
    };
    let passfile = settings
        .get("passfile")
        .map(PathBuf::from)
        .or_else(|| Some(home.as_ref()?.join(".pgpass")));
    // Also with a password configured: that one is for the configured role only.
    let passfile = passfile
        .map(|path| Passfile::read(&path, &mut warnings))
        .unwrap_or_default();
    let connect_timeout = match settings.get("connect_timeout") {
        None => Some(DEFAULT_CONNECT_TIMEOUT),
        Some(text) => match text.trim().parse::<i64>() {
            // libpq never waits less than two seconds: one would be a coin toss with rounding.
            Ok(seconds @ 1..) => Some(Duration::from_secs(seconds.max(2).unsigned_abs())),
            Ok(_) => None,
            Err(_) => {
                return Err(settings.wrong("connect_timeout", "must be a whole number of seconds"));
            }
        },
    };
    let writable_only = settings.word(
        "target_session_attrs",
        &[("any", false), ("read-write", true), ("primary", true)],
    );
    let writable_only =
        writable_only.context("overnight writes, so other servers are of no use")?;
    let channel_binding = settings.word(
        "channel_binding",
        &[
            ("prefer", None),
            ("disable", Some(ChannelBinding::Disable)),
            ("require", Some(ChannelBinding::Require)),
        ],
    )?;
    if settings.word(
        "gssencmode",
        &[("disable", false), ("prefer", false), ("require", true)],
    )? == Some(true)
    {
        return Err(settings.wrong("gssencmode", "GSSAPI encryption is not supported"));
    }
    Ok(Target {
        tls: tls(settings, &hosts, home.as_deref())?,
        hosts,
        user,
        database: settings.get("dbname").map(str::to_owned),
        password: settings.get("password").map(Secret::new),
        passfile,
        connect_timeout,
        options: settings.get("options").map(str::to_owned),
        writable_only: writable_only.unwrap_or(false),
        channel_binding: channel_binding.flatten(),
        warnings,
    })
}

fn hosts(settings: &Settings) -> Result<Vec<Host>> {
    let list = |name| {
        settings
            .get(name)
            .map(|text| text.split(',').map(str::trim).collect::<Vec<_>>())
    };
    let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = addresses.as_ref().or(names.as_ref()).map_or(1, Vec::len);
    if let Some(names) = names.as_ref().filter(|names| names.len() != count) {
        return Err(settings.wrong(
            "hostaddr",
            format_args!("lists {count} addresses for {} hosts", names.len()),
        ));
    }
    let ports = ports.unwrap_or_else(|| vec![""]);
    if ports.len() != 1 && ports.len() != count {
        return Err(settings.wrong(
            "port",
            format_args!("lists {} ports for {count} hosts", ports.len()),
        ));
    }
    let at = |list: &Option<Vec<&str>>, index: usize| {
        list.as_ref()
            .and_then(|list| list.get(index).copied())
            .unwrap_or_default()
            .to_owned()
    };
    let mut hosts = Vec::new();
    for index in 0..count {
        let port = ports
            .get(index)
            .or(ports.first())
            .copied()
            .unwrap_or_default();
        let port = match port.parse::<u16>() {
            _ if port.is_empty() => 5432,
            Ok(port @ 1..) => port,
            _ => return Err(settings.wrong("port", "must be a number from 1 to 65535")),
        };
        let (name, address) = (at(&names, index), at(&addresses, index));
        let address = match address.as_str() {
            "" => None,
            text => Some(
                text.parse::<IpAddr>()
                    .map_err(|_| settings.wrong("hostaddr", "must be an IP address"))?,
            ),
        };
        let place = match (name.as_str(), address) {
            (abstract_name, _) if abstract_name.starts_with('@') => {
                return Err(settings.wrong("host", "abstract sockets are not supported"));
            }
            (folder, None) if folder.starts_with('/') => Place::Socket(folder.into()),
            ("", None) => Place::Socket(default_socket_folder(port)),
            ("", Some(address)) => Place::Network {
                name: address.to_string(),
                address: Some(address),
            },
            _ => Place::Network { name, address },
        };
        hosts.push(Host { place, port });
    }
    Ok(hosts)
}

/// libpq has the folder compiled in; we look where the socket is, then which folder exists.
fn default_socket_folder(port: u16) -> PathBuf {
    let folders = || DEFAULT_SOCKET_FOLDERS.iter().map(Path::new);
    let found = folders().find(|folder| folder.join(format!(".s.PGSQL.{port}")).exists());
    found
        .or_else(|| folders().find(|folder| folder.exists()))
        .unwrap_or(Path::new("/tmp"))
        .to_owned()
}

/// The effective user of the operating system, libpq's default role.
fn system_user(env: Environment) -> Result<String> {
    whoami::username()
        .ok()
        .filter(|name| !name.is_empty())
        .or_else(|| env("USER"))
        .context("no `user` is configured, and this process runs as a user without a name")
}

fn tls(settings: &Settings, hosts: &[Host], home: Option<&Path>) -> Result<Tls> {
    let modes = SslMode::ALL.map(|mode| (mode.as_str(), mode));
    let given = settings.word("sslmode", &modes)?;
    let default_file = |name: &str| {
        home.map(|home| home.join(".postgresql").join(name))
            .filter(|path| path.exists())
    };
    let roots = match settings.get("sslrootcert") {
        Some("system") => Roots::System,
        Some(path) => Roots::File {
            path: path.into(),
            default: false,
        },
        None => match default_file("root.crt") {
            Some(path) => Roots::File {
                path,
                default: true,
            },
            None => Roots::System,
        },
    };
    let system_was_given = settings.get("sslrootcert") == Some("system");
    let local = hosts.iter().all(Host::is_local) && !system_was_given;
    let mode = given.unwrap_or(if local {
        SslMode::Prefer
    } else {
        SslMode::VerifyFull
    });
    let networked = hosts
        .iter()
        .any(|host| !matches!(host.place, Place::Socket(_)));
    if networked && system_was_given && mode != SslMode::VerifyFull {
        return Err(settings.wrong(
            "sslmode",
            "is too weak for `sslrootcert=system`; use `verify-full`",
        ));
    }
    if networked && mode == SslMode::VerifyCa && roots == Roots::System {
        return Err(settings.wrong(
            "sslmode",
            "needs `sslrootcert`: the file with the certificate authority's certificate",
        ));
    }
    let certificate = settings
        .get("sslcert")
        .map(PathBuf::from)
        .or_else(|| default_file("postgresql.crt"));
    let key = settings
        .get("sslkey")
        .map(PathBuf::from)
        .or_else(|| default_file("postgresql.key"));
    let client = match settings.word("sslcertmode", &[("allow", true), ("disable", false)])? {
        Some(false) => None,
        _ => match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(_), None) if settings.get("sslcert").is_some() => {
                return Err(
                    settings.wrong("sslcert", "needs `sslkey`, the file with its private key")
                );
            }
            _ => None,
        },
    };
    let versions = [
        ("TLSv1", 10),
        ("TLSv1.1", 11),
        ("TLSv1.2", 12),
        ("TLSv1.3", 13),
    ];
    let lowest = settings
        .word("ssl_min_protocol_version", &versions)?
        .unwrap_or(12);
    let highest = settings
        .word("ssl_max_protocol_version", &versions)?
        .unwrap_or(13);
    let only = match (lowest, highest) {
        (_, ..=11) => {
            return Err(settings.wrong(
                "ssl_max_protocol_version",
                "only TLSv1.2 and TLSv1.3 are supported",
            ));
        }
        (13, 12) => {
            return Err(settings.wrong(
                "ssl_min_protocol_version",
                "is above `ssl_max_protocol_version`",
            ));
        }
        (13, _) => Some(TlsVersion::Tls13),
        (_, 12) => Some(TlsVersion::Tls12),
        _ => None,
    };
    let direct = settings
        .word("sslnegotiation", &[("postgres", false), ("direct", true)])?
        .unwrap_or(false);
    if direct && mode < SslMode::Require {
        return Err(settings.wrong(
            "sslnegotiation",
            format_args!("needs `sslmode=require` or more, not `{}`", mode.as_str()),
        ));
    }
    let sni = settings
        .word("sslsni", &[("1", true), ("0", false)])?
        .unwrap_or(true);
    Ok(Tls {
        mode,
        mode_was_given: given.is_some(),
        roots,
        client,
        sni,
        direct,
        only,
    })
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
