//! A TCP proxy before a server that passes bytes on until it is told to stall: connections stay open, new ones
//! are taken, and no byte comes any more.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is looked for in the bytes to the server, before which the proxy stalls.
type Trigger = Arc<Mutex<Option<Vec<u8>>>>;

/// Runs until the test process ends.
pub struct StallingProxy {
    pub port: u16,
    stalled: Arc<AtomicBool>,
    trigger: Trigger,
}

impl StallingProxy {
    /// Before the server behind a socket in this folder.
    pub fn before(socket_folder: &Path, server_port: u16) -> StallingProxy {
        Self::at(0, socket_folder, server_port)
    }

    /// The same on a port of its own; 0 is any.
    pub fn at(port: u16, socket_folder: &Path, server_port: u16) -> StallingProxy {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let proxy = StallingProxy {
            port: listener.local_addr().unwrap().port(),
            stalled: Arc::default(),
            trigger: Arc::default(),
        };
        let (stalled, trigger) = (Arc::clone(&proxy.stalled), Arc::clone(&proxy.trigger));
        let socket: PathBuf = socket_folder.join(format!(".s.PGSQL.{server_port}"));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { continue };
                let Ok(server) = UnixStream::connect(&socket) else {
                    continue;
                };
                relay(client, server, &stalled, &trigger);
            }
        });
        proxy
    }

    /// A URL of the server through the proxy.
    pub fn url(&self, database: &str, role: &str) -> String {
        format!(
            "postgres://{role}@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }

    /// Nothing is passed on any more, in either direction.
    pub fn stall(&self) {
        self.stalled.store(true, Ordering::SeqCst);
    }

    /// Stalls by itself when the client sends this text, which is not passed on.
    pub fn stall_at(&self, text: &str) {
        *self.trigger.lock().unwrap() = Some(text.as_bytes().to_vec());
    }

    /// Whether it stalls.
    pub fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::SeqCst)
    }
}

fn relay(client: TcpStream, server: UnixStream, stalled: &Arc<AtomicBool>, trigger: &Trigger) {
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (stop, text) = (Arc::clone(stalled), Arc::clone(trigger));
    std::thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let sent = &bytes[..count];
            let found = text
                .lock()
                .unwrap()
                .as_ref()
                .is_some_and(|text| sent.windows(text.len()).any(|window| window == text));
            if found {
                stop.store(true, Ordering::SeqCst);
            }
            wait_while(&stop);
            if to.write_all(sent).is_err() {
                break;
            }
        }
        drop(to.shutdown(Shutdown::Both));
    });
    let (mut from, mut to) = (server, client);
    let stop = Arc::clone(stalled);
    std::thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            wait_while(&stop);
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        drop(to.shutdown(Shutdown::Both));
    });
}

fn wait_while(stalled: &AtomicBool) {
    while stalled.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(20));
    }
}
