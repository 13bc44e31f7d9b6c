//! What the README promises to a person on a fresh machine.

use crate::support::project::repository;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Stops the embedded server of a home, however the test ends.
struct Home<'h>(&'h Path);

impl Drop for Home<'_> {
    fn drop(&mut self) {
        let stopped = Command::new(env!("CARGO_BIN_EXE_overnight"))
            .args(["server", "stop"])
            .env("OVERNIGHT_HOME", self.0)
            .status();
        if !std::thread::panicking() {
            assert!(stopped.unwrap().success());
        }
    }
}

#[test]
fn the_readmes_project_of_your_own_works_as_it_is_written() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, own) = readme.split_once("## A project of your own\n").unwrap();
    let (_, after) = own.split_once("```sh\n").unwrap();
    let (script, _) = after.split_once("```").unwrap();

    let folder = tempfile::Builder::new()
        .prefix("overnight-readme-")
        .tempdir_in("/tmp")
        .unwrap();
    // The user of the server must be able to enter it.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let home = folder.path().join("home");
    let _home = Home(&home);
    let program = Path::new(env!("CARGO_BIN_EXE_overnight")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", format!("{}:{path}", program.display()))
        .env("HOME", folder.path())
        .env("OVERNIGHT_HOME", &home)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{messages}");
    assert!(said.contains("| Lamp  |  12.50"), "{said}");
    assert!(said.contains("| Chair |  80.00"), "{said}");
}
