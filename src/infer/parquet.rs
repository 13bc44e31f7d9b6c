//! Parquet files, which declare their columns themselves.
//!
//! In: a whole file. Out: a column for each one of its schema, with the type that takes its values.

use super::Found;
use anyhow::Result;

/// Looks at the schema.
///
/// # Errors
/// Not the whole file, whose end holds the schema; a damaged one.
#[cfg(feature = "parquet")]
pub fn find(bytes: &[u8], whole: bool) -> Result<Found> {
    use super::{Note, Setting, cells::Table, counted, name};
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use anyhow::{Context, ensure};

    ensure!(
        whole,
        "the Parquet file is too long to be looked at: its schema stands at its end"
    );
    let file = SerializedFileReader::new(::bytes::Bytes::copy_from_slice(bytes))
        .context("read the Parquet file")?;
    let metadata = file.metadata().file_metadata();
    let fields = metadata.schema_descr().root_schema().get_fields();
    let paths: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
    let mut names = name::of_paths(&paths);
    for (name, field) in names.iter_mut().zip(fields) {
        let (sql, said) = declared::sql_type(field);
        name.sql = Some(sql);
        name.notes.push(said);
    }
    let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
    let note = Note::seen(format!(
        "the file says so, with {} and {}",
        counted(paths.len() as u64, "column"),
        counted(rows, "record")
    ));
    let mut table = Table::new(paths.len());
    table.rows = 0;
    Ok(Found {
        kind: "parquet",
        records: rows,
        rejected: 0,
        notes: Vec::new(),
        format: vec![Setting::new("kind", "parquet", note)],
        names,
        table,
        empty_is_null: false,
    })
}

/// This program was built without Parquet.
///
/// # Errors
/// Always.
#[cfg(not(feature = "parquet"))]
pub fn find(_bytes: &[u8], _whole: bool) -> Result<Found> {
    anyhow::bail!(
        "this is a Parquet file, and this program was built without the feature `parquet`"
    )
}

#[cfg(feature = "parquet")]
mod declared {
    use super::super::Note;
    use ::parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
    use ::parquet::schema::types::Type;

    /// The type of a column in SQL.
    pub fn sql_type(field: &Type) -> (String, Note) {
        if field.get_basic_info().has_repetition()
            && field.get_basic_info().repetition() == Repetition::REPEATED
            && field.is_primitive()
        {
            let (element, note) = scalar(field);
            return (format!("{element}[]"), note);
        }
        if !field.is_primitive() {
            return match element(field) {
                Some(element) => (
                    format!("{}[]", scalar(element).0),
                    Note::seen("declared as a list"),
                ),
                None => (
                    "jsonb".into(),
                    Note::guessed(
                        "declared as nested records, which fit no column: list it under `ignore`",
                    ),
                ),
            };
        }
        scalar(field)
    }

    /// The scalar that a list is of.
    fn element(field: &Type) -> Option<&Type> {
        let [entries] = field.get_fields() else {
            return None;
        };
        if entries.is_primitive() {
            return Some(entries);
        }
        match entries.get_fields() {
            [element] if element.is_primitive() => Some(element),
            _ => None,
        }
    }

    fn scalar(field: &Type) -> (String, Note) {
        let info = field.get_basic_info();
        let converted = info.converted_type();
        let declared =
            |sql: &str, said: &str| (sql.to_owned(), Note::seen(format!("declared as {said}")));
        match info.logical_type_ref() {
            Some(LogicalType::String) => return declared("text", "text"),
            Some(LogicalType::Date) => return declared("date", "a date"),
            Some(LogicalType::Uuid) => return declared("uuid", "a UUID"),
            Some(LogicalType::Json) => return declared("jsonb", "JSON"),
            _ => {}
        }
        let said = format!("{converted:?}").to_ascii_lowercase();
        let logical = format!("{:?}", info.logical_type_ref());
        let utc = logical.contains("is_adjusted_to_u_t_c: true")
            || logical.contains("is_adjusted_to_utc: true");
        match (converted, field.get_physical_type()) {
            (ConvertedType::UTF8 | ConvertedType::ENUM, _) => declared("text", "text"),
            (ConvertedType::JSON, _) => declared("jsonb", "JSON"),
            (ConvertedType::DATE, _) => declared("date", "a date"),
            (ConvertedType::DECIMAL, _) => declared(
                &format!(
                    "numeric({},{})",
                    field.get_precision().max(1),
                    field.get_scale().max(0)
                ),
                "a decimal",
            ),
            (ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS, _) => declared(
                if utc || logical == "None" {
                    "timestamptz"
                } else {
                    "timestamp"
                },
                "a timestamp",
            ),
            (ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS, _) => {
                declared("time", "a time of day")
            }
            (ConvertedType::INT_8 | ConvertedType::INT_16 | ConvertedType::UINT_8, _) => {
                declared("smallint", &said)
            }
            (ConvertedType::UINT_16, _) => declared("integer", &said),
            (ConvertedType::UINT_32, _) => declared("bigint", &said),
            (ConvertedType::UINT_64, _) => declared("numeric", &said),
            (_, Physical::INT96) => declared("timestamp", "a timestamp of 96 bits"),
            (_, Physical::BOOLEAN) => declared("boolean", "a boolean"),
            (_, Physical::INT32) => declared("integer", "32 bits"),
            (_, Physical::INT64) if logical.contains("Timestamp") => {
                declared(if utc { "timestamptz" } else { "timestamp" }, "a timestamp")
            }
            (_, Physical::INT64) if logical.contains("Time") => declared("time", "a time of day"),
            (_, Physical::INT64) => declared("bigint", "64 bits"),
            (_, Physical::FLOAT) => declared("real", "a float of 32 bits"),
            (_, Physical::DOUBLE) => declared("double precision", "a float of 64 bits"),
            (_, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) => {
                declared("bytea", "bytes")
            }
        }
    }
}
