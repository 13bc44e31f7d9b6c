//! Whole nights from the S3 endpoint, and every way in which it can let a run down.

use crate::inputs::{gzip, zstd};
use crate::s3::{Fault, S3Server};
use crate::support::Project;
use crate::support::project::items;
use overnight::fetch::s3::{ATTEMPTS, PART_BYTES};
use tempfile::TempDir;

/// An object of more than two parts: part bounds fall into records.
const PART: usize = PART_BYTES as usize;

struct Night {
    project: Project,
    server: S3Server,
    _files: TempDir,
}

/// A project whose files come from a bucket.
fn night(name: &str) -> Night {
    let files = TempDir::new().unwrap();
    let server = S3Server::start(files.path());
    let mut project = Project::new(name);
    for (variable, value) in [
        ("OVERNIGHT_FROM", format!("s3://{}/raw", server.bucket)),
        ("OVERNIGHT_S3_ENDPOINT", server.endpoint.clone()),
        ("AWS_ACCESS_KEY_ID", server.access_key.clone()),
        ("AWS_SECRET_ACCESS_KEY", server.secret_key.clone()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ] {
        project.env.push((variable.to_owned(), value));
    }
    Night {
        project,
        server,
        _files: files,
    }
}

impl Night {
    fn key(&self, key: &str) -> String {
        format!("raw/{}/{key}", self.project.name)
    }

    fn put(&self, key: &str, content: impl Into<Vec<u8>>) {
        self.server.put(&self.key(key), content.into());
    }

    /// The address as messages give it.
    fn address(&self, key: &str) -> String {
        format!("s3://{}/{}", self.server.bucket, self.key(key))
    }

    fn set(&mut self, variable: &str, value: &str) {
        self.project.env.retain(|(name, _)| name != variable);
        self.project
            .env
            .push((variable.to_owned(), value.to_owned()));
    }

    fn unset(&mut self, variable: &str) {
        self.project.env.retain(|(name, _)| name != variable);
    }
}

/// Rows from `first` on whose file, packed by `pack`, is larger than `bytes`.
fn large(first: usize, bytes: usize) -> (Vec<u8>, usize) {
    let mut text = String::from("id,name,price,seen\n");
    let mut rows = 0;
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    while text.len() < bytes {
        let mut name = String::new();
        // Names without pattern: what is packed stays nearly as large.
        for _ in 0..64 {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            name += &format!("{noise:016x}");
        }
        text += &format!("{},{name},1.25,2026-11-21\n", first + rows);
        rows += 1;
    }
    (text.into_bytes(), rows)
}

/// The time of a request is waited for once for many objects; a load that asked for one object after the
/// other would never have two requests in flight.
#[test]
fn the_objects_of_one_table_are_fetched_overlapping_and_their_rows_stay_in_order() {
    let night = night("s3_overlap");
    let project = &night.project;
    project.write(
        "sources/s3_overlap/item.toml",
        "table = \"item\"\nfiles = \"part_*.csv\"\n[format]\nkind = \"delimited\"\nheader = true\n[expect]\nrejects = { max = 50 }\n",
    );
    project.sql(
        "schema/010_tables.sql",
        "select overnight.declare_version(1);
         create table item (id integer primary key, name text not null, price numeric(8,2), seen date);\n",
    );
    let objects = 120;
    for object in 0..objects {
        let mut text = String::from("id,name,price,seen\n");
        for row in 0..10 {
            let id = object * 10 + row;
            // Every fourth object has a record that is none.
            let price = if row == 5 && object % 4 == 0 {
                "much"
            } else {
                "1.25"
            };
            text += &format!("{id},name {id},{price},2026-11-21\n");
        }
        night.put(&format!("part_{object:03}.csv"), text);
    }
    night.server.delay(std::time::Duration::from_millis(40));
    let rejects = project.folder.path().join("rejects.csv");
    let told = project
        .overnight(&[
            "run",
            "s3_overlap",
            "--rejects",
            &rejects.display().to_string(),
        ])
        .code(0);
    // The first GET of an object is for its header, before the load; the second loads it.
    for nth in [1, 2] {
        let in_flight = night.server.most_gets_in_flight(nth);
        assert!(in_flight >= 16, "{in_flight} requests: {}", told.stderr);
    }
    for object in 0..objects {
        let gets = night
            .server
            .gets(&night.key(&format!("part_{object:03}.csv")));
        assert_eq!(gets, 2, "object {object}");
    }
    // The rows lie in the table in the order of the files, and the rejects in the list.
    assert_eq!(
        project.service(
            "select count(*) || ' ' || bool_and(id > before) from
             (select id, coalesce(lag(id) over (order by ctid), -1) as before from item) t"
        ),
        "1170 true"
    );
    let listed = std::fs::read_to_string(&rejects).unwrap();
    let listed: Vec<&str> = listed.lines().skip(1).collect();
    assert_eq!(listed.len(), 30);
    let places: Vec<usize> = (0..30)
        .map(|n| {
            let key = format!("part_{:03}.csv", n * 4);
            listed.iter().position(|line| line.contains(&key)).unwrap()
        })
        .collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn a_night_from_s3_loads_plain_gzip_and_zstd_objects_of_several_parts() {
    let night = night("s3_formats");
    let project = &night.project;
    project.sql(
        "schema/010_tables.sql",
        "select overnight.declare_version(1);
         create table item (id integer primary key, name text not null, price numeric(8,2), seen date);\n",
    );
    let (plain, plain_rows) = large(0, 2 * PART + 12_345);
    let (text, gzip_rows) = large(1_000_000, 2 * PART + 1);
    let packed = gzip(&text);
    assert!(packed.len() > PART);
    let (more, zstd_rows) = large(2_000_000, 2 * PART + PART / 2);
    let framed = zstd(&more);
    assert!(framed.len() > PART);
    night.put("items_1.csv", plain.clone());
    night.put("items_2.csv.gz", packed.clone());
    night.put("items_3.csv.zst", framed.clone());
    let told = project.run().code(0);
    let rows = plain_rows + gzip_rows + zstd_rows;
    assert!(told.stdout.contains("is live"), "{}", told.stdout);
    assert_eq!(
        project.service("select count(*) || ' ' || count(distinct id) || ' ' || min(length(name)) || ' ' || max(length(name)) from item"),
        format!("{rows} {rows} 1024 1024")
    );
    // Every byte of every object was counted, and its version is known.
    let inputs = project.service(
        "select string_agg(concat_ws(' ', key, bytes, rows_loaded, length(sha256)), '; ' order by key) from overnight.input",
    );
    assert_eq!(
        inputs,
        format!(
            "s3_formats/items_1.csv {} {plain_rows} 64; s3_formats/items_2.csv.gz {} {gzip_rows} 64; s3_formats/items_3.csv.zst {} {zstd_rows} 64",
            plain.len(),
            packed.len(),
            framed.len()
        )
    );
    assert_eq!(
        project.service("select count(distinct version) from overnight.input where version <> ''"),
        "3"
    );
    assert!(night.server.gets(&night.key("items_1.csv")) >= 3);
    // The same objects again: nothing to do, and none of them is read.
    let gets = night.server.gets(&night.key("items_1.csv"));
    let told = project.run().code(0);
    assert!(told.stdout.contains("inputs unchanged, nothing to do"));
    assert_eq!(night.server.gets(&night.key("items_1.csv")), gets);
}

#[test]
fn bodies_that_are_cut_are_resumed_and_nothing_is_lost_or_doubled() {
    let night = night("s3_cut");
    let project = &night.project;
    let (text, rows) = large(0, 2 * PART + 500);
    night.put("items.csv", text);
    let key = night.key("items.csv");
    // The first GET looks at the header; then come the parts and their second tries.
    night.server.fault(&key, 2, Fault::Cut(1_234_567));
    night.server.fault(&key, 3, Fault::Short(70_000));
    night.server.fault(&key, 4, Fault::SlowDown);
    night.server.fault(&key, 5, Fault::Cut(3));
    night.server.fault(&key, 6, Fault::InternalError);
    project.run().code(0);
    assert_eq!(
        project.service("select count(*) || ' ' || max(id) || ' ' || sum(length(name)) from item"),
        format!("{rows} {} {}", rows - 1, rows * 1024)
    );
    assert!(night.server.gets(&key) >= 8, "{}", night.server.gets(&key));
}

#[test]
fn an_object_replaced_during_the_run_ends_it_and_nothing_is_published() {
    let night = night("s3_replaced");
    let project = &night.project;
    night.put("items.csv", items(10, "first"));
    project.run().code(0);
    let live = project.live();
    // Between the look at the header and the load.
    night.put("items.csv", items(20, "second"));
    let key = night.key("items.csv");
    let next = night.server.gets(&key) + 1;
    night.server.fault(
        &key,
        next,
        Fault::ReplaceWith(items(30, "third").into_bytes()),
    );
    project.refuses(
        3,
        &[
            "load source `item` into `s3_replaced_",
            &format!(
                "`{}` was replaced after it was pinned",
                night.address("items.csv")
            ),
            "start the run again to read the new version",
        ],
    );
    assert_eq!(project.live(), live);
    // In the middle of the load, between two parts.
    let (text, _) = large(0, 2 * PART + 500);
    night.put("items.csv", text);
    let next = night.server.gets(&key) + 2;
    night.server.fault(
        &key,
        next,
        Fault::ReplaceWith(items(30, "third").into_bytes()),
    );
    for nth in 1..=3 {
        // The other parts are asked for again, after the replacement.
        night.server.fault(&key, next + nth, Fault::InternalError);
    }
    project.refuses(3, &["was replaced after it was pinned"]);
    assert_eq!(project.live(), live);
    // Started again, as the message says.
    project.run().code(0);
    assert_eq!(
        project.service("select count(*) || ' ' || min(name) from item"),
        "30 third 1"
    );
}

#[test]
fn credentials_that_are_wrong_missing_or_not_enough_are_told_apart() {
    let mut night = night("s3_credentials");
    night.put("items.csv", items(3, "x"));
    night.set("AWS_SECRET_ACCESS_KEY", "wrong-canary-secret");
    let ended = night.project.refuses(
        3,
        &[
            "list the inputs of `s3_credentials`",
            "access to `s3://overnight/raw/s3_credentials/` denied (SignatureDoesNotMatch)",
            "the secret key does not belong to the access key",
        ],
    );
    assert!(!ended.stderr.contains("wrong-canary-secret"));
    night.set("AWS_ACCESS_KEY_ID", "nobody");
    night.project.refuses(
        3,
        &[
            "denied (InvalidAccessKeyId)",
            "the server does not know the access key",
        ],
    );
    night.unset("AWS_ACCESS_KEY_ID");
    night.unset("AWS_SECRET_ACCESS_KEY");
    night.project.refuses(
        3,
        &[
            "find AWS credentials for `s3://overnight/raw`",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE",
        ],
    );
    // Allowed to list, not to read.
    night.set("AWS_ACCESS_KEY_ID", &night.server.access_key.clone());
    night.set("AWS_SECRET_ACCESS_KEY", &night.server.secret_key.clone());
    let key = night.key("items.csv");
    night.server.faults(&key, 1..20, Fault::AccessDenied);
    night.project.refuses(
        3,
        &[
            &format!(
                "access to `{}` denied (AccessDenied)",
                night.address("items.csv")
            ),
            "s3:GetObject",
        ],
    );
    assert!(night.project.databases().is_empty());
}

/// The endpoint takes the part of the proxy: a request through a proxy names the whole address.
#[test]
fn the_bucket_is_asked_through_the_proxy_of_the_environment() {
    let mut night = night("s3_proxy");
    night.put("items.csv", items(3, "x"));
    let endpoint = night.server.endpoint.clone();
    night.set("OVERNIGHT_S3_ENDPOINT", "http://s3.invalid");
    night.set("OVERNIGHT_S3_PATH_STYLE", "true");
    night.set("HTTP_PROXY", &endpoint);
    night.project.run().code(0);
    assert_eq!(night.project.service("select count(*) from item"), "3");
    night.set("NO_PROXY", "s3.invalid");
    night.project.refuses(3, &["reach `http://s3.invalid`"]);
    night.set("OVERNIGHT_S3_ENDPOINT", &endpoint);
    night.set("HTTP_PROXY", "http://127.0.0.1:9");
    night
        .project
        .refuses(3, &["check the endpoint, the network and the proxy"]);
    night.set("NO_PROXY", "127.0.0.1");
    night.project.run().code(0);
}

#[test]
fn an_endpoint_that_is_down_and_a_bucket_that_is_missing_are_named() {
    let mut night = night("s3_down");
    night.put("items.csv", items(3, "x"));
    night.set("OVERNIGHT_FROM", "s3://elsewhere/raw");
    let endpoint = night.server.endpoint.clone();
    night.project.refuses(
        3,
        &[&format!(
            "bucket `elsewhere` does not exist at `{endpoint}`: check its name"
        )],
    );
    night.set("OVERNIGHT_FROM", "s3://overnight/raw");
    night.set("OVERNIGHT_S3_ENDPOINT", "http://127.0.0.1:9");
    night.project.refuses(
        3,
        &[
            "list the inputs of `s3_down`",
            "reach `http://127.0.0.1:9`",
            "check the endpoint, the network and the proxy",
        ],
    );
    night.set("OVERNIGHT_FROM", "s3://");
    night
        .project
        .refuses(2, &["`s3://` is not a usable location"]);
    night.set("OVERNIGHT_FROM", "s3://overnight/nothing");
    night.set("OVERNIGHT_S3_ENDPOINT", &endpoint);
    night.project.refuses(
        1,
        &[
            "source `item` of `s3_down`: no object matches `s3://overnight/nothing/s3_down/items*`",
            "nothing is below `s3://overnight/nothing/s3_down/`",
        ],
    );
    night.set("OVERNIGHT_FROM", "s3://overnight/raw");
    let dataset = "sources/s3_down/dataset.toml";
    let text = std::fs::read_to_string(night.project.path(dataset)).unwrap();
    night.project.write(
        dataset,
        &text.replace("files_under = \"s3_down/", "files_under = \"s3_dwon/"),
    );
    night.project.refuses(
        1,
        &[
            "no object matches `s3://overnight/raw/s3_dwon/items*`",
            "nothing is below `s3://overnight/raw/s3_dwon/`; below `s3://overnight/raw/` there is `s3_down/`",
        ],
    );
    assert!(night.project.databases().is_empty());
}

#[test]
fn an_object_that_never_comes_whole_fails_the_run_as_a_dependency() {
    let night = night("s3_short");
    let project = &night.project;
    night.put("items.csv", items(50_000, "x"));
    let key = night.key("items.csv");
    // Right for the header, then always the same part of it.
    night
        .server
        .faults(&key, 2..2 + ATTEMPTS as usize, Fault::Short(100));
    project.refuses(
        3,
        &[
            "load source `item` into `s3_short_",
            &format!("`{}` ended at byte ", night.address("items.csv")),
        ],
    );
    // A damaged byte is found by the checksum that the store keeps.
    let damaged = items(50_000, "y");
    let name = 700_000 + damaged[700_000..].find('y').unwrap();
    night.put("items.csv", damaged);
    let next = night.server.gets(&key);
    night
        .server
        .faults(&key, next + 2..next + 3, Fault::Flip(name));
    project.refuses(3, &["does not match its stored"]);
    assert!(project.databases().is_empty());
}
