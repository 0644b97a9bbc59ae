//! `tombolo`: see the library for everything.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    tombolo::cli::main(std::env::args_os())
}
