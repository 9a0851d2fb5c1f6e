//! The `harness` binary: see the library's [`cli`](harness::cli).

use harness::process;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = process::supervise(std::env::args_os()) {
        return ExitCode::from(code);
    }
    process::keep_one_heap();
    ExitCode::from(harness::cli::main())
}
