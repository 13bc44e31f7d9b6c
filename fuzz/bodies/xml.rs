//! XML documents to the text of their rows.

use super::input::Input;
use super::text::text;
use overnight::read::Encoding;
use overnight::read::text::TextFormat;
use overnight::read::xml::{Field, Options};

/// The rows, and where their fields are found.
const PATHS: [(&str, &[&str]); 4] = [
    ("/table/row", &["@id", "name", "tags/tag[]"]),
    ("/a", &[".", "@b"]),
    ("/*/*", &["name", "a/b/@c", "name"]),
    ("/table/list/row", &["id", "name[]"]),
];

pub fn xml(data: &[u8]) {
    let mut input = Input::new(data);
    let (rows, paths) = input.choose(&PATHS);
    let field = |path: &&str| Field {
        column: (*path).to_owned(),
        from: Some((*path).to_owned()),
    };
    let format = TextFormat::Xml(Options {
        rows: rows.to_owned(),
        fields: paths.iter().map(field).collect(),
        ignore: vec!["note".to_owned()],
        encoding: input.choose(&[
            None,
            None,
            Some(Encoding::Utf8),
            Some(Encoding::Windows1252),
            Some(Encoding::Utf16),
        ]),
        max_record_bytes: input.choose(&[1 << 20, 1 << 20, 200, 20]),
    });
    let at_once = usize::from(input.byte()) + 1;
    let document = input.rest();
    let names: usize = paths.iter().map(|path| path.len() + 1).sum();
    let most = 4 * paths.len() * (document.len() + 16) + names;
    let whole = text(document, &format, usize::MAX, most + 1);
    assert_eq!(text(document, &format, at_once, most + 1), whole);
    if let Ok((bytes, _)) = whole {
        let (found, from) = (bytes.len(), document.len());
        assert!(found <= most, "{found} bytes of text of {from}");
    }
}
