//! Parses the command line and dispatches.

use clap::Parser;
use mimalloc::MiMalloc;
use tactful::cli::app::App;

// Small allocations in many threads are most of a call's work outside the rules.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    App::parse().run()
}
