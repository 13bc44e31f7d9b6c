//! Reads an artifact from front to back: one thread unpacks, while its blocks arrive and rows are sent on.

use super::{End, Member, WAITING, sha256};
use crate::dataset::hex;
use crate::fetch::{Location, RawObject};
use crate::problem::Problem;
use crate::subset::head::{FORMAT, Head};
use crate::switch;
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use ring::digest::{Context as Digest, SHA256};
use std::io::Read;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// A member is no longer than this; the head has the SQL of a project.
const LONGEST: u64 = 64 << 20;

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
