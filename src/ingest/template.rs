//! A canonical column made of several columns of the file: `"{department} > {type}"`.

use super::cells::RawRow;

/// Text with the columns of the file between braces.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Column(String),
}

impl Template {
    /// Reads a source of `[columns]`; `None` when it is the plain name of a column.
    pub fn parse(source: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((text, (name, after))) =
            rest.split_once('{').and_then(|(text, inner)| Some((text, inner.split_once('}')?)))
        {
            parts.push(Part::Text(text.to_owned()));
            parts.push(Part::Column(name.trim().to_owned()));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        (parts.len() > 1).then_some(Self { parts })
    }

    /// The columns that it is made of.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Column(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// What a row says; nothing when one of its columns says nothing, so that no half of a path is taken for a path.
    pub fn fill(&self, row: &RawRow, position: impl Fn(&str) -> Option<usize>, filled: &mut String) {
        filled.clear();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Column(name) => {
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
    use super::super::cells::Content;
    use super::*;

    #[test]
    fn a_template_is_filled_or_empty() {
        let row = RawRow { line: 1, text: "abc".to_owned(), content: Content::Ends(vec![1, 3, 3]) };
        let position = |name: &str| ["x", "y", "z"].iter().position(|column| *column == name);
        let cases = [("{x} > {y}", "a > bc"), ("{x}{ y }!", "abc!"), ("{x}{z}", ""), ("{x}{none}", "")];
        for (source, expected) in cases {
            let mut filled = "old".to_owned();
            Template::parse(source).expect("a template").fill(&row, position, &mut filled);
            assert_eq!(filled, expected, "{source}");
        }
    }

    #[test]
    fn the_name_of_a_column_is_no_template() {
        for source in ["x", "a { b", "a } b", ""] {
            assert_eq!(Template::parse(source), None, "{source}");
        }
    }
}
