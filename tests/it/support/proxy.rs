//! A relay before the server that stops in the middle of a conversation, as a network does.

use super::cluster::Cluster;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// When a connection stops carrying anything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// The message does not arrive.
    Before,
    /// The message arrives and its answer does not.
    After,
}

/// Relays until it is dropped. The first connection whose client sends `pattern` stalls there, with
/// both ends open; others go on.
pub struct Proxy {
    folder: TempDir,
    port: u16,
    stalled: Arc<AtomicBool>,
}

impl Proxy {
    pub fn start(cluster: &'static Cluster, pattern: &'static str, cut: Cut) -> Proxy {
        let folder = tempfile::Builder::new()
            .prefix("overnight-proxy-")
            .tempdir_in("/tmp")
            .unwrap();
        let port = 5432;
        let name = format!(".s.PGSQL.{port}");
        let listener = UnixListener::bind(folder.path().join(&name)).unwrap();
        let server = cluster.embedded.socket_folder().join(name);
        let stalled = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stalled);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, UnixStream::connect(&server)) else {
                    return;
                };
                relay(client, server, pattern, cut, Arc::clone(&seen));
            }
        });
        Proxy {
            folder,
            port,
            stalled,
        }
    }

    /// A libpq URL through it.
    pub fn url(&self, database: &str, role: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://{role}@{folder}:{}/{database}", self.port)
    }

    pub fn has_stalled(&self) -> bool {
        self.stalled.load(Ordering::SeqCst)
    }
}

fn relay(
    client: UnixStream,
    server: UnixStream,
    pattern: &'static str,
    cut: Cut,
    any: Arc<AtomicBool>,
) {
    let this = Arc::new(AtomicBool::new(false));
    let (back, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let stopped = Arc::clone(&this);
    std::thread::spawn(move || {
        carry(client, server, |bytes| {
            let found = bytes
                .windows(pattern.len())
                .any(|window| window == pattern.as_bytes());
            if found && !any.swap(true, Ordering::SeqCst) {
                this.store(true, Ordering::SeqCst);
                return cut == Cut::After;
            }
            !this.load(Ordering::SeqCst)
        });
    });
    std::thread::spawn(move || carry(back, to, |_| !stopped.load(Ordering::SeqCst)));
}

/// Copies until one end closes. What must not pass is dropped, and nothing closes then: a network
/// that is cut tells neither end.
fn carry(mut from: UnixStream, mut to: UnixStream, mut passes: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 1 << 16];
    let mut carried = true;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        if passes(&buffer[..count]) {
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        } else {
            carried = false;
        }
    }
    if !carried {
        // Kept open until the test process ends.
        loop {
            std::thread::sleep(Duration::from_secs(60));
        }
    }
    drop(to.shutdown(std::net::Shutdown::Both));
}
