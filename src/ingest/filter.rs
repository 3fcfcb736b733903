//! Which rows of a file count. A row that a filter leaves out is counted as filtered; it is not an error.

use super::cells::Cell;
use super::numbers::decimal;
use super::section::Section;

/// One `[[filter]]` of a mapping: conditions on one column that must all hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    /// The column of the file.
    pub column: String,
    equals: Option<String>,
    not_equals: Option<String>,
    one_of: Option<Vec<String>>,
    none_of: Option<Vec<String>>,
    contains_none_of: Option<Vec<String>>,
    above: Option<f64>,
    below: Option<f64>,
    present: Option<bool>,
}

impl Filter {
    /// Reads the table; `None` when it has faults.
    pub fn from_section(mut section: Section<'_>) -> Option<Self> {
        let column = section.text("column");
        let filter = Self {
            column: column.clone().unwrap_or_default(),
            equals: section.text("equals"),
            not_equals: section.text("not_equals"),
            one_of: section.texts("one_of"),
            none_of: section.texts("none_of"),
            contains_none_of: section.texts("contains_none_of"),
            above: section.number("above"),
            below: section.number("below"),
            present: section.flag("present"),
        };
        if column.is_none() {
            section.fault_of_table("needs `column`, the name of a column of the file");
        }
        if filter.has_no_condition() {
            section.fault_of_table(
                "needs a condition: equals, not_equals, one_of, none_of, contains_none_of, above, below or present",
            );
        }
        section.finish();
        column.map(|_| filter)
    }

    fn has_no_condition(&self) -> bool {
        let Self { column: _, equals, not_equals, one_of, none_of, contains_none_of, above, below, present } = self;
        let has_list = one_of.is_some() || none_of.is_some() || contains_none_of.is_some();
        let has_text = equals.is_some() || not_equals.is_some() || has_list;
        !has_text && above.is_none() && below.is_none() && present.is_none()
    }

    /// True when the row is to be read. `Err` when the cell is no number and a number is compared: leaving out such a
    /// row silently would hide a fault of the file.
    pub fn holds(&self, cell: Cell<'_>) -> Result<bool, String> {
        let Self { column: _, equals, not_equals, one_of, none_of, contains_none_of, above, below, present } = self;
        let is_present = cell != Cell::Empty;
        if present.is_some_and(|wanted| wanted != is_present) {
            return Ok(false);
        }
        let text = cell.text()?.unwrap_or_default();
        let text_fits = equals.as_ref().is_none_or(|wanted| *wanted == text)
            && not_equals.as_ref().is_none_or(|unwanted| *unwanted != text)
            && one_of.as_ref().is_none_or(|wanted| wanted.iter().any(|one| *one == text))
            && none_of.as_ref().is_none_or(|unwanted| unwanted.iter().all(|one| *one != text))
            && contains_none_of.as_ref().is_none_or(|unwanted| unwanted.iter().all(|one| !text.contains(one)));
        if !text_fits || (above.is_none() && below.is_none()) {
            return Ok(text_fits);
        }
        if !is_present {
            return Err("is empty, and a [[filter]] compares it with a number; add `present = true` there to skip \
                        such rows"
                .to_owned());
        }
        let number = decimal(&text)?;
        Ok(above.is_none_or(|limit| number > limit) && below.is_none_or(|limit| number < limit))
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::MappingFault;
    use super::*;

    fn filter(conditions: &str) -> Filter {
        let table = format!("column = 'c'\n{conditions}").parse().expect("TOML");
        let mut faults: Vec<MappingFault> = Vec::new();
        let filter = Filter::from_section(Section::new("[[filter]]", table, &mut faults)).expect("a column");
        assert!(faults.is_empty(), "{faults:?}");
        filter
    }

    #[test]
    fn conditions_hold_or_not() {
        let cases = [
            ("equals = 1", "1", true),
            ("equals = '1'", "2", false),
            ("not_equals = 'a'", "", true),
            ("not_equals = 'a'", "a", false),
            ("one_of = ['a', 'b']", "b", true),
            ("one_of = ['a', 'b']", "c", false),
            ("none_of = ['a', 'b']", "b", false),
            ("none_of = ['a', 'b']", "ab", true),
            ("contains_none_of = ['a', 'b']", "xbx", false),
            ("contains_none_of = ['a', 'b']", "xyx", true),
            ("above = 0", "0.01", true),
            ("above = 0", "0", false),
            ("above = 0\nbelow = 10", "10", false),
            ("present = true", "", false),
            ("present = true", "x", true),
            ("present = false", "", true),
            ("present = true\nabove = 0", "", false),
        ];
        for (conditions, text, expected) in cases {
            assert_eq!(filter(conditions).holds(Cell::from_text(text)), Ok(expected), "{conditions} on {text:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_compared_silently() {
        for text in ["", "x", "NaN"] {
            assert!(filter("above = 0").holds(Cell::from_text(text)).is_err(), "{text:?}");
        }
    }
}
