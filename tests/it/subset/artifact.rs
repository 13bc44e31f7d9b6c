//! One file instead of a database: the same bytes for the same subset, and nothing of a broken one.

use super::{ORPHANS, books, forget, on_a_laptop, set_rules};
use crate::s3::{Fault, S3Server};
use crate::support::Project;
use std::fs;

const RULES: &str = r#"
[subset]
artifact = "ARTIFACT"
references = [{ from = "review(isbn)", to = "book(isbn)", children = "all" }]
[subset.tables]
book = { percent = 1 }
item = { all = true }
"#;

fn rules(artifact: &str) -> String {
    RULES.replace("ARTIFACT", artifact)
}

/// Runs a command without the server of the builds, as a developer would.
fn without_target(project: &Project, arguments: &[&str]) -> crate::support::project::Ended {
    let mut command = project.command(arguments);
    command.env_remove("OVERNIGHT_TARGET");
    Project::finish(&mut command)
}

#[test]
fn the_same_build_rules_and_seed_are_the_same_bytes_and_restore_to_the_same_rows() {
    let mut project = books("subset_bytes", &rules("small/{dataset}/"));
    project.run().code(0);
    let live = project.live();
    // The run has written one beside the build.
    let nightly = project.path(&format!("small/subset_bytes/{live}.tar.zst"));
    let by_night = fs::read(&nightly).unwrap();
    for file in ["one.tar.zst", "two.tar.zst"] {
        let ended = project
            .overnight(&["subset", "subset_bytes", "--to", file])
            .code(0);
        assert_eq!(ended.stdout.trim(), format!("./{file}"));
        assert_eq!(fs::read(project.path(file)).unwrap(), by_night, "{file}");
    }
    set_rules(
        &project,
        &rules("small/{dataset}/").replace("percent = 1", "percent = 2"),
    );
    project
        .overnight(&["subset", "subset_bytes", "--to", "one.tar.zst"])
        .code(0);
    assert_ne!(fs::read(project.path("one.tar.zst")).unwrap(), by_night);

    let laptop = on_a_laptop(&mut project);
    let ended = without_target(&project, &["subset", "pull", "subset_bytes"]).code(0);
    assert_eq!(ended.stdout.trim(), laptop.url("subset_bytes", "overnight"));
    let one = |sql: &str| laptop.one("subset_bytes", sql);
    assert_eq!(one(ORPHANS), "0 0 0 0 0 0 0");
    assert_eq!(one("select count(*) from item"), "500");
    assert_eq!(one("select build from overnight.build"), live);
    assert_eq!(
        one("select md5(string_agg(x::text, ';' order by x.id)) from book x"),
        project.service(&format!(
            "select md5(string_agg(x::text, ';' order by x.id)) from book x where id in ({})",
            one("select string_agg(id::text, ',') from book")
        ))
    );
    let rules_of = |sql: &str| one(sql);
    assert_eq!(
        rules_of("select length(rules_digest) from overnight.subset"),
        "64"
    );
    forget(laptop, "subset_bytes");
}

#[test]
fn the_newest_artifact_comes_from_a_bucket_and_a_night_without_one_says_so() {
    let files = tempfile::TempDir::new().unwrap();
    let server = S3Server::start(files.path());
    let mut project = books(
        "subset_s3",
        &rules(&format!("s3://{}/subsets/{{dataset}}/", server.bucket)),
    );
    for (variable, value) in [
        ("OVERNIGHT_S3_ENDPOINT", server.endpoint.clone()),
        ("AWS_ACCESS_KEY_ID", server.access_key.clone()),
        ("AWS_SECRET_ACCESS_KEY", server.secret_key.clone()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ] {
        project.env.push((variable.to_owned(), value));
    }
    let laptop = on_a_laptop(&mut project);
    without_target(&project, &["subset", "pull", "subset_s3"])
        .code(1)
        .says(&["there is no artifact of `subset_s3` in `s3://"]);
    project.run().code(0);
    let first = project.live();
    project.items(501, "second");
    project.run().code(0);
    let second = project.live();
    let pulled = |more: &[&str]| {
        let arguments = [&["subset", "pull", "subset_s3", "--json"], more].concat();
        without_target(&project, &arguments)
    };
    assert_eq!(pulled(&[]).code(0).json()["build"], second.as_str());
    assert_eq!(laptop.one("subset_s3", "select count(*) from item"), "501");
    assert_eq!(
        pulled(&["--build", &first]).code(0).json()["build"],
        first.as_str()
    );
    assert_eq!(laptop.one("subset_s3", "select count(*) from item"), "500");

    // A flipped bit is found, and the subset that is there stays.
    let key = format!("subsets/subset_s3/{second}.tar.zst");
    let before = laptop.one("subset_s3", "select nonce from overnight.subset");
    let next = server.gets(&key) + 1;
    server.faults(&key, next..next + 20, Fault::Flip(5_000));
    let ended = pulled(&[]);
    assert!([1, 3].contains(&ended.code), "{}", ended.stderr);
    assert_eq!(
        laptop.one("subset_s3", "select nonce from overnight.subset"),
        before
    );

    // A night whose artifact cannot be written has published, and says so.
    project.write("blocked", "a file where a folder should be");
    set_rules(&project, &rules("blocked/"));
    project.items(502, "third");
    let ended = project.run().code(3);
    let live = project.live();
    assert_ne!(live, second);
    assert!(
        ended.stderr.contains(&format!(
            "write the subset of `{live}`, which is live and stays so"
        )),
        "{}",
        ended.stderr
    );
    assert_eq!(project.service("select count(*) from item"), "502");
    forget(laptop, "subset_s3");
}

#[test]
fn an_artifact_that_is_cut_changed_or_somebody_elses_is_refused_whole() {
    let mut project = books("subset_broken", &rules("small/"));
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    project
        .overnight(&["subset", "subset_broken", "--to", "good.tar.zst"])
        .code(0);
    let good = fs::read(project.path("good.tar.zst")).unwrap();
    let plain = zstd::decode_all(good.as_slice()).unwrap();
    let members = |plain: &[u8]| -> Vec<(String, Vec<u8>)> {
        let mut archive = tar::Archive::new(plain);
        let entries = archive.entries().unwrap();
        let member = |entry: std::io::Result<tar::Entry<&[u8]>>| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            (entry.path().unwrap().display().to_string(), bytes)
        };
        entries.map(member).collect()
    };
    let packed = |members: &[(String, Vec<u8>)]| -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in members {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, bytes.as_slice())
                .unwrap();
        }
        zstd::encode_all(tar.into_inner().unwrap().as_slice(), 3).unwrap()
    };
    let all = members(&plain);
    assert_eq!(all[0].0, "subset.json");
    assert_eq!(all.last().unwrap().0, "end.json");
    let head = String::from_utf8(all[0].1.clone()).unwrap();
    let with_head = |head: String| {
        let mut changed = all.clone();
        changed[0].1 = head.into_bytes();
        packed(&changed)
    };
    // Changed by somebody who knows how an artifact ends.
    let resealed = |from: &str, to: &str| {
        assert!(head.contains(from), "{from}");
        let mut changed = all.clone();
        let new = head.replacen(from, to, 1);
        let digest = |text: &str| {
            overnight::dataset::hex(
                ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref(),
            )
        };
        let last = changed.len() - 1;
        let end = String::from_utf8(changed[last].1.clone()).unwrap();
        changed[last].1 = end.replacen(&digest(&head), &digest(&new), 1).into_bytes();
        changed[0].1 = new.into_bytes();
        packed(&changed)
    };
    let more = resealed("\"rows\": 500,", "\"rows\": 501,");
    let elsewhere = resealed(
        "\"parent_columns\": [\n        \"isbn\"",
        "\"parent_columns\": [\n        \"title\"",
    );
    let mut swapped = all.clone();
    let row = swapped
        .iter()
        .position(|(name, _)| name == "data/00005/00000000")
        .unwrap();
    // One byte of a text in the rows: still rows, but others.
    let at = swapped[row]
        .1
        .windows(5)
        .position(|five| five == b"words")
        .unwrap();
    swapped[row].1[at] = b'W';
    let (cut, fewer) = (
        packed(&all[..all.len() - 1]),
        packed(&[&all[..1], &all[2..]].concat()),
    );
    for (what, bytes, says) in [
        (
            "no zstd",
            b"not an artifact".to_vec(),
            "the artifact cannot be unpacked",
        ),
        (
            "cut in the middle",
            good[..good.len() / 2].to_vec(),
            "artifact",
        ),
        ("without its end", cut, "it was cut short"),
        ("without a table", fewer, "fill `author`"),
        (
            "with another byte",
            packed(&swapped),
            "its digests are not those",
        ),
        ("with more rows than it has", more, "501 were chosen"),
        ("with a key to elsewhere", elsewhere, "lead nowhere"),
        (
            "of another format",
            with_head(head.replacen("\"format\": 1", "\"format\": 2", 1)),
            "the artifact has format 2, this program reads 1",
        ),
        (
            "of another dataset",
            with_head(head.replacen(
                "\"dataset\": \"subset_broken\"",
                "\"dataset\": \"other\"",
                1,
            )),
            "is a subset of `other`",
        ),
    ] {
        fs::write(project.path("bad.tar.zst"), bytes).unwrap();
        let ended = project
            .overnight(&[
                "subset",
                "pull",
                "subset_broken",
                "--from-artifact",
                "bad.tar.zst",
            ])
            .code(1);
        assert!(ended.stderr.contains(says), "{what}: {}", ended.stderr);
        let left = laptop.one(
            "postgres",
            "select count(*) from pg_database where datname like 'subset_broken%'",
        );
        assert_eq!(left, "0", "{what}");
    }
    project
        .overnight(&[
            "subset",
            "pull",
            "subset_broken",
            "--from-artifact",
            "good.tar.zst",
        ])
        .code(0);
    assert_eq!(laptop.one("subset_broken", ORPHANS), "0 0 0 0 0 0 0");
    project
        .overnight(&["subset", "subset_broken", "--to", "small.zip"])
        .code(2)
        .says(&["`small.zip` cannot be an artifact"]);
    forget(laptop, "subset_broken");
}
