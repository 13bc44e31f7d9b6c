//! Workbooks to the text of their rows.

use super::input::Input;
use super::text::text;
use overnight::read::text::{TextFormat, XlsxOptions};

/// What is read of one: a few cells can be far apart.
const MOST: usize = 1 << 20;

pub fn xlsx(data: &[u8]) {
    let mut input = Input::new(data);
    let format = TextFormat::Xlsx(XlsxOptions {
        sheet: input.choose(&[None, Some("one".to_owned())]),
        header_row: input.choose(&[None, Some(0), Some(2)]),
    });
    let book = input.rest();
    let whole = text(book, &format, usize::MAX, MOST);
    assert_eq!(text(book, &format, 4099, MOST), whole);
}
