//! A delimited table in other formats, with the same values.

/// In an encoding that has all of its characters.
pub fn encoded(text: &[u8], label: &str) -> Vec<u8> {
    if label == "utf-16le" {
        // It is ASCII.
        return text.iter().flat_map(|byte| [*byte, 0]).collect();
    }
    text.to_vec()
}

fn records(text: &[u8]) -> Vec<Vec<&str>> {
    let text = std::str::from_utf8(text).expect("text");
    text.lines().map(|line| line.split('|').collect()).collect()
}

/// One element for each field.
pub fn xml(text: &[u8]) -> Vec<u8> {
    let mut out = String::from("<?xml version=\"1.0\"?>\n<rows>\n");
    for record in records(text) {
        out += "<row>";
        for (number, value) in record.iter().enumerate() {
            out += &format!("<c{number}>{value}</c{number}>");
        }
        out += "</row>\n";
    }
    out += "</rows>\n";
    out.into_bytes()
}

/// Numbers, decimals, dates and texts in four row groups.
#[cfg(feature = "parquet")]
pub fn parquet(text: &[u8]) -> Vec<u8> {
    use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use std::sync::Arc;

    let mut schema = String::from("message lineitem {");
    for column in 0..16 {
        schema += &match column {
            0..4 => format!("required int32 c{column};"),
            4..8 => format!("required int64 c{column} (DECIMAL(15,2));"),
            10..13 => format!("required int32 c{column} (DATE);"),
            _ => format!("required binary c{column} (UTF8);"),
        };
    }
    schema.push('}');
    let schema = parquet::schema::parser::parse_message_type(&schema).expect("a schema");
    let properties = WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))
        .expect("a writer");
    let records = records(text);
    for part in records.chunks(records.len() / 4) {
        let mut group = writer.next_row_group().expect("a row group");
        for column in 0..16 {
            let values = part.iter().map(|record| record[column]);
            let mut out = group.next_column().expect("a column").expect("a column");
            match column {
                0..4 => {
                    let values: Vec<i32> =
                        values.map(|text| text.parse().expect("a number")).collect();
                    out.typed::<Int32Type>().write_batch(&values, None, None)
                }
                4..8 => {
                    let cents = |text: &str| text.replace('.', "").parse().expect("a number");
                    let values: Vec<i64> = values.map(cents).collect();
                    out.typed::<Int64Type>().write_batch(&values, None, None)
                }
                10..13 => {
                    let days = |text: &str| {
                        let date: jiff::civil::Date = text.parse().expect("a date");
                        (date - jiff::civil::date(1970, 1, 1)).get_days()
                    };
                    let values: Vec<i32> = values.map(days).collect();
                    out.typed::<Int32Type>().write_batch(&values, None, None)
                }
                _ => {
                    let values: Vec<ByteArray> = values.map(ByteArray::from).collect();
                    out.typed::<ByteArrayType>()
                        .write_batch(&values, None, None)
                }
            }
            .expect("values of their column");
            out.close().expect("a column");
        }
        group.close().expect("a row group");
    }
    writer.into_inner().expect("a file")
}

/// Numbers as numbers, texts as shared strings.
#[cfg(feature = "xlsx")]
pub fn xlsx(text: &[u8]) -> Vec<u8> {
    use std::collections::HashMap;
    let mut strings: Vec<&str> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut rows = String::new();
    let records = records(text);
    for (index, record) in records.iter().enumerate() {
        let row = index + 1;
        rows += &format!("<row r=\"{row}\">");
        for (column, value) in record.iter().enumerate() {
            let name = char::from(b'A' + column as u8);
            if value.parse::<f64>().is_ok() {
                rows += &format!("<c r=\"{name}{row}\"><v>{value}</v></c>");
            } else {
                let place = *known.entry(value).or_insert_with(|| {
                    strings.push(value);
                    strings.len() - 1
                });
                rows += &format!("<c r=\"{name}{row}\" t=\"s\"><v>{place}</v></c>");
            }
        }
        rows += "</row>";
    }
    workbook_for_tests::workbook(&[("lineitem", &rows)], &strings, false)
}

#[cfg(feature = "xlsx")]
#[path = "../../src/read/xlsx/workbook_for_tests.rs"]
#[allow(clippy::unwrap_used, reason = "it is made for tests")]
mod workbook_for_tests;
