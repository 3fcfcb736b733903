//! Physical lines of a file, numbered from 1, with a length limit and push-back.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use super::invalid_cell::MalformedRow;
use super::source::BYTE_ORDER_MARK;

/// Maximum length of a line and of a row, in bytes. Far above any row of the canonical columns (a product with every list full
/// is below 100 kB), and small enough that a file without line breaks costs little memory.
pub(super) const ROW_BYTES_MAX: usize = 1024 * 1024;

/// Line of a file without its line break.
#[derive(Debug)]
pub(super) struct PhysicalLine {
    /// Line number, counted from 1.
    pub number: u64,
    /// Content, truncated to [`ROW_BYTES_MAX`].
    pub bytes: Vec<u8>,
    /// Whether the line was truncated.
    pub is_cut: bool,
}

impl PhysicalLine {
    /// Returns the content as text.
    pub fn text(&self) -> Result<&str, MalformedRow> {
        if self.is_cut {
            return Err(MalformedRow(format!("is longer than {ROW_BYTES_MAX} bytes")));
        }
        std::str::from_utf8(&self.bytes).map_err(|error| {
            let offset = error.valid_up_to();
            MalformedRow(format!("is not valid UTF-8: byte {} is {:#04x}", offset + 1, self.bytes[offset]))
        })
    }
}

/// Reader of lines with push-back.
pub(super) struct LineReader {
    input: Box<dyn BufRead + Send>,
    count: u64,
    unread: VecDeque<PhysicalLine>,
    deferred_error: Option<io::Error>,
}

impl LineReader {
    pub fn new(input: Box<dyn BufRead + Send>) -> Self {
        Self { input, count: 0, unread: VecDeque::new(), deferred_error: None }
    }

    /// Number of lines read so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Reads the next line; `None` at the end of the file.
    pub fn next(&mut self) -> io::Result<Option<PhysicalLine>> {
        if let Some(line) = self.unread.pop_front() {
            return Ok(Some(line));
        }
        if let Some(error) = self.deferred_error.take() {
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
        Ok(Some(PhysicalLine { number: self.count, bytes, is_cut }))
    }

    /// Reads the next line, or none where reading fails: the error is then returned after the lines that are pushed back.
    pub fn next_or_break(&mut self) -> Option<PhysicalLine> {
        self.next().unwrap_or_else(|error| {
            self.deferred_error = Some(error);
            None
        })
    }

    /// Pushes lines back, in their order, to be read again.
    pub fn unread(&mut self, lines: Vec<PhysicalLine>) {
        for line in lines.into_iter().rev() {
            self.unread.push_front(line);
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
        let mut lines = LineReader::new(Box::new(io::Cursor::new(bytes.to_vec())));
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
