//! The bytes of one file to text that can be cut: the step between container and splitter.
//!
//! In: the bytes, out of any compression or archive, and what the source declares. Out: a [`Text`]:
//! the bytes themselves where their encoding is cut as it stands, UTF-8 for every other encoding,
//! and delimited text for XML, Parquet and spreadsheets.
//!
//! A file that shows by its first bytes that it is not what was declared is refused here, before a
//! wrong character is loaded.

use super::container::Refusal;
use super::encoding::Encoding;
use super::faults::Faults;
#[cfg(feature = "parquet")]
use super::parquet;
use super::transcode::{NO_TEXT, Transcoder};
#[cfg(feature = "xlsx")]
use super::xlsx;
use super::xml;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

/// What a file is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// Records as text in this encoding.
    Plain(Encoding),
    Xml(xml::Options),
    Parquet(ParquetOptions),
    Xlsx(XlsxOptions),
}

/// What is read of a Parquet file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParquetOptions {
    /// Columns that are not read, folded as names of columns are.
    pub ignore: Vec<String>,
}

/// What is read of a workbook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XlsxOptions {
    /// The sheet; without it, the only one that holds something.
    pub sheet: Option<String>,
    /// The row of the sheet, from 0, whose last name is the last column; without it, the first row
    /// that holds something.
    pub header_row: Option<usize>,
}

/// Text that can be cut.
pub struct Text<'a> {
    pub reader: Box<dyn Read + Send + 'a>,
    /// Why bytes FF stand in the text; none where the text is the file itself.
    pub faults: Option<Arc<Faults>>,
}

impl TextFormat {
    /// Says whether a file must be there whole before its first row can be read.
    pub fn seeks(&self) -> bool {
        matches!(self, TextFormat::Parquet(_) | TextFormat::Xlsx(_))
    }
}

/// Checks that this program can read a format that it may be built without.
///
/// # Errors
/// It was built without it.
pub fn check_built_with(kind: &str) -> anyhow::Result<()> {
    let missing = match kind {
        "parquet" => cfg!(not(feature = "parquet")),
        "xlsx" => cfg!(not(feature = "xlsx")),
        _ => false,
    };
    anyhow::ensure!(
        !missing,
        "this program was built without {kind}: build it with `--features {kind}`, or have the file delivered as delimited text"
    );
    Ok(())
}

/// Opens the text of a file. `directory`: where a file is kept that must be there whole; nothing of
/// it is left behind.
///
/// # Errors
/// The reader's own; [`io::ErrorKind::Unsupported`] for a file that is not what was declared. The
/// reader returned fails for what is broken further on.
pub fn open<'a>(
    mut member: impl Read + Send + 'a,
    format: &TextFormat,
    directory: &Path,
) -> io::Result<Text<'a>> {
    let faults = Arc::new(Faults::default());
    let reader: Box<dyn Read + Send + 'a> = match format {
        TextFormat::Plain(encoding) => {
            let mut head = Vec::with_capacity(4);
            member.by_ref().take(4).read_to_end(&mut head)?;
            let encoding = byte_order(*encoding, &head)?;
            let whole = Cursor::new(head).chain(member);
            if !encoding.is_transcoded() {
                return Ok(Text {
                    reader: Box::new(whole),
                    faults: None,
                });
            }
            Box::new(Transcoder::new(
                whole,
                encoding,
                NO_TEXT,
                Arc::clone(&faults),
            ))
        }
        TextFormat::Xml(options) => Box::new(xml::rows(member, options, Arc::clone(&faults))?),
        #[cfg(feature = "parquet")]
        TextFormat::Parquet(options) => Box::new(parquet::rows(
            member,
            options,
            directory,
            Arc::clone(&faults),
        )?),
        #[cfg(feature = "xlsx")]
        TextFormat::Xlsx(options) => {
            Box::new(xlsx::rows(member, options, directory, Arc::clone(&faults))?)
        }
        #[allow(unreachable_patterns, reason = "only without one of the features")]
        _ => {
            let _ = directory;
            return Err(refused(
                "this program was built without this format",
                "build it with `--features parquet,xlsx`",
            ));
        }
    };
    Ok(Text {
        reader,
        faults: Some(faults),
    })
}

/// Holds the declared encoding against the first bytes of a file and returns it with its byte
/// order.
///
/// # Errors
/// The file begins with a mark of another encoding, or its byte order cannot be told.
pub(super) fn byte_order(encoding: Encoding, head: &[u8]) -> io::Result<Encoding> {
    let little = Encoding::Whatwg(encoding_rs::UTF_16LE);
    let big = Encoding::Whatwg(encoding_rs::UTF_16BE);
    let is_ordered = encoding == little || encoding == big;
    let found = match head {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => {
            return Err(refused(
                "this is UTF-32 text, which is not read",
                "convert it, as `iconv -f UTF-32 -t UTF-8` does",
            ));
        }
        [0xFF, 0xFE, ..] => Some(little),
        [0xFE, 0xFF, ..] => Some(big),
        _ => None,
    };
    match (encoding, found) {
        (Encoding::Utf16, Some(found)) => Ok(found),
        (Encoding::Utf16, None) => match head {
            // A first character of ASCII, which a header and a number have.
            [first, 0, ..] if *first != 0 => Ok(little),
            [0, first, ..] if *first != 0 => Ok(big),
            [] => Ok(little),
            _ => Err(refused(
                "this has no mark of UTF-16, and does not begin like it",
                "say `encoding = \"utf-16le\"` or `\"utf-16be\"` under [format] if it is, or its true encoding",
            )),
        },
        (_, Some(found)) if is_ordered && found != encoding => Err(refused(
            format!(
                "this is {} text, and the source declares {}",
                found.label(),
                encoding.label()
            ),
            "say `encoding = \"utf-16\"` under [format], which reads either",
        )),
        _ if is_ordered => Ok(encoding),
        (_, Some(_)) => Err(refused(
            "this is UTF-16 text",
            "say `encoding = \"utf-16\"` under [format]",
        )),
        (Encoding::Whatwg(_), None) if head.starts_with(b"\xEF\xBB\xBF") => Err(refused(
            format!(
                "this begins with the mark of UTF-8, and the source declares {}",
                encoding.label()
            ),
            "say `encoding = \"utf-8\"` under [format]",
        )),
        (_, None) => match head {
            [a, 0, b, 0] | [0, a, 0, b] if *a != 0 && *b != 0 && a.is_ascii() && b.is_ascii() => {
                Err(refused(
                    "this looks like UTF-16 text without a mark",
                    "say `encoding = \"utf-16\"` under [format]",
                ))
            }
            _ => Ok(encoding),
        },
    }
}

/// A file that is not what was declared, and what to do.
pub(super) fn refused(said: impl Into<String>, hint: impl Into<String>) -> io::Error {
    let refusal = Refusal {
        said: said.into(),
        hint: hint.into(),
    };
    io::Error::new(io::ErrorKind::Unsupported, refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(label: &str, head: &[u8]) -> Result<&'static str, String> {
        let encoding = Encoding::from_label(label).unwrap();
        let found = byte_order(encoding, head).map_err(|error| error.to_string())?;
        Ok(found.label())
    }

    #[test]
    fn the_byte_order_of_utf_16_is_found_and_contradictions_are_refused() {
        assert_eq!(order("utf-16", b"\xFF\xFEi\0"), Ok("UTF-16LE"));
        assert_eq!(order("utf-16", b"\xFE\xFF\0i"), Ok("UTF-16BE"));
        assert_eq!(order("utf-16", b"i\0d\0"), Ok("UTF-16LE"));
        assert_eq!(order("utf-16", b"\0i\0d"), Ok("UTF-16BE"));
        assert_eq!(order("utf-16le", b"\x2D\x4E"), Ok("UTF-16LE"));
        assert_eq!(order("utf-8", b"\xEF\xBB\xBFx"), Ok("utf-8"));
        for (label, head, said) in [
            ("utf-16", &b"id|n"[..], "no mark of UTF-16"),
            ("utf-16le", b"\xFE\xFF\0i", "this is UTF-16BE text"),
            ("utf-8", b"\xFF\xFEi\0", "this is UTF-16 text"),
            ("windows-1252", b"\xFE\xFF\0i", "this is UTF-16 text"),
            ("utf-8", b"i\0d\0", "without a mark"),
            ("gbk", b"\xEF\xBB\xBFx", "the mark of UTF-8"),
            ("utf-16", b"\xFF\xFE\0\0", "UTF-32"),
        ] {
            let refused = order(label, head).unwrap_err();
            assert!(refused.contains(said), "{label} {head:?}: {refused}");
        }
    }

    #[test]
    fn text_whose_bytes_are_cut_is_handed_on_unchanged() {
        for bytes in [&b""[..], b"i", b"id|name\n1|\xEB\n"] {
            let format = TextFormat::Plain(Encoding::Windows1252);
            let mut text = open(bytes, &format, Path::new("")).unwrap();
            let mut read = Vec::new();
            text.reader.read_to_end(&mut read).unwrap();
            assert_eq!(read, bytes);
            assert!(text.faults.is_none());
        }
    }
}
