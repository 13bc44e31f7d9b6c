//! The statements of a move by rename, for the one message that carries them.

use super::rename::Pair;
use crate::postgres::quote_ident;

/// First the live databases give the names of the aliases up, because that is what may have to
/// wait; then the new ones get them. Always by OID, so that two movers could not wait for each other.
pub(super) fn renames(pairs: &[Pair<'_>]) -> Vec<String> {
    let mut statements = Vec::new();
    let mut live: Vec<&Pair> = pairs.iter().collect();
    live.sort_by_key(|pair| pair.from.map(|build| build.database_oid));
    for pair in live {
        statements.extend(pair.from.map(|from| renamed(pair.alias, &from.name)));
    }
    let mut new: Vec<&Pair> = pairs.iter().collect();
    new.sort_by_key(|pair| pair.to.map(|build| build.database_oid));
    for pair in new {
        statements.extend(pair.to.map(|to| renamed(&to.name, pair.alias)));
    }
    statements
}

fn renamed(old: &str, new: &str) -> String {
    format!(
        "alter database {} rename to {}",
        quote_ident(old),
        quote_ident(new)
    )
}

/// Open to its readers, under the alias's name.
pub(super) fn opened(pair: &Pair<'_>) -> Vec<String> {
    let alias = quote_ident(pair.alias);
    let mut statements = vec![format!("alter database {alias} allow_connections true")];
    statements.extend(pair.readers.iter().map(|reader| {
        format!(
            "grant connect on database {alias} to {}",
            quote_ident(reader)
        )
    }));
    statements
}

/// Sealed again, under its own name.
pub(super) fn closed(name: &str, readers: &[String]) -> Vec<String> {
    let name = quote_ident(name);
    let mut statements = vec![format!("alter database {name} allow_connections false")];
    statements.extend(readers.iter().map(|reader| {
        format!(
            "revoke connect on database {name} from {}",
            quote_ident(reader)
        )
    }));
    statements
}
