//! The reference of every key as Markdown, from a JSON Schema.
//!
//! In: a schema in which nothing is referred to. Out: a table of the keys at the top of the file, and
//! one for each table of keys below it. What a key lacks is left empty, which a test does not accept.

use serde_json::{Map, Value};

/// Renders all keys of a schema.
pub fn markdown(schema: &Value) -> String {
    let mut out = String::new();
    let mut below = Vec::new();
    let mut rows = Vec::new();
    for (name, key) in keys(schema) {
        rows.push(row(schema, &name, &name, key));
        for (suffix, inner) in tables(key) {
            if key.get("type").is_some_and(|of| of == "object") {
                below.push((format!("[{name}{suffix}]"), inner));
            } else {
                nested(inner, &format!("{name}{suffix}."), &mut rows);
            }
        }
    }
    out += &table(&rows);
    for (title, inner) in below {
        let mut rows = Vec::new();
        for (name, key) in keys(inner) {
            rows.push(row(inner, &name, &name, key));
            for (suffix, deep) in tables(key) {
                nested(deep, &format!("{name}{suffix}."), &mut rows);
            }
        }
        out += &format!("\n`{title}`\n\n{}", table(&rows));
    }
    out
}

fn nested(schema: &Value, prefix: &str, rows: &mut Vec<[String; 4]>) {
    for (name, key) in keys(schema) {
        rows.push(row(schema, &name, &format!("{prefix}{name}"), key));
    }
}

fn keys(schema: &Value) -> Vec<(String, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let all = properties.into_iter().flatten();
    all.map(|(name, key)| (name.clone(), key)).collect()
}

/// The tables of keys that a value may be or hold, and how they are reached from it.
fn tables(schema: &Value) -> Vec<(String, &Value)> {
    if schema.get("properties").is_some() {
        return vec![(String::new(), schema)];
    }
    let inside = |key: &str, suffix: &str| -> Vec<(String, &Value)> {
        let inner = schema.get(key).into_iter().flat_map(tables);
        inner
            .map(|(rest, table)| (format!("{suffix}{rest}"), table))
            .collect()
    };
    let forms = schema.get("anyOf").and_then(Value::as_array);
    let mut found = inside("items", "[]");
    let of = schema.get("x-of").and_then(Value::as_str);
    let suffix = format!(".{}", of.unwrap_or("COLUMN"));
    found.extend(inside("additionalProperties", &suffix));
    found.extend(forms.into_iter().flatten().flat_map(tables));
    found
}

/// Key, what it is, default, example.
fn row(parent: &Value, name: &str, path: &str, key: &Value) -> [String; 4] {
    let required = parent.get("required").and_then(Value::as_array);
    let is_required = required.is_some_and(|names| names.iter().any(|one| one == name));
    let default = match (key.get("default"), key.get("x-default")) {
        _ if is_required => "required".into(),
        (Some(value), _) => code(&toml(value)),
        (None, Some(Value::String(words))) => words.clone(),
        (None, _) => String::new(),
    };
    let examples = key.get("examples").and_then(Value::as_array);
    let example = examples.and_then(|all| all.first()).map(toml);
    // A key of a table in a list has no path of its own.
    let written = path.rsplit_once("[].").map_or(path, |(_, last)| last);
    [
        code(path),
        what(key),
        default,
        example.map_or_else(String::new, |value| code(&format!("{written} = {value}"))),
    ]
}

/// The description, and the words to choose from.
fn what(key: &Value) -> String {
    let mut text = description(key);
    let forms = key.get("oneOf").and_then(Value::as_array);
    let words = key.get("enum").and_then(Value::as_array);
    let mut choices = Vec::new();
    for word in words.into_iter().flatten() {
        choices.push(code(&toml(word)));
    }
    for form in forms.into_iter().flatten() {
        let words = form.get("enum").and_then(Value::as_array);
        for word in words.into_iter().flatten() {
            choices.push(match lower(description(form).trim_end_matches('.')) {
                none if none.is_empty() => code(&toml(word)),
                means => format!("{} ({means})", code(&toml(word))),
            });
        }
    }
    if !choices.is_empty() {
        let stop = if text.ends_with('.') { "" } else { "." };
        text += &format!("{stop} One of {}.", choices.join(", "));
    }
    text
}

fn description(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str);
    let words: Vec<&str> = text.unwrap_or_default().split_whitespace().collect();
    words.join(" ")
}

/// As it stands in the middle of a sentence.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// A value as TOML in one line.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(object) => inline(object),
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        other => other.to_string(),
    }
}

fn inline(object: &Map<String, Value>) -> String {
    let pairs: Vec<String> = object
        .iter()
        .map(|(key, value)| format!("{key} = {}", toml(value)))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn table(rows: &[[String; 4]]) -> String {
    let mut out = String::from("| key | what it is | default | example |\n|---|---|---|---|\n");
    for row in rows {
        let cells = row.each_ref().map(|cell| cell.replace('|', "\\|"));
        out += &format!("| {} |\n", cells.join(" | "));
    }
    out
}
