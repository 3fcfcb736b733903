//! Parses the command line and dispatches.

use clap::Parser;
use mimalloc::MiMalloc;
use tactful::cli::command::Cli;

// Outside the decision rules, most of the work of a call is small allocations in many threads.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    Cli::parse().run()
}
