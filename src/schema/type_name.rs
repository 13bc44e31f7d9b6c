//! Type names of SQL, as a column definition spells them.
//!
//! In: the words behind a column's name. Out: a [`TypeName`], and with the enums and domains of the
//! same files ([`Types`]) what the loader must write for it. The identifiers are those of the
//! server's own types, which never change (PostgreSQL, `pg_type.dat`).

use super::tables::{BaseType, Kind};
use super::words::At;
use std::collections::HashMap;

/// A type as it is spelled, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypeName {
    /// In one word, lower case: `timestamptz`, `varchar`.
    name: String,
    /// Numbers in parentheses.
    arguments: Vec<i32>,
    array: bool,
    /// As SQL, for messages.
    pub(super) sql: String,
}

impl TypeName {
    /// Reads a type name and passes it.
    pub(super) fn read(at: &mut At) -> Option<TypeName> {
        let (schema, mut name) = at.qualified_name()?;
        match name.as_str() {
            "double" if at.take("precision") => name = "float8".into(),
            "character" | "char" if at.take("varying") => name = "varchar".into(),
            "national" => return None,
            _ => {}
        }
        let mut arguments = arguments(at);
        if matches!(name.as_str(), "time" | "timestamp") {
            if at.take_all(&["with", "time", "zone"]) {
                name.push_str("tz");
            } else {
                at.take_all(&["without", "time", "zone"]);
            }
        }
        let mut array = at.take("array");
        while at.take("[") {
            array = true;
            while !at.ended() && !at.take("]") {
                at.skip();
            }
        }
        if name == "interval" && arguments.is_empty() {
            arguments = self::arguments(at);
        }
        let qualified = match schema.as_str() {
            "public" | "pg_catalog" => name.clone(),
            schema => format!("{schema}.{name}"),
        };
        let listed: Vec<String> = arguments.iter().map(i32::to_string).collect();
        let sql = match listed.as_slice() {
            [] => qualified,
            listed => format!("{qualified}({})", listed.join(",")),
        };
        Some(TypeName {
            name,
            arguments,
            array,
            sql: if array { format!("{sql}[]") } else { sql },
        })
    }

    /// An integer that counts by itself.
    pub(super) fn is_serial(&self) -> bool {
        matches!(
            self.name.as_str(),
            "serial" | "serial2" | "serial4" | "serial8" | "bigserial" | "smallserial"
        )
    }

    /// One of the server's own types: its identifier, name and modifier.
    fn own(&self) -> Option<BaseType> {
        let first = self.arguments.first().copied();
        let length = first.map_or(-1, |length| length.saturating_add(4));
        let precision = first.unwrap_or(-1);
        let (oid, name, typmod) = match self.name.as_str() {
            "bool" | "boolean" => (16, "bool", -1),
            "bytea" => (17, "bytea", -1),
            "name" => (19, "name", -1),
            "int8" | "bigint" | "bigserial" | "serial8" => (20, "int8", -1),
            "int2" | "smallint" | "smallserial" | "serial2" => (21, "int2", -1),
            "int4" | "int" | "integer" | "serial" | "serial4" => (23, "int4", -1),
            "text" => (25, "text", -1),
            "json" => (114, "json", -1),
            "cidr" => (650, "cidr", -1),
            "float4" | "real" => (700, "float4", -1),
            "float" if first.is_some_and(|bits| bits <= 24) => (700, "float4", -1),
            "float8" | "float" => (701, "float8", -1),
            "inet" => (869, "inet", -1),
            // `char` alone is one character, `bpchar` alone any number.
            "char" | "character" => (1042, "bpchar", first.unwrap_or(1).saturating_add(4)),
            "bpchar" => (1042, "bpchar", length),
            "varchar" => (1043, "varchar", length),
            "date" => (1082, "date", -1),
            "time" => (1083, "time", precision),
            "timestamp" => (1114, "timestamp", precision),
            "timestamptz" => (1184, "timestamptz", precision),
            "interval" => {
                let full = |precision| (0x7FFF << 16) | precision;
                (1186, "interval", first.map_or(-1, full))
            }
            "numeric" | "decimal" => {
                let scale = self.arguments.get(1).copied().unwrap_or(0);
                let packed = first.map(|precision| ((precision << 16) | (scale & 0x7FF)) + 4);
                (1700, "numeric", packed.unwrap_or(-1))
            }
            "uuid" => (2950, "uuid", -1),
            "jsonb" => (3802, "jsonb", -1),
            _ => return None,
        };
        Some(BaseType {
            oid,
            typmod,
            schema: "pg_catalog".into(),
            name: name.into(),
            kind: Kind::Scalar,
        })
    }
}

/// Numbers in parentheses, if some follow; a minus sign may stand before one.
fn arguments(at: &mut At) -> Vec<i32> {
    let mut ahead = *at;
    let Some(parts) = ahead.parenthesised() else {
        return Vec::new();
    };
    *at = ahead;
    let number = |mut part: At| {
        let mut text = String::new();
        while let Some(token) = part.token() {
            text.push_str(token);
            part.skip();
        }
        text.parse().ok()
    };
    parts.into_iter().filter_map(number).collect()
}

/// Types that the files themselves create.
#[derive(Debug, Default)]
pub(super) struct Types {
    made: HashMap<String, (BaseType, bool)>,
}

impl Types {
    pub(super) fn add_enum(&mut self, name: String, labels: Vec<String>) {
        let base = BaseType {
            oid: 0,
            typmod: -1,
            schema: "public".into(),
            name: name.clone(),
            kind: Kind::Enum { labels },
        };
        self.made.insert(name, (base, false));
    }

    pub(super) fn add_domain(&mut self, name: String, ty: &TypeName, not_null: bool) {
        if let Some((base, inherited)) = self.resolve(ty) {
            self.made.insert(name, (base, inherited || not_null));
        }
    }

    /// What a type is made of, and whether it refuses NULL.
    pub(super) fn resolve(&self, ty: &TypeName) -> Option<(BaseType, bool)> {
        let made = || self.made.get(&ty.name).cloned();
        let (base, not_null) = ty.own().map(|base| (base, false)).or_else(made)?;
        if !ty.array {
            return Some((base, not_null));
        }
        if matches!(base.kind, Kind::Array { .. }) {
            return None;
        }
        let array = BaseType {
            oid: 0,
            typmod: base.typmod,
            schema: base.schema.clone(),
            name: format!("_{}", base.name),
            kind: Kind::Array {
                element_oid: base.oid,
                element: Box::new(base),
                element_not_null: not_null,
            },
        };
        Some((array, false))
    }
}
