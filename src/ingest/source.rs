//! Source of rows: opens a file, decompresses it, detects its format and reports the read position.
//!
//! Gzip is detected by the first bytes, never by the name. CSV or JSON Lines is decided by the name (`.csv`, `.tsv`, `.txt`;
//! `.jsonl`, `.ndjson`, `.json`; each also with `.gz`), and for any other name by the first character: `{` starts JSON Lines.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::read_error::ReadError;

/// Size of a read from the file.
const BUFFER_BYTES: usize = 64 * 1024;
/// Number of bytes that are examined to detect a format.
const HEAD_BYTES: usize = 64;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
pub(super) const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// First bytes of unsupported formats with the message for each.
const UNSUPPORTED_FORMATS: [(&[u8], &str); 6] = [
    (b"PK\x03\x04", "is a zip archive or a spreadsheet; save it as CSV in UTF-8"),
    (b"PAR1", "is a Parquet file; export it as CSV or JSON Lines"),
    (b"\xff\xfe", "is text in UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "is text in UTF-16; save it as UTF-8"),
    (b"\x28\xb5\x2f\xfd", "is compressed with Zstandard; use gzip or no compression"),
    (b"BZh", "is compressed with bzip2; use gzip or no compression"),
];

/// Open source of rows.
pub struct RowSource {
    pub(super) file: Arc<str>,
    pub(super) format: FileFormat,
    pub(super) input: Box<dyn BufRead + Send>,
    progress: ReadProgress,
}

/// Format of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileFormat {
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object per line.
    JsonLines,
}

impl RowSource {
    /// Opens a file and detects its format.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let name = path.display().to_string();
        let failed = |source| ReadError::Open { file: name.clone(), source };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        Self::from_reader(&name, file, metadata.is_file().then_some(metadata.len()))
    }

    /// Reads rows from any reader, such as standard input or an embedded file. The name appears in messages, and its extension
    /// decides the format as for a file.
    pub fn from_reader(
        name: &str,
        reader: impl Read + Send + 'static,
        bytes_total: Option<u64>,
    ) -> Result<Self, ReadError> {
        let progress = ReadProgress { bytes_read: Arc::new(AtomicU64::new(0)), bytes_total };
        let counted = CountingReader { reader, bytes_read: Arc::clone(&progress.bytes_read) };
        let mut input = peek(BufReader::with_capacity(BUFFER_BYTES, counted));
        if input.head().starts_with(GZIP_MAGIC) {
            input = peek(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(input.buffered())));
        }
        if input.head().is_empty()
            && let Some(source) = input.error.take()
        {
            return Err(ReadError::Open { file: name.to_owned(), source });
        }
        let format = detect_format(name, input.head())
            .map_err(|problem| ReadError::Format { file: name.to_owned(), problem })?;
        Ok(Self { file: name.into(), format, input: Box::new(input.buffered()), progress })
    }

    /// Returns a handle that reports the read position while the rows are read.
    pub fn progress(&self) -> ReadProgress {
        self.progress.clone()
    }
}

impl fmt::Debug for RowSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("file", &self.file).field("format", &self.format).finish_non_exhaustive()
    }
}

/// Read position of a file, in bytes of the file: compressed ones for a gzipped file.
#[derive(Debug, Clone)]
pub struct ReadProgress {
    bytes_read: Arc<AtomicU64>,
    bytes_total: Option<u64>,
}

impl ReadProgress {
    /// Number of bytes read so far; at most one buffer ahead of the rows.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Size of the file; `None` when it is not a regular file.
    pub fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }
}

fn detect_format(name: &str, head: &[u8]) -> Result<FileFormat, &'static str> {
    for (magic, problem) in UNSUPPORTED_FORMATS {
        if head.starts_with(magic) {
            return Err(problem);
        }
    }
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start();
    match format_by_name(name) {
        Some(FileFormat::JsonLines) if text.starts_with(b"[") => {
            Err("is a JSON array; write one object a line, for example with `jq -c '.[]'`")
        }
        Some(FileFormat::JsonLines) => Ok(FileFormat::JsonLines),
        None if text.starts_with(b"{") => Ok(FileFormat::JsonLines),
        Some(FileFormat::Csv) | None => Ok(FileFormat::Csv),
    }
}

fn format_by_name(name: &str) -> Option<FileFormat> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "csv" | "tsv" | "txt" => Some(FileFormat::Csv),
        "jsonl" | "ndjson" | "json" => Some(FileFormat::JsonLines),
        _ => None,
    }
}

/// Reader that counts the bytes read through it.
struct CountingReader<R> {
    reader: R,
    bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Reader whose first bytes have been examined. A read error during that is returned after the bytes before it.
struct PeekedReader {
    head: Cursor<Vec<u8>>,
    error: Option<io::Error>,
    rest: Box<dyn Read + Send>,
}

fn peek(mut rest: impl Read + Send + 'static) -> PeekedReader {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let error = (&mut rest).take(HEAD_BYTES as u64).read_to_end(&mut head).err();
    PeekedReader { head: Cursor::new(head), error, rest: Box::new(rest) }
}

impl PeekedReader {
    fn head(&self) -> &[u8] {
        self.head.get_ref()
    }

    fn buffered(self) -> BufReader<Self> {
        BufReader::with_capacity(BUFFER_BYTES, self)
    }
}

impl Read for PeekedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.head.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        match self.error.take() {
            Some(error) => Err(error),
            None => self.rest.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_the_format_and_else_the_first_character() {
        assert_eq!(detect_format("a.CSV.gz", b"{"), Ok(FileFormat::Csv));
        assert_eq!(detect_format("a.jsonl", b"a,b"), Ok(FileFormat::JsonLines));
        assert_eq!(detect_format("-", b"\xef\xbb\xbf {\"a\":1}"), Ok(FileFormat::JsonLines));
        assert_eq!(detect_format("-", b"a,b"), Ok(FileFormat::Csv));
    }

    #[test]
    fn unsupported_formats_are_named() {
        for (name, head) in [("a.csv", b"PK\x03\x04".as_slice()), ("a", b"PAR1"), ("a.json", b" [1]")] {
            assert!(detect_format(name, head).is_err(), "{name}");
        }
    }

    #[test]
    fn progress_counts_the_bytes_of_the_file() {
        let source = RowSource::from_reader("a.csv", b"id\n1\n".as_slice(), Some(5)).expect("opens");
        let progress = source.progress();
        let mut text = String::new();
        { source.input }.read_to_string(&mut text).expect("reads");
        assert_eq!((text.as_str(), progress.bytes_read(), progress.bytes_total()), ("id\n1\n", 5, Some(5)));
    }
}
