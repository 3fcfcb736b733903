//! Standard output of a command. The reader may stop reading, as `head` does: the command still completes, and exits with the
//! same status as otherwise.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

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

pub(super) use {out, outln};

/// Prints to standard output. Silent when the pipe is closed, because the command has more to do than to print.
pub(super) fn print(text: Arguments<'_>) {
    let mut output = std::io::stdout().lock();
    match output.write_fmt(text).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => eprintln!("writing to standard output failed: {error}"),
        Ok(()) | Err(_) => {}
    }
}
