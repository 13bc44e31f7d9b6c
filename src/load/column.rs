//! One column of a table that a source fills: its type, its encoder, and what an object's key says.
//!
//! In: a column of the database and what the source says of it. Out: a [`Fillable`], and for each
//! object its [`ColumnPlan`]. Here the type is known, so here is decided whether a rule fits it.

use crate::dataset::{ColumnRule, Filled, Source, Wants};
use crate::encode::Type;
use crate::printable::Printable;
use crate::problem::Problem;
use crate::read::nulls::Nulls;
use crate::read::parse::ColumnPlan;
use crate::read::value::{Buffers, Misspelt, Origin, Spelling, file_name};
use crate::schema::tables::{BaseType, Column, Kind};
use anyhow::{Context, Result, bail};
use std::sync::Arc;

/// A column that the files fill.
#[derive(Debug, Clone)]
pub struct Fillable {
    pub name: String,
    pub not_null: bool,
    pub rule: ColumnRule,
    pub ty: Type,
}

impl Fillable {
    /// Finds the encoder of a column.
    ///
    /// # Errors
    /// There is none, the rule is for other types, or a constant is no value of the type.
    pub fn new(column: &Column, rule: ColumnRule) -> Result<Fillable> {
        let ty = encoder_of(&column.base)?;
        let ty = fitted(ty, &rule)?;
        if let Filled::Constant(constant) = &rule.filled {
            let mut encoded = Vec::new();
            if let Err(fault) = ty.encode(constant.as_bytes(), &mut encoded) {
                bail!(
                    "`constant = \"{constant}\"` {fault}, expected {}",
                    fault.expected()
                );
            }
        }
        Ok(Fillable {
            name: column.name.clone(),
            not_null: column.not_null,
            rule,
            ty,
        })
    }

    /// The plan of a column whose values are those of these fields: one, or those of `concat`.
    pub fn of_fields(&self, fields: &[usize], source: &Source) -> ColumnPlan {
        let origin = match &self.rule.filled {
            Filled::Concat { separator, .. } => Origin::Fields {
                fields: fields.to_vec(),
                separator: separator.clone().into_bytes(),
            },
            _ => Origin::Field,
        };
        let nulls = self.rule.null.as_ref().unwrap_or(&source.null);
        let nulls = nulls.iter().map(|null| null.clone().into_bytes()).collect();
        let field = fields.first().copied().unwrap_or_default();
        self.plan(origin, field, nulls)
    }

    /// The plan of a column that no field fills, for the object of this key; `None` for all others.
    ///
    /// # Errors
    /// The key does not hold what the source says it does.
    pub fn without_field(&self, key: &str) -> Result<Option<ColumnPlan>> {
        let text = match &self.rule.filled {
            Filled::Field | Filled::Concat { .. } => return Ok(None),
            Filled::RecordNumber => {
                let origin = Origin::Record { before: 0 };
                return Ok(Some(self.plan(origin, 0, Nulls::default())));
            }
            Filled::Constant(constant) => constant,
            Filled::FileName => file_name(key),
            Filled::KeyPart(pattern) => pattern.find(key).with_context(|| {
                Problem::refused(format!(
                    "`{}` does not fit `key_pattern = \"{}\"` of column `{}`",
                    Printable(key),
                    pattern.as_written(),
                    self.name
                ))
                .hint("change the pattern, or let `files` match fewer objects")
            })?,
        };
        let value = self.value(text).map_err(|said| {
            Problem::refused(format!(
                "the part of the key `{}` for column `{}` {said}",
                Printable(key),
                self.name
            ))
        })?;
        Ok(Some(self.plan(Origin::Value(value), 0, Nulls::default())))
    }

    /// A text that is the same for a whole object, encoded.
    fn value(&self, text: &str) -> Result<Vec<u8>, String> {
        let mut buffers = Buffers::default();
        let mut encoded = Vec::new();
        let applied =
            self.rule
                .steps
                .apply(text.as_bytes(), &Nulls::default(), false, &mut buffers);
        let text = applied
            .map_err(|misspelt: Misspelt| misspelt.to_string())?
            .unwrap_or_default();
        let encoding = self.ty.encode(text, &mut encoded);
        encoding.map_err(|fault| format!("{fault}, expected {}", fault.expected()))?;
        Ok(encoded)
    }

    fn plan(&self, from: Origin, field: usize, nulls: Nulls) -> ColumnPlan {
        let spelling = Spelling {
            from,
            null_quoted: !self.rule.null_unquoted_only,
            steps: self.rule.steps.clone(),
        };
        ColumnPlan {
            name: self.name.clone(),
            field,
            not_null: self.not_null,
            nulls,
            spelling: (!self.rule.is_plain()).then(|| Arc::new(spelling)),
            ty: self.ty.clone(),
        }
    }
}

/// The encoder of a column with this rule, which is for some types only.
fn fitted(ty: Type, rule: &ColumnRule) -> Result<Type> {
    let ty = match (&rule.steps.split, ty) {
        (
            Some(_),
            Type::Array {
                element,
                element_oid,
            },
        ) => {
            let element = Box::new(fits(*element, rule)?);
            return Ok(Type::Array {
                element,
                element_oid,
            });
        }
        (Some(_), _) => {
            bail!("`split` is for array columns: remove it, or make the column an array")
        }
        (None, ty) => ty,
    };
    fits(ty, rule)
}

fn fits(ty: Type, rule: &ColumnRule) -> Result<Type> {
    let (fits, types) = match rule.wants {
        Wants::Anything => (true, ""),
        Wants::Number => (ty.is_number(), "number columns"),
        Wants::Boolean => (ty == Type::Bool, "boolean columns"),
        Wants::Date => (
            matches!(ty, Type::Date | Type::Timestamp(_)),
            "date columns, or timestamp columns without time zone",
        ),
        Wants::Time => (matches!(ty, Type::Time(_)), "time columns"),
        Wants::Timestamp => {
            if matches!(ty, Type::Timestamptz { .. }) {
                bail!("a timestamp with time zone needs `zone`, or TZH in the `pattern`");
            }
            (
                matches!(ty, Type::Timestamp(_)),
                "timestamp columns; for a date write `parse = \"date\"`",
            )
        }
        Wants::Timestamptz => (
            matches!(ty, Type::Timestamptz { .. }),
            "timestamptz columns",
        ),
        Wants::AnyTimestamp => (
            matches!(ty, Type::Timestamp(_) | Type::Timestamptz { .. }),
            "timestamp columns, with or without time zone",
        ),
    };
    if !fits {
        bail!("{} is for {types}", rule.wanted_by);
    }
    Ok(match (ty, rule.offset) {
        (Type::Timestamptz { precision, .. }, Some(zone)) => Type::Timestamptz {
            precision,
            zone: Some(zone),
        },
        (ty, _) => ty,
    })
}

fn encoder_of(base: &BaseType) -> Result<Type> {
    match &base.kind {
        Kind::Scalar => {
            Type::scalar(base.oid, base.typmod).context("there is no encoder for this type")
        }
        Kind::Enum { labels } => Ok(Type::enumeration(labels.clone())),
        Kind::Array {
            element_oid,
            element,
            ..
        } => Ok(Type::array(encoder_of(element)?, *element_oid)),
        Kind::Range => bail!("there is no encoder for ranges"),
        Kind::Unsupported(why) => bail!("{why}"),
    }
}
