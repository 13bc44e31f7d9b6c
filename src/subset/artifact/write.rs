//! Writes an artifact: one thread packs, while the rows before it are sent and those behind it arrive.

use super::{End, Member, WAITING, sha256};
use crate::dataset::hex;
use crate::fetch::Upload;
use crate::subset::head::Head;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use ring::digest::{Context as Digest, SHA256};
use std::io::Write;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Bytes that are passed on at once.
const BLOCK: usize = 256 << 10;
/// Little gain beyond it: the rows are for a laptop, not for an archive.
const LEVEL: i32 = 3;
/// Said by whoever finds that another thread has ended.
const CUT: &str = "write the artifact: it was cut short";

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
