//! Parquet files to the text of their rows.

use super::input::Input;
use super::text::text;
use overnight::read::text::{ParquetOptions, TextFormat};

/// What is read of one: a few bytes can say that a column is null a million times.
const MOST: usize = 1 << 20;

pub fn parquet(data: &[u8]) {
    let mut input = Input::new(data);
    let format = TextFormat::Parquet(ParquetOptions {
        ignore: input.choose(&[vec![], vec!["nested".to_owned()]]),
    });
    let file = input.rest();
    let whole = text(file, &format, usize::MAX, MOST);
    let again = text(file, &format, 4099, MOST);
    assert_eq!(again.is_ok(), whole.is_ok());
    if let (Ok(again), Ok(whole)) = (again, whole) {
        assert_eq!(again, whole);
    }
}
