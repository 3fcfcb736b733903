//! Reader of CSV files (RFC 4180: quoted cells may contain the delimiter, line breaks, and doubled quotes).
//!
//! The csv crate is deliberately not used: it reads an unclosed quote as one cell up to the end of the file, so every row after it
//! would be lost silently. Here such a row is rejected with its first line, and reading continues with the second. Blank lines are
//! skipped.

use std::io;

use super::invalid_cell::MalformedRow;
use super::line_reader::{LineReader, ROW_BYTES_MAX};
use super::raw_row::{RawCells, RawRow};

/// Reader of rows that have as many cells as the header.
pub(super) struct CsvReader {
    pub lines: LineReader,
    pub delimiter: u8,
    pub columns: usize,
}

impl CsvReader {
    /// Reads the header, which may have any number of cells; `None` when the file has no row.
    pub fn header(&mut self) -> io::Result<Option<Result<Vec<String>, MalformedRow>>> {
        let mut row = RawRow::default();
        let Some(outcome) = self.read_any(&mut row)? else { return Ok(None) };
        Ok(Some(outcome.map(|_| {
            let RawCells::Ends(ends) = &row.content else { return Vec::new() };
            let starts = std::iter::once(&0).chain(ends);
            starts.zip(ends).map(|(&start, &end)| row.text[start..end].trim().to_owned()).collect()
        })))
    }

    /// Reads the next row; `None` at the end of the file, the inner error for a malformed row.
    pub fn read(&mut self, row: &mut RawRow) -> io::Result<Option<Result<(), MalformedRow>>> {
        let Some(outcome) = self.read_any(row)? else { return Ok(None) };
        let Ok(last_line) = outcome else { return Ok(Some(outcome.map(|_| ()))) };
        let RawCells::Ends(ends) = &row.content else { return Ok(Some(Ok(()))) };
        if ends.len() == self.columns {
            return Ok(Some(Ok(())));
        }
        let extent = if row.line == last_line {
            String::new()
        } else {
            format!(" (the row extends to line {last_line}: is a quote left open?)")
        };
        Ok(Some(Err(MalformedRow(format!("has {} cells where the header has {}{extent}", ends.len(), self.columns)))))
    }

    /// Reads the next row and returns the line on which it ends.
    fn read_any(&mut self, row: &mut RawRow) -> io::Result<Option<Result<u64, MalformedRow>>> {
        let first = loop {
            match self.lines.next()? {
                None => return Ok(None),
                Some(line) if line.bytes.trim_ascii().is_empty() && !line.is_cut => {}
                Some(line) => break line,
            }
        };
        row.line = first.number;
        let mut parser = CsvRowParser::new(row, self.delimiter);
        let mut lines = vec![first];
        loop {
            let line = lines.last().expect("starts with the first line");
            let end = line.text().and_then(|text| parser.add_line(text));
            let problem = match end {
                Ok(LineEnd::EndsRow) => return Ok(Some(Ok(line.number))),
                Ok(LineEnd::WithinQuotes) => match self.lines.next_or_break() {
                    Some(next) if parser.text.len() + next.bytes.len() <= ROW_BYTES_MAX => {
                        lines.push(next);
                        continue;
                    }
                    Some(next) => {
                        lines.push(next);
                        MalformedRow(format!("opens a quote that is not closed within {ROW_BYTES_MAX} bytes"))
                    }
                    None => MalformedRow("opens a quote that is never closed".to_owned()),
                },
                Err(problem) if lines.len() == 1 => problem,
                Err(problem) => {
                    MalformedRow(format!("opens a quote that is not closed properly: line {} {problem}", line.number))
                }
            };
            self.lines.unread(lines.split_off(1));
            return Ok(Some(Err(problem)));
        }
    }
}

/// State of a row at the end of a line.
enum LineEnd {
    EndsRow,
    WithinQuotes,
}

/// Parser of the lines of one row.
struct CsvRowParser<'a> {
    text: &'a mut String,
    ends: &'a mut Vec<usize>,
    delimiter: u8,
    is_within_quotes: bool,
}

impl<'a> CsvRowParser<'a> {
    fn new(row: &'a mut RawRow, delimiter: u8) -> Self {
        row.text.clear();
        match &mut row.content {
            RawCells::Ends(ends) => ends.clear(),
            RawCells::Values(_) => row.content = RawCells::Ends(Vec::new()),
        }
        let RawCells::Ends(ends) = &mut row.content else { unreachable!("set above") };
        Self { text: &mut row.text, ends, delimiter, is_within_quotes: false }
    }

    fn add_line(&mut self, line: &str) -> Result<LineEnd, MalformedRow> {
        let mut rest = line;
        if self.is_within_quotes {
            self.text.push('\n');
        }
        loop {
            if !self.is_within_quotes
                && let Some(quoted) = rest.strip_prefix('"')
            {
                self.is_within_quotes = true;
                rest = quoted;
            }
            let after_cell = if self.is_within_quotes { self.add_quoted(rest)? } else { Some(self.add_plain(rest)) };
            let Some(after_cell) = after_cell else { return Ok(LineEnd::WithinQuotes) };
            self.ends.push(self.text.len());
            if after_cell.is_empty() {
                return Ok(LineEnd::EndsRow);
            }
            // Delimiters are ASCII, so one byte further is a character boundary.
            rest = &after_cell[1..];
        }
    }

    /// Adds an unquoted cell and returns the rest of the line. A quote inside such a cell is an ordinary character.
    fn add_plain<'l>(&mut self, rest: &'l str) -> &'l str {
        let end = rest.bytes().position(|byte| byte == self.delimiter).unwrap_or(rest.len());
        self.text.push_str(&rest[..end]);
        &rest[end..]
    }

    /// Adds a quoted cell and returns the rest of the line; `None` when the line ends within the quotes.
    fn add_quoted<'l>(&mut self, mut rest: &'l str) -> Result<Option<&'l str>, MalformedRow> {
        loop {
            let Some((before, after)) = rest.split_once('"') else {
                self.text.push_str(rest);
                return Ok(None);
            };
            self.text.push_str(before);
            let Some(second) = after.strip_prefix('"') else {
                self.is_within_quotes = false;
                let is_closed = after.as_bytes().first().is_none_or(|&byte| byte == self.delimiter);
                if !is_closed {
                    return Err(MalformedRow(
                        "has text after a closing quote (write a quote within quotes twice)".to_owned(),
                    ));
                }
                return Ok(Some(after));
            };
            self.text.push('"');
            rest = second;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type ParsedRow = (u64, Result<Vec<String>, String>);

    fn read(text: &str) -> Vec<ParsedRow> {
        let lines = LineReader::new(Box::new(io::Cursor::new(text.as_bytes().to_vec())));
        let mut rows = CsvReader { lines, delimiter: b',', columns: 2 };
        let mut row = RawRow::default();
        let mut all = Vec::new();
        while let Some(outcome) = rows.read(&mut row).expect("reads from memory") {
            let RawCells::Ends(ends) = &row.content else { panic!("CSV rows have ends") };
            let starts = std::iter::once(&0).chain(ends);
            let cells = starts.zip(ends).map(|(&start, &end)| row.text[start..end].to_owned()).collect();
            all.push((row.line, outcome.map(|()| cells).map_err(String::from)));
        }
        all
    }

    fn cells(line: u64, first: &str, second: &str) -> ParsedRow {
        (line, Ok(vec![first.to_owned(), second.to_owned()]))
    }

    #[test]
    fn cells_may_be_quoted_and_go_over_lines() {
        assert_eq!(read("a,b\r\n\r\n\"x, \"\"y\"\"\",\n"), [cells(1, "a", "b"), cells(3, "x, \"y\"", "")]);
        assert_eq!(read("\"1\r\n2\",z\n12\" rule,é"), [cells(1, "1\n2", "z"), cells(3, "12\" rule", "é")]);
        assert_eq!(read("\"\",\"\""), [cells(1, "", "")]);
    }

    #[test]
    fn a_wrong_number_of_cells_names_the_lines() {
        let rows = read("a\n\"b\nc\",d,e\nf,g\n");
        assert_eq!(rows[0], (1, Err("has 1 cells where the header has 2".to_owned())));
        let problem = rows[1].1.as_ref().expect_err("three cells");
        assert!(rows[1].0 == 2 && problem.contains("extends to line 3"), "{problem}");
        assert_eq!(rows[2], cells(4, "f", "g"));
    }

    #[test]
    fn an_open_quote_costs_its_own_line_only() {
        let rows = read("a,\"b\nc,d\ne,f\n");
        assert_eq!(rows[0], (1, Err("opens a quote that is never closed".to_owned())));
        assert_eq!(rows[1..], [cells(2, "c", "d"), cells(3, "e", "f")]);
    }

    #[test]
    fn text_after_a_closing_quote_is_refused() {
        let rows = read("\"a\"b,c\nd,e\n");
        assert!(rows[0].1.is_err());
        assert_eq!(rows[1], cells(2, "d", "e"));
    }

    #[test]
    fn an_open_quote_in_a_long_file_is_found_within_the_limit() {
        let text = format!("\"a,b\n{}", "c,d\n".repeat(ROW_BYTES_MAX / 2));
        let rows = read(&text);
        assert!(rows[0].1.as_ref().is_err_and(|problem| problem.contains("not closed within")));
        assert_eq!(rows.len(), 1 + ROW_BYTES_MAX / 2);
    }
}
