//! The columns of a Parquet file: which there are, and their values row by row.
//!
//! In: the schema, then each column's values with their levels. Out: fields of rows.
//!
//! A level says how far down the path of a column something is there
//! (<https://parquet.apache.org/docs/file-format/nestedencoding/>): the highest is a value, less is a
//! null, in a list also an empty list or no list. A repetition level above 0 goes on with the list.

use super::super::rows::{Rows, quote};
use super::super::text::refused;
use super::spell::Spelling;
use crate::dataset::fold;
use parquet::basic::{ConvertedType, LogicalType, Repetition};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray, Int96};
use parquet::errors::ParquetError;
use parquet::schema::types::{SchemaDescriptor, Type};
use std::io;

/// What a column of the file is in a row.
#[derive(Clone, Debug)]
pub struct Shape {
    pub name: String,
    /// Its place among the columns that hold values.
    pub leaf: usize,
    spelling: Spelling,
    /// The level of a value.
    full: i16,
    /// Of a list: the level at which there is a list, maybe an empty one.
    list: Option<i16>,
}

/// The columns that become fields, in the order of the schema.
///
/// # Errors
/// A column of nested records that is not ignored, named.
pub fn shapes(schema: &SchemaDescriptor, ignore: &[String]) -> io::Result<Vec<Shape>> {
    let mut shapes = Vec::new();
    for (root, ty) in schema.root_schema().get_fields().iter().enumerate() {
        let name = ty.name();
        if ignore.contains(&fold(name)) {
            continue;
        }
        let mut leaves =
            (0..schema.num_columns()).filter(|leaf| schema.get_column_root_idx(*leaf) == root);
        let (Some(leaf), None, Some(list)) = (leaves.next(), leaves.next(), list(ty)) else {
            return Err(nested(name));
        };
        let column = schema.column(leaf);
        if column.max_rep_level() > 1 {
            return Err(nested(name));
        }
        let spelling = Spelling::of(&column).map_err(|said| {
            refused(
                format!("column `{name}` of the Parquet file {said}"),
                IGNORE,
            )
        })?;
        shapes.push(Shape {
            name: name.to_owned(),
            leaf,
            spelling,
            full: column.max_def_level(),
            list,
        });
    }
    Ok(shapes)
}

const IGNORE: &str = "have it flattened, or list it under `ignore` in the source file";

fn nested(name: &str) -> io::Error {
    refused(
        format!(
            "column `{name}` of the Parquet file holds nested records, which do not fit one column"
        ),
        IGNORE,
    )
}

/// `Some(None)` for a scalar, `Some(Some(level))` for a list of scalars, `None` for anything else.
fn list(ty: &Type) -> Option<Option<i16>> {
    let info = ty.get_basic_info();
    let repeated = info.repetition() == Repetition::REPEATED;
    if ty.is_primitive() {
        return Some(repeated.then_some(0));
    }
    let is_list = info.converted_type() == ConvertedType::LIST
        || info.logical_type_ref() == Some(&LogicalType::List);
    let [entries] = ty.get_fields() else {
        return None;
    };
    if !is_list || repeated || entries.get_basic_info().repetition() != Repetition::REPEATED {
        return None;
    }
    let element_is_scalar = match entries.is_primitive() {
        true => true,
        // One field that is no list itself.
        false => matches!(entries.get_fields(), [element] if element.is_primitive()
            && element.get_basic_info().repetition() != Repetition::REPEATED),
    };
    let optional = i16::from(info.repetition() == Repetition::OPTIONAL);
    element_is_scalar.then_some(Some(optional))
}

/// A column of one row group, being read.
pub struct Column<'s> {
    shape: &'s Shape,
    values: Values,
    levels: Vec<i16>,
    repeats: Vec<i16>,
    /// Levels and values that rows were made of.
    level: usize,
    value: usize,
    array: Vec<u8>,
    element: Vec<u8>,
}

/// Values of each way in which they are stored.
enum Values {
    Bool(Stored<parquet::data_type::BoolType>),
    Int32(Stored<parquet::data_type::Int32Type>),
    Int64(Stored<parquet::data_type::Int64Type>),
    Int96(Stored<parquet::data_type::Int96Type>),
    Float(Stored<parquet::data_type::FloatType>),
    Double(Stored<parquet::data_type::DoubleType>),
    Bytes(Stored<parquet::data_type::ByteArrayType>),
    Fixed(Stored<parquet::data_type::FixedLenByteArrayType>),
}

struct Stored<T: DataType> {
    reader: ColumnReaderImpl<T>,
    values: Vec<T::T>,
}

impl<T: DataType> Stored<T> {
    fn new(reader: ColumnReaderImpl<T>) -> Self {
        Stored {
            reader,
            values: Vec::new(),
        }
    }

    fn read(
        &mut self,
        rows: usize,
        levels: &mut Vec<i16>,
        repeats: &mut Vec<i16>,
    ) -> Result<usize, ParquetError> {
        self.values.clear();
        let read = self
            .reader
            .read_records(rows, Some(levels), Some(repeats), &mut self.values)?;
        Ok(read.0)
    }
}

/// One value as it is stored.
pub enum Raw<'v> {
    Bool(bool),
    Int32(i32),
    Int64(i64),
    Int96(&'v Int96),
    Float(f32),
    Double(f64),
    Bytes(&'v [u8]),
}

impl<'s> Column<'s> {
    pub fn new(shape: &'s Shape, reader: ColumnReader) -> Column<'s> {
        let values = match reader {
            ColumnReader::BoolColumnReader(reader) => Values::Bool(Stored::new(reader)),
            ColumnReader::Int32ColumnReader(reader) => Values::Int32(Stored::new(reader)),
            ColumnReader::Int64ColumnReader(reader) => Values::Int64(Stored::new(reader)),
            ColumnReader::Int96ColumnReader(reader) => Values::Int96(Stored::new(reader)),
            ColumnReader::FloatColumnReader(reader) => Values::Float(Stored::new(reader)),
            ColumnReader::DoubleColumnReader(reader) => Values::Double(Stored::new(reader)),
            ColumnReader::ByteArrayColumnReader(reader) => Values::Bytes(Stored::new(reader)),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                Values::Fixed(Stored::new(reader))
            }
        };
        Column {
            shape,
            values,
            levels: Vec::new(),
            repeats: Vec::new(),
            level: 0,
            value: 0,
            array: Vec::new(),
            element: Vec::new(),
        }
    }

    pub fn name(&self) -> &str {
        &self.shape.name
    }

    /// Reads the values of the next rows, and returns of how many there were some.
    pub fn read(&mut self, rows: usize) -> Result<usize, ParquetError> {
        let (levels, repeats) = (&mut self.levels, &mut self.repeats);
        levels.clear();
        repeats.clear();
        (self.level, self.value) = (0, 0);
        match &mut self.values {
            Values::Bool(stored) => stored.read(rows, levels, repeats),
            Values::Int32(stored) => stored.read(rows, levels, repeats),
            Values::Int64(stored) => stored.read(rows, levels, repeats),
            Values::Int96(stored) => stored.read(rows, levels, repeats),
            Values::Float(stored) => stored.read(rows, levels, repeats),
            Values::Double(stored) => stored.read(rows, levels, repeats),
            Values::Bytes(stored) => stored.read(rows, levels, repeats),
            Values::Fixed(stored) => stored.read(rows, levels, repeats),
        }
    }

    /// Adds the field of the next row.
    pub fn put(&mut self, rows: &mut Rows) -> io::Result<()> {
        if let Some(list) = self.shape.list {
            return self.put_list(list, rows);
        }
        if self.shape.full > 0 {
            let level = self.levels.get(self.level).copied();
            self.level += 1;
            if level != Some(self.shape.full) {
                rows.null();
                return Ok(());
            }
        }
        let spelling = &self.shape.spelling;
        let raw = self.values.get(self.value).ok_or_else(short)?;
        self.value += 1;
        match raw {
            Raw::Bytes(bytes) if spelling.is_text() => rows.value(bytes),
            _ => {
                self.element.clear();
                match spelling.put(&raw, &mut self.element) {
                    Ok(()) if spelling.is_plain() => {
                        let text = &self.element;
                        rows.plain(|out| out.extend_from_slice(text));
                    }
                    Ok(()) => rows.value(&self.element),
                    Err(why) => rows.fault(why.into()),
                }
            }
        }
        Ok(())
    }

    fn put_list(&mut self, list: i16, rows: &mut Rows) -> io::Result<()> {
        let mut level = *self.levels.get(self.level).ok_or_else(short)?;
        self.level += 1;
        if level < list {
            rows.null();
            return Ok(());
        }
        self.array.clear();
        self.array.push(b'{');
        let mut wrong = None;
        if level > list {
            loop {
                if level == self.shape.full {
                    let raw = self.values.get(self.value).ok_or_else(short)?;
                    self.value += 1;
                    self.element.clear();
                    match (&raw, self.shape.spelling.is_text()) {
                        (Raw::Bytes(bytes), true) => quote(bytes, &mut self.array),
                        _ => {
                            wrong =
                                wrong.or(self.shape.spelling.put(&raw, &mut self.element).err());
                            quote(&self.element, &mut self.array);
                        }
                    }
                } else {
                    self.array.extend_from_slice(b"NULL");
                }
                // More of the same list.
                match self.repeats.get(self.level) {
                    Some(1..) => self.array.push(b','),
                    _ => break,
                }
                level = *self.levels.get(self.level).ok_or_else(short)?;
                self.level += 1;
            }
        }
        self.array.push(b'}');
        match wrong {
            None => rows.value(&self.array),
            Some(why) => rows.fault(why.into()),
        }
        Ok(())
    }
}

fn short() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "read Parquet data: a column has fewer values than rows",
    )
}

impl Values {
    fn get(&self, index: usize) -> Option<Raw<'_>> {
        Some(match self {
            Values::Bool(stored) => Raw::Bool(*stored.values.get(index)?),
            Values::Int32(stored) => Raw::Int32(*stored.values.get(index)?),
            Values::Int64(stored) => Raw::Int64(*stored.values.get(index)?),
            Values::Int96(stored) => Raw::Int96(stored.values.get(index)?),
            Values::Float(stored) => Raw::Float(*stored.values.get(index)?),
            Values::Double(stored) => Raw::Double(*stored.values.get(index)?),
            Values::Bytes(stored) => Raw::Bytes(bytes(stored.values.get(index)?)),
            Values::Fixed(stored) => Raw::Bytes(fixed(stored.values.get(index)?)),
        })
    }
}

fn bytes(value: &ByteArray) -> &[u8] {
    value.data()
}

fn fixed(value: &FixedLenByteArray) -> &[u8] {
    value.data()
}
