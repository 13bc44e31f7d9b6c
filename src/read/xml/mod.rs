//! Repeated elements of an XML document as rows.
//!
//! In: the document, the path of the elements that are records, and what is wanted of each: child
//! elements, attributes, both at any depth. Out: delimited text as [`super::rows`] writes it. Read as
//! a stream; one record at a time is in memory.
//!
//! Nothing inside a record is dropped in silence: text or an attribute that nobody wants and nobody
//! ignores is an error that names its path, and a value that comes twice is a reject unless it is
//! wanted as a list. What lies outside the records is not read. Entities are those of XML
//! itself; a document cannot define more, and nothing is fetched.

mod document;
mod paths;

use super::encoding::Encoding;
use super::faults::{Faults, Why};
use super::rows::{BLOCK_BYTES, Rows, quote};
use super::text::refused;
use super::transcode::Transcoder;
use document::{Limited, declared, explained, steps, too_long, unreadable};
use paths::{Paths, Wanted};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use std::borrow::Cow;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::sync::Arc;

/// What is read of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `/prices/price`.
    pub rows: String,
    /// The fields of a row.
    pub fields: Vec<Field>,
    /// Paths below the row that are left out, folded as names of columns are.
    pub ignore: Vec<String>,
    /// Instead of what the document says of itself.
    pub encoding: Option<Encoding>,
    /// The most text of a record.
    pub max_record_bytes: usize,
}

/// A field, and where in a row its text is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The column that it fills: its name, unless `from` says otherwise, is the path.
    pub column: String,
    /// `child/path`, `@attribute`, `child/@attribute`, `.` for the row's own text; with `[]` behind
    /// it all occurrences, as an array.
    pub from: Option<String>,
}

impl Field {
    /// Its name in the header.
    pub fn name(&self) -> &str {
        self.from.as_deref().unwrap_or(&self.column)
    }
}

/// A character that no document may hold, in place of what was no text.
const MALFORMED: &str = "\u{FFFF}";

/// Enough for the declaration of a document.
const HEAD_BYTES: usize = 1024;

/// Deeper documents are refused.
const MOST_DEPTH: usize = 256;

/// Different paths below the rows, at most: a new one is compared with those before it, and kept.
const MOST_PATHS: usize = 10_000;

/// Attributes of one element, at most: each is compared with those before it.
const MOST_ATTRIBUTES: usize = 2000;
/// The namespace of `nil`.
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

type Decoded<R> = Limited<BufReader<Transcoder<Chain<Cursor<Vec<u8>>, R>>>>;

/// A reader of the rows of one document.
pub struct Document<R: Read> {
    xml: Reader<Decoded<R>>,
    buffer: Vec<u8>,
    paths: Paths,
    steps: Vec<String>,
    /// Elements open, and how many of them from the root on are the steps to the rows.
    depth: usize,
    matched: usize,
    /// The parent of the rows was there.
    parent_seen: bool,
    found: bool,
    root: Option<String>,
    /// Open elements of the row under way; empty outside.
    open: Vec<Frame>,
    /// Prefixes of the namespace whose `nil` says that an element has no value.
    instance: Vec<String>,
    spare: Vec<Frame>,
    row_start: u64,
    values: Vec<Value>,
    rows: Rows,
    taken: usize,
    before: u64,
    faults: Arc<Faults>,
    malformed: Arc<Faults>,
    encoding: Encoding,
    max_record_bytes: usize,
    ended: bool,
    failed: bool,
}

/// One open element.
#[derive(Default)]
struct Frame {
    node: usize,
    text: String,
    has_children: bool,
    nil: bool,
    why: Option<Cow<'static, str>>,
}

/// What a field holds so far.
#[derive(Default)]
struct Value {
    list: bool,
    present: bool,
    text: Vec<u8>,
    why: Option<Cow<'static, str>>,
}

/// Opens a document.
///
/// # Errors
/// The reader's own; a path that is none; an encoding that is not known.
pub fn rows<R: Read>(
    mut input: R,
    options: &Options,
    faults: Arc<Faults>,
) -> io::Result<Document<R>> {
    let steps = steps(&options.rows)?;
    let mut head = Vec::new();
    input
        .by_ref()
        .take(HEAD_BYTES as u64)
        .read_to_end(&mut head)?;
    let encoding = match options.encoding {
        Some(encoding) => encoding,
        None => declared(&head)?,
    };
    let encoding = super::text::byte_order(encoding, &head)?;
    let malformed = Arc::new(Faults::default());
    let raw = Cursor::new(head).chain(input);
    let text = Transcoder::new(raw, encoding, MALFORMED.as_bytes(), Arc::clone(&malformed));
    let mut xml = Reader::from_reader(Limited::new(
        BufReader::with_capacity(64 << 10, text),
        options.max_record_bytes,
    ));
    xml.config_mut().expand_empty_elements = true;
    let mut rows = Rows::default();
    rows.header(options.fields.iter().map(Field::name));
    let values = options.fields.iter().map(|field| Value {
        list: field.name().ends_with("[]"),
        ..Value::default()
    });
    Ok(Document {
        xml,
        buffer: Vec::new(),
        values: values.collect(),
        paths: Paths::new(&options.fields, &options.ignore),
        steps,
        depth: 0,
        matched: 0,
        parent_seen: false,
        found: false,
        root: None,
        open: Vec::new(),
        instance: vec!["xsi".to_owned()],
        spare: Vec::new(),
        row_start: 0,
        rows,
        taken: 0,
        before: 0,
        faults,
        malformed,
        encoding,
        max_record_bytes: options.max_record_bytes,
        ended: false,
        failed: false,
    })
}

impl<R: Read> Document<R> {
    /// Reads on until a block is full or the document has ended.
    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        while !self.ended && self.rows.block.bytes.len() < BLOCK_BYTES {
            buffer.clear();
            let limited = self.xml.get_mut();
            limited.left = limited.most;
            let began = self.xml.buffer_position();
            let event = self.xml.read_event_into(&mut buffer);
            self.event(event.map_err(|error| explained(error, began))?, began)?;
        }
        self.buffer = buffer;
        for (at, why) in self.rows.block.faults.drain(..) {
            self.faults.push(self.before + at as u64, Why::Said(why));
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, began: u64) -> io::Result<()> {
        let in_row = !self.open.is_empty();
        let length = self.xml.buffer_position().saturating_sub(self.row_start);
        if in_row && length > self.max_record_bytes as u64 {
            return Err(too_long(self.max_record_bytes));
        }
        match event {
            Event::Start(element) => self.start(&element, began),
            Event::End(_) => self.end(),
            Event::Text(text) => self.text(&text.xml10_content(), began),
            Event::CData(text) => self.text(&text.xml10_content(), began),
            Event::GeneralRef(reference) => {
                if self.open.is_empty() {
                    return Ok(());
                }
                let unknown = |_| unreadable(began, "a character reference that is none");
                let character = match (reference.resolve_char_ref().map_err(unknown)?, &*reference)
                {
                    (Some(character), _) => character,
                    (None, "lt") => '<',
                    (None, "gt") => '>',
                    (None, "amp") => '&',
                    (None, "apos") => '\'',
                    (None, "quot") => '"',
                    (None, _) => {
                        let said =
                            "an entity that XML does not define; such documents are not read";
                        return Err(unreadable(began, said));
                    }
                };
                self.text(character.encode_utf8(&mut [0; 4]), began)
            }
            Event::Eof if self.depth > 0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the XML document ends early: an element is still open",
            )),
            Event::Eof => {
                self.ended = true;
                self.check_found()
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, element: &BytesStart<'_>, began: u64) -> io::Result<()> {
        let name = element.local_name();
        let name: &str = name.as_ref();
        if self.depth == 0 {
            self.root = Some(name.to_owned());
        }
        if self.depth == MOST_DEPTH {
            return Err(unreadable(began, "elements nested more than 256 deep"));
        }
        self.depth += 1;
        self.declare(element, began)?;
        let node = if let Some(parent) = self.open.last_mut() {
            parent.has_children = true;
            let parent = parent.node;
            self.paths.child(parent, name)
        } else {
            let step = self.steps.get(self.matched).map(String::as_str);
            if self.matched + 1 != self.depth || (step != Some(name) && step != Some("*")) {
                return Ok(());
            }
            self.matched += 1;
            self.parent_seen |= self.matched + 1 >= self.steps.len();
            if self.matched < self.steps.len() {
                return Ok(());
            }
            self.found = true;
            self.row_start = began;
            Paths::ROW
        };
        let mut frame = self.spare.pop().unwrap_or_default();
        frame.node = node;
        self.attributes(element, &mut frame, began)?;
        if self.paths.count() > MOST_PATHS {
            return Err(refused(
                "the records of the document hold more than 10,000 different elements and attributes",
                "names that are data do not fit columns: have the document delivered as another format",
            ));
        }
        self.open.push(frame);
        Ok(())
    }

    /// Learns under which prefixes an element declares the namespace of instances: .NET calls it `i`.
    fn declare(&mut self, element: &BytesStart<'_>, began: u64) -> io::Result<()> {
        let raw: &[u8] = element.attributes_raw().as_ref();
        if memchr::memmem::find(raw, b"xmlns:").is_none() {
            return Ok(());
        }
        for attribute in element.attributes() {
            let broken = |_| unreadable(began, "an attribute that cannot be read");
            let attribute = attribute.map_err(broken)?;
            let key: &str = attribute.key.as_ref();
            let Some(prefix) = key.strip_prefix("xmlns:") else {
                continue;
            };
            let is_instance = attribute.value.as_ref() == INSTANCE;
            let known = self.instance.iter().position(|one| one == prefix);
            match (is_instance, known) {
                (true, None) => self.instance.push(prefix.to_owned()),
                (false, Some(at)) => {
                    self.instance.remove(at);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn attributes(
        &mut self,
        element: &BytesStart<'_>,
        frame: &mut Frame,
        began: u64,
    ) -> io::Result<()> {
        if element.attributes_raw().trim_ascii().is_empty() {
            return Ok(());
        }
        for (index, attribute) in element.attributes().enumerate() {
            if index == MOST_ATTRIBUTES {
                return Err(unreadable(began, "an element of more than 2000 attributes"));
            }
            let broken = || unreadable(began, "an attribute that cannot be read");
            let attribute = attribute.map_err(|_| broken())?;
            let key: &str = attribute.key.as_ref();
            if key == "xmlns" || key.starts_with("xmlns:") || key.starts_with("xml:") {
                continue;
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|_| broken())?;
            let of_instance = key
                .split_once(':')
                .filter(|(prefix, _)| self.instance.iter().any(|one| one == prefix));
            if let Some((_, name)) = of_instance {
                // About the document, not of it.
                frame.nil |= name == "nil" && matches!(&*value, "true" | "1");
                continue;
            }
            let name = attribute.key.local_name();
            let node = self.paths.attribute(frame.node, name.as_ref());
            let why = self.why_no_text(&value, began);
            self.put(node, &value, why)?;
        }
        Ok(())
    }

    fn text(&mut self, text: &str, began: u64) -> io::Result<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        let why = self.why_no_text(text, began);
        if let Some(frame) = self.open.last_mut() {
            frame.text.push_str(text);
            frame.why = frame.why.take().or(why);
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.depth = self.depth.saturating_sub(1);
        let Some(mut frame) = self.open.pop() else {
            self.matched = self.matched.min(self.depth);
            return Ok(());
        };
        let blank = frame.text.bytes().all(|byte| byte.is_ascii_whitespace());
        // Blanks between elements only set them in lines.
        if !(frame.nil || blank && frame.has_children) {
            let why = frame.why.take();
            self.put(frame.node, &frame.text, why)?;
        }
        frame.text.clear();
        (frame.has_children, frame.nil, frame.why) = (false, false, None);
        self.spare.push(frame);
        if self.open.is_empty() {
            self.matched = self.matched.min(self.depth);
            self.end_row();
        }
        Ok(())
    }

    /// Takes the text of an element or attribute to the fields that want it.
    fn put(&mut self, node: usize, text: &str, why: Option<Cow<'static, str>>) -> io::Result<()> {
        let fields = match self.paths.wanted(node) {
            Wanted::Fields(fields) => fields,
            Wanted::Ignored => return Ok(()),
            Wanted::Unknown if text.trim_ascii().is_empty() => return Ok(()),
            Wanted::Unknown => {
                let path = self.paths.path(node);
                let rows = self.steps.join("/");
                return Err(refused(
                    format!("`{path}` below `/{rows}` holds text, and no column takes it"),
                    format!(
                        "in the source file, map it with `from = \"{path}\"` under [columns], or list it under `ignore`"
                    ),
                ));
            }
        };
        for field in fields {
            let Some(value) = self.values.get_mut(*field) else {
                continue;
            };
            value.why = value.why.take().or_else(|| why.clone());
            if value.list {
                value.text.push(if value.present { b',' } else { b'{' });
                quote(text.as_bytes(), &mut value.text);
            } else if value.present {
                value.why = Some(
                    "comes more than once in the record; `from = \"…[]\"` takes all as an array"
                        .into(),
                );
            } else {
                value.text.extend_from_slice(text.as_bytes());
            }
            value.present = true;
        }
        Ok(())
    }

    fn end_row(&mut self) {
        for value in &mut self.values {
            match value.why.take() {
                Some(why) => self.rows.fault(why),
                None if !value.present => self.rows.null(),
                None => {
                    if value.list {
                        value.text.push(b'}');
                    }
                    self.rows.value(&value.text);
                }
            }
            value.text.clear();
            value.present = false;
        }
        self.rows.end();
    }

    fn why_no_text(&self, text: &str, began: u64) -> Option<Cow<'static, str>> {
        // Its first byte is in few texts, and found much quicker.
        if memchr::memchr(0xEF, text.as_bytes()).is_none() || !text.contains(MALFORMED) {
            return None;
        }
        let label = self.encoding.label();
        Some(match self.malformed.first_from(began) {
            Some(Why::Byte(byte)) => {
                format!("is not valid {label} at byte {byte} of the file").into()
            }
            _ => format!("is not valid {label}").into(),
        })
    }

    fn check_found(&self) -> io::Result<()> {
        if self.found || (self.parent_seen && self.root.is_some()) {
            return Ok(());
        }
        Err(match &self.root {
            None => refused(
                "this is no XML document: it holds no element",
                "say what it is with `kind` under [format]",
            ),
            Some(root) => refused(
                format!(
                    "the document has no element `/{}`; its root is `/{root}`",
                    self.steps.join("/")
                ),
                "`rows` under [format] names the path of the elements that are records",
            ),
        })
    }
}

impl<R: Read> Read for Document<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::Error::other("reading failed before"));
        }
        while self.taken == self.rows.block.bytes.len() {
            if self.ended {
                return Ok(0);
            }
            self.before += self.taken as u64;
            self.rows.take();
            self.taken = 0;
            let filled = self.fill();
            self.failed = filled.is_err();
            filled?;
        }
        let bytes = &self.rows.block.bytes[self.taken..];
        let count = out.len().min(bytes.len());
        out[..count].copy_from_slice(&bytes[..count]);
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
