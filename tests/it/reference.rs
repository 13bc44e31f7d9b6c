//! The schemas for editors and the reference are what the program says, and every example of the
//! documents is one that it reads. `UPDATE_REFERENCE=1 cargo test --test it reference` writes them anew.

use crate::support::project::repository;
use overnight::config::{Config, Settings};
use overnight::dataset::{self, Dataset};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const HINT: &str = "`UPDATE_REFERENCE=1 cargo test --test it reference` writes it anew";
/// What `overnight schema` takes, and what the file is called.
const FILES: [(&str, &str); 3] = [
    ("source", "source"),
    ("dataset", "dataset"),
    ("project", "overnight"),
];

fn said(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_overnight"));
    // Far from any project, and without a server.
    let output = command
        .arg("schema")
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn schema(file: &str) -> Value {
    serde_json::from_str(&said(&[file])).unwrap()
}

#[track_caller]
fn hold(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(path, text).unwrap();
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == text,
        "{} is not up to date: {HINT}",
        path.display()
    );
}

#[test]
fn the_schemas_of_the_repository_are_what_the_program_prints() {
    for (file, name) in FILES {
        let path = format!("docs/schema/{name}.schema.json");
        hold(&repository().join(path), &said(&[file]));
    }
}

#[test]
fn the_reference_of_the_documents_is_what_the_program_prints() {
    let path = repository().join("docs/SOURCES.md");
    let mut text = fs::read_to_string(&path).unwrap();
    for file in ["source", "dataset"] {
        let begin = format!("<!-- overnight schema {file} --markdown -->\n");
        let end = "<!-- end -->";
        let (before, rest) = text.split_once(&begin).unwrap();
        let (_, after) = rest.split_once(end).unwrap();
        text = format!(
            "{before}{begin}\n{}\n{end}{after}",
            said(&[file, "--markdown"])
        );
    }
    hold(&path, &text);
}

#[test]
fn every_key_has_a_description_a_default_and_an_example() {
    let mut keys = 0;
    for (file, _) in FILES {
        for line in said(&[file, "--markdown"]).lines() {
            if !line.starts_with("| `") {
                continue;
            }
            let line = line.replace("\\|", "/");
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 6, "{line}");
            assert!(!cells[1..5].contains(&""), "{file}: {line}");
            keys += 1;
        }
    }
    assert!(keys > 110, "only {keys} keys were found");
}

/// The settings have a table of their own, with their flags and variables.
#[test]
fn the_table_of_settings_has_every_key_and_its_default() {
    let text = fs::read_to_string(repository().join("docs/OPERATIONS.md")).unwrap();
    let schema = schema("project");
    for (key, what) in schema["properties"].as_object().unwrap() {
        if what["type"] == "array" || what["type"] == "object" {
            // Tables of keys have neither a flag nor a variable.
            assert!(text.contains(&format!("[{key}]")), "{key}");
            continue;
        }
        let start = format!("| `--{}` | ", key.replace('_', "-"));
        let line = text.lines().find(|line| line.starts_with(&start)).unwrap();
        let mut cells = line.split('|').map(str::trim).skip(2);
        let variable = format!("`OVERNIGHT_{}`", key.to_uppercase());
        assert_eq!(cells.next(), Some(variable.as_str()), "{line}");
        assert_eq!(cells.next(), Some(format!("`{key}`").as_str()), "{line}");
        if let Some(default) = what.get("default") {
            let default = default
                .as_str()
                .map_or_else(|| default.to_string(), Into::into);
            assert_eq!(
                cells.next(),
                Some(format!("`{default}`").as_str()),
                "{line}"
            );
        }
    }
}

#[test]
fn every_source_of_the_repository_is_read_and_fits_the_schema() {
    let mut files = 0;
    for project in ["", "benches/peers/project"] {
        let project = repository().join(project);
        for name in dataset::names(&project).unwrap() {
            Dataset::read(&project, &name, "overnight").unwrap();
            for entry in fs::read_dir(project.join("sources").join(&name)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|ending| ending == "toml") {
                    let of = match path.file_stem().unwrap() == "dataset" {
                        true => "dataset",
                        false => "source",
                    };
                    let value: Value = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
                    fits(&schema(of), &value, &path.display().to_string());
                    files += 1;
                }
            }
        }
    }
    assert!(files > 15, "only {files} files");
}

#[test]
fn every_example_of_the_documents_is_read_and_fits_the_schema() {
    let mut paths: Vec<PathBuf> = vec![repository().join("README.md")];
    for entry in fs::read_dir(repository().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "md") {
            paths.push(path);
        }
    }
    let mut read = 0;
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        for (index, rest) in text.split("\n```toml\n").enumerate().skip(1) {
            let (example, _) = rest.split_once("\n```").unwrap();
            let place = format!("{}, example {index}:\n{example}", path.display());
            read_example(example, &place);
            read += 1;
        }
    }
    assert!(read > 10, "only {read} examples");
}

/// Finds out what file an example is a part of, adds what is required, and reads it.
fn read_example(example: &str, place: &str) {
    let parsed: Value = toml::from_str(example).unwrap_or_else(|error| panic!("{place}\n{error}"));
    let keys: Vec<&String> = parsed.as_object().unwrap().keys().collect();
    let (file, schema) = ["source", "dataset", "project"]
        .map(|file| (file, schema(file)))
        .into_iter()
        .find(|(_, schema)| {
            keys.iter()
                .all(|key| schema["properties"].get(*key).is_some())
        })
        .unwrap_or_else(|| panic!("no file has the keys {keys:?}: {place}"));
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join("sources/d").join(path);
    fs::create_dir_all(at("")).unwrap();
    // Members of groups are datasets.
    let groups = parsed.get("groups").and_then(Value::as_object);
    for (_, members) in groups.into_iter().flatten() {
        for member in members.as_array().unwrap() {
            fs::create_dir_all(at("..").join(member.as_str().unwrap())).unwrap();
        }
    }
    let [mut dataset, mut source] = [
        json!({"schema_version": 1}),
        json!({"table": "t", "files": "f*"}),
    ];
    let add = |to: &mut Value| {
        for (key, value) in parsed.as_object().unwrap() {
            to[key] = value.clone();
        }
    };
    match file {
        "source" => add(&mut source),
        "dataset" => add(&mut dataset),
        _ => fs::write(folder.path().join("overnight.toml"), example).unwrap(),
    }
    fits(
        &schema,
        if file == "source" {
            &source
        } else if file == "dataset" {
            &dataset
        } else {
            &parsed
        },
        place,
    );
    fs::write(at("dataset.toml"), toml::to_string(&dataset).unwrap()).unwrap();
    fs::write(at("s.toml"), toml::to_string(&source).unwrap()).unwrap();
    let project = folder.path().to_owned();
    if let Err(error) = Dataset::read(&project, "d", "overnight") {
        panic!("{place}\n{error:#}");
    }
    if let Err(error) = Config::resolve(Some(project), Settings::default(), &|_| Some("x".into())) {
        panic!("{place}\n{error:#}");
    }
}

/// Holds a value against the words that the schemas use; `pattern` is left to editors.
#[track_caller]
fn fits(schema: &Value, value: &Value, place: &str) {
    if let Err(why) = fault(schema, value) {
        panic!("{why}: {place}");
    }
}

fn fault(schema: &Value, value: &Value) -> Result<(), String> {
    let is = |name: &Value| match name.as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("`{other}` is no type of TOML"),
    };
    if let Some(name) = schema.get("type")
        && !is(name)
    {
        return Err(format!("{value} is not of type {name}"));
    }
    if let Some(words) = schema.get("enum")
        && !words.as_array().unwrap().contains(value)
    {
        return Err(format!("{value} is not one of {words}"));
    }
    if let Some(least) = schema.get("minimum").and_then(Value::as_i64)
        && value.as_i64().is_some_and(|number| number < least)
    {
        return Err(format!("{value} is below {least}"));
    }
    for forms in ["anyOf", "oneOf"] {
        if let Some(forms) = schema.get(forms).and_then(Value::as_array) {
            let faults: Vec<_> = forms.iter().map(|form| fault(form, value)).collect();
            if !faults.iter().any(Result::is_ok) {
                return Err(format!("{value} has none of the forms: {faults:?}"));
            }
        }
    }
    for item in value.as_array().into_iter().flatten() {
        fault(&schema["items"], item)?;
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        let other = schema.get("additionalProperties");
        match (schema["properties"].get(key), other) {
            (Some(of), _) => fault(of, inner)?,
            (None, Some(Value::Bool(false))) => return Err(format!("{key} is no key")),
            (None, Some(of)) => fault(of, inner)?,
            // One of the forms above has looked at it.
            (None, None) => {}
        }
    }
    Ok(())
}

#[test]
fn a_schema_refuses_what_the_program_refuses() {
    let schema = schema("source");
    let good = json!({"table": "t", "files": "f*", "format": {"kind": "xml"}, "columns": {"a": "A", "b": {"parse": "money", "trim": true}}});
    assert_eq!(fault(&schema, &good), Ok(()));
    for (key, wrong) in [
        ("tabel", json!("t")),
        ("format", json!({"kind": "csv"})),
        ("format", json!({"delimitr": "|"})),
        ("format", json!({"header_lines": -1})),
        ("columns", json!({"b": {"parse": "monye"}})),
        ("columns", json!({"b": {"trim": "both"}})),
        ("columns", json!({"b": 7})),
        ("expect", json!({"rejects": {"max": true}})),
        ("ignore", json!("a")),
    ] {
        let mut file = good.clone();
        file[key] = wrong.clone();
        assert!(fault(&schema, &file).is_err(), "{key} = {wrong}");
    }
}
