//! The `harness` binary: see the library's [`cli`](harness::cli).

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(harness::cli::main())
}
