//! Standard output of a command. The reader may stop reading, as `head` does: the command still completes, and exits with the
//! same status as otherwise.
//!
//! What is printed holds titles, ids and reasons that others chose: control characters, with which a terminal could be taken over,
//! are written as escape sequences.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

use crate::domain::plain_text::escape_control_characters;

/// Prints a line, like `println!`.
macro_rules! outln {
    ($($text:tt)*) => {
        $crate::cli::output::print(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// Prints text without a final newline, like `print!`.
macro_rules! out {
    ($($text:tt)*) => {
        $crate::cli::output::print(format_args!($($text)*))
    };
}

/// Prints a line to standard error, like `eprintln!`.
macro_rules! errln {
    ($($text:tt)*) => {
        $crate::cli::output::print_error(format_args!($($text)*))
    };
}

pub(super) use {errln, out, outln};

/// Characters that lay out lines and are printed as they are.
const LAYOUT: &str = "\n\t";

/// Prints a line to standard error.
pub(super) fn print_error(text: Arguments<'_>) {
    eprintln!("{}", escape_control_characters(&text.to_string(), LAYOUT));
}

/// Prints to standard output. Silent when the pipe is closed, because the command has more to do than to print.
pub(super) fn print(text: Arguments<'_>) {
    let text = text.to_string();
    let mut output = std::io::stdout().lock();
    match output.write_all(escape_control_characters(&text, LAYOUT).as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => eprintln!("writing to standard output failed: {error}"),
        Ok(()) | Err(_) => {}
    }
}
