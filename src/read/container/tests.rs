use super::*;
use ::tar::{Builder, EntryType, Header};
use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};
use std::io::{Cursor, Write};

const TEXT: &[u8] = b"id|name\n1|Zoe\n";
const OTHER: &[u8] = b"id|name\n2|Bob\n3|Eve\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 3).unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip_by(method: CompressionMethod, members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in members {
        if name.ends_with('/') {
            writer.add_directory(*name, options).unwrap();
        } else {
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    zip_by(CompressionMethod::Deflated, members)
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        if name.ends_with('/') {
            header.set_entry_type(EntryType::Directory);
        }
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Adds to two-byte numbers behind every such mark.
fn patch(bytes: &mut [u8], mark: &[u8], at: usize, change: impl Fn(&mut u8)) {
    let places: Vec<usize> = (0..bytes.len())
        .filter(|start| bytes[*start..].starts_with(mark))
        .collect();
    assert!(!places.is_empty());
    for place in places {
        change(&mut bytes[place + at]);
    }
}

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";

type Found = Vec<(Option<String>, Vec<u8>)>;

fn opening() -> Opening {
    Opening {
        content: Content::Text,
        limits: Limits::default(),
        temporary: std::env::temp_dir(),
        threads: 2,
    }
}

fn open_by(raw: &[u8], files: &str, opening: &Opening) -> Result<Found, Unreadable> {
    let (_, members) = Members::split(files).unwrap();
    let mut found = Vec::new();
    read(raw, &members, opening, &mut |member, data| {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)?;
        found.push((member.map(str::to_owned), bytes));
        Ok(())
    })?;
    Ok(found)
}

fn open(raw: &[u8], files: &str) -> Result<Found, Unreadable> {
    open_by(raw, files, &opening())
}

fn member(name: &str, bytes: &[u8]) -> (Option<String>, Vec<u8>) {
    (Some(name.to_owned()), bytes.to_vec())
}

/// What is said, with the member and the hint.
#[track_caller]
fn said(outcome: Result<Found, Unreadable>) -> String {
    match outcome.unwrap_err() {
        Unreadable::Refused { member, refusal } => {
            let member = member.unwrap_or_default();
            format!("{member}: {} ({})", refusal.said, refusal.hint)
        }
        Unreadable::Data { member, source } => {
            format!("{}: {source}", member.unwrap_or_default())
        }
        Unreadable::Taker(error) => format!("taker: {error}"),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn says(outcome: Result<Found, Unreadable>, texts: &[&str]) {
    let said = said(outcome);
    for text in texts {
        assert!(said.contains(text), "expected `{text}` in: {said}");
    }
}

#[test]
fn what_is_no_archive_is_the_only_member_and_has_no_name() {
    for raw in [
        TEXT.to_vec(),
        gzip(TEXT),
        zstd(TEXT),
        bzip2(TEXT),
        xz(TEXT),
        gzip(&gzip(TEXT)),
        xz(&bzip2(TEXT)),
    ] {
        assert_eq!(open(&raw, "*").unwrap(), [(None, TEXT.to_vec())]);
    }
    assert_eq!(open(b"", "*").unwrap(), [(None, Vec::new())]);
}

#[test]
fn the_one_data_file_of_an_archive_needs_no_glob() {
    let members: [(&str, &[u8]); 6] = [
        ("folder/", b""),
        ("folder/.DS_Store", b"x"),
        ("__MACOSX/folder/._a.txt", b"x"),
        ("folder/._a.txt", b"x"),
        ("folder/a.txt", TEXT),
        ("folder/other/", b""),
    ];
    let expected = [member("folder/a.txt", TEXT)];
    for archive in [zip(&members), tar(&members)] {
        for raw in [
            archive.clone(),
            gzip(&archive),
            zstd(&archive),
            bzip2(&archive),
            xz(&archive),
        ] {
            assert_eq!(open(&raw, "*").unwrap(), expected);
        }
    }
}

#[test]
fn globs_choose_members_in_the_order_of_the_archive() {
    let members: [(&str, &[u8]); 4] = [
        ("b.txt", TEXT),
        ("notes.pdf", b"x"),
        ("2026/a.txt", OTHER),
        ("__MACOSX/c.txt", b"x"),
    ];
    for archive in [zip(&members), tar(&members), gzip(&tar(&members))] {
        let all = [member("b.txt", TEXT), member("2026/a.txt", OTHER)];
        assert_eq!(open(&archive, "*!*.txt").unwrap(), all);
        assert_eq!(open(&archive, "*!2026/*").unwrap(), all[1..]);
        says(
            open(&archive, "*!*.csv"),
            &[
                ": no member of this archive matches `*.csv`; it holds `b.txt`, `notes.pdf`, `2026/a.txt`",
                "correct what stands behind the `!`",
            ],
        );
        says(
            open(&archive, "*"),
            &[
                "this archive holds several files: `b.txt`, `notes.pdf`",
                "`files = \"*.zip!*.txt\"`",
            ],
        );
    }
    for empty in [zip(&[]), zip(&[("a/", b"")]), tar(&[("a/", b"")])] {
        says(open(&empty, "*"), &["this archive holds no data file"]);
    }
    for plain in [TEXT.to_vec(), gzip(TEXT)] {
        says(
            open(&plain, "*!*.txt"),
            &["this is no archive, and `files` asks for `!*.txt` in it"],
        );
    }
}

#[test]
fn archives_in_archives_are_opened_by_globs_or_when_they_are_alone() {
    let inner = zip(&[("a.txt", TEXT), ("b.txt", OTHER)]);
    let packed = tar(&[("c.txt", TEXT)]);
    let outer = zip(&[("in/inner.zip", &inner), ("c.tgz", &gzip(&packed))]);
    assert_eq!(
        open(&outer, "*!*.zip!?.txt").unwrap(),
        [
            member("in/inner.zip!a.txt", TEXT),
            member("in/inner.zip!b.txt", OTHER)
        ]
    );
    let found = open(&outer, "*!*.tgz").unwrap();
    assert_eq!(found, [member("c.tgz!c.txt", TEXT)]);
    says(
        open(&outer, "*!*.zip"),
        &["in/inner.zip: this archive holds several files: `a.txt`, `b.txt`"],
    );
    says(
        open(&outer, "*!*.zip!*.csv"),
        &["in/inner.zip: no member", "`*.csv`"],
    );
    let single = zip(&[("x.zip", &zip(&[("a.txt.gz", &gzip(TEXT))]))]);
    let found = open(&single, "*").unwrap();
    assert_eq!(found, [member("x.zip!a.txt.gz", TEXT)]);
    // Four deep is the most.
    let four = zip(&[("x.zip", &zip(&[("a.tgz", &gzip(&packed))]))]);
    assert_eq!(open(&four, "*").unwrap().len(), 1);
    says(
        open(&gzip(&four), "*"),
        &["x.zip!a.tgz: it is packed more than 4 times"],
    );
}

#[test]
fn every_method_of_a_zip_is_read() {
    let stored = zip_by(CompressionMethod::Stored, &[("a.txt", TEXT)]);
    assert_eq!(open(&stored, "*").unwrap(), [member("a.txt", TEXT)]);
    // Without a match of 258 bytes or more deflated data is the same in deflate64.
    let mut deflate64 = zip(&[("a.txt", TEXT)]);
    patch(&mut deflate64, LOCAL, 8, |method| *method = 9);
    patch(&mut deflate64, CENTRAL, 10, |method| *method = 9);
    assert_eq!(open(&deflate64, "*").unwrap(), [member("a.txt", TEXT)]);
    // The others are stored and then called what they are, with the length and checksum of the text.
    for (method, packed) in [(12, bzip2(TEXT)), (93, zstd(TEXT)), (95, xz(TEXT))] {
        let mut archive = zip_by(CompressionMethod::Stored, &[("a.txt", &packed)]);
        let mut sum = flate2::Crc::new();
        sum.update(TEXT);
        for (mark, at) in [(LOCAL, 8), (CENTRAL, 10)] {
            patch(&mut archive, mark, at, |low| *low = method);
            for (index, byte) in sum.sum().to_le_bytes().into_iter().enumerate() {
                patch(&mut archive, mark, at + 6 + index, |sum| *sum = byte);
            }
            patch(&mut archive, mark, at + 14, |size| *size = TEXT.len() as u8);
        }
        assert_eq!(open(&archive, "*").unwrap(), [member("a.txt", TEXT)]);
        patch(&mut archive, CENTRAL, 16, |sum| *sum ^= 1);
        says(open(&archive, "*"), &["a.txt", "length and checksum"]);
    }
    let mut odd = zip(&[("a.txt", TEXT)]);
    patch(&mut odd, LOCAL, 8, |method| *method = 98);
    patch(&mut odd, CENTRAL, 10, |method| *method = 98);
    says(open(&odd, "*"), &["a.txt: this member is compressed with"]);
    let mut secret = zip(&[("a.txt", TEXT)]);
    patch(&mut secret, LOCAL, 6, |flags| *flags |= 1);
    patch(&mut secret, CENTRAL, 8, |flags| *flags |= 1);
    says(open(&secret, "*"), &["a.txt: this member is encrypted"]);
}

#[test]
fn a_zip_cut_at_every_byte_is_truncated_and_a_flipped_bit_is_found() {
    let whole = zip(&[("a.txt", TEXT)]);
    for cut in 4..whole.len() {
        let error = open(&whole[..cut], "*").unwrap_err();
        assert!(
            matches!(error, Unreadable::Data { .. }),
            "cut {cut}: {error}"
        );
    }
    for at in 4..whole.len() {
        for bit in 0..8 {
            let mut raw = whole.clone();
            raw[at] ^= 1 << bit;
            // Times, versions and the name are not data.
            if let Ok(found) = open(&raw, "*") {
                assert_eq!(found[0].1, TEXT, "byte {at} bit {bit}");
            }
        }
    }
    let commented = {
        let mut writer = ZipWriter::new_append(Cursor::new(whole.clone())).unwrap();
        writer.set_comment("made at night").unwrap();
        writer.finish().unwrap().into_inner()
    };
    assert_eq!(open(&commented, "*").unwrap().len(), 1);
    let padded = [&whole[..], &[0; 100]].concat();
    assert_eq!(open(&padded, "*").unwrap().len(), 1);
    let garbage = [&whole[..], b"garbage"].concat();
    says(open(&garbage, "*"), &["something else follows the archive"]);
    let two = [&whole[..], &whole].concat();
    says(
        open(&two, "*"),
        &["something else stands before the archive"],
    );
}

#[test]
fn a_tar_cut_at_every_byte_is_truncated_and_a_damaged_header_is_found() {
    let whole = tar(&[("a.txt", TEXT), ("b.txt", OTHER)]);
    assert_eq!(open(&whole, "*!*").unwrap().len(), 2);
    // The end mark is one block of zeros.
    let end = 4 * 512;
    for cut in 265..whole.len() {
        match open(&whole[..cut], "*!*") {
            Ok(found) => assert!(cut >= end + 512 && found.len() == 2, "cut {cut}"),
            Err(Unreadable::Data { source, .. }) => {
                assert!(cut < end + 512, "cut {cut}");
                assert_eq!(source.kind(), io::ErrorKind::UnexpectedEof, "cut {cut}");
            }
            // What the taker saw while it read a member.
            Err(Unreadable::Taker(_)) => assert!(cut < end, "cut {cut}"),
            Err(error) => panic!("cut {cut}: {error}"),
        }
    }
    for at in (0..500).chain(1024..1524) {
        let mut raw = whole.clone();
        raw[at] ^= 4;
        let error = open(&raw, "*!*").map(|found| found.len());
        assert!(
            error.is_err() || at < 512 && error.unwrap() == 1,
            "byte {at}"
        );
    }
    let garbage = [&whole[..], b"garbage"].concat();
    says(
        open(&garbage, "*!*"),
        &["something else follows the archive"],
    );
    let two = [&whole[..], &whole].concat();
    says(open(&two, "*!*"), &["something else follows the archive"]);
}

#[test]
fn long_names_pax_headers_and_old_tars_are_read() {
    let long = format!("{}/a.txt", "folder".repeat(30));
    let found = open(&tar(&[(&long, TEXT)]), "*").unwrap();
    assert_eq!(found, [member(&long, TEXT)]);
    let mut builder = Builder::new(Vec::new());
    let comment = b"two\nlines".as_slice();
    let path = "näme.txt";
    builder
        .append_pax_extensions([("comment", comment), ("path", path.as_bytes())])
        .unwrap();
    let mut header = Header::new_ustar();
    header.set_size(TEXT.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, "short", TEXT).unwrap();
    let mut link = Header::new_ustar();
    link.set_entry_type(EntryType::Symlink);
    link.set_size(0);
    builder
        .append_link(&mut link, "link.txt", "näme.txt")
        .unwrap();
    let found = open(&builder.into_inner().unwrap(), "*").unwrap();
    assert_eq!(found, [member(path, TEXT)]);
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_old();
    header.set_size(TEXT.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, "./old.txt", TEXT).unwrap();
    let found = open(&builder.into_inner().unwrap(), "*").unwrap();
    assert_eq!(found, [member("old.txt", TEXT)]);
}

#[test]
fn bombs_are_refused_by_ratio_bytes_and_members() {
    let zeros = vec![0; 100 << 20];
    let too_much = "it expands to more than 250 times its size";
    let bomb = zip(&[("a.txt", &zeros)]);
    for raw in [gzip(&zeros), zstd(&zeros), bzip2(&zeros), bomb.clone()] {
        says(open(&raw, "*"), &[too_much, "`max_expansion`"]);
    }
    // In a large archive the one member counts.
    let noise: Vec<u8> = (0..2_000_000_u64)
        .map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
        .collect();
    let hidden = zip_by(
        CompressionMethod::Stored,
        &[("noise", &noise), ("a.zip", &bomb)],
    );
    says(open(&hidden, "*!*.zip!*"), &["a.zip!a.txt: ", too_much]);
    let mut generous = opening();
    generous.limits.expansion = 2000;
    assert_eq!(open_by(&bomb, "*", &generous).unwrap().len(), 1);
    generous.limits.expanded_bytes = 20 << 20;
    says(
        open_by(&bomb, "*", &generous),
        &[
            "a.txt: it expands to more than 20.0 MiB",
            "`max_expanded_bytes`",
        ],
    );
    let mut few = opening();
    few.limits.members = 3;
    let four: [(&str, &[u8]); 4] = [("a", TEXT), ("b", TEXT), ("c", TEXT), ("d", TEXT)];
    for archive in [zip(&four), tar(&four)] {
        says(
            open_by(&archive, "*!*", &few),
            &["it holds more than 3 members", "`max_members`"],
        );
        few.limits.members = 4;
        assert_eq!(open_by(&archive, "*!*", &few).unwrap().len(), 4);
        few.limits.members = 3;
    }
}

#[test]
fn the_directory_of_a_large_zip_is_not_read_when_it_promises_too_much() {
    let names: Vec<String> = (0..66_000).map(|number| number.to_string()).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let archive = zip_by(CompressionMethod::Stored, &members);
    says(open(&archive, "*!7"), &["it holds more than 10000 members"]);
    // More than 65,535 of them are counted by zip64.
    let mut many = opening();
    many.limits.members = 66_000;
    assert_eq!(open_by(&archive, "*!7", &many).unwrap(), [member("7", b"")]);
}

#[test]
fn members_that_share_their_data_or_their_name_are_refused() {
    let mut archive = zip(&[("a.txt", TEXT), ("b.txt", TEXT)]);
    let second = (0..archive.len())
        .filter(|start| archive[*start..].starts_with(CENTRAL))
        .nth(1)
        .unwrap();
    let name = second + 46;
    let mut same_name = archive.clone();
    same_name[name] = b'a';
    says(open(&same_name, "*!*"), &["have the same name"]);
    archive[second + 42..second + 46].fill(0);
    says(open(&archive, "*!*"), &["members share their data"]);
}

#[test]
fn workbooks_and_parquet_files_reach_their_reader_whole() {
    let book = zip(&[
        ("[Content_Types].xml", b"<x/>"),
        ("xl/workbook.xml", b"<x/>"),
    ]);
    let parquet = b"PAR1\x15\x04and so on PAR1".to_vec();
    let by = |content, raw: &[u8], files: &str| {
        let content = Opening {
            content,
            ..opening()
        };
        open_by(raw, files, &content)
    };
    for (content, whole) in [(Content::Xlsx, &book), (Content::Parquet, &parquet)] {
        assert_eq!(by(content, whole, "*").unwrap(), [(None, whole.clone())]);
        let packed = zip(&[("x", whole)]);
        assert_eq!(by(content, &packed, "*!*").unwrap(), [member("x", whole)]);
        assert_eq!(
            by(content, &gzip(whole), "*").unwrap(),
            [(None, whole.clone())]
        );
    }
    says(
        open(&book, "*"),
        &["this is an Excel workbook", "`kind = \"xlsx\"`"],
    );
    says(
        open(&parquet, "*"),
        &["this is a Parquet file", "`kind = \"parquet\"`"],
    );
    assert_eq!(open(b"PAR1|x\n", "*").unwrap().len(), 1);
}

#[test]
fn other_packings_are_named_and_utf_16_goes_through() {
    let cases: [(&[u8], &str); 5] = [
        (b"7z\xBC\xAF\x27\x1C\0\x04", "a 7z archive"),
        (b"Rar!\x1A\x07\x01\0", "a rar archive"),
        (b"\x04\x22\x4D\x18\x64\x40", "lz4 data"),
        (b"\x1F\x9D\x90abc", "data of `compress`"),
        (b"PK\x07\x08PK\x03\x04", "a part of a split zip"),
    ];
    for (raw, name) in cases {
        for raw in [raw.to_vec(), gzip(raw), zstd(raw)] {
            says(open(&raw, "*"), &[name]);
        }
    }
    let marked = b"\xFF\xFEi\0d\0";
    assert_eq!(open(marked, "*").unwrap()[0].1, marked);
}

#[test]
fn the_error_of_the_raw_reader_comes_out_as_it_is() {
    struct Lost;
    impl Read for Lost {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "lost"))
        }
    }
    let archive = zip(&[("a.txt", TEXT)]);
    let packed = tar(&[("a.txt", TEXT)]);
    for raw in [
        TEXT,
        &gzip(TEXT),
        &xz(TEXT),
        &archive,
        &packed,
        &gzip(&packed),
    ] {
        for delivered in [0, 5, raw.len() / 2, raw.len()] {
            let (_, members) = Members::split("*").unwrap();
            let raw = raw[..delivered].chain(Lost);
            let outcome = read(raw, &members, &opening(), &mut |_, data| {
                io::copy(data, &mut io::sink())?;
                Ok(())
            });
            let Err(Unreadable::Raw(error)) = outcome else {
                panic!("{delivered}: {outcome:?}");
            };
            assert_eq!(error.to_string(), "lost");
        }
    }
}

#[test]
fn a_member_that_nobody_reads_is_read_for_its_checksum() {
    let mut archive = zip_by(CompressionMethod::Stored, &[("a.txt", TEXT)]);
    let at = archive
        .windows(3)
        .position(|bytes| bytes == b"Zoe")
        .unwrap();
    archive[at] = b'z';
    let (_, members) = Members::split("*").unwrap();
    let outcome = read(&*archive, &members, &opening(), &mut |_, _| Ok(()));
    let Err(Unreadable::Data { member, source }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(member.as_deref(), Some("a.txt"));
    assert!(source.to_string().contains("hecksum"), "{source}");
}

#[test]
fn the_folder_for_zips_is_named_when_it_takes_none() {
    let nowhere = Opening {
        temporary: "/nowhere/at/all".into(),
        ..opening()
    };
    let outcome = open_by(&zip(&[("a.txt", TEXT)]), "*", &nowhere);
    let error = outcome.unwrap_err();
    assert!(matches!(error, Unreadable::Spool { .. }));
    assert!(error.to_string().contains("`/nowhere/at/all`"), "{error}");
}

#[test]
fn the_start_of_an_object_tells_its_text_unless_it_is_an_archive() {
    let start = |raw: &[u8], files: &str| {
        let (_, members) = Members::split(files).unwrap();
        let text = read_start(raw, &members, &opening())?;
        Ok::<_, Unreadable>(text.map(|mut text| {
            let mut found = [0; 7];
            text.read_exact(&mut found).unwrap();
            found
        }))
    };
    let long = TEXT.repeat(100_000);
    for raw in [long.clone(), gzip(&long), zstd(&long)] {
        let part = &raw[..raw.len() / 2];
        assert_eq!(start(part, "*").unwrap(), Some(*b"id|name"));
        assert!(start(part, "*!*.txt").is_err());
    }
    let tar = tar(&[("a.txt", TEXT)]);
    let zip = zip(&[("a.txt", TEXT)]);
    for raw in [bzip2(TEXT), xz(TEXT), zip, tar.clone()] {
        assert_eq!(start(&raw[..raw.len() / 2], "*").unwrap(), None);
    }
    for raw in [gzip(&tar), zstd(&tar), gzip(&gzip(TEXT))] {
        assert_eq!(start(&raw, "*").unwrap(), None);
    }
}

#[test]
fn a_flipped_bit_never_loses_a_member_of_a_zip() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let members = [("a.txt", TEXT), ("b.txt", OTHER), ("c.txt", TEXT)];
        let file = zip_by(method, &members);
        let whole = open(&file, "x.zip!*.txt").unwrap();
        assert_eq!(whole.len(), 3);
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(found) = open(&damaged, "x.zip!*.txt") {
                assert_eq!(found, whole, "bit {bit} of {}, {method}", file.len() * 8);
            }
        }
    }
}
