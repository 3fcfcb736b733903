//! What was acknowledged until a point of the run, and what of it a reopened store has lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tactful::domain::ids::{CustomerId, DecisionId};
use tactful::store::contract::loaded_customer::LoadedCustomer;
use tactful::store::contract::store::Store;
use tactful::store::sled::store::SledStore;
use tactful::use_cases::app::App;
use tactful::use_cases::explicit_offers::list_offers;

use super::super::shop;
use super::recording::Step;
use super::workload::{LIMITED, VOLUME_CAP};
use crate::support::shop::{customer_id, event_id, offer_id};

/// Presence of something in the catalogue: known once a change is acknowledged, open while one is in progress.
type Presence = BTreeMap<String, Option<bool>>;

/// Everything that was acknowledged.
#[derive(Debug, Default)]
pub struct Acknowledged {
    /// Customer, decision and offer of each grant.
    grants: Vec<(String, String, String)>,
    /// Customer, empty for none, and id of each event and outcome.
    events: Vec<(String, String)>,
    /// Customers whose erasure was started, and whether it was acknowledged.
    erasures: BTreeMap<String, bool>,
    /// The policy that was activated last, and one whose activation was started since.
    activations: Vec<String>,
    activation_in_progress: Option<String>,
    offers: Presence,
    products: Presence,
}

impl Acknowledged {
    /// Enters a mark of the workload.
    pub fn apply(&mut self, step: &Step) {
        let Step::Mark(line) = step else { return };
        let fields: Vec<&str> = line.split('\t').collect();
        let owned = |text: &&str| (*text).to_owned();
        match fields.as_slice() {
            ["done", "grant", customer, decision, offer] => {
                self.grants.push((owned(customer), owned(decision), owned(offer)));
            }
            ["done", "event", customer, id] => self.events.push((owned(customer), owned(id))),
            ["start", "erasure", customer] => drop(self.erasures.insert(owned(customer), false)),
            ["done", "erasure", customer] => drop(self.erasures.insert(owned(customer), true)),
            ["start", "activation", version] => self.activation_in_progress = Some(owned(version)),
            ["done", "activation", version] => {
                self.activations.push(owned(version));
                self.activation_in_progress = None;
            }
            ["start", "offer" | "no offer", id] => drop(self.offers.insert(owned(id), None)),
            ["done", "offer", id] => drop(self.offers.insert(owned(id), Some(true))),
            ["done", "no offer", id] => drop(self.offers.insert(owned(id), Some(false))),
            ["start", "product" | "no product", id] => drop(self.products.insert(owned(id), None)),
            ["done", "product", id] => drop(self.products.insert(owned(id), Some(true))),
            ["done", "no product", id] => drop(self.products.insert(owned(id), Some(false))),
            other => panic!("unknown mark {other:?}"),
        }
    }

    /// Opens the store and returns a sentence for each acknowledged change that is not in it.
    pub async fn missing_in(&self, data: &Path) -> Vec<String> {
        let store: Arc<dyn Store> = match SledStore::open(data).await {
            Ok(store) => Arc::new(store),
            Err(error) => return vec![format!("the store does not open: {error}")],
        };
        let app = shop::open_app(Arc::clone(&store), shop::ManualClock::new()).await;
        let mut missing = self.missing_of_customers(store.as_ref()).await;
        missing.extend(self.missing_of_catalog(&app).await);
        missing.extend(volume_faults(store.as_ref()).await);
        store.close().await.expect("closes");
        missing
    }

    async fn missing_of_customers(&self, store: &dyn Store) -> Vec<String> {
        let mut missing = Vec::new();
        for (name, _) in self.erasures.iter().filter(|(_, is_acknowledged)| **is_acknowledged) {
            let loaded = store.load_customer(&customer_id(name)).await.expect("reads");
            if !matches!(loaded, LoadedCustomer::Erased(_)) {
                missing.push(format!("the erasure of {name}"));
            }
        }
        let is_erased = |name: &str| self.erasures.contains_key(name);
        for (name, decision, offer) in self.grants.iter().filter(|(name, ..)| !is_erased(name)) {
            let id = customer_id(name);
            let stored = store.load_customer(&id).await.expect("reads").stored();
            let is_granted = stored.is_some_and(|customer| {
                customer.value.ledger.grants.iter().any(|grant| grant.offer.as_str() == offer.as_str())
            });
            let decision_id = decision.parse::<uuid::Uuid>().map(|id| DecisionId::from_bits(id.as_u128()));
            let logged = store.load_decision(&id, decision_id.expect("a UUID")).await.expect("reads");
            if !is_granted || logged.is_none() {
                missing.push(format!("the grant of {offer} to {name}"));
            }
        }
        for (name, event) in self.events.iter().filter(|(name, _)| !is_erased(name)) {
            let customer = (!name.is_empty()).then(|| customer_id(name));
            let loaded = store.load_events(customer.as_ref(), &[event_id(event)]).await.expect("reads");
            if loaded[0].is_none() {
                missing.push(format!("event {event} of {name:?}"));
            }
        }
        missing
    }

    async fn missing_of_catalog(&self, app: &App) -> Vec<String> {
        let mut missing = Vec::new();
        let in_force = app.policy_in_force().version.clone();
        let may_be = self.activation_in_progress.iter().chain(self.activations.last());
        if !self.activations.is_empty() && !may_be.into_iter().any(|version| *version == in_force) {
            missing.push(format!("the activation of {:?}: {in_force} is in force", self.activations.last()));
        }
        let (offers, _) = list_offers(app, None, 10_000).await.expect("reads");
        let offers = offers.into_iter().map(|offer| offer.offer.id.to_string()).collect();
        missing.extend(differences("explicit offer", &self.offers, &offers));
        let products = app.catalog().products().iter().map(|product| product.id.to_string()).collect();
        missing.extend(differences("product", &self.products, &products));
        missing
    }
}

fn differences(what: &str, expected: &Presence, stored: &BTreeSet<String>) -> Vec<String> {
    let known = expected.iter().filter_map(|(id, is_present)| is_present.map(|is_present| (id, is_present)));
    let wrong = known.filter(|(id, is_present)| stored.contains(*id) != *is_present);
    wrong.map(|(id, is_present)| format!("{what} {id} (present: {is_present})")).collect()
}

/// Checks that the units of the limited offer cover its grants, and that its cap holds.
async fn volume_faults(store: &dyn Store) -> Vec<String> {
    let limited = offer_id(LIMITED);
    let mut holders: Vec<CustomerId> = Vec::new();
    let mut visit = |customers: Vec<tactful::domain::customer::Customer>| {
        let granted =
            customers.into_iter().filter(|customer| customer.ledger.grants.iter().any(|grant| grant.offer == limited));
        holders.extend(granted.map(|customer| customer.id));
    };
    store.visit_customers(100, &mut visit).await.expect("reads");
    let used = store.used_volume(&limited).await.expect("reads");
    let granted = holders.len() as u64;
    if granted > VOLUME_CAP || granted > used || used > VOLUME_CAP {
        return vec![format!("{used} units of {VOLUME_CAP} are used for {granted} grants")];
    }
    Vec::new()
}
