//! What kind of event a row is: its own word, the word of a column translated, or the sign of a column.

use std::collections::BTreeMap;

use super::cells::Cell;
use super::numbers::{decimal, shown};
use super::section::Section;

macro_rules! kind_names {
    ($($variant:ident = $name:literal,)+) => {
        /// The kinds of event that a file can hold. Outcomes of offers are missing: they name a decision and are
        /// reported to the server alone.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum KindName {
            $($variant,)+
        }

        impl KindName {
            const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name in files and mappings.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

kind_names! {
    Purchase = "purchase",
    Return = "return",
    Cancellation = "cancellation",
    Downgrade = "downgrade",
    SubscriptionStart = "subscription_start",
    SubscriptionEnd = "subscription_end",
    SubscriptionRenewal = "subscription_renewal",
    Usage = "usage",
    SupportTicket = "support_ticket",
    Complaint = "complaint",
    CaseResolved = "case_resolved",
    PaymentLate = "payment_late",
    PaymentFailed = "payment_failed",
    PaymentDisputed = "payment_disputed",
    Survey = "survey",
    Visit = "visit",
}

impl KindName {
    /// Reads a kind as it stands in files.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(&kind) = Self::ALL.iter().find(|kind| kind.as_str() == text) {
            return Ok(kind);
        }
        if text == "outcome" {
            return Err("outcomes of offers are not imported; report them to the server with RecordOutcomes".to_owned());
        }
        let names: Vec<&str> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
        Err(format!("must be one of {}, not {}", names.join(", "), shown(text)))
    }
}

/// The table `[kind]` of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum KindRule {
    /// The word of a column, translated.
    ByValue {
        /// The column of the file.
        column: String,
        /// Its words.
        values: BTreeMap<String, KindName>,
    },
    /// The sign of a column. The quantity of a negative row counts without its own sign.
    BySign {
        /// The column of the file.
        column: String,
        /// The kind of rows above zero.
        positive: KindName,
        /// The kind of rows below zero.
        negative: KindName,
    },
}

/// The kind of one row, and whether its sign was negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RowKind {
    pub name: KindName,
    pub is_negative: bool,
}

impl KindRule {
    /// Reads the table; `None` when it has faults.
    pub fn from_section(mut section: Section<'_>) -> Option<Self> {
        let (column, values) = (section.text("column"), section.texts_by_name("values"));
        let by_sign = section.text("by_sign");
        let (positive, negative) = (section.text("positive"), section.text("negative"));
        let rule = match (column, values, by_sign, positive, negative) {
            (Some(column), Some(values), None, None, None) => {
                let mut kinds = BTreeMap::new();
                for (value, name) in values {
                    kinds.extend(known_kind(&mut section, &format!("values.{value}"), &name).map(|kind| (value, kind)));
                }
                Some(Self::ByValue { column, values: kinds })
            }
            (None, None, Some(column), Some(positive), Some(negative)) => {
                let positive = known_kind(&mut section, "positive", &positive);
                let negative = known_kind(&mut section, "negative", &negative);
                positive.zip(negative).map(|(positive, negative)| Self::BySign { column, positive, negative })
            }
            _ => {
                section.fault_of_table("needs either `column` and `values`, or `by_sign`, `positive` and `negative`");
                None
            }
        };
        section.finish();
        rule
    }

    /// The column of the file that the rule reads.
    pub fn column(&self) -> &str {
        match self {
            Self::ByValue { column, .. } | Self::BySign { column, .. } => column,
        }
    }

    /// The kind of a row with this cell in the rule's column.
    pub fn kind_of(&self, cell: Cell<'_>) -> Result<RowKind, String> {
        let text = cell.text()?.ok_or_else(|| "is empty, and [kind] reads it".to_owned())?;
        match self {
            Self::ByValue { values, .. } => match values.get(text.as_ref()) {
                Some(&name) => Ok(RowKind { name, is_negative: false }),
                None => Err(format!(
                    "has the value {}, which [kind] values do not translate; add it there, or skip such rows with a \
                     [[filter]]",
                    shown(&text)
                )),
            },
            Self::BySign { positive, negative, .. } => match decimal(&text)? {
                number if number > 0.0 => Ok(RowKind { name: *positive, is_negative: false }),
                number if number < 0.0 => Ok(RowKind { name: *negative, is_negative: true }),
                _ => Err("is zero, so its sign does not tell the kind; skip such rows with a [[filter]]".to_owned()),
            },
        }
    }
}

fn known_kind(section: &mut Section<'_>, key: &str, name: &str) -> Option<KindName> {
    KindName::parse(name).map_err(|problem| section.fault(key, problem)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_tells_the_kind_and_zero_does_not() {
        let (positive, negative) = (KindName::Purchase, KindName::Return);
        let rule = KindRule::BySign { column: "q".into(), positive, negative };
        let kind = |text| rule.kind_of(Cell::Text(text)).map(|kind| (kind.name, kind.is_negative));
        assert_eq!(kind("3"), Ok((KindName::Purchase, false)));
        assert_eq!(kind("-3.0"), Ok((KindName::Return, true)));
        for bad in ["0", "-0.0", "NaN", "x"] {
            assert!(kind(bad).is_err(), "{bad}");
        }
        assert!(rule.kind_of(Cell::Empty).is_err());
    }

    #[test]
    fn outcomes_are_sent_elsewhere() {
        assert!(KindName::parse("outcome").is_err_and(|problem| problem.contains("RecordOutcomes")));
    }
}
