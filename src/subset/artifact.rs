//! A subset as one file: `tar` in `zstd`, the same bytes for the same subset.
//!
//! Written: `subset.json` ([`Head`]), then for each table its rows as binary COPY, cut into members
//! `data/TABLE/BLOCK`, then `end.json` with the SHA-256 of everything before. Members carry no time and no
//! owner. Read: from front to back, in blocks; an artifact without its end, or with another digest, is
//! refused before anybody can see what was restored. No member's name is ever used as a path.

use super::head::{FORMAT, Head};
use crate::dataset::hex;
use crate::fetch::{Location, RawObject, Upload};
use crate::problem::Problem;
use crate::switch;
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use ring::digest::{Context as Digest, SHA256};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Members that wait between threads.
const WAITING: usize = 4;
/// Bytes that are passed on at once.
const BLOCK: usize = 256 << 10;
/// A member is no longer than this; the head has the SQL of a project.
const LONGEST: u64 = 64 << 20;
/// Little gain beyond it: the rows are for a laptop, not for an archive.
const LEVEL: i32 = 3;

/// Said by whoever finds that another thread has ended.
const CUT: &str = "write the artifact: it was cut short";

/// What ends an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    /// SHA-256 of `subset.json`.
    head: String,
    /// SHA-256 of the rows of each table.
    tables: Vec<String>,
}

struct Member {
    name: String,
    bytes: Bytes,
}

/// An artifact that is being written.
pub struct Writer {
    members: Sender<Member>,
    packing: tokio::task::JoinHandle<std::io::Result<()>>,
    sending: tokio::task::JoinHandle<Result<u64>>,
    end: End,
    table: Option<(usize, u64, Digest)>,
}

impl Writer {
    /// Begins with the head.
    pub async fn begin(upload: Upload, head: &Head) -> Result<Writer> {
        let (members, waiting) = channel::<Member>(WAITING);
        let (packed, blocks) = channel::<Bytes>(WAITING);
        let packing = tokio::task::spawn_blocking(move || pack(waiting, packed));
        let sending = tokio::spawn(send(upload, blocks));
        let json = serde_json::to_vec_pretty(head).context("write the head of the artifact")?;
        let mut writer = Writer {
            members,
            packing,
            sending,
            end: End {
                head: sha256(&json),
                tables: Vec::new(),
            },
            table: None,
        };
        writer.member("subset.json".into(), json.into()).await?;
        Ok(writer)
    }

    /// Begins the next table.
    pub fn table(&mut self) {
        self.close_table();
        self.table = Some((self.end.tables.len(), 0, Digest::new(&SHA256)));
    }

    fn close_table(&mut self) {
        if let Some((_, _, digest)) = self.table.take() {
            self.end.tables.push(hex(digest.finish().as_ref()));
        }
    }

    /// Adds rows of the table.
    pub async fn rows(&mut self, bytes: Bytes) -> Result<()> {
        let Some((table, block, digest)) = &mut self.table else {
            bail!("write an artifact: rows before their table");
        };
        digest.update(&bytes);
        let name = format!("data/{table:05}/{block:08}");
        *block += 1;
        self.member(name, bytes).await
    }

    async fn member(&mut self, name: String, bytes: Bytes) -> Result<()> {
        // The other end is gone only when it has failed; its error is the one that counts.
        if self.members.send(Member { name, bytes }).await.is_err() {
            bail!(CUT);
        }
        Ok(())
    }

    /// Ends the artifact and returns its bytes.
    ///
    /// # Errors
    /// What kept it from being written.
    pub async fn finish(mut self) -> Result<u64> {
        self.close_table();
        let json = serde_json::to_vec_pretty(&self.end).context("write the end of the artifact")?;
        let told = self.member("end.json".into(), json.into()).await;
        let packed = self.stop().await;
        told.and(packed)
    }

    /// Waits for what was begun, and says why it could not be written.
    async fn stop(self) -> Result<u64> {
        let Writer {
            members,
            packing,
            sending,
            ..
        } = self;
        drop(members);
        let packed = packing.await.context("pack the artifact")?;
        let sent = sending.await.context("send the artifact")?;
        let sent = sent?;
        packed.context("pack the artifact")?;
        Ok(sent)
    }

    /// Gives up; what was written is removed. Returns why: what the other threads met comes before the
    /// error that it led to here.
    pub async fn abandon(self, error: anyhow::Error) -> anyhow::Error {
        let cut = error.to_string() == CUT;
        match self.stop().await {
            Err(cause) if cut && cause.to_string() != CUT => cause,
            _ => error,
        }
    }
}

fn pack(mut members: Receiver<Member>, out: Sender<Bytes>) -> std::io::Result<()> {
    let mut encoder = zstd::Encoder::new(Blocks::new(out), LEVEL)?;
    encoder.include_checksum(true)?;
    let mut tar = tar::Builder::new(encoder);
    let mut ended = false;
    while let Some(member) = members.blocking_recv() {
        let mut header = tar::Header::new_ustar();
        header.set_size(member.bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, &member.name, member.bytes.as_ref())?;
        ended = member.name == "end.json";
    }
    if !ended {
        return Err(std::io::Error::other("it was cut short"));
    }
    let mut blocks = tar.into_inner()?.finish()?;
    blocks.flush()?;
    blocks.end();
    Ok(())
}

/// Passes packed bytes on; an empty block says that all is there.
struct Blocks {
    out: Sender<Bytes>,
    buffer: Vec<u8>,
}

impl Blocks {
    fn new(out: Sender<Bytes>) -> Blocks {
        Blocks {
            out,
            buffer: Vec::with_capacity(BLOCK),
        }
    }

    fn end(self) {
        // Nobody there to hear it: then the error is the other side's.
        let _ = self.out.blocking_send(Bytes::new());
    }
}

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BLOCK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.buffer, Vec::with_capacity(BLOCK));
        self.out
            .blocking_send(block.into())
            .map_err(|_| std::io::Error::other("nobody takes the artifact any more"))
    }
}

/// Uploads; only what has its end appears under its name.
async fn send(mut upload: Upload, mut blocks: Receiver<Bytes>) -> Result<u64> {
    let mut bytes = 0;
    while let Some(block) = blocks.recv().await {
        if block.is_empty() {
            upload.finish().await.context("write the artifact")?;
            return Ok(bytes);
        }
        bytes += block.len() as u64;
        upload.write(block).await.context("write the artifact")?;
    }
    bail!(CUT)
}

/// An artifact that is being read.
pub struct Reader {
    members: Members,
    found: End,
    head: Head,
    /// The first member behind the table that was read last.
    next: Option<Member>,
}

/// What other threads have fetched and unpacked.
struct Members {
    unpacked: Receiver<Result<Member>>,
    fetching: tokio::task::JoinHandle<crate::fetch::Result<()>>,
}

impl Reader {
    /// Begins to read, up to the head.
    ///
    /// # Errors
    /// Status 1 for something that is no artifact, or one of another format.
    pub async fn open(location: &Location, object: &RawObject) -> Result<Reader> {
        let (raw, blocks) = channel::<Bytes>(WAITING);
        let (out, unpacked) = channel::<Result<Member>>(WAITING);
        let fetching = tokio::spawn({
            let (location, object) = (location.clone(), object.clone());
            async move { location.read(&object, raw).await }
        });
        tokio::task::spawn_blocking(move || unpack(blocks, &out));
        let mut members = Members { unpacked, fetching };
        let Some(first) = members.receive().await? else {
            bail!(broken("it is empty"));
        };
        let format = serde_json::from_slice::<serde_json::Value>(&first.bytes)
            .ok()
            .filter(|_| first.name == "subset.json")
            .and_then(|json| json.get("format").and_then(serde_json::Value::as_u64));
        match format {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(format) => {
                bail!(
                Problem::refused(format!(
                    "the artifact has format {format}, this program reads {FORMAT}"
                ))
                .hint("use the overnight release that wrote it, or let the subset be written again")
            )
            }
            None => bail!(broken("it does not begin with `subset.json`")),
        }
        let head = serde_json::from_slice(&first.bytes)
            .map_err(|error| broken(&format!("`subset.json` line {}", error.line())))?;
        Ok(Reader {
            members,
            found: End {
                head: sha256(&first.bytes),
                tables: Vec::new(),
            },
            head,
            next: None,
        })
    }

    /// What the subset is.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Passes the rows of the next table on.
    ///
    /// # Errors
    /// Those of the fetch, of unpacking, and of `out`.
    pub async fn table(&mut self, mut out: impl AsyncFnMut(Bytes) -> Result<()>) -> Result<()> {
        let table = self.found.tables.len();
        let mut digest = Digest::new(&SHA256);
        for block in 0_u64.. {
            let Some(member) = self.take().await? else {
                break;
            };
            if member.name != format!("data/{table:05}/{block:08}") {
                self.next = Some(member);
                break;
            }
            digest.update(&member.bytes);
            out(member.bytes).await?;
        }
        self.found.tables.push(hex(digest.finish().as_ref()));
        Ok(())
    }

    /// Reads the end and holds it against what came.
    ///
    /// # Errors
    /// Status 1 when it is missing or says something else.
    pub async fn finish(mut self) -> Result<()> {
        let last = self.take().await?;
        let Some(last) = last.filter(|member| member.name == "end.json") else {
            bail!(broken(
                "it was cut short, or holds what does not belong there"
            ));
        };
        let end: Option<End> = serde_json::from_slice(&last.bytes).ok();
        if self.take().await?.is_some() {
            bail!(broken("something follows its end"));
        }
        if end.as_ref() != Some(&self.found) && switch::on("subset.digest") {
            bail!(broken("its digests are not those of what it holds"));
        }
        Ok(())
    }

    async fn take(&mut self) -> Result<Option<Member>> {
        match self.next.take() {
            Some(member) => Ok(Some(member)),
            None => self.members.receive().await,
        }
    }
}

impl Members {
    /// The next member; an error of the fetch is told before what it led to.
    async fn receive(&mut self) -> Result<Option<Member>> {
        match self.unpacked.recv().await {
            Some(Ok(member)) => Ok(Some(member)),
            Some(Err(error)) => match self.fetching.is_finished() {
                true => match (&mut self.fetching).await {
                    Ok(Err(cause)) => Err(cause).context("read the artifact"),
                    _ => Err(error),
                },
                false => Err(error),
            },
            None => Ok(None),
        }
    }
}

fn broken(why: &str) -> Problem {
    Problem::refused(format!("the artifact cannot be used: {why}"))
        .hint("let it be written again: `overnight subset DATASET --to …`")
}

fn unpack(blocks: Receiver<Bytes>, out: &Sender<Result<Member>>) {
    if let Err(error) = unpack_members(blocks, out) {
        // Nobody there to hear it: then nobody needs it.
        let _ = out.blocking_send(Err(error));
    }
}

fn unpack_members(blocks: Receiver<Bytes>, out: &Sender<Result<Member>>) -> Result<()> {
    let broken = |error: std::io::Error| {
        anyhow!(Problem::refused(format!(
            "the artifact cannot be unpacked: {error}"
        )))
    };
    let incoming = Incoming {
        blocks,
        left: Bytes::new(),
    };
    let decoder = zstd::Decoder::new(incoming).map_err(broken)?;
    let mut tar = tar::Archive::new(decoder);
    for entry in tar.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let size = entry.size();
        if size > LONGEST || entry.header().entry_type() != tar::EntryType::Regular {
            bail!(Problem::refused(
                "the artifact cannot be used: it has a member that overnight does not write"
            ));
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(broken)?;
        let member = Member {
            name,
            bytes: bytes.into(),
        };
        if out.blocking_send(Ok(member)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

struct Incoming {
    blocks: Receiver<Bytes>,
    left: Bytes,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.left.is_empty() {
            match self.blocks.blocking_recv() {
                Some(bytes) => self.left = bytes,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.left.len());
        buffer[..count].copy_from_slice(&self.left.split_to(count));
        Ok(count)
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&SHA256, bytes).as_ref())
}
