//! Schemas and rows of the three exported tables.

use std::path::{Path, PathBuf};

use parquet::errors::Result;

use super::table_writer::{ColumnValue, TableWriter};
use crate::domain::decision::Decision;
use crate::domain::event::{Event, EventKind, PlanDirection};
use crate::domain::offer::Offer;
use crate::domain::usage::Period;

/// One row for each event; its kind decides which columns are filled.
const EVENTS: &str = "message events {
    required binary event_id (STRING);
    optional binary customer_id (STRING);
    required int64 event_time (TIMESTAMP(MILLIS, true));
    required binary kind (STRING);
    optional binary product_id (STRING);
    optional binary to_product_id (STRING);
    optional binary plan_direction (STRING);
    optional binary order_id (STRING);
    optional int64 quantity;
    optional fixed_len_byte_array(16) unit_price (DECIMAL(38, 9));
    optional binary currency_code (STRING);
    optional double usage_amount;
    optional double usage_allowance;
    optional binary usage_meter (STRING);
    optional int64 usage_period_start (TIMESTAMP(MILLIS, true));
    optional int64 usage_period_end (TIMESTAMP(MILLIS, true));
    optional binary case_id (STRING);
    optional int64 severity;
    optional double score;
    optional double score_max;
    optional binary decision_id (STRING);
    optional binary offer_id (STRING);
    optional binary outcome (STRING);
}";

/// One row for each decision, including those without an offer.
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

/// One row for each offer of a decision. Offers of the control group would have been made, and were not.
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

/// Number of rows written to each table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportedRows {
    pub events: u64,
    pub decisions: u64,
    pub offers: u64,
}

/// Writers of the three tables. The files have temporary names until they are complete.
pub struct ExportTables {
    directory: PathBuf,
    events: TableWriter,
    decisions: TableWriter,
    offers: TableWriter,
}

const NAMES: [&str; 3] = ["events", "decisions", "offers"];

fn partial_path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.parquet.part"))
}

impl ExportTables {
    /// Creates the files in an existing directory.
    pub fn create(directory: &Path) -> Result<Self> {
        let table = |name, schema| TableWriter::create(&partial_path(directory, name), schema);
        Ok(Self {
            directory: directory.to_owned(),
            events: table("events", EVENTS)?,
            decisions: table("decisions", DECISIONS)?,
            offers: table("offers", OFFERS)?,
        })
    }

    /// Adds the row of an event.
    pub fn add_event(&mut self, event: &Event) -> Result<()> {
        let EventColumns { product, to_product, plan_direction, line, usage, case, severity, survey, outcome } =
            EventColumns::of(&event.kind);
        let (order, quantity, unit_price) = line.unwrap_or_default();
        self.events.add([
            ColumnValue::Text(event.id.to_string()),
            ColumnValue::text(event.customer.as_ref()),
            ColumnValue::Integer(event.at.unix_ms()),
            ColumnValue::Text(event.kind.as_str().to_owned()),
            ColumnValue::text(product),
            ColumnValue::text(to_product),
            ColumnValue::text(plan_direction),
            ColumnValue::text(order),
            ColumnValue::integer(quantity),
            ColumnValue::amount(unit_price),
            ColumnValue::text(unit_price.map(crate::domain::money::Money::currency)),
            ColumnValue::number(usage.amount),
            ColumnValue::number(usage.allowance),
            ColumnValue::text(usage.meter),
            ColumnValue::integer(usage.period.map(|period| period.start().unix_ms())),
            ColumnValue::integer(usage.period.map(|period| period.end().unix_ms())),
            ColumnValue::text(case),
            ColumnValue::integer(severity),
            ColumnValue::number(survey.map(|(score, _)| score)),
            ColumnValue::number(survey.map(|(_, score_max)| score_max)),
            ColumnValue::text(outcome.as_ref().map(|(decision, _, _)| decision)),
            ColumnValue::text(outcome.as_ref().map(|(_, offer, _)| offer)),
            ColumnValue::text(outcome.as_ref().map(|(_, _, kind)| kind)),
        ])
    }

    /// Adds the rows of a decision and its offers.
    pub fn add_decision(&mut self, decision: &Decision) -> Result<()> {
        let Decision { slate, would_be_slate, relationship_health, caps, binding_cap, .. } = decision;
        let len = |slate: &Vec<Offer>| ColumnValue::Integer(i64::try_from(slate.len()).unwrap_or(i64::MAX));
        let withheld = decision.withheld.values().map(|&count| i64::from(count)).sum();
        let binding = binding_cap.and_then(|place| caps.get(place)).map(|cap| cap.kind.as_str());
        self.decisions.add([
            ColumnValue::Text(decision.id.to_string()),
            ColumnValue::Text(decision.customer.to_string()),
            ColumnValue::Integer(decision.at.unix_ms()),
            ColumnValue::Text(decision.kind.as_str().to_owned()),
            ColumnValue::text(decision.channel.as_ref()),
            ColumnValue::text(decision.placement.as_ref()),
            len(slate),
            len(would_be_slate),
            ColumnValue::Number(relationship_health.score),
            ColumnValue::Text(relationship_health.band.as_str().to_owned()),
            ColumnValue::text(binding),
            ColumnValue::Integer(withheld),
            ColumnValue::Text(decision.policy_version.clone()),
            ColumnValue::Integer(i64::try_from(decision.model_version).unwrap_or(i64::MAX)),
            ColumnValue::Text(decision.message.as_str().to_owned()),
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
            ColumnValue::Text(decision.id.to_string()),
            ColumnValue::Text(decision.customer.to_string()),
            ColumnValue::Integer(decision.at.unix_ms()),
            ColumnValue::Flag(is_would_be),
            ColumnValue::Integer(i64::from(offer.rank)),
            ColumnValue::Text(offer.id.to_string()),
            ColumnValue::Text(offer.product.to_string()),
            ColumnValue::Text(offer.kind.as_str().to_owned()),
            ColumnValue::text(offer.replaces.as_ref()),
            ColumnValue::amount(offer.price),
            ColumnValue::text(offer.price.map(crate::domain::money::Money::currency)),
            ColumnValue::Flag(offer.is_already_granted),
            ColumnValue::Number(factors.score()),
            ColumnValue::Number(factors.propensity),
            ColumnValue::Text(factors.propensity_basis.as_str().to_owned()),
            ColumnValue::Number(factors.acceptance_lift),
            ColumnValue::Number(factors.value),
            ColumnValue::Number(factors.need),
            ColumnValue::Number(factors.context),
            ColumnValue::Number(factors.lever),
        ])
    }

    /// Completes the files and renames them, replacing those of an earlier export.
    pub fn finish(self) -> Result<ExportedRows> {
        let Self { directory, events, decisions, offers } = self;
        let exported =
            ExportedRows { events: events.finish()?, decisions: decisions.finish()?, offers: offers.finish()? };
        for name in NAMES {
            std::fs::rename(partial_path(&directory, name), directory.join(format!("{name}.parquet")))?;
        }
        Ok(exported)
    }

    /// Removes the incomplete files.
    pub fn abandon(self) {
        let directory = self.directory.clone();
        drop(self);
        for name in NAMES {
            // A file that cannot be removed keeps its temporary name and is no export.
            let _left = std::fs::remove_file(partial_path(&directory, name));
        }
    }
}

/// Columns of a usage.
#[derive(Default)]
struct UsageColumns {
    amount: Option<f64>,
    allowance: Option<f64>,
    meter: Option<String>,
    period: Option<Period>,
}

/// Columns that depend on the kind of an event.
#[derive(Default)]
struct EventColumns {
    product: Option<String>,
    to_product: Option<String>,
    plan_direction: Option<&'static str>,
    line: Option<(Option<String>, Option<u32>, Option<crate::domain::money::Money>)>,
    usage: UsageColumns,
    case: Option<String>,
    severity: Option<u8>,
    survey: Option<(f64, f64)>,
    outcome: Option<(String, String, &'static str)>,
}

impl EventColumns {
    fn of(kind: &EventKind) -> Self {
        let mut columns = Self {
            product: kind.product().map(ToString::to_string),
            case: kind.case().map(ToString::to_string),
            ..Self::default()
        };
        if let EventKind::Purchase(line) | EventKind::Return { line, reason: _ } = kind {
            let order = line.order.as_ref().map(ToString::to_string);
            columns.line = Some((order, Some(line.quantity), line.unit_price));
        } else if let EventKind::Downgrade { .. } = kind {
            columns.to_product = kind.changed_to_product().map(ToString::to_string);
        } else if let EventKind::PlanChange { direction, .. } = kind {
            columns.to_product = kind.changed_to_product().map(ToString::to_string);
            columns.plan_direction = direction.map(PlanDirection::as_str);
        } else if let EventKind::Usage { amount, allowance, meter, period, .. } = kind {
            columns.usage = UsageColumns {
                amount: Some(*amount),
                allowance: *allowance,
                meter: meter.as_ref().map(ToString::to_string),
                period: *period,
            };
        } else if let EventKind::SupportTicket(report) | EventKind::Complaint(report) = kind {
            columns.severity = Some(report.severity.level());
        } else if let EventKind::Survey(answer) = kind {
            columns.survey = Some((answer.score(), answer.score_max()));
        } else if let EventKind::Outcome(outcome) = kind {
            columns.outcome = Some((outcome.decision.to_string(), outcome.offer.to_string(), outcome.kind.as_str()));
        }
        columns
    }
}
