//! Kind of event of a row: its canonical name, a value of a column translated by the mapping, or the sign of a column.

use std::collections::BTreeMap;

use super::cell_values::{excerpt, parse_decimal};
use super::invalid_cell::InvalidCell;
use super::mapping_table::MappingTable;
use super::raw_row::CellValue;
use crate::domain::event::EventKindName;

/// Problem of a row or a mapping that names the kind `outcome`: an outcome names a decision, which files do not know.
pub(super) const OUTCOMES_NOT_IMPORTED: &str =
    "outcomes of offers are not imported; report them to the server with RecordOutcomes";

/// Parses the name of a kind that files may contain.
pub(super) fn parse_kind(text: &str) -> Result<EventKindName, InvalidCell> {
    match EventKindName::ALL.into_iter().find(|kind| kind.as_str() == text) {
        Some(EventKindName::Outcome) => Err(InvalidCell(OUTCOMES_NOT_IMPORTED.to_owned())),
        Some(kind) => Ok(kind),
        None => {
            let imported = EventKindName::ALL.into_iter().filter(|kind| *kind != EventKindName::Outcome);
            let names: Vec<&str> = imported.map(EventKindName::as_str).collect();
            Err(InvalidCell(format!("must be one of {}, not {}", names.join(", "), excerpt(text))))
        }
    }
}

/// Table `[kind]` of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum EventKindRule {
    /// Translates the value of a column.
    ByValue {
        /// Column of the file.
        column: String,
        /// Kind for each value.
        values: BTreeMap<String, EventKindName>,
    },
    /// Takes the sign of a column. The quantity of a negative row counts without its sign.
    BySign {
        /// Column of the file.
        column: String,
        /// Kind of rows above zero.
        positive: EventKindName,
        /// Kind of rows below zero.
        negative: EventKindName,
    },
}

/// Kind of one row, with the sign that decided it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct EventRowKind {
    pub name: EventKindName,
    pub is_negative: bool,
}

impl EventKindRule {
    /// Parses the table; `None` when it has faults.
    pub fn from_table(mut table: MappingTable<'_>) -> Option<Self> {
        let (column, values) = (table.text("column"), table.texts_by_name("values"));
        let by_sign = table.text("by_sign");
        let (positive, negative) = (table.text("positive"), table.text("negative"));
        let rule = match (column, values, by_sign, positive, negative) {
            (Some(column), Some(values), None, None, None) => {
                let mut kinds = BTreeMap::new();
                for (value, name) in values {
                    kinds.extend(known_kind(&mut table, &format!("values.{value}"), &name).map(|kind| (value, kind)));
                }
                Some(Self::ByValue { column, values: kinds })
            }
            (None, None, Some(column), Some(positive), Some(negative)) => {
                let positive = known_kind(&mut table, "positive", &positive);
                let negative = known_kind(&mut table, "negative", &negative);
                positive.zip(negative).map(|(positive, negative)| Self::BySign { column, positive, negative })
            }
            _ => {
                table.fault_of_table("needs either `column` and `values`, or `by_sign`, `positive` and `negative`");
                None
            }
        };
        table.finish();
        rule
    }

    /// Column of the file that the rule reads.
    pub fn column(&self) -> &str {
        match self {
            Self::ByValue { column, .. } | Self::BySign { column, .. } => column,
        }
    }

    /// Determines the kind of a row from the cell in the rule's column.
    pub fn kind_of(&self, cell: CellValue<'_>) -> Result<EventRowKind, InvalidCell> {
        let text = cell.text()?.ok_or_else(|| InvalidCell("is empty, and [kind] reads it".to_owned()))?;
        match self {
            Self::ByValue { values, .. } => match values.get(text.as_ref()) {
                Some(&name) => Ok(EventRowKind { name, is_negative: false }),
                None => Err(InvalidCell(format!(
                    "has the value {}, which [kind] values do not translate; add it there, or skip such rows with a \
                     [[filter]]",
                    excerpt(&text)
                ))),
            },
            Self::BySign { positive, negative, .. } => match parse_decimal(&text)? {
                number if number > 0.0 => Ok(EventRowKind { name: *positive, is_negative: false }),
                number if number < 0.0 => Ok(EventRowKind { name: *negative, is_negative: true }),
                _ => Err(InvalidCell(
                    "is zero, so its sign does not determine the kind; skip such rows with a [[filter]]".to_owned(),
                )),
            },
        }
    }
}

fn known_kind(table: &mut MappingTable<'_>, key: &str, name: &str) -> Option<EventKindName> {
    parse_kind(name).map_err(|problem| table.fault(key, problem)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_determines_the_kind_and_zero_does_not() {
        let (positive, negative) = (EventKindName::Purchase, EventKindName::Return);
        let rule = EventKindRule::BySign { column: "q".into(), positive, negative };
        let kind = |text| rule.kind_of(CellValue::Text(text)).map(|kind| (kind.name, kind.is_negative));
        assert_eq!(kind("3"), Ok((EventKindName::Purchase, false)));
        assert_eq!(kind("-3.0"), Ok((EventKindName::Return, true)));
        for bad in ["0", "-0.0", "NaN", "x"] {
            assert!(kind(bad).is_err(), "{bad}");
        }
        assert!(rule.kind_of(CellValue::Empty).is_err());
    }

    #[test]
    fn outcomes_are_referred_to_the_server() {
        assert!(parse_kind("outcome").is_err_and(|invalid| invalid.0.contains("RecordOutcomes")));
    }
}
