//! The `overnight` program: outcome to exit status, nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    overnight::cli::main()
}
