//! Row filters of a mapping. A row that does not pass is counted as filtered; it is not an error.

use super::cell_values::parse_decimal;
use super::invalid_cell::InvalidCell;
use super::mapping_table::MappingTable;
use super::raw_row::CellValue;

/// One `[[filter]]` of a mapping: conditions on one column, all of which must hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RowFilter {
    /// Column of the file.
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

impl RowFilter {
    /// Parses the table; `None` without a column.
    pub fn from_table(mut table: MappingTable<'_>) -> Option<Self> {
        let column = table.text("column");
        let filter = Self {
            column: column.clone().unwrap_or_default(),
            equals: table.text("equals"),
            not_equals: table.text("not_equals"),
            one_of: table.texts("one_of"),
            none_of: table.texts("none_of"),
            contains_none_of: table.texts("contains_none_of"),
            above: table.number("above"),
            below: table.number("below"),
            present: table.flag("present"),
        };
        if column.is_none() {
            table.fault_of_table("needs `column`, the name of a column of the file");
        }
        if filter.has_no_condition() {
            table.fault_of_table(
                "needs a condition: equals, not_equals, one_of, none_of, contains_none_of, above, below or present",
            );
        }
        table.finish();
        column.map(|_| filter)
    }

    fn has_no_condition(&self) -> bool {
        let Self { column: _, equals, not_equals, one_of, none_of, contains_none_of, above, below, present } = self;
        let has_list = one_of.is_some() || none_of.is_some() || contains_none_of.is_some();
        let has_text = equals.is_some() || not_equals.is_some() || has_list;
        !has_text && above.is_none() && below.is_none() && present.is_none()
    }

    /// Checks whether a row passes. A cell that is not a number is an error where a number is compared: skipping the row silently
    /// would hide a fault of the file.
    pub fn holds(&self, cell: CellValue<'_>) -> Result<bool, InvalidCell> {
        let Self { column: _, equals, not_equals, one_of, none_of, contains_none_of, above, below, present } = self;
        let is_present = cell != CellValue::Empty;
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
            let problem =
                "is empty, and a [[filter]] compares it with a number; add `present = true` there to skip such rows";
            return Err(InvalidCell(problem.to_owned()));
        }
        let number = parse_decimal(&text)?;
        Ok(above.is_none_or(|limit| number > limit) && below.is_none_or(|limit| number < limit))
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_error::MappingFault;
    use super::*;

    fn filter(conditions: &str) -> RowFilter {
        let table = format!("column = 'c'\n{conditions}").parse().expect("TOML");
        let mut faults: Vec<MappingFault> = Vec::new();
        let filter = RowFilter::from_table(MappingTable::new("[[filter]]", table, &mut faults)).expect("a column");
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
            assert_eq!(filter(conditions).holds(CellValue::from_text(text)), Ok(expected), "{conditions} on {text:?}");
        }
    }

    #[test]
    fn a_cell_that_is_not_a_number_cannot_be_compared() {
        for text in ["", "x", "NaN"] {
            assert!(filter("above = 0").holds(CellValue::from_text(text)).is_err(), "{text:?}");
        }
    }
}
