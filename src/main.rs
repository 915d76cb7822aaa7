//! The program: does what the command line says, and ends with an exit code (0 yes, 1 no, 2 usage or set-up
//! error).

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    piwigo_gate::cli::run()
}
