//! Numbered SQL, and keys set aside and put back, told against the server.

mod files;
mod rehearsal;
mod round_trip;
mod splitter;

use crate::support::database::Database;
use overnight::schema::numbered::NumberedFile;
use std::path::Path;
use tokio::sync::OnceCell;

/// The file that declares one of everything.
fn rich() -> NumberedFile {
    file("010_rich.sql", include_str!("fixtures/010_rich.sql"))
}

/// A database in which that file can run: it grants to a role and uses a tablespace.
async fn rich_database() -> Database {
    static READY: OnceCell<()> = OnceCell::const_new();
    let database = Database::new().await;
    READY
        .get_or_init(async || {
            let admin = database.admin().await;
            let data: String = admin
                .query_one("select current_setting('data_directory')", &[])
                .await
                .unwrap()
                .get(0);
            let folder = data.replace("/data", "/other");
            // Made by the server, so that it belongs to the server's user.
            for statement in [
                format!("copy (select 1) to program 'cat >/dev/null; mkdir ''{folder}'''"),
                "create role reader".to_owned(),
                format!("create tablespace other owner overnight location '{folder}'"),
            ] {
                admin.batch_execute(&statement).await.unwrap();
            }
        })
        .await;
    database
}

/// A numbered file that is not on disk.
fn file(name: &str, text: &str) -> NumberedFile {
    NumberedFile::new(&Path::new("sql/d/any").join(name), text.to_owned()).expect("a good file")
}
