//! However the files are cut and however many threads parse them, the build is the same.

use crate::support::Project;

/// Splitmix64: the same dirt on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ z >> 31) % end
    }
}

/// A file with quoted newlines, escaped quotes, empty lines, both ends of line and about one record
/// in eight that cannot be a row, for every reason.
fn dirty(seed: u64, records: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut text = b"\xEF\xBB\xBFid,\"na\"\"me\",price,seen,tags\r\n".to_vec();
    for record in 0..records {
        let name: &[u8] = match random.below(9) {
            0 => b"\"two\nlines\"",
            1 => b"\"a, \"\"quoted\"\" name\"",
            2 => "Zoë".as_bytes(),
            3 => b"\"\r\n\r\n\"",
            4 => b"\"\"",
            5 => b"a name that is longer than some of the chunks are: it runs over one hundred bytes and then a little further",
            _ => b"plain",
        };
        let line: Vec<u8> = match random.below(64) {
            0 => b"x,plain,1.00,2026-11-21,{}".to_vec(),
            1 => format!("{record},short").into_bytes(),
            2 => format!("{record},\"text\" behind,1.00,2026-11-21,{{}}").into_bytes(),
            3 => format!("{record},plain,1.234,2026-11-21,{{}}").into_bytes(),
            4 => format!("{record},plain,1.00,2026-02-30,{{}}").into_bytes(),
            5 => [
                record.to_string().as_bytes(),
                b",\xFF\xFE,1.00,2026-11-21,{}",
            ]
            .concat(),
            6 => format!("{record},plain,1.00,2026-11-21,{{x}}").into_bytes(),
            7 => b",plain,1.00,2026-11-21,{}".to_vec(),
            _ => [
                format!("{record},").as_bytes(),
                name,
                format!(
                    ",{}.{:02},20{:02}-0{}-1{},\"{{{},NULL}}\"",
                    random.below(999),
                    random.below(100),
                    random.below(90) + 10,
                    random.below(9) + 1,
                    random.below(9),
                    random.below(1_000_000)
                )
                .as_bytes(),
            ]
            .concat(),
        };
        text.extend(line);
        text.extend_from_slice(match random.below(5) {
            0 => b"\r\n",
            1 => b"\n\n",
            _ => b"\n",
        });
    }
    text
}

/// Everything that the two builds must share, in the order in which it lies in the tables.
fn content(name: &str, workers: &str, chunk: &str) -> Vec<Vec<Vec<Option<String>>>> {
    let mut project = Project::with_schema(
        name,
        "create table item (id integer not null, na_me text, price numeric(6,2), seen date, tags integer[]);
         create index on item (id);\n",
        "table = \"item\"\nfiles = \"items*\"\n[expect]\nrejects = { max = \"30%\" }\n",
    );
    project
        .env
        .push(("OVERNIGHT_WORKERS".into(), workers.into()));
    project.env.push(("OVERNIGHT_CHUNK".into(), chunk.into()));
    // Keys do not say which project they are in.
    project.write(
        &format!("sources/{name}/dataset.toml"),
        &format!(
            "schema_version = 1\nfiles_under = \"raw/\"\nreaders = [\"{0}\"]\nprobe = {{ user = \"{0}\" }}\n",
            project.reader
        ),
    );
    for file in 0..3_u64 {
        let text = dirty(file, 3000);
        let bytes = match file {
            0 => text,
            1 => super::inputs::gzip(&text),
            _ => super::inputs::zstd(&text),
        };
        project.write_bytes(&format!("in/raw/items_{file}.csv"), &bytes);
    }
    project.run().code(0);
    [
        "select ctid, * from item order by ctid",
        "select ctid, * from overnight.reject order by ctid",
        "select source, key, bytes, sha256, records_read, rows_loaded, rejected, skipped from overnight.input order by ctid",
    ]
    .iter()
    .map(|sql| project.cluster().sql(name, sql).unwrap())
    .collect()
}

#[test]
fn parsing_in_parallel_gives_the_rows_and_rejects_of_a_serial_parse_in_the_same_order() {
    let serial = content("serial_one", "1", "64MiB");
    let parallel = content("serial_many", "4", "100B");
    for (what, (serial, parallel)) in ["rows", "rejects", "inputs"]
        .iter()
        .zip(serial.iter().zip(&parallel))
    {
        assert_eq!(serial.len(), parallel.len(), "{what}");
        for (number, (one, other)) in serial.iter().zip(parallel).enumerate() {
            assert_eq!(one, other, "{what} {number}");
        }
    }
    // The dirt was there: 9000 records, about one in eight rejected, for every reason.
    assert_eq!(serial[0].len() + serial[1].len(), 9000);
    let mut reasons: Vec<_> = serial[1]
        .iter()
        .map(|row| (row[6].clone(), row[7].clone()))
        .collect();
    reasons.sort();
    reasons.dedup();
    assert!(
        (700..1500).contains(&serial[1].len()),
        "{} {reasons:?}",
        serial[1].len()
    );
    assert!(reasons.len() >= 8, "{reasons:?}");
}
