//! Counts acceptances of offers: one by one as outcomes are reported, and all anew at a start and after each training.
//!
//! Between two recounts an offer counts once an outcome that resolves it is reported. Offers without any outcome count as
//! declined in the first recount after their answer period. The counts are a statistic of stored history, and are not stored.
//!
//! In a store that several processes share, one of them counts, and all use the counts that it stored: the same customer is
//! ranked alike by each. Nothing is added between two counts there.

use std::collections::{HashMap, HashSet};

use super::acceptance_counts::ResolvedOffer;
use super::app::App;
use super::load_customer::load_decision;
use crate::domain::decision::Decision;
use crate::domain::event::{Event, EventKind, Outcome, OutcomeKind};
use crate::domain::ids::{CustomerId, DecisionId, OfferId};
use crate::domain::time::Timestamp;
use crate::model::acceptances::{Acceptances, LOOKBACK, RESPONSE_WINDOW, acceptance};
use crate::model::acceptances_artifact;
use crate::store::contract::error::StoreError;
use crate::store::contract::store::Store;

/// Number of customers, events or decisions in one page.
const PAGE_LEN: usize = 1024;

/// Response to each offer of which an outcome is in history.
type OfferResponses = HashMap<(DecisionId, OfferId), OfferResponse>;

/// Customer's response to an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OfferResponse {
    NotShown,
    Accepted,
    Declined,
}

impl OfferResponse {
    /// Returns `None` for outcomes that do not resolve an offer.
    fn of(kind: OutcomeKind) -> Option<Self> {
        if kind == OutcomeKind::NotShown {
            return Some(Self::NotShown);
        }
        acceptance(kind).map(|is_accepted| if is_accepted { Self::Accepted } else { Self::Declined })
    }
}

/// Counts all offers anew. Reads every customer, the history and all decisions once; changes nothing that is stored.
pub async fn learn_acceptances(app: &App) -> Result<(), StoreError> {
    let _recounting = app.acceptance_counts.recounting.lock().await;
    let (store, now) = (app.store.as_ref(), app.now());
    let shared = match store.shared() {
        Some(shared) => Some((shared, shared.published().await?.numbers.acceptances)),
        None => None,
    };
    let objecting = read_objecting_customers(store).await?;
    let responses = read_responses(store, now - LOOKBACK).await?;
    let mut acceptances = Acceptances::default();
    store
        .visit_decisions(PAGE_LEN, &mut |decisions| {
            let profiled = decisions.iter().filter(|decision| !objecting.contains(&decision.customer));
            profiled.for_each(|decision| count_decision(&mut acceptances, decision, &responses, now));
        })
        .await?;
    if let Some((shared, number)) = shared {
        if !shared.put_acceptances(&acceptances_artifact::encode(&acceptances), number).await? {
            tracing::warn!("another replica has counted acceptances meanwhile");
        }
        return app.load_acceptances().await;
    }
    let was_seen = |resolved: &ResolvedOffer| responses.contains_key(&(resolved.decision, resolved.offer.clone()));
    app.acceptance_counts.replace(acceptances, was_seen);
    Ok(())
}

async fn read_objecting_customers(store: &dyn Store) -> Result<HashSet<CustomerId>, StoreError> {
    let mut objecting = HashSet::new();
    store
        .visit_customers(PAGE_LEN, &mut |customers| {
            let of_page = customers.into_iter().filter(|customer| customer.consents.objects_to_profiling);
            objecting.extend(of_page.flat_map(|customer| customer.merge.members.into_iter().chain([customer.id])));
        })
        .await?;
    Ok(objecting)
}

/// Reads the responses since this time. Those to older offers are not counted, and would fill the memory with the outcomes of
/// all years.
async fn read_responses(store: &dyn Store, since: Timestamp) -> Result<OfferResponses, StoreError> {
    let mut responses = OfferResponses::new();
    store
        .visit_events(PAGE_LEN, &mut |events| {
            for event in events.into_iter().filter(|event| event.at >= since) {
                let EventKind::Outcome(outcome) = event.kind else { continue };
                let Some(response) = OfferResponse::of(outcome.kind) else { continue };
                let known = responses.entry((outcome.decision, outcome.offer)).or_insert(response);
                // An acceptance outweighs whatever else is reported of the offer.
                if response == OfferResponse::Accepted {
                    *known = OfferResponse::Accepted;
                }
            }
        })
        .await?;
    Ok(responses)
}

fn count_decision(acceptances: &mut Acceptances, decision: &Decision, responses: &OfferResponses, now: Timestamp) {
    if decision.at + LOOKBACK < now {
        return;
    }
    for offer in &decision.slate {
        let is_accepted = match responses.get(&(decision.id, offer.id.clone())) {
            Some(OfferResponse::Accepted) => Some(true),
            Some(OfferResponse::Declined) => Some(false),
            Some(OfferResponse::NotShown) => None,
            None => (decision.at + RESPONSE_WINDOW <= now).then_some(false),
        };
        if let Some(is_accepted) = is_accepted {
            acceptances.count(&offer.product, offer.factors.unlifted_propensity(), is_accepted);
        }
    }
}

/// Counts the offer of an outcome that was recorded for the first time, unless the store is shared. The caller leaves out
/// customers who object to profiling.
pub(super) async fn count_outcome(app: &App, event: &Event) -> Result<(), StoreError> {
    if app.store.shared().is_some() {
        return Ok(());
    }
    let (Some(customer), EventKind::Outcome(outcome)) = (&event.customer, &event.kind) else { return Ok(()) };
    let Outcome { decision, offer, kind, .. } = outcome;
    let Some(is_accepted) = acceptance(*kind) else { return Ok(()) };
    let Some(made) = load_decision(app.store.as_ref(), customer, *decision).await? else { return Ok(()) };
    let Some(made) = made.slate.iter().find(|made| made.id == *offer) else { return Ok(()) };
    app.acceptance_counts.add(ResolvedOffer {
        decision: *decision,
        offer: offer.clone(),
        product: made.product.clone(),
        propensity: made.factors.unlifted_propensity(),
        is_accepted,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::customer::Customer;
    use crate::domain::ids::{EventId, GrantId, ProductId};
    use crate::domain::time::DAY;
    use crate::store::contract::change::Change;
    use crate::store::contract::customers::CustomerStore;
    use crate::store::memory::store::MemoryStore;

    /// Broken by: keeping the outcomes of offers that are too old to be counted.
    #[tokio::test]
    async fn responses_beyond_the_look_back_take_no_memory() {
        let now = Timestamp::from_unix_ms(1_700_000_000_000).expect("in range");
        let ada = Customer::unknown(CustomerId::new("ada").expect("valid"));
        let outcome = |number: u32| Event {
            id: EventId::new(format!("outcome {number}")).expect("valid"),
            customer: Some(ada.id.clone()),
            at: now - DAY * number * 10,
            kind: EventKind::Outcome(Outcome {
                decision: DecisionId::from_bits(u128::from(number)),
                offer: OfferId::new("offer").expect("valid"),
                grant: GrantId::from_bits(u64::from(number)),
                product: ProductId::new("tea").expect("valid"),
                kind: OutcomeKind::Accepted,
                case: None,
            }),
        };
        let events: Vec<Event> = (1..=60).map(outcome).collect();
        let store = MemoryStore::new();
        store.commit(Change { events: &events, ..Change::new(0, &ada, now) }).await.expect("committed");
        let responses = read_responses(&store, now - LOOKBACK).await.expect("reads");
        assert_eq!(responses.len(), 18, "one each 10 days of the last 180");
    }

    /// Broken by: the offers under the other ids of a customer who objects.
    #[tokio::test]
    async fn an_objection_holds_for_all_ids_of_a_customer() {
        let [ada, guest] = ["ada", "guest"].map(|id| CustomerId::new(id).expect("valid"));
        let mut customer = Customer::unknown(ada.clone());
        customer.consents.objects_to_profiling = true;
        customer.merge.members.insert(guest.clone());
        let store = MemoryStore::new();
        let now = Timestamp::from_unix_ms(1_700_000_000_000).expect("in range");
        store.commit(Change::new(0, &customer, now)).await.expect("committed");
        let objecting = read_objecting_customers(&store).await.expect("reads");
        assert_eq!(objecting, HashSet::from([ada, guest]));
    }
}
