use super::*;
use parquet::basic::Compression;
use parquet::data_type::{
    BoolType, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    FloatType, Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::sync::Arc;

type Group<'g> = SerializedRowGroupWriter<'g, Vec<u8>>;

fn file(schema: &str, groups: usize, mut write: impl FnMut(usize, &mut Group<'_>)) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    for number in 0..groups {
        let mut group = writer.next_row_group().unwrap();
        write(number, &mut group);
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

/// Writes one column: values, then definition and repetition levels.
fn column<T: DataType>(
    group: &mut Group<'_>,
    values: &[T::T],
    levels: Option<&[i16]>,
    repeats: Option<&[i16]>,
) {
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<T>()
        .write_batch(values, levels, repeats)
        .unwrap();
    column.close().unwrap();
}

/// The text with `|` and `∅`, and what is said of the values that are none.
fn read(file: &[u8], ignore: &[&str]) -> io::Result<(String, Vec<String>)> {
    let folder = tempfile::tempdir().unwrap();
    let options = ParquetOptions {
        ignore: ignore.iter().map(|name| (*name).to_owned()).collect(),
    };
    let faults = Arc::new(Faults::default());
    let mut bytes = Vec::new();
    rows(file, &options, folder.path(), Arc::clone(&faults))?.read_to_end(&mut bytes)?;
    let whys = memchr::memchr_iter(0xFF, &bytes)
        .map(|at| format!("{:?}", faults.at(at as u64)))
        .collect();
    let text = String::from_utf8_lossy(&bytes);
    Ok((text.replace('\u{1F}', "|").replace('\u{1E}', "∅"), whys))
}

#[test]
fn every_type_has_a_spelling_that_the_server_reads() {
    let schema = "message m {
        required boolean flag;
        optional int32 small;
        required int64 big;
        required int32 unsigned (INTEGER(32,false));
        required int64 huge (INTEGER(64,false));
        required int96 legacy;
        required float single;
        required double precise;
        required binary name (UTF8);
        required binary raw;
        required int32 day (DATE);
        required int64 micros (TIMESTAMP(MICROS,false));
        required int64 instant (TIMESTAMP(MILLIS,true));
        required int64 nanos (TIMESTAMP(NANOS,false));
        required int32 hour (TIME(MILLIS,false));
        required int64 tick (TIME(NANOS,true));
        required int32 cents (DECIMAL(9,2));
        required int64 tiny (DECIMAL(18,18));
        required fixed_len_byte_array(16) wide (DECIMAL(38,3));
        required binary any (DECIMAL(60,0));
        required fixed_len_byte_array(16) id (UUID);
        required fixed_len_byte_array(12) span (INTERVAL);
        required fixed_len_byte_array(2) half (FLOAT16);
        required fixed_len_byte_array(3) code;
    }";
    let bytes = |text: &[u8]| parquet::data_type::ByteArray::from(text.to_vec());
    let fixed = |text: &[u8]| FixedLenByteArray::from(text.to_vec());
    let file = file(schema, 1, |_, group| {
        let mut noon = Int96::new();
        let nanos = 43_200_000_000_000_u64 + 1_500;
        noon.set_data(nanos as u32, (nanos >> 32) as u32, 2_440_589);
        column::<BoolType>(group, &[true, false], None, None);
        column::<Int32Type>(group, &[-5], Some(&[1, 0]), None);
        column::<Int64Type>(group, &[i64::MIN, 7], None, None);
        column::<Int32Type>(group, &[-1, 0], None, None);
        column::<Int64Type>(group, &[-1, 0], None, None);
        column::<Int96Type>(group, &[noon, noon], None, None);
        column::<FloatType>(group, &[0.1, f32::NAN], None, None);
        column::<DoubleType>(group, &[1e300, f64::NEG_INFINITY], None, None);
        column::<ByteArrayType>(group, &[bytes("Zoë\n".as_bytes()), bytes(b"")], None, None);
        column::<ByteArrayType>(group, &[bytes(&[0, 0xAB]), bytes(b"")], None, None);
        column::<Int32Type>(group, &[20_779, -719_163], None, None);
        column::<Int64Type>(group, &[1_500_000, -1], None, None);
        column::<Int64Type>(group, &[1_500, 0], None, None);
        column::<Int64Type>(group, &[1_000_000_001, 0], None, None);
        column::<Int32Type>(group, &[86_399_999, 0], None, None);
        column::<Int64Type>(group, &[1, 60_000_000_000], None, None);
        column::<Int32Type>(group, &[-5, 123_456], None, None);
        column::<Int64Type>(group, &[1, -1_000_000_000_000_000_000], None, None);
        let wide = 12_345_678_901_234_567_890_123_456_789_i128;
        column::<FixedLenByteArrayType>(
            group,
            &[fixed(&wide.to_be_bytes()), fixed(&(-wide).to_be_bytes())],
            None,
            None,
        );
        // 2 to the 136, and -1.
        let mut large = [0; 18];
        large[0] = 1;
        column::<ByteArrayType>(group, &[bytes(&large), bytes(&[0xFF; 18])], None, None);
        let id: Vec<u8> = (0..16).map(|byte| byte * 16).collect();
        column::<FixedLenByteArrayType>(group, &[fixed(&id), fixed(&[0; 16])], None, None);
        let span: Vec<u8> = [14_u32, 3, 90_061_500]
            .iter()
            .flat_map(|part| part.to_le_bytes())
            .collect();
        column::<FixedLenByteArrayType>(group, &[fixed(&span), fixed(&[0; 12])], None, None);
        column::<FixedLenByteArrayType>(group, &[fixed(&[0, 0x3E]), fixed(&[1, 0])], None, None);
        column::<FixedLenByteArrayType>(group, &[fixed(b"abc"), fixed(b"\0\0\0")], None, None);
    });
    let (text, whys) = read(&file, &[]).unwrap();
    assert_eq!(whys, [""; 0]);
    let text = text.replace("\\\n", "␤");
    let values: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').collect()).collect();
    let names = &values[0];
    let expected = [
        ("flag", "true", "false"),
        ("small", "-5", "∅"),
        ("big", "-9223372036854775808", "7"),
        ("unsigned", "4294967295", "0"),
        ("huge", "18446744073709551615", "0"),
        (
            "legacy",
            "1970-01-02 12:00:00.0000015",
            "1970-01-02 12:00:00.0000015",
        ),
        ("single", "0.1", "NaN"),
        ("precise", "1e300", "-Infinity"),
        ("name", "Zoë␤", ""),
        ("raw", "\\\\x00ab", "\\\\x"),
        ("day", "2026-11-22", "0001-12-31 BC"),
        (
            "micros",
            "1970-01-01 00:00:01.5",
            "1969-12-31 23:59:59.999999",
        ),
        (
            "instant",
            "1970-01-01 00:00:01.5+00",
            "1970-01-01 00:00:00+00",
        ),
        (
            "nanos",
            "1970-01-01 00:00:01.000000001",
            "1970-01-01 00:00:00",
        ),
        ("hour", "23:59:59.999", "00:00:00"),
        ("tick", "00:00:00.000000001", "00:01:00"),
        ("cents", "-0.05", "1234.56"),
        ("tiny", "0.000000000000000001", "-1.000000000000000000"),
        (
            "wide",
            "12345678901234567890123456.789",
            "-12345678901234567890123456.789",
        ),
        ("any", "87112285931760246646623899502532662132736", "-1"),
        (
            "id",
            "00102030-4050-6070-8090-a0b0c0d0e0f0",
            "00000000-0000-0000-0000-000000000000",
        ),
        (
            "span",
            "14 mons 3 days 25:01:01.5",
            "0 mons 0 days 00:00:00",
        ),
        ("half", "1.5", "5.9604645e-8"),
        ("code", "\\\\x616263", "\\\\x000000"),
    ];
    for (index, (name, first, second)) in expected.into_iter().enumerate() {
        assert_eq!(
            (names[index], values[1][index], values[2][index]),
            (name, first, second)
        );
    }
    assert_eq!(names.len(), expected.len());
}

#[test]
fn lists_of_scalars_are_arrays() {
    let schema = "message m {
        required int32 id;
        optional group tags (LIST) { repeated group list { optional binary element (UTF8); } }
        required group days (LIST) { repeated group list { required int32 element (DATE); } }
        repeated int64 old;
    }";
    let bytes = |text: &str| parquet::data_type::ByteArray::from(text);
    let file = file(schema, 1, |_, group| {
        column::<Int32Type>(group, &[1, 2, 3, 4], None, None);
        // [a, null, "q"...], null, [], [x]
        column::<ByteArrayType>(
            group,
            &[bytes("a"), bytes("\"q\", \\"), bytes("x")],
            Some(&[3, 2, 3, 0, 1, 3]),
            Some(&[0, 1, 1, 0, 0, 0]),
        );
        column::<Int32Type>(
            group,
            &[0, 1, 2],
            Some(&[1, 0, 1, 1, 0]),
            Some(&[0, 0, 0, 1, 0]),
        );
        column::<Int64Type>(
            group,
            &[7, 8],
            Some(&[0, 0, 1, 1, 0]),
            Some(&[0, 0, 0, 1, 0]),
        );
    });
    let (text, _) = read(&file, &[]).unwrap();
    // In the file's text a backslash is doubled.
    assert_eq!(
        text,
        "id|tags|days|old\n\
         1|{\"a\",NULL,\"\\\\\"q\\\\\", \\\\\\\\\"}|{\"1970-01-01\"}|{}\n\
         2|∅|{}|{}\n\
         3|{}|{\"1970-01-02\",\"1970-01-03\"}|{\"7\",\"8\"}\n\
         4|{\"x\"}|{}|{}\n"
    );
    let (text, _) = read(&file, &["tags", "days", "old"]).unwrap();
    assert_eq!(text, "id\n1\n2\n3\n4\n");
}

#[test]
fn nested_records_are_an_error_that_names_the_column() {
    let schema = "message m {
        required int32 id;
        required group place { required double x; required double y; }
        optional group map (MAP) { repeated group key_value { required int32 key; optional int32 value; } }
        optional group deep (LIST) { repeated group list { optional group element (LIST) {
            repeated group list { required int32 element; } } } }
    }";
    let file = file(schema, 1, |_, group| {
        column::<Int32Type>(group, &[1], None, None);
        column::<DoubleType>(group, &[1.0], None, None);
        column::<DoubleType>(group, &[1.0], None, None);
        column::<Int32Type>(group, &[], Some(&[0]), Some(&[0]));
        column::<Int32Type>(group, &[], Some(&[0]), Some(&[0]));
        column::<Int32Type>(group, &[], Some(&[0]), Some(&[0]));
    });
    for (ignored, named) in [
        (&[][..], "`place`"),
        (&["place"][..], "`map`"),
        (&["place", "map"][..], "`deep`"),
    ] {
        let error = read(&file, ignored).unwrap_err().to_string();
        assert!(error.contains(named) && error.contains("nested"), "{error}");
    }
    let (text, _) = read(&file, &["place", "map", "deep"]).unwrap();
    assert_eq!(text, "id\n1\n");
}

#[test]
fn many_row_groups_come_in_the_order_of_the_file() {
    let rows_of = |group: usize| [5000, 1, 0, 70_000, 3][group % 5];
    let mut expected = String::from("id|name\n");
    let mut next = 0;
    let schema = "message m { required int32 id; optional binary name (UTF8); }";
    let file = file(schema, 23, |group, writer| {
        let ids: Vec<i32> = (next..next + rows_of(group)).collect();
        next += rows_of(group);
        let names: Vec<_> = ids
            .iter()
            .filter(|id| **id % 3 > 0)
            .map(|id| parquet::data_type::ByteArray::from(format!("name {id}").into_bytes()))
            .collect();
        let levels: Vec<i16> = ids.iter().map(|id| i16::from(id % 3 > 0)).collect();
        for id in &ids {
            let name = if id % 3 > 0 {
                format!("name {id}")
            } else {
                "∅".into()
            };
            expected += &format!("{id}|{name}\n");
        }
        column::<Int32Type>(writer, &ids, None, None);
        column::<ByteArrayType>(writer, &names, Some(&levels), None);
    });
    let (text, _) = read(&file, &[]).unwrap();
    assert!(
        text == expected,
        "{} bytes, expected {}",
        text.len(),
        expected.len()
    );
}

#[test]
fn what_is_no_value_or_no_text_is_located() {
    let schema = "message m { required int32 hour (TIME(MILLIS,false)); required binary name; }";
    let file = file(schema, 1, |_, group| {
        column::<Int32Type>(group, &[0, 86_400_000, -1], None, None);
        let names = [b"a", b"b", b"c"].map(|name| parquet::data_type::ByteArray::from(&name[..]));
        column::<ByteArrayType>(group, &names, None, None);
    });
    let (text, whys) = read(&file, &[]).unwrap();
    assert_eq!(text.lines().nth(1), Some("00:00:00|\\\\x61"));
    assert_eq!(whys.len(), 2);
    assert!(whys[0].contains("is no time of a day"), "{whys:?}");
}

#[test]
fn a_file_that_is_none_is_refused() {
    let schema = "message m { required int32 id; }";
    let whole = file(schema, 1, |_, group| {
        let ids: Vec<i32> = (0..50_000).collect();
        column::<Int32Type>(group, &ids, None, None);
    });
    let said = |bytes: &[u8]| read(bytes, &[]).unwrap_err().to_string();
    assert!(said(b"id,name\n1,x\n").contains("no Parquet file"));
    assert!(said(b"PAR").contains("no Parquet file"));
    assert!(said(b"PAREabcdPARE").contains("encrypted"));
    assert!(said(&whole[..whole.len() - 1]).contains("Parquet"));
    assert!(said(&whole[..8]).contains("Parquet"));
    // Damage where a page begins is an error, not an end.
    let mut damaged = whole.clone();
    for byte in &mut damaged[4..40] {
        *byte = 0xFF;
    }
    assert!(read(&damaged, &[]).is_err());
    // A reader that nobody reads to its end lets its threads go.
    let folder = tempfile::tempdir().unwrap();
    let mut reader = rows(
        whole.as_slice(),
        &ParquetOptions::default(),
        folder.path(),
        Arc::default(),
    )
    .unwrap();
    reader.read_exact(&mut [0; 4]).unwrap();
}

/// Each value would be as long as its type says, whatever it is.
#[test]
fn a_decimal_of_more_places_than_the_server_has_is_refused() {
    let schema = "message m { required binary cost (DECIMAL(2000000000,1999999999)); }";
    let file = file(schema, 1, |_, group| {
        column::<ByteArrayType>(group, &[vec![1].into()], None, None);
    });
    let error = read(&file, &[]).unwrap_err().to_string();
    assert!(error.contains("more places than a numeric has"), "{error}");
}

/// Pages carry checksums, and the footer repeats its counts. Names and types stand in the schema of the
/// footer alone: the format has no checksum for it. The file is written by pyarrow with
/// `write_page_checksum`, in two row groups.
#[test]
fn a_flipped_bit_never_changes_the_rows() {
    let file = include_bytes!("../../../fixtures/formats/page-checksums.parquet");
    let (whole, _) = read(file, &[]).unwrap();
    assert_eq!(whole.lines().count(), 81);
    let footer = file.len()
        - 8
        - usize::from(file[file.len() - 8])
        - 256 * usize::from(file[file.len() - 7]);
    let last_name = memchr::memmem::find(&file[footer..], b"ratio").unwrap();
    let schema = footer..footer + last_name + 5;
    let mut refused = 0;
    let mut tried = 0;
    // A step that is no multiple of eight meets every bit of a byte somewhere.
    for bit in (0..file.len() * 8).step_by(7) {
        if schema.contains(&(bit / 8)) {
            continue;
        }
        let mut damaged = file.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        tried += 1;
        match read(&damaged, &[]) {
            Ok((rows, _)) => assert_eq!(rows, whole, "bit {bit}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > tried / 2, "{refused} of {tried}");
}

#[test]
fn a_count_of_rows_that_is_too_small_is_found() {
    let file = include_bytes!("../../../fixtures/formats/page-checksums.parquet");
    // The zigzag number 40 of rows behind the sum of bytes of each group.
    for at in [3223, 3700] {
        for bit in [4, 6] {
            let mut damaged = file.to_vec();
            damaged[at] ^= 1 << bit;
            let error = read(&damaged, &[]).unwrap_err().to_string();
            assert!(error.contains("number of rows"), "{error}");
        }
    }
}
