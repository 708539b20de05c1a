//! The binary: arguments in, exit code out.

use std::process::ExitCode;

use strom_load::cli::Parsed;
use strom_load::command::{self, Failure};
use strom_load::exit;

fn main() -> ExitCode {
    let parsed = match Parsed::read(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => {
            // clap prints help to stdout and errors to stderr.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::DONE });
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(command::execute(&parsed)),
        Err(error) => Err(Failure {
            code: exit::UNEXPECTED,
            message: format!("failed to start the async runtime: {error}"),
        }),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            #[expect(clippy::print_stderr, reason = "the one place where errors are printed")]
            {
                eprintln!("error: {}", failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}
