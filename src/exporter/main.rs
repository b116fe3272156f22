use std::process::ExitCode;

use clap::Parser as _;
use modelship_exporter::cli;

fn main() -> ExitCode {
    match cli::run(cli::Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("modelship-exporter: {message}");
            ExitCode::FAILURE
        }
    }
}
