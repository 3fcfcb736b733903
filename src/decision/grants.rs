//! Changes of the ledger: grants, releases, responses and pauses.
//!
//! A grant counts from the moment it is added until the cap window has passed. It is released only when every decision
//! that served it has released it within the lease and it was not shown. Outcomes never move grant times.

use std::time::Duration;

use crate::domain::ids::{DecisionId, OfferId, ProductId};
use crate::domain::ledger::{
    CustomerResponse, GRANT_SERVINGS_MAX, Grant, GrantServing, Ledger, PRODUCT_COOLDOWNS_MAX, ProductCooldown,
    REJECTIONS_MAX, REQUEST_KEYS_MAX, Rejection, ReleaseResult,
};
use crate::domain::policy::ContactPolicy;
use crate::domain::time::{DAY, Timestamp};

/// Time for which a request key is remembered.
pub(crate) const REQUEST_KEY_LIFE: Duration = DAY;
/// Time for which an ignored offer is remembered.
const IGNORED_REMEMBERED: Duration = Duration::from_secs(180 * 86_400);
/// Maximum number of ignored offers that are remembered beyond the cap window.
const IGNORED_MAX: usize = 16;
/// Rejections further apart than this are not in a row.
const REJECTIONS_IN_A_ROW_WITHIN: Duration = Duration::from_secs(365 * 86_400);

/// Whether the grant counts against the caps.
pub fn counts(grant: &Grant, policy: &ContactPolicy, now: Timestamp) -> bool {
    now < grant.granted_at + policy.cap_window
}

/// Whether the grant may be served again without counting again: within the visit window and without a response.
pub(crate) fn is_open(grant: &Grant, now: Timestamp) -> bool {
    grant.response.is_none() && now < grant.open_until
}

/// Number of times a product was offered without a response, as far as grants are remembered. An offer that is still open
/// does not count.
pub(crate) fn times_ignored(ledger: &Ledger, product: &ProductId, now: Timestamp) -> usize {
    ledger.grants.iter().filter(|grant| grant.product == *product && is_ignored(grant, now)).count()
}

fn is_ignored(grant: &Grant, now: Timestamp) -> bool {
    grant.response.is_none() && now >= grant.open_until && now < grant.granted_at + IGNORED_REMEMBERED
}

/// Records that a decision served an open grant again. After the lease there is nothing to release, so nothing is
/// recorded.
pub(crate) fn add_serving(grant: &mut Grant, decision: DecisionId, now: Timestamp) {
    if now >= grant.lease_ends_at || grant.is_irrevocable {
        return;
    }
    if grant.servings.len() == GRANT_SERVINGS_MAX {
        grant.is_irrevocable = true;
        return;
    }
    grant.servings.push(GrantServing { decision, is_released: false });
}

/// Releases an offer of a decision. A grant that every decision has released is removed and no longer counts.
pub fn release(ledger: &mut Ledger, decision: DecisionId, offer: &OfferId, now: Timestamp) -> ReleaseResult {
    // An older grant of the same offer may be remembered for a rule: the one that this decision served is meant.
    let is_of_offer = |grant: &Grant| grant.offer == *offer;
    let was_served =
        |grant: &Grant| is_of_offer(grant) && grant.servings.iter().any(|serving| serving.decision == decision);
    let index = ledger.grants.iter().rposition(was_served).or_else(|| ledger.grants.iter().rposition(is_of_offer));
    let Some(index) = index else {
        // Every decision has released it, or it left the window long after its lease.
        return ReleaseResult::Released;
    };
    let grant = &mut ledger.grants[index];
    if grant.is_irrevocable || grant.response.is_some() {
        return ReleaseResult::Shown;
    }
    if now >= grant.lease_ends_at {
        return ReleaseResult::LeaseEnded;
    }
    for serving in &mut grant.servings {
        serving.is_released |= serving.decision == decision;
    }
    if grant.servings.iter().all(|serving| serving.is_released) {
        ledger.grants.remove(index);
        return ReleaseResult::Released;
    }
    ReleaseResult::StillServed
}

/// Whether a replay of the decision may still contain this offer: it was not released.
pub(crate) fn is_still_served(ledger: &Ledger, decision: DecisionId, decided_at: Timestamp, offer: &OfferId) -> bool {
    ledger
        .grants
        .iter()
        .filter(|grant| grant.offer == *offer && grant.granted_at <= decided_at && decided_at < grant.open_until)
        .any(|grant| !grant.servings.iter().any(|serving| serving.decision == decision && serving.is_released))
}

/// Records that the customer saw the offer, so that it can no longer be released.
pub(crate) fn mark_shown(ledger: &mut Ledger, offer: &OfferId) {
    for grant in ledger.grants.iter_mut().filter(|grant| grant.offer == *offer) {
        grant.is_irrevocable = true;
    }
}

/// Records the customer's response. An acceptance takes precedence over any other response.
pub(crate) fn record_response(ledger: &mut Ledger, offer: &OfferId, response: CustomerResponse) {
    for grant in ledger.grants.iter_mut().filter(|grant| grant.offer == *offer) {
        if grant.response != Some(CustomerResponse::Accepted) {
            grant.response = Some(response);
        }
    }
}

/// Records the purchase of a product as acceptance of its open offers. Returns whether there was one.
pub(crate) fn accept_by_purchase(ledger: &mut Ledger, product: &ProductId, at: Timestamp) -> bool {
    let mut was_accepted = false;
    for grant in ledger.grants.iter_mut().filter(|grant| grant.product == *product) {
        if at >= grant.granted_at && at < grant.open_until {
            grant.response = Some(CustomerResponse::Accepted);
            grant.is_irrevocable = true;
            was_accepted = true;
        }
    }
    was_accepted
}

/// Records a rejection. Several rejections of one decision count once, as of the latest.
pub(crate) fn record_rejection(ledger: &mut Ledger, decision: DecisionId, at: Timestamp) {
    match ledger.rejections.iter_mut().find(|rejection| rejection.decision == decision) {
        Some(rejection) => rejection.at = rejection.at.max(at),
        None => ledger.rejections.push(Rejection { at, decision }),
    }
    ledger.rejections.sort_unstable();
    let beyond = ledger.rejections.len().saturating_sub(REJECTIONS_MAX);
    ledger.rejections.drain(..beyond);
}

/// End of the pause after rejections: by default 14 days after the first, doubling with each further one in a row, at most
/// 180 days. An acceptance ends the row of the rejections before it. Read from the times alone, whatever the order in which
/// rejections and acceptances were reported.
pub(crate) fn back_off_end(ledger: &Ledger, policy: &ContactPolicy) -> Option<Timestamp> {
    let after_acceptance =
        |rejection: &&Rejection| ledger.accepted_at.is_none_or(|accepted_at| rejection.at > accepted_at);
    let mut rejections = ledger.rejections.iter().rev().filter(after_acceptance);
    let latest = rejections.next()?;
    let (mut in_a_row, mut earliest) = (1_u32, latest.at);
    for rejection in rejections {
        if earliest.since(rejection.at) >= REJECTIONS_IN_A_ROW_WITHIN {
            break;
        }
        (in_a_row, earliest) = (in_a_row + 1, rejection.at);
    }
    let doublings = (in_a_row - 1).min(16);
    let pause = policy.back_off.saturating_mul(1 << doublings).min(policy.back_off_max);
    Some(latest.at + pause)
}

/// Withholds a product until a moment. When there are too many cooldowns, the one that ends first is dropped.
pub(crate) fn start_cooldown(ledger: &mut Ledger, product: &ProductId, until: Timestamp) {
    match ledger.product_cooldowns.iter_mut().find(|cooldown| cooldown.product == *product) {
        Some(cooldown) => cooldown.until = cooldown.until.max(until),
        None => ledger.product_cooldowns.push(ProductCooldown { product: product.clone(), until }),
    }
    if ledger.product_cooldowns.len() > PRODUCT_COOLDOWNS_MAX {
        let first_to_end = ledger.product_cooldowns.iter().enumerate().min_by_key(|(_, cooldown)| cooldown.until);
        if let Some((index, _)) = first_to_end {
            ledger.product_cooldowns.remove(index);
        }
    }
}

/// Removes what no longer matters at `now`: grants that no cap or rule looks back to, old request keys, ended cooldowns.
/// The latest ignored offers are remembered for longer.
pub(crate) fn remove_expired(ledger: &mut Ledger, policy: &ContactPolicy, now: Timestamp) {
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
    ledger.product_cooldowns.retain(|cooldown| now < cooldown.until);
}

/// Time at which the next request key can be recorded; `None` when one can be recorded now.
pub(crate) fn request_key_free_at(ledger: &Ledger, now: Timestamp) -> Option<Timestamp> {
    let live = || ledger.request_keys.iter().map(|key| key.at + REQUEST_KEY_LIFE).filter(|&end| now < end);
    if live().count() < REQUEST_KEYS_MAX {
        return None;
    }
    live().min()
}
