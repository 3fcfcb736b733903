//! Counts what came of offers: each as its outcome is reported, and all of them anew at a start and with each training.
//!
//! Between two counts of all, an offer counts once an outcome that ends the wait is reported. Those of which nothing was
//! heard count with the next count of all, once the wait is over. Nothing of it is stored: a count is a statistic of what is.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use super::app::App;
use crate::domain::decision::Decision;
use crate::domain::event::{Event, EventKind, Outcome, OutcomeKind};
use crate::domain::ids::{CustomerId, DecisionId, OfferId, ProductId};
use crate::domain::time::Timestamp;
use crate::model::acceptances::{ANSWERED_WITHIN, Acceptances, LOOKS_BACK, is_acceptance};
use crate::store::contract::StoreError;

/// Customers, events and decisions of one page.
const PAGE_LEN: usize = 1024;

/// What came of offers, as it stands.
#[derive(Default)]
pub(super) struct AcceptanceCounts {
    acceptances: RwLock<Acceptances>,
    /// Held while all are counted.
    counting: tokio::sync::Mutex<()>,
    /// What is noted while all are counted: the count may have passed it already.
    meanwhile: Mutex<Vec<ResolvedOffer>>,
}

/// An offer of which all is heard.
struct ResolvedOffer {
    decision: DecisionId,
    offer: OfferId,
    product: ProductId,
    propensity: f64,
    is_accepted: bool,
}

impl AcceptanceCounts {
    /// As it stands now.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Acceptances> {
        self.acceptances.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, noted: ResolvedOffer) {
        let mut meanwhile = self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner);
        let mut acceptances = self.acceptances.write().unwrap_or_else(PoisonError::into_inner);
        acceptances.count(&noted.product, noted.propensity, noted.is_accepted);
        if self.counting.try_lock().is_err() {
            meanwhile.push(noted);
        }
    }

    /// Replaces the counts, and adds what was noted since `counting` began and the count did not meet.
    fn replace(&self, mut counted: Acceptances, is_met: impl Fn(&ResolvedOffer) -> bool) {
        let mut meanwhile = self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner);
        for noted in meanwhile.drain(..).filter(|noted| !is_met(noted)) {
            counted.count(&noted.product, noted.propensity, noted.is_accepted);
        }
        *self.acceptances.write().unwrap_or_else(PoisonError::into_inner) = counted;
    }
}

/// What was heard of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OfferResponse {
    NotShown,
    Accepted,
    Declined,
}

/// Counts all offers anew. Reads every customer, the history and all decisions once; changes nothing that is stored.
pub async fn learn_acceptances(app: &App) -> Result<(), StoreError> {
    let _counting = app.acceptance_counts.counting.lock().await;
    let (store, now) = (app.store.as_ref(), app.now());
    let mut objecting: HashSet<CustomerId> = HashSet::new();
    store
        .visit_customers(PAGE_LEN, &mut |customers| {
            let those = customers.into_iter().filter(|customer| customer.consents.objects_to_profiling);
            objecting.extend(those.map(|customer| customer.id));
        })
        .await?;
    let mut heard: HashMap<(DecisionId, OfferId), OfferResponse> = HashMap::new();
    store
        .visit_history(PAGE_LEN, &mut |events| {
            for event in events {
                let EventKind::Outcome(outcome) = event.kind else { continue };
                let Some(now_heard) = what_is_heard(outcome.kind) else { continue };
                let known = heard.entry((outcome.decision, outcome.offer)).or_insert(now_heard);
                // Whatever else is said of it: what was accepted was accepted.
                if now_heard == OfferResponse::Accepted {
                    *known = OfferResponse::Accepted;
                }
            }
        })
        .await?;
    let mut acceptances = Acceptances::default();
    store
        .visit_decisions(PAGE_LEN, &mut |decisions| {
            let known = decisions.iter().filter(|decision| !objecting.contains(&decision.customer));
            known.for_each(|decision| count(&mut acceptances, decision, &heard, now));
        })
        .await?;
    let is_met = |noted: &ResolvedOffer| heard.contains_key(&(noted.decision, noted.offer.clone()));
    app.acceptance_counts.replace(acceptances, is_met);
    Ok(())
}

fn count(
    acceptances: &mut Acceptances,
    decision: &Decision,
    heard: &HashMap<(DecisionId, OfferId), OfferResponse>,
    now: Timestamp,
) {
    if decision.at + LOOKS_BACK < now {
        return;
    }
    for offer in &decision.slate {
        let is_accepted = match heard.get(&(decision.id, offer.id.clone())) {
            Some(OfferResponse::Accepted) => Some(true),
            Some(OfferResponse::Declined) => Some(false),
            Some(OfferResponse::NotShown) => None,
            None => (decision.at + ANSWERED_WITHIN <= now).then_some(false),
        };
        if let Some(is_accepted) = is_accepted {
            acceptances.count(&offer.product, offer.factors.unlifted_propensity(), is_accepted);
        }
    }
}

fn what_is_heard(kind: OutcomeKind) -> Option<OfferResponse> {
    if kind == OutcomeKind::NotShown {
        return Some(OfferResponse::NotShown);
    }
    is_acceptance(kind).map(|is_accepted| if is_accepted { OfferResponse::Accepted } else { OfferResponse::Declined })
}

/// Counts the offer of an outcome that was recorded for the first time, of a customer who does not object to profiling.
pub(super) async fn note_outcome(app: &App, event: &Event) -> Result<(), StoreError> {
    let (Some(customer), EventKind::Outcome(outcome)) = (&event.customer, &event.kind) else { return Ok(()) };
    let Outcome { decision, offer, kind, .. } = outcome;
    let Some(is_accepted) = is_acceptance(*kind) else { return Ok(()) };
    let Some(made) = app.store.load_decision(customer, *decision).await? else { return Ok(()) };
    let Some(made) = made.slate.iter().find(|made| made.id == *offer) else { return Ok(()) };
    app.acceptance_counts.note(ResolvedOffer {
        decision: *decision,
        offer: offer.clone(),
        product: made.product.clone(),
        propensity: made.factors.unlifted_propensity(),
        is_accepted,
    });
    Ok(())
}
