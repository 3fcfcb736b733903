//! What is in the three tables.

use std::path::{Path, PathBuf};

use parquet::errors::Result;

use super::columns::{Cell, TableWriter};
use crate::domain::decision::Decision;
use crate::domain::event::{Event, EventKind};
use crate::domain::offer::Offer;

/// One row for each event. Which columns are filled depends on its kind.
const EVENTS: &str = "message events {
    required binary event_id (STRING);
    optional binary customer_id (STRING);
    required int64 event_time (TIMESTAMP(MILLIS, true));
    required binary kind (STRING);
    optional binary product_id (STRING);
    optional binary to_product_id (STRING);
    optional binary order_id (STRING);
    optional int64 quantity;
    optional fixed_len_byte_array(16) unit_price (DECIMAL(38, 9));
    optional binary currency_code (STRING);
    optional double usage_amount;
    optional double usage_allowance;
    optional binary case_id (STRING);
    optional int64 severity;
    optional double score;
    optional double score_max;
    optional binary decision_id (STRING);
    optional binary offer_id (STRING);
    optional binary outcome (STRING);
}";

/// One row for each decision, also for those that offered nothing.
const DECISIONS: &str = "message decisions {
    required binary decision_id (STRING);
    required binary customer_id (STRING);
    required int64 decision_time (TIMESTAMP(MILLIS, true));
    required binary kind (STRING);
    optional binary channel (STRING);
    optional binary placement (STRING);
    required int64 offers;
    required int64 would_be_offers;
    required double relationship_health;
    required binary band (STRING);
    optional binary binding_cap (STRING);
    required int64 withheld;
    required binary policy_version (STRING);
    required int64 model_version;
    required binary message (STRING);
}";

/// One row for each offer of a decision. Those of the control group would have been made, and were not.
const OFFERS: &str = "message offers {
    required binary decision_id (STRING);
    required binary customer_id (STRING);
    required int64 decision_time (TIMESTAMP(MILLIS, true));
    required boolean is_would_be;
    required int64 rank;
    required binary offer_id (STRING);
    required binary product_id (STRING);
    required binary kind (STRING);
    optional binary replaces_product_id (STRING);
    optional fixed_len_byte_array(16) price (DECIMAL(38, 9));
    optional binary currency_code (STRING);
    required boolean is_already_granted;
    required double score;
    required double propensity;
    required binary propensity_basis (STRING);
    required double acceptance_lift;
    required double value;
    required double need;
    required double context;
    required double lever;
}";

/// How many rows were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// In `events.parquet`.
    pub events: u64,
    /// In `decisions.parquet`.
    pub decisions: u64,
    /// In `offers.parquet`.
    pub offers: u64,
}

/// The three files being written: under other names until they are whole.
pub struct Tables {
    directory: PathBuf,
    events: TableWriter,
    decisions: TableWriter,
    offers: TableWriter,
}

const NAMES: [&str; 3] = ["events", "decisions", "offers"];

fn unfinished(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.parquet.part"))
}

impl Tables {
    /// Begins the files in a directory, which must exist.
    ///
    /// # Errors
    /// When they cannot be written; so do the other steps.
    pub fn create(directory: &Path) -> Result<Self> {
        let table = |name, schema| TableWriter::create(&unfinished(directory, name), schema);
        Ok(Self {
            directory: directory.to_owned(),
            events: table("events", EVENTS)?,
            decisions: table("decisions", DECISIONS)?,
            offers: table("offers", OFFERS)?,
        })
    }

    /// Adds an event.
    pub fn add_event(&mut self, event: &Event) -> Result<()> {
        let Detail { product, to_product, line, usage, case, severity, survey, outcome } = Detail::of(&event.kind);
        let (order, quantity, unit_price) = line.unwrap_or_default();
        self.events.add([
            Cell::Text(event.id.to_string()),
            Cell::text(event.customer.as_ref()),
            Cell::Whole(event.at.unix_ms()),
            Cell::Text(event.kind.as_str().to_owned()),
            Cell::text(product),
            Cell::text(to_product),
            Cell::text(order),
            Cell::whole(quantity),
            Cell::amount(unit_price),
            Cell::text(unit_price.map(crate::domain::money::Money::currency)),
            Cell::number(usage.map(|(amount, _)| amount)),
            Cell::number(usage.and_then(|(_, allowance)| allowance)),
            Cell::text(case),
            Cell::whole(severity),
            Cell::number(survey.map(|(score, _)| score)),
            Cell::number(survey.map(|(_, score_max)| score_max)),
            Cell::text(outcome.as_ref().map(|(decision, _, _)| decision)),
            Cell::text(outcome.as_ref().map(|(_, offer, _)| offer)),
            Cell::text(outcome.as_ref().map(|(_, _, kind)| kind)),
        ])
    }

    /// Adds a decision and its offers.
    pub fn add_decision(&mut self, decision: &Decision) -> Result<()> {
        let Decision { slate, would_be_slate, relationship_health, caps, binding_cap, .. } = decision;
        let len = |slate: &Vec<Offer>| Cell::Whole(i64::try_from(slate.len()).unwrap_or(i64::MAX));
        let withheld = decision.withheld.values().map(|&count| i64::from(count)).sum();
        let binding = binding_cap.and_then(|place| caps.get(place)).map(|cap| cap.kind.as_str());
        self.decisions.add([
            Cell::Text(decision.id.to_string()),
            Cell::Text(decision.customer.to_string()),
            Cell::Whole(decision.at.unix_ms()),
            Cell::Text(decision.kind.as_str().to_owned()),
            Cell::text(decision.channel.as_ref()),
            Cell::text(decision.placement.as_ref()),
            len(slate),
            len(would_be_slate),
            Cell::Number(relationship_health.score),
            Cell::Text(relationship_health.band.as_str().to_owned()),
            Cell::text(binding),
            Cell::Whole(withheld),
            Cell::Text(decision.policy_version.clone()),
            Cell::Whole(i64::try_from(decision.model_version).unwrap_or(i64::MAX)),
            Cell::Text(decision.message.clone()),
        ])?;
        for (offers, is_would_be) in [(slate, false), (would_be_slate, true)] {
            for offer in offers {
                self.add_offer(decision, offer, is_would_be)?;
            }
        }
        Ok(())
    }

    fn add_offer(&mut self, decision: &Decision, offer: &Offer, is_would_be: bool) -> Result<()> {
        let factors = &offer.factors;
        self.offers.add([
            Cell::Text(decision.id.to_string()),
            Cell::Text(decision.customer.to_string()),
            Cell::Whole(decision.at.unix_ms()),
            Cell::Truth(is_would_be),
            Cell::Whole(i64::from(offer.rank)),
            Cell::Text(offer.id.to_string()),
            Cell::Text(offer.product.to_string()),
            Cell::Text(offer.kind.as_str().to_owned()),
            Cell::text(offer.replaces.as_ref()),
            Cell::amount(offer.price),
            Cell::text(offer.price.map(crate::domain::money::Money::currency)),
            Cell::Truth(offer.is_already_granted),
            Cell::Number(factors.score()),
            Cell::Number(factors.propensity),
            Cell::Text(factors.propensity_basis.as_str().to_owned()),
            Cell::Number(factors.acceptance_lift),
            Cell::Number(factors.value),
            Cell::Number(factors.need),
            Cell::Number(factors.context),
            Cell::Number(factors.lever),
        ])
    }

    /// Ends the files and gives them their names, in place of those of an earlier export.
    pub fn finish(self) -> Result<Exported> {
        let Self { directory, events, decisions, offers } = self;
        let exported = Exported { events: events.finish()?, decisions: decisions.finish()?, offers: offers.finish()? };
        for name in NAMES {
            std::fs::rename(unfinished(&directory, name), directory.join(format!("{name}.parquet")))?;
        }
        Ok(exported)
    }

    /// Removes what was written.
    pub fn abandon(self) {
        let directory = self.directory.clone();
        drop(self);
        for name in NAMES {
            // What cannot be removed has no name of an export.
            let _left = std::fs::remove_file(unfinished(&directory, name));
        }
    }
}

/// What the kinds of event say, each in its column.
#[derive(Default)]
struct Detail {
    product: Option<String>,
    to_product: Option<String>,
    line: Option<(Option<String>, Option<u32>, Option<crate::domain::money::Money>)>,
    usage: Option<(f64, Option<f64>)>,
    case: Option<String>,
    severity: Option<u8>,
    survey: Option<(f64, f64)>,
    outcome: Option<(String, String, &'static str)>,
}

impl Detail {
    fn of(kind: &EventKind) -> Self {
        let none = Self::default();
        match kind {
            EventKind::Purchase(line) | EventKind::Return(line) => {
                let order = line.order.as_ref().map(ToString::to_string);
                Self {
                    product: Some(line.product.to_string()),
                    line: Some((order, Some(line.quantity), line.unit_price)),
                    ..none
                }
            }
            EventKind::Cancellation { product } | EventKind::Visit { product } => {
                Self { product: product.as_ref().map(ToString::to_string), ..none }
            }
            EventKind::Downgrade { from, to } => {
                Self { product: Some(from.to_string()), to_product: to.as_ref().map(ToString::to_string), ..none }
            }
            EventKind::SubscriptionStart { product }
            | EventKind::SubscriptionEnd { product }
            | EventKind::SubscriptionRenewal { product } => Self { product: Some(product.to_string()), ..none },
            EventKind::Usage { product, amount, allowance } => {
                Self { product: Some(product.to_string()), usage: Some((*amount, *allowance)), ..none }
            }
            EventKind::SupportTicket(report) | EventKind::Complaint(report) => Self {
                case: report.case.as_ref().map(ToString::to_string),
                severity: Some(report.severity.level()),
                ..none
            },
            EventKind::CaseResolved { case } => Self { case: Some(case.to_string()), ..none },
            EventKind::PaymentLate | EventKind::PaymentFailed | EventKind::PaymentDisputed => none,
            EventKind::Survey(answer) => Self { survey: Some((answer.score(), answer.score_max())), ..none },
            EventKind::Outcome(outcome) => Self {
                product: Some(outcome.product.to_string()),
                case: outcome.case.as_ref().map(ToString::to_string),
                outcome: Some((outcome.decision.to_string(), outcome.offer.to_string(), outcome.kind.as_str())),
                ..none
            },
        }
    }
}
