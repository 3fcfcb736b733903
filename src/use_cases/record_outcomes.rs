//! Records outcomes of offers, as events of the customer.

use super::app::App;
use super::batch_entry::{EntryOutcome, EntryRejection};
use super::load_customer::load_decision;
use super::record_events::record_events;
use crate::domain::event::{Event, EventKind, Outcome, OutcomeKind};
use crate::domain::ids::{CaseId, CustomerId, DecisionId, EventId, OfferId};
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;

/// Outcome of one offer of one decision, as the caller reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeReport {
    /// Customer to whom the offer was made.
    pub customer: CustomerId,
    /// Decision that served the offer.
    pub decision: DecisionId,
    /// Offer of the decision's slate.
    pub offer: OfferId,
    /// Kind of the outcome.
    pub kind: OutcomeKind,
    /// Time of the outcome; `None` means now.
    pub at: Option<Timestamp>,
    /// Case of a complaint.
    pub case: Option<CaseId>,
}

/// Records each report once, and returns when they are durable. Returns one result per report, in order.
///
/// A report is a duplicate when decision, offer and kind are the same: these three form the id of its event.
pub async fn record_outcomes(app: &App, reports: &[OutcomeReport]) -> Result<Vec<EntryOutcome>, StoreError> {
    let mut results: Vec<Option<EntryOutcome>> = Vec::with_capacity(reports.len());
    let mut events = Vec::new();
    for report in reports {
        match outcome_event(app, report).await? {
            Ok(event) => {
                events.push(event);
                results.push(None);
            }
            Err(rejection) => results.push(Some(EntryOutcome::Rejected(rejection))),
        }
    }
    let mut recorded = record_events(app, &events).await?.into_iter();
    let mut next_recorded = || recorded.next().expect("record_events returns one outcome per event");
    Ok(results.into_iter().map(|result| result.unwrap_or_else(&mut next_recorded)).collect())
}

async fn outcome_event(app: &App, report: &OutcomeReport) -> Result<Result<Event, EntryRejection>, StoreError> {
    let Some(decision) = load_decision(app.store.as_ref(), &report.customer, report.decision).await? else {
        return Ok(Err(EntryRejection::DecisionNotFound));
    };
    let Some(offer) = decision.slate.iter().find(|offer| offer.id == report.offer) else {
        return Ok(Err(EntryRejection::OfferNotServed));
    };
    let id = format!("outcome/{}/{}/{}", report.decision, offer.rank, report.kind.as_str());
    // The server's clock, not the caller's, decides whether an offer was released within its lease.
    let at = report.at.filter(|_| report.kind != OutcomeKind::NotShown).unwrap_or_else(|| app.now());
    let outcome = Outcome {
        decision: report.decision,
        offer: report.offer.clone(),
        grant: offer.grant,
        product: offer.product.clone(),
        kind: report.kind,
        case: report.case.clone(),
    };
    Ok(Ok(Event {
        id: EventId::new(id).expect("a short text without control characters"),
        // The id of the decision, so that reports under two ids of the customer are one outcome.
        customer: Some(decision.customer.clone()),
        at,
        kind: EventKind::Outcome(outcome),
    }))
}
