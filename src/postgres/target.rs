//! A server as the user configured it: hosts, login, TLS, nothing left to look up but passwords.
//!
//! In: the fields that [`Target::resolve`](super::Target::resolve) filled. Out: descriptions for
//! messages, and URLs that psql can use as they are. No password ever leaves through either.

use super::passfile::Passfile;
use crate::secret::Secret;
use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// What a connection needs to know before it is made; cheap enough to clone.
#[derive(Debug, Clone)]
pub struct Target {
    pub(super) hosts: Vec<Host>,
    pub(super) user: String,
    pub(super) database: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) passfile: Passfile,
    pub(super) tls: Tls,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) options: Option<String>,
    pub(super) writable_only: bool,
    pub(super) channel_binding: Option<ChannelBinding>,
    pub(super) warnings: Vec<String>,
}

/// One place to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub(super) place: Place,
    pub(super) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The folder of a Unix socket.
    Socket(PathBuf),
    /// A name or address, and the address to use instead of a look-up.
    Network {
        name: String,
        address: Option<IpAddr>,
    },
}

/// How much TLS is asked for; the words are those of libpq.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelBinding {
    Disable,
    Require,
}

/// What the TLS layer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tls {
    pub mode: SslMode,
    /// False when overnight chose the mode.
    pub mode_was_given: bool,
    pub roots: Roots,
    /// Certificate and key of the client.
    pub client: Option<(PathBuf, PathBuf)>,
    pub sni: bool,
    pub direct: bool,
    /// Only TLS 1.2 or only TLS 1.3; `None` allows both.
    pub only: Option<TlsVersion>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsVersion {
    Tls12,
    Tls13,
}

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// `sslrootcert`, or libpq's default file (`default` is then true).
    File { path: PathBuf, default: bool },
    /// The certificates of the operating system.
    System,
}

impl Host {
    /// True for a socket and for a server on this machine: nobody in between can listen.
    pub(super) fn is_local(&self) -> bool {
        match &self.place {
            Place::Socket(_) => true,
            Place::Network {
                address: Some(address),
                ..
            } => address.is_loopback(),
            Place::Network {
                name,
                address: None,
            } => {
                name.eq_ignore_ascii_case("localhost")
                    || name
                        .parse()
                        .is_ok_and(|address: IpAddr| address.is_loopback())
            }
        }
    }

    /// The name a password file line must carry.
    fn passfile_name(&self) -> String {
        match &self.place {
            Place::Socket(folder)
                if DEFAULT_SOCKET_FOLDERS
                    .iter()
                    .any(|known| folder == Path::new(known)) =>
            {
                "localhost".into()
            }
            Place::Socket(folder) => folder.display().to_string(),
            Place::Network { name, .. } => name.clone(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Socket(folder) => write!(
                out,
                "socket `{}`",
                folder.join(format!(".s.PGSQL.{}", self.port)).display()
            ),
            Place::Network { name, .. } if name.contains(':') => {
                write!(out, "[{name}]:{}", self.port)
            }
            Place::Network { name, .. } => write!(out, "{name}:{}", self.port),
        }
    }
}

impl SslMode {
    /// The libpq word.
    pub fn as_str(self) -> &'static str {
        match self {
            SslMode::Disable => "disable",
            SslMode::Allow => "allow",
            SslMode::Prefer => "prefer",
            SslMode::Require => "require",
            SslMode::VerifyCa => "verify-ca",
            SslMode::VerifyFull => "verify-full",
        }
    }

    pub(super) const ALL: [SslMode; 6] = [
        SslMode::Disable,
        SslMode::Allow,
        SslMode::Prefer,
        SslMode::Require,
        SslMode::VerifyCa,
        SslMode::VerifyFull,
    ];
}

/// Where libpq builds look for sockets: Debian and Red Hat, then everybody else. Their password file
/// lines say `localhost`.
pub(super) const DEFAULT_SOCKET_FOLDERS: [&str; 3] =
    ["/var/run/postgresql", "/run/postgresql", "/tmp"];

impl Target {
    /// True when every host is this machine: a socket or a loopback address.
    pub fn is_local(&self) -> bool {
        self.hosts.iter().all(Host::is_local)
    }

    /// A server behind the socket in `folder`, without password.
    pub fn socket(folder: impl Into<PathBuf>, port: u16, user: impl Into<String>) -> Target {
        Target {
            hosts: vec![Host {
                place: Place::Socket(folder.into()),
                port,
            }],
            user: user.into(),
            database: None,
            password: None,
            passfile: Passfile::default(),
            tls: Tls {
                mode: SslMode::Prefer,
                mode_was_given: false,
                roots: Roots::System,
                client: None,
                sni: true,
                direct: false,
                only: None,
            },
            connect_timeout: Some(DEFAULT_CONNECT_TIMEOUT),
            options: None,
            writable_only: false,
            channel_binding: None,
            warnings: Vec::new(),
        }
    }

    /// The places to try, in order; never empty.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The role to log in as.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database named by the user; libpq would take one called like the role when there is none.
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// How much TLS is asked for, by the user or by the default.
    pub fn ssl_mode(&self) -> SslMode {
        self.tls.mode
    }

    /// What the user should know, for instance a password file that was not used.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The hosts and the ports as libpq's variables have them, lists with commas between.
    pub fn reach(&self) -> (String, String) {
        let hosts = self.hosts.iter().map(|host| match &host.place {
            Place::Socket(folder) => folder.display().to_string(),
            Place::Network { name, .. } => name.clone(),
        });
        let ports = self.hosts.iter().map(|host| host.port.to_string());
        (
            hosts.collect::<Vec<_>>().join(","),
            ports.collect::<Vec<_>>().join(","),
        )
    }

    /// The variables with which libpq connects to a database as the configured role, without a password.
    pub fn variables(&self, database: &str) -> [(&'static str, String); 5] {
        let (host, port) = self.reach();
        [
            ("PGHOST", host),
            ("PGPORT", port),
            ("PGDATABASE", database.to_owned()),
            ("PGUSER", self.user.clone()),
            ("PGSSLMODE", self.tls.mode.as_str().to_owned()),
        ]
    }

    /// The password of the configured role, where the target or the environment has one.
    pub fn own_password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The hosts as one text for messages: `db.example:5432`.
    pub fn place(&self) -> String {
        self.hosts
            .iter()
            .map(Host::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Host and port of the first place, as a pooler's configuration spells them: a folder is a socket.
    pub fn first_place(&self) -> Option<(String, u16)> {
        self.hosts.first().map(|host| {
            let name = match &host.place {
                Place::Socket(folder) => folder.display().to_string(),
                Place::Network {
                    address: Some(address),
                    ..
                } => address.to_string(),
                Place::Network { name, .. } => name.clone(),
            };
            (name, host.port)
        })
    }

    /// The password for one connection: the configured one, or a line of the password file. The
    /// configured one belongs to the configured role only.
    pub(super) fn password(&self, host: &Host, database: &str, user: &str) -> Option<&Secret> {
        let configured = if user == self.user {
            self.password.as_ref()
        } else {
            None
        };
        configured.or_else(|| {
            self.passfile
                .find(&host.passfile_name(), host.port, database, user)
        })
    }

    /// A URL for `database`, as `role` or as the configured one, that psql and every libpq client can
    /// use as it is. It holds no password.
    ///
    /// With the roots of the operating system it says `sslrootcert=system`, which needs libpq 16.
    pub fn url_for(&self, database: &str, role: Option<&str>) -> String {
        let mut query: Vec<(&str, String)> = Vec::new();
        let mut names = Vec::new();
        let mut addresses = Vec::new();
        for host in &self.hosts {
            match &host.place {
                Place::Socket(folder) => {
                    names.push(format!(
                        "{}:{}",
                        encode(&folder.display().to_string()),
                        host.port
                    ));
                    addresses.push(String::new());
                }
                Place::Network { name, address } => {
                    let name = if name.contains(':') {
                        format!("[{name}]")
                    } else {
                        encode(name)
                    };
                    names.push(format!("{name}:{}", host.port));
                    addresses.push(
                        address
                            .map(|address| address.to_string())
                            .unwrap_or_default(),
                    );
                }
            }
        }
        // The form most clients know for a single socket; a list needs the encoded one.
        let authority = match self.hosts.as_slice() {
            [
                Host {
                    place: Place::Socket(folder),
                    port,
                },
            ] => {
                query.push(("host", folder.display().to_string()));
                query.push(("port", port.to_string()));
                String::new()
            }
            _ => names.join(","),
        };
        if addresses.iter().any(|address| !address.is_empty()) {
            query.push(("hostaddr", addresses.join(",")));
        }
        self.describe_tls(&mut query);
        if self.writable_only {
            query.push(("target_session_attrs", "read-write".into()));
        }
        query.extend(
            self.options
                .iter()
                .map(|options| ("options", options.clone())),
        );
        let query: Vec<_> = query
            .iter()
            .map(|(key, value)| format!("{key}={}", encode(value)))
            .collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!(
            "postgresql://{}@{authority}/{}{mark}{}",
            encode(role.unwrap_or(&self.user)),
            encode(database),
            query.join("&")
        )
    }

    fn describe_tls(&self, query: &mut Vec<(&str, String)>) {
        let path = |path: &Path| path.display().to_string();
        if self
            .hosts
            .iter()
            .all(|host| matches!(host.place, Place::Socket(_)))
        {
            return;
        }
        let tls = &self.tls;
        if tls.mode_was_given || tls.mode != SslMode::Prefer {
            query.push(("sslmode", tls.mode.as_str().into()));
        }
        match &tls.roots {
            Roots::File {
                path: file,
                default: false,
            } => query.push(("sslrootcert", path(file))),
            Roots::System if tls.mode == SslMode::VerifyFull => {
                query.push(("sslrootcert", "system".into()))
            }
            _ => {}
        }
        if let Some((certificate, key)) = &tls.client {
            query.push(("sslcert", path(certificate)));
            query.push(("sslkey", path(key)));
        }
        if !tls.sni {
            query.push(("sslsni", "0".into()));
        }
        if tls.direct {
            query.push(("sslnegotiation", "direct".into()));
        }
        match tls.only {
            Some(TlsVersion::Tls12) => query.push(("ssl_max_protocol_version", "TLSv1.2".into())),
            Some(TlsVersion::Tls13) => query.push(("ssl_min_protocol_version", "TLSv1.3".into())),
            None => {}
        }
        match self.channel_binding {
            Some(ChannelBinding::Disable) => query.push(("channel_binding", "disable".into())),
            Some(ChannelBinding::Require) => query.push(("channel_binding", "require".into())),
            None => {}
        }
    }
}

/// Waiting longer than this for a connection helps nobody; `connect_timeout` overrides it.
pub(super) const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Percent-encodes everything but the unreserved characters of RFC 3986.
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}
