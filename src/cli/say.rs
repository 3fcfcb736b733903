//! What a command answers, on standard output. Who reads may stop, as `head` does: the command still does what it is for, and
//! ends as it would have.

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

/// Goes on without a word where nobody reads any more: what the command does is not for the reader alone.
pub(super) fn part(text: Arguments<'_>) {
    let mut output = std::io::stdout().lock();
    match output.write_fmt(text).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => eprintln!("standard output cannot be written: {error}"),
        Ok(()) | Err(_) => {}
    }
}
