//! The generated raw files are what they promise: the same for the same seed, in key order or
//! not, unique in their keys, consistent with each other, and equal to `fixtures/`.

#[path = "../../examples/generate/raw/mod.rs"]
#[allow(dead_code)]
mod raw;

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use overnight::fetch::{Keys, Location, S3Options};
use raw::bucket::Bucket;
use raw::sink::{Folder, Object, Sink};
use raw::{Compress, Options, compare, generate, keys};

use crate::s3::S3Server;

fn options(night: u64) -> Options {
    Options {
        seed: 1,
        night,
        plans: 60,
        drugs: 250,
        pharmacy_rows: 3_000,
        pharmacy_parts: 6,
        shuffle: false,
        compress: Compress::Zstd,
    }
}

fn generated(options: &Options) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    generate(options, &Folder::create(folder.path(), &keys(options))?)?;
    Ok(folder)
}

/// The lines of one object, without its header.
fn lines(folder: &Path, key: &str) -> Result<Vec<String>> {
    let path: PathBuf = ["", ".gz", ".zst"]
        .iter()
        .map(|end| folder.join(format!("{key}{end}")))
        .find(|path| path.exists())
        .with_context(|| format!("find `{key}`"))?;
    let bytes = fs::read(&path)?;
    let mut text = Vec::new();
    match path.extension().and_then(|end| end.to_str()) {
        Some("gz") => _ = flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text)?,
        Some("zst") => text = zstd::decode_all(&bytes[..])?,
        _ => text = bytes,
    }
    // One character a byte: enough to compare, whatever the encoding.
    let text: String = text.into_iter().map(char::from).collect();
    assert!(text.ends_with("\r\n"), "{key} ends with a line end");
    Ok(text
        .trim_end()
        .split("\r\n")
        .skip(1)
        .map(str::to_string)
        .collect())
}

fn pharmacy_lines(folder: &Path, parts: u64) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for part in 1..=parts {
        all.extend(lines(
            folder,
            &format!("druginfo/pharmacy_networks/part_{part}.txt"),
        )?);
    }
    Ok(all)
}

/// The first fields of each line.
fn firsts(lines: &[String], fields: usize) -> Vec<String> {
    lines
        .iter()
        .map(|line| line.split('|').take(fields).collect::<Vec<_>>().join("|"))
        .collect()
}

fn assert_unique(what: &str, values: &[String]) {
    let distinct: HashSet<&String> = values.iter().collect();
    assert_eq!(
        distinct.len(),
        values.len(),
        "the keys of {what} are unique"
    );
}

#[test]
fn fixtures_are_what_the_generator_makes() -> Result<()> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for night in [1, 2] {
        let options = options(night);
        let fresh = generated(&options)?;
        compare::same_text(
            &fixtures.join(format!("night_{night}")),
            fresh.path(),
            &keys(&options),
        )?;
    }
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> Result<()> {
    let (one, two) = (generated(&options(1))?, generated(&options(1))?);
    for key in keys(&options(1)) {
        assert_eq!(
            fs::read(one.path().join(&key))?,
            fs::read(two.path().join(&key))?,
            "{key}"
        );
    }
    let other = generated(&Options {
        seed: 2,
        ..options(1)
    })?;
    assert!(compare::same_text(one.path(), other.path(), &keys(&options(1))).is_err());
    Ok(())
}

#[test]
fn shuffling_changes_the_order_of_pharmacy_rows_and_nothing_else() -> Result<()> {
    let ordered = generated(&options(1))?;
    let shuffled = generated(&Options {
        shuffle: true,
        ..options(1)
    })?;
    let mut a = pharmacy_lines(ordered.path(), 6)?;
    let mut b = pharmacy_lines(shuffled.path(), 6)?;
    let key_order = firsts(&a, 4);
    assert!(
        key_order.is_sorted(),
        "rows come in key order without `--shuffle`"
    );
    assert_ne!(a, b);
    a.sort_unstable();
    b.sort_unstable();
    assert_eq!(a, b);
    Ok(())
}

#[test]
fn the_number_of_parts_and_the_compression_do_not_change_the_rows() -> Result<()> {
    let six = pharmacy_lines(generated(&options(1))?.path(), 6)?;
    let other = Options {
        pharmacy_parts: 11,
        compress: Compress::Gzip,
        ..options(1)
    };
    assert_eq!(six, pharmacy_lines(generated(&other)?.path(), 11)?);
    Ok(())
}

#[test]
fn keys_are_unique_and_refer_to_what_exists() -> Result<()> {
    for (night, seed, plans) in [(1, 1, 60), (2, 1, 60), (9, 7, 211), (1, 3, 1)] {
        let options = Options {
            night,
            seed,
            plans,
            ..options(1)
        };
        let folder = generated(&options)?;
        let read = |key: &str| lines(folder.path(), key);

        let plan_rows = read("druginfo/plan_information.txt")?;
        assert_eq!(plan_rows, read("planinfo/plan_information.txt")?);
        let plans: HashSet<String> = firsts(&plan_rows, 3).into_iter().collect();
        let pharmacies = pharmacy_lines(folder.path(), 6)?;
        let prices = read("druginfo/pricing.txt")?;
        let costs = read("druginfo/beneficiary_cost.txt")?;
        let insulin = read("druginfo/insulin_beneficiary_cost.txt")?;
        let formulary = read("druginfo/formulary.txt")?;
        let excluded = read("druginfo/excluded_drugs.txt")?;

        assert_unique("pharmacy networks", &firsts(&pharmacies, 4));
        assert_unique("pricing", &firsts(&prices, 5));
        assert_unique("beneficiary cost", &firsts(&costs, 6));
        assert_unique("insulin beneficiary cost", &firsts(&insulin, 5));
        assert_unique("excluded drugs", &firsts(&excluded, 3));
        for rows in [&pharmacies, &prices, &costs, &insulin] {
            assert!(firsts(rows, 3).iter().all(|plan| plans.contains(plan)));
        }

        let field = |row: &String, at: usize| row.split('|').nth(at).unwrap_or("").to_string();
        let locator: HashSet<String> = firsts(&read("planinfo/geographic_locator.txt")?, 1)
            .into_iter()
            .collect();
        let counties: BTreeSet<String> = plan_rows.iter().map(|row| field(row, 11)).collect();
        assert!(
            counties
                .iter()
                .all(|county| county == " " || locator.contains(county))
        );

        let formularies: HashSet<String> = firsts(&formulary, 1).into_iter().collect();
        assert!(
            plan_rows
                .iter()
                .all(|row| formularies.contains(&field(row, 5)))
        );
        let covered: HashSet<String> = formulary.iter().map(|row| field(row, 4)).collect();
        assert!(prices.iter().all(|row| covered.contains(&field(row, 3))));
        let listed: HashSet<String> = read("druginfo/ndc_package.txt")?
            .iter()
            .filter_map(|row| {
                let parts: Vec<&str> = row.split('\t').nth(2)?.split('-').collect();
                let [labeler, product, package] = parts[..] else {
                    return None;
                };
                Some(format!("{labeler:0>5}{product:0>4}{package:0>2}"))
            })
            .collect();
        assert!(covered.is_subset(&listed));
    }
    Ok(())
}

#[test]
fn the_next_night_differs_a_little() -> Result<()> {
    let (first, second) = (generated(&options(1))?, generated(&options(2))?);
    let count = |folder: &Path, key: &str| lines(folder, key).map(|lines| lines.len() as f64);
    for key in [
        "planinfo/plan_information.txt",
        "druginfo/pricing.txt",
        "druginfo/formulary.txt",
    ] {
        let ratio = count(second.path(), key)? / count(first.path(), key)?;
        assert!((0.95..1.05).contains(&ratio), "{key} changes by {ratio}");
    }
    let plans = |folder: &Path| -> Result<BTreeSet<String>> {
        Ok(firsts(&lines(folder, "planinfo/plan_information.txt")?, 3)
            .into_iter()
            .collect())
    };
    let (before, after) = (plans(first.path())?, plans(second.path())?);
    assert!(before.difference(&after).count() > 0 && after.difference(&before).count() > 0);
    assert!(before.intersection(&after).count() * 10 > before.len() * 9);
    Ok(())
}

#[test]
fn a_folder_with_other_files_is_refused() -> Result<()> {
    let folder = generated(&options(1))?;
    let gzip = Options {
        compress: Compress::Gzip,
        ..options(1)
    };
    assert!(Folder::create(folder.path(), &keys(&gzip)).is_err());
    generate(
        &options(2),
        &Folder::create(folder.path(), &keys(&options(2)))?,
    )
}

/// A local endpoint and how to reach it.
struct Endpoint {
    server: S3Server,
    options: S3Options,
    _files: tempfile::TempDir,
}

const PLACE: &str = "s3://overnight/raw/";

fn endpoint() -> Result<Endpoint> {
    let files = tempfile::tempdir()?;
    let server = S3Server::start(files.path());
    let options = S3Options {
        endpoint: Some(server.endpoint.clone()),
        keys: Some(Keys::new(&server.access_key, &server.secret_key, None)),
        ..S3Options::default()
    };
    Ok(Endpoint {
        server,
        options,
        _files: files,
    })
}

impl Endpoint {
    /// Every object below the place, with its content.
    fn objects(&self) -> Result<Vec<(String, Vec<u8>)>> {
        tokio::runtime::Runtime::new()?.block_on(async {
            let location = Location::open(PLACE, &self.options).await?;
            let mut all = Vec::new();
            for listed in location.list("").await? {
                let object = location.pin(&listed).await?;
                let content = location.read_start(&object, object.size).await?;
                all.push((listed.key, content.to_vec()));
            }
            Ok(all)
        })
    }
}

#[test]
fn a_bucket_gets_the_same_objects_as_a_folder() -> Result<()> {
    let endpoint = endpoint()?;
    let options = options(1);
    let bucket = Bucket::open(PLACE, &endpoint.options, &keys(&options))?;
    generate(&options, &bucket)?;
    let folder = generated(&options)?;
    let objects = endpoint.objects()?;
    let mut wanted = keys(&options);
    wanted.sort_unstable();
    let found: Vec<&String> = objects.iter().map(|(key, _)| key).collect();
    assert_eq!(found, wanted.iter().collect::<Vec<_>>());
    for (key, content) in &objects {
        assert_eq!(*content, fs::read(folder.path().join(key))?, "{key}");
    }
    Ok(())
}

/// A sink that breaks when a certain object is begun.
struct Breaking<'a>(&'a dyn Sink, &'static str);

impl Sink for Breaking<'_> {
    fn open(&self, key: &str) -> Result<Box<dyn Object>> {
        if key.starts_with(self.1) {
            bail!("the disk is full");
        }
        self.0.open(key)
    }

    fn remove(&self, key: &str) -> Result<()> {
        self.0.remove(key)
    }
}

#[test]
fn objects_that_are_being_replaced_have_no_marker() -> Result<()> {
    let endpoint = endpoint()?;
    let (first, second) = (options(1), options(2));
    let bucket = Bucket::open(PLACE, &endpoint.options, &keys(&first))?;
    generate(&first, &bucket)?;
    assert!(generate(&second, &Breaking(&bucket, "druginfo/formulary")).is_err());
    let keys: Vec<String> = endpoint
        .objects()?
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert!(keys.contains(&"planinfo/_SUCCESS".to_owned()));
    assert!(!keys.contains(&"druginfo/_SUCCESS".to_owned()));
    assert!(keys.contains(&"druginfo/pricing.txt.zst".to_owned()));
    generate(&second, &bucket)?;
    assert_eq!(endpoint.objects()?.len(), keys.len() + 1);
    Ok(())
}

#[test]
fn a_bucket_with_other_objects_is_refused() -> Result<()> {
    let endpoint = endpoint()?;
    let options = options(1);
    endpoint.server.put("raw/druginfo/formulary.txt.gz", "old");
    let refused = Bucket::open(PLACE, &endpoint.options, &keys(&options));
    let said = refused.err().context("it was accepted")?.to_string();
    assert!(
        said.contains(
            "`s3://overnight/raw/druginfo/formulary.txt.gz` is not an object of this run"
        ),
        "{said}"
    );
    Ok(())
}
