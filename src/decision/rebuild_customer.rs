//! A customer is rebuilt from history, because an id that was merged into it is split off again.
//!
//! Events are applied anew. Holds, consents, opt-outs and the whole ledger do not follow from events alone and stay on both
//! customers, so that no cap is exceeded and no pause ends because of an unmerge.

use super::apply_event::apply_event_within;
use super::merge_customers::MergeContext;
use crate::domain::customer::Customer;
use crate::domain::event::Event;
use crate::domain::ledger::{Grant, Ledger};

/// Applies the events to a blank customer in the order of time, then adds what stays of `whole`, the customer before the
/// unmerge. Grants stay on both customers, so neither can release them.
pub fn rebuilt(blank: Customer, whole: &Customer, mut events: Vec<Event>, context: &MergeContext<'_>) -> Customer {
    events.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    let mut customer = blank;
    // A purchase while an offer is open accepts it.
    customer.ledger.grants.clone_from(&whole.ledger.grants);
    for event in &events {
        let MergeContext { policy, outlook, catalog, bounds, now: _ } = *context;
        apply_event_within(&mut customer, event, policy, outlook, catalog, bounds);
    }
    let mut consents = whole.consents.clone();
    consents.add(std::mem::take(&mut customer.consents));
    customer.consents = consents;
    customer.holds.clone_from(&whole.holds);
    customer.ledger = Ledger {
        clock: whole.ledger.clock.max(customer.ledger.clock),
        level: customer.ledger.level,
        grants: irrevocable(&whole.ledger.grants),
        would_be_grants: irrevocable(&whole.ledger.would_be_grants),
        assignment: None,
        ..whole.ledger.clone()
    };
    customer
}

fn irrevocable(grants: &[Grant]) -> Vec<Grant> {
    let mut grants = grants.to_vec();
    for lease in grants.iter_mut().filter_map(|grant| grant.lease.as_mut()) {
        lease.is_irrevocable = true;
    }
    grants
}
