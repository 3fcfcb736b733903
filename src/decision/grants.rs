//! How the ledger changes: grants, releases, answers and pauses.
//!
//! A grant counts from the moment it is entered until the cap window has passed. It is given back only when every
//! decision that served it has released it within the lease and nobody saw it. Outcomes never move grant times.

use std::time::Duration;

use crate::domain::ids::{DecisionId, OfferId, ProductId};
use crate::domain::ledger::{
    BackOff, CustomerResponse, Grant, Ledger, REQUEST_KEYS_MAX, RESTING_PRODUCTS_MAX, ReleaseResult, RequestKey,
    RestingProduct, SERVINGS_MAX, Serving,
};
use crate::domain::policy::ContactPolicy;
use crate::domain::time::{DAY, Timestamp};

/// How long a request key is remembered.
pub const REQUEST_KEY_LIFE: Duration = DAY;
/// How long an offer made in vain is remembered, and how many.
const IGNORED_REMEMBERED: Duration = Duration::from_secs(180 * 86_400);
const IGNORED_MAX: usize = 16;
/// Rejections further apart than this are not in a row.
const REJECTIONS_IN_A_ROW_WITHIN: Duration = Duration::from_secs(365 * 86_400);

/// True while the grant counts against the caps.
pub fn counts(grant: &Grant, policy: &ContactPolicy, now: Timestamp) -> bool {
    now < grant.granted_at + policy.cap_window
}

/// True while the grant may be served again for free: within the visit window and unanswered.
pub fn is_open(grant: &Grant, now: Timestamp) -> bool {
    grant.answer.is_none() && now < grant.open_until
}

/// How often a product was offered without an answer, as far as the grants are remembered. An offer that is still open is
/// not ignored yet.
pub fn times_ignored(ledger: &Ledger, product: &ProductId, now: Timestamp) -> usize {
    ledger.grants.iter().filter(|grant| grant.product == *product && is_ignored(grant, now)).count()
}

fn is_ignored(grant: &Grant, now: Timestamp) -> bool {
    grant.answer.is_none() && now >= grant.open_until && now < grant.granted_at + IGNORED_REMEMBERED
}

/// Enters a new grant served by a decision.
pub fn enter(ledger: &mut Ledger, grant: Grant) {
    ledger.grants.push(grant);
}

/// Notes that a decision served an open grant again. After the lease nothing can be given back, so nothing is noted.
pub fn serve_again(grant: &mut Grant, decision: DecisionId, now: Timestamp) {
    if now >= grant.lease_ends_at || grant.is_irrevocable {
        return;
    }
    if grant.servings.len() == SERVINGS_MAX {
        grant.is_irrevocable = true;
        return;
    }
    grant.servings.push(Serving { decision, is_released: false });
}

/// Gives an offer of a decision back. A grant that all have released is removed, and with it its weight in the caps.
pub fn release(ledger: &mut Ledger, decision: DecisionId, offer: &OfferId, now: Timestamp) -> ReleaseResult {
    // A grant that is remembered for a rule may be of the same offer: the one that this decision served counts.
    let is_of = |grant: &Grant| grant.offer == *offer;
    let serves = |grant: &Grant| is_of(grant) && grant.servings.iter().any(|serving| serving.decision == decision);
    let place = ledger.grants.iter().rposition(serves).or_else(|| ledger.grants.iter().rposition(is_of));
    let Some(place) = place else {
        // It is gone because all have released it, or because it left the window long after its lease.
        return ReleaseResult::Released;
    };
    let grant = &mut ledger.grants[place];
    if grant.is_irrevocable || grant.answer.is_some() {
        return ReleaseResult::Shown;
    }
    if now >= grant.lease_ends_at {
        return ReleaseResult::LeaseEnded;
    }
    for serving in &mut grant.servings {
        serving.is_released |= serving.decision == decision;
    }
    if grant.servings.iter().all(|serving| serving.is_released) {
        ledger.grants.remove(place);
        return ReleaseResult::Released;
    }
    ReleaseResult::StillServed
}

/// True when a replay may still show this offer of the decision: it was not given back.
pub fn is_still_served(ledger: &Ledger, decision: DecisionId, decided_at: Timestamp, offer: &OfferId) -> bool {
    ledger
        .grants
        .iter()
        .filter(|grant| grant.offer == *offer && grant.granted_at <= decided_at && decided_at < grant.open_until)
        .any(|grant| !grant.servings.iter().any(|serving| serving.decision == decision && serving.is_released))
}

/// Notes that the customer saw the offer: it can no longer be given back.
pub fn note_shown(ledger: &mut Ledger, offer: &OfferId) {
    for grant in ledger.grants.iter_mut().filter(|grant| grant.offer == *offer) {
        grant.is_irrevocable = true;
    }
}

/// Notes the customer's answer. An acceptance stands over any other answer.
pub fn answer(ledger: &mut Ledger, offer: &OfferId, answer: CustomerResponse) {
    for grant in ledger.grants.iter_mut().filter(|grant| grant.offer == *offer) {
        if grant.answer != Some(CustomerResponse::Accepted) {
            grant.answer = Some(answer);
        }
    }
}

/// Notes that an offered product was bought within its visit window; true when that is what happened.
pub fn answer_by_purchase(ledger: &mut Ledger, product: &ProductId, at: Timestamp) -> bool {
    let mut is_answered = false;
    for grant in ledger.grants.iter_mut().filter(|grant| grant.product == *product) {
        if at >= grant.granted_at && at < grant.open_until {
            grant.answer = Some(CustomerResponse::Accepted);
            grant.is_irrevocable = true;
            is_answered = true;
        }
    }
    is_answered
}

/// Begins or lengthens the pause after a rejection. Several rejections of one decision are one.
pub fn back_off(ledger: &mut Ledger, decision: DecisionId, at: Timestamp) {
    let before = ledger.back_off.filter(|before| at.since(before.rejected_at) < REJECTIONS_IN_A_ROW_WITHIN);
    let rejections = match before {
        Some(before) if before.decision == decision => before.rejections,
        Some(before) => before.rejections.saturating_add(1),
        None => 1,
    };
    let rejected_at = before.map_or(at, |before| before.rejected_at.max(at));
    ledger.back_off = Some(BackOff { rejections, decision, rejected_at });
}

/// When the pause after a rejection ends: 14 days after the first, doubling with each in a row, 180 at most (defaults).
pub fn back_off_end(back_off: BackOff, policy: &ContactPolicy) -> Timestamp {
    let doublings = back_off.rejections.saturating_sub(1).min(16);
    let pause = policy.back_off.saturating_mul(1 << doublings).min(policy.back_off_max);
    back_off.rejected_at + pause
}

/// Lets a product rest. Of too many resting products the one that rests shortest goes.
pub fn rest(ledger: &mut Ledger, product: &ProductId, until: Timestamp) {
    match ledger.resting_products.iter_mut().find(|resting| resting.product == *product) {
        Some(resting) => resting.until = resting.until.max(until),
        None => ledger.resting_products.push(RestingProduct { product: product.clone(), until }),
    }
    if ledger.resting_products.len() > RESTING_PRODUCTS_MAX {
        let shortest = ledger.resting_products.iter().enumerate().min_by_key(|(_, resting)| resting.until);
        if let Some((place, _)) = shortest {
            ledger.resting_products.remove(place);
        }
    }
}

/// Forgets what no longer matters at `now`: grants that no cap and no rule looks back to, old request keys, rested products.
/// The latest offers made in vain are remembered for longer.
pub fn forget_old(ledger: &mut Ledger, policy: &ContactPolicy, now: Timestamp) {
    let remembered = policy.grants_remembered();
    let mut ignored = 0;
    let mut matters = |grant: &mut Grant| {
        if now < grant.granted_at + remembered {
            return true;
        }
        grant.servings.clear();
        ignored += usize::from(is_ignored(grant, now));
        is_ignored(grant, now) && ignored <= IGNORED_MAX
    };
    ledger.grants.reverse();
    ledger.grants.retain_mut(&mut matters);
    ledger.grants.reverse();
    ledger.would_be_grants.retain(|grant| now < grant.granted_at + remembered);
    ledger.request_keys.retain(|key| now < key.at + REQUEST_KEY_LIFE);
    ledger.resting_products.retain(|resting| now < resting.until);
}

/// When the next request key is free; `None` when one is free now.
pub fn request_key_free_at(ledger: &Ledger, now: Timestamp) -> Option<Timestamp> {
    let live = || ledger.request_keys.iter().map(|key| key.at + REQUEST_KEY_LIFE).filter(|&end| now < end);
    if live().count() < REQUEST_KEYS_MAX {
        return None;
    }
    live().min()
}

/// Enters the key of the request that a decision answered.
pub fn enter_request_key(ledger: &mut Ledger, key: RequestKey) {
    ledger.request_keys.push(key);
}
