//! How TOML is read: errors that name the file and the line, and values of more than one form.
//!
//! In: the text of a file. Out: the keys of whoever declares them. Every form also says itself in a JSON
//! Schema, so that an editor takes what the program takes.

use super::toml_error;
use crate::problem::Problem;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::Path;

/// Reads a TOML file; the error names the file, the line, the key and what was probably meant.
pub fn parse_toml<T: for<'de> Deserialize<'de>>(path: &Path, text: &str) -> Result<T> {
    parse_text(text).with_context(|| Problem::usage(format!("read `{}`", path.display())))
}

/// The same for a caller that names the file itself.
pub(super) fn parse_text<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| Problem::usage(toml_error::describe(text, &error)).into())
}

/// `"a"` or `["a", "b"]`.
#[derive(Debug, Clone)]
pub struct OneOrMore(pub Vec<String>);

/// Reads one of two forms by what stands there. (`#[serde(untagged)]` would try one form after the
/// other and then say neither which key was wrong nor in which line.)
macro_rules! deserialize_either {
    ($type:ty, $expected:literal, $($visit:ident($argument:ident: $form:ty) => $value:expr,)*) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "anyOf": [$(generator.subschema_for::<$form>()),*] })
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Either;
                impl<'de> serde::de::Visitor<'de> for Either {
                    type Value = $type;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expected)
                    }
                    $(deserialize_either!(@ $visit $argument $form, $value);)*
                }
                deserializer.deserialize_any(Either)
            }
        }
    };
    (@ visit_map $argument:ident $form:ty, $value:expr) => {
        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            let $argument: $form = serde::Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
            Ok($value)
        }
    };
    (@ visit_seq $argument:ident $form:ty, $value:expr) => {
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
            let $argument: $form = serde::Deserialize::deserialize(serde::de::value::SeqAccessDeserializer::new(list))?;
            Ok($value)
        }
    };
    (@ $visit:ident $argument:ident $form:ty, $value:expr) => {
        fn $visit<E: serde::de::Error>(self, $argument: $form) -> Result<Self::Value, E> {
            $value.map_err(E::custom)
        }
    };
}
pub(super) use deserialize_either;
deserialize_either!(
    OneOrMore,
    "a text, or a list of texts",
    visit_str(one: &str) => anyhow::Ok(OneOrMore(vec![one.to_owned()])),
    visit_seq(more: Vec<String>) => OneOrMore(more),
);
