//! Template that composes a canonical column from several columns of the file: `"{department} > {type}"`.

use super::raw_row::RawRow;

/// Text with names of columns in braces.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ColumnTemplate {
    parts: Vec<TemplatePart>,
}

#[derive(Debug, Clone, PartialEq)]
enum TemplatePart {
    Text(String),
    Column(String),
}

impl ColumnTemplate {
    /// Parses an entry of `[columns]`; `None` when it is the plain name of a column.
    pub fn parse(source: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((text, (name, after))) =
            rest.split_once('{').and_then(|(text, inner)| Some((text, inner.split_once('}')?)))
        {
            parts.push(TemplatePart::Text(text.to_owned()));
            parts.push(TemplatePart::Column(name.trim().to_owned()));
            rest = after;
        }
        parts.push(TemplatePart::Text(rest.to_owned()));
        (parts.len() > 1).then_some(Self { parts })
    }

    /// Returns the columns in the template.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            TemplatePart::Column(name) => Some(name.as_str()),
            TemplatePart::Text(_) => None,
        })
    }

    /// Fills the template from a row; the result is empty when a column is, so that half a path is not taken for a path.
    pub fn fill(&self, row: &RawRow, position: impl Fn(&str) -> Option<usize>, filled: &mut String) {
        filled.clear();
        for part in &self.parts {
            match part {
                TemplatePart::Text(text) => filled.push_str(text),
                TemplatePart::Column(name) => {
                    let cell = position(name).map(|position| row.cell(position).text());
                    let Some(Ok(Some(text))) = cell else {
                        filled.clear();
                        return;
                    };
                    filled.push_str(&text);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw_row::RawCells;
    use super::*;

    #[test]
    fn a_template_is_filled_or_empty() {
        let row = RawRow { line: 1, text: "abc".to_owned(), content: RawCells::Ends(vec![1, 3, 3]) };
        let position = |name: &str| ["x", "y", "z"].iter().position(|column| *column == name);
        let cases = [("{x} > {y}", "a > bc"), ("{x}{ y }!", "abc!"), ("{x}{z}", ""), ("{x}{none}", "")];
        for (source, expected) in cases {
            let mut filled = "old".to_owned();
            ColumnTemplate::parse(source).expect("a template").fill(&row, position, &mut filled);
            assert_eq!(filled, expected, "{source}");
        }
    }

    #[test]
    fn the_name_of_a_column_is_not_a_template() {
        for source in ["x", "a { b", "a } b", ""] {
            assert_eq!(ColumnTemplate::parse(source), None, "{source}");
        }
    }
}
