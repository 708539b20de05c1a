//! The binary: arguments in, exit code out.

use std::ffi::OsString;
use std::process::ExitCode;

use strom_load::cli::Parsed;
use strom_load::command::{self, Failure};
use strom_load::exit;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let parsed = match Parsed::read(args.clone()) {
        Ok(parsed) => parsed,
        Err(error) => return ExitCode::from(command::refuse(&args, &error)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(command::execute(&parsed)),
        Err(error) => {
            let what = format!("failed to start the async runtime: {error}");
            Err(Failure::new(exit::UNEXPECTED, what))
        }
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            #[expect(clippy::print_stderr, reason = "the one place where errors are printed")]
            {
                eprintln!("error: {}", failure.shown());
            }
            ExitCode::from(command::fail(&parsed, &failure))
        }
    }
}
