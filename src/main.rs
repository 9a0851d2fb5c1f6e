//! The `harness` binary: see the library's [`cli`](harness::cli).

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = harness::process::supervise(std::env::args_os()) {
        return ExitCode::from(code);
    }
    ExitCode::from(harness::cli::main())
}
