//! What a command answers, on standard output. Who reads may stop, as `head` does: then the command stops as well, without a word.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// Says a line, like `println!`.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::cli::say::part(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// Says a part of a line or some lines, like `print!`.
macro_rules! say_part {
    ($($text:tt)*) => {
        $crate::cli::say::part(format_args!($($text)*))
    };
}

pub(super) use {say, say_part};

/// Ends the process where nobody reads any more, or where nothing can be written.
pub(super) fn part(text: Arguments<'_>) {
    let mut output = std::io::stdout().lock();
    let Err(error) = output.write_fmt(text).and_then(|()| output.flush()) else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("standard output cannot be written: {error}");
    std::process::exit(1);
}
