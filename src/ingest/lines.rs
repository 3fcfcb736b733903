//! Physical lines of a file, numbered from 1, with a limit on their length and a way to give lines back.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use super::source::BYTE_ORDER_MARK;

/// The longest line and the longest row, in bytes. Far above any row of the canonical columns (a product with every list
/// full is below 100 kB), and small enough that a file without line ends costs little memory.
pub(super) const ROW_BYTES_MAX: usize = 1024 * 1024;

/// One line without its line end.
#[derive(Debug)]
pub(super) struct Line {
    /// Counted from 1.
    pub number: u64,
    /// The content, cut at [`ROW_BYTES_MAX`].
    pub bytes: Vec<u8>,
    /// True when the line was cut; the rest of it is passed over.
    pub is_cut: bool,
}

impl Line {
    /// The content as text, or what is wrong with it.
    pub fn text(&self) -> Result<&str, String> {
        if self.is_cut {
            return Err(format!("is longer than {ROW_BYTES_MAX} bytes"));
        }
        std::str::from_utf8(&self.bytes).map_err(|error| {
            let place = error.valid_up_to();
            format!("is not valid UTF-8: byte {} is {:#04x}", place + 1, self.bytes[place])
        })
    }
}

/// Reads lines and remembers those that were given back.
pub(super) struct Lines {
    input: Box<dyn BufRead + Send>,
    count: u64,
    given_back: VecDeque<Line>,
    postponed: Option<io::Error>,
}

impl Lines {
    pub fn new(input: Box<dyn BufRead + Send>) -> Self {
        Self { input, count: 0, given_back: VecDeque::new(), postponed: None }
    }

    /// The lines read whole so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The next line; `None` at the end of the file.
    pub fn next(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.given_back.pop_front() {
            return Ok(Some(line));
        }
        if let Some(error) = self.postponed.take() {
            return Err(error);
        }
        let mut bytes = Vec::new();
        (&mut self.input).take(ROW_BYTES_MAX as u64 + 1).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let is_cut = bytes.len() > ROW_BYTES_MAX && bytes.last() != Some(&b'\n');
        if is_cut {
            bytes.truncate(ROW_BYTES_MAX);
            self.input.skip_until(b'\n')?;
        } else {
            trim_line_end(&mut bytes);
        }
        if self.count == 0 && bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.drain(..BYTE_ORDER_MARK.len());
        }
        self.count += 1;
        Ok(Some(Line { number: self.count, bytes, is_cut }))
    }

    /// The next line, or none where the file breaks off: the error then comes after the lines that are given back.
    pub fn next_or_break(&mut self) -> Option<Line> {
        self.next().unwrap_or_else(|error| {
            self.postponed = Some(error);
            None
        })
    }

    /// Takes lines back, in their order, to be read again.
    pub fn give_back(&mut self, lines: Vec<Line>) {
        for line in lines.into_iter().rev() {
            self.given_back.push_front(line);
        }
    }
}

fn trim_line_end(bytes: &mut Vec<u8>) {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<(u64, Vec<u8>, bool)> {
        let mut lines = Lines::new(Box::new(io::Cursor::new(bytes.to_vec())));
        let mut all = Vec::new();
        while let Some(line) = lines.next().expect("reads from memory") {
            all.push((line.number, line.bytes, line.is_cut));
        }
        all
    }

    #[test]
    fn lines_end_with_either_line_end_or_the_file() {
        let expected = vec![(1, b"a".to_vec(), false), (2, Vec::new(), false), (3, b"b".to_vec(), false)];
        assert_eq!(read(b"\xef\xbb\xbfa\r\n\nb"), expected);
    }

    #[test]
    fn a_line_beyond_the_limit_is_cut_and_the_next_one_is_whole() {
        let mut bytes = vec![b'x'; 3 * ROW_BYTES_MAX];
        bytes.extend(b"\nnext\n");
        let lines = read(&bytes);
        assert_eq!((lines[0].1.len(), lines[0].2), (ROW_BYTES_MAX, true));
        assert_eq!(lines[1], (2, b"next".to_vec(), false));
    }
}
