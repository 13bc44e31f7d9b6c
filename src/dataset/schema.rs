//! What may stand in the TOML files, as JSON Schemas for editors.
//!
//! In: the structs that the files are read into, with the comment, default and example that stand at
//! each key. Out: draft 7 without anything newer than draft 4, because that is what editors of TOML know. A default
//! that is no value (`as the AWS tools find it`) is called `x-default`.

use super::file::{DatasetFile, SourceFile};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

/// What may stand in a source file.
#[must_use]
pub fn source() -> Value {
    of::<SourceFile>("A source file of overnight")
}

/// What may stand in `dataset.toml`.
#[must_use]
pub fn dataset() -> Value {
    of::<DatasetFile>("dataset.toml of overnight")
}

/// What may stand in a file that is read into this type.
#[must_use]
pub fn of<T: JsonSchema>(title: &str) -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    let settings = settings.with_transform(RecursiveTransform(plain));
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".into(), title.into());
    schema.into()
}

/// Leaves out what TOML cannot hold (null), and what only says how wide a Rust integer is.
fn plain(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    object.remove("format");
    if object.get("default") == Some(&Value::Null) {
        object.remove("default");
    }
    if let Some(only) = object.remove("const") {
        object.insert("enum".into(), json!([only]));
    }
    if let Some(values) = object.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(forms)) = object.get_mut("anyOf") {
        forms.retain(|form| form != &json!({"type": "null"}));
        if let [Value::Object(only)] = forms.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_toml;
    use super::*;
    use std::path::Path;

    /// Every example of the keys of `schema`, and every default that is a value, by key.
    fn values(schema: &Value) -> Vec<(&String, &Value)> {
        let properties = schema["properties"].as_object().unwrap();
        let all = properties.iter().flat_map(|(key, property)| {
            let examples = property["examples"].as_array();
            let examples = examples.unwrap_or_else(|| panic!("{key} has no example"));
            let values = examples.iter().chain(property.get("default"));
            values.map(move |value| (key, value))
        });
        all.collect()
    }

    fn read<T: for<'de> serde::Deserialize<'de>>(file: &Value) {
        let text = toml::to_string(file).unwrap();
        let read = parse_toml::<T>(Path::new("example"), &text);
        assert!(read.is_ok(), "{text}: {:#}", read.err().unwrap());
    }

    #[test]
    fn examples_and_defaults_of_a_source_are_read() {
        let schema = source();
        let at = |path: &str| schema.pointer(path).unwrap();
        let mut count = 0;
        for (section, keys) in [
            ("format", at("/properties/format")),
            ("expect", at("/properties/expect")),
            (
                "columns",
                at("/properties/columns/additionalProperties/anyOf/1"),
            ),
        ] {
            for (key, value) in values(keys) {
                let mut table = json!({ key: value });
                if section == "columns" {
                    table = json!({ "c": table });
                }
                read::<SourceFile>(&json!({"table": "t", "files": "f*", section: table}));
                count += 1;
            }
        }
        assert!(count > 80, "only {count}");
        for (key, value) in values(&schema) {
            let mut file = json!({"table": "t", "files": "f*"});
            file[key] = value.clone();
            read::<SourceFile>(&file);
        }
    }

    #[test]
    fn examples_and_defaults_of_a_dataset_are_read() {
        for (key, value) in values(&dataset()) {
            let mut file = json!({"schema_version": 1});
            file[key] = value.clone();
            read::<DatasetFile>(&file);
        }
    }
}
