//! Changes of the ledger: grants, releases, responses and pauses.
//!
//! A grant counts from the moment it is added until the cap window has passed. It is released only when every decision
//! that served it has released it within the lease and it was not shown. Outcomes never move grant times.
//!
//! Grants outlast the policy under which they were made: whether one counts or is open follows from its time and the policy
//! in force, and each is kept for [`GRANTS_KEPT`]. Only the lease is fixed when the grant is made, because the caller was
//! told its end.

use std::time::Duration;

use crate::domain::ids::{DecisionId, GrantId, ProductId};
use crate::domain::ledger::{
    CustomerResponse, GRANT_SERVINGS_MAX, GRANTS_KEPT, GRANTS_MAX, Grant, GrantLease, GrantServing, Ledger,
    PRODUCT_COOLDOWNS_MAX, ProductCooldown, REJECTIONS_MAX, REQUEST_KEYS_MAX, Rejection, ReleaseResult,
};
use crate::domain::policy::ContactPolicy;
use crate::domain::time::{DAY, Timestamp};

/// Time for which a request key is remembered.
pub(crate) const REQUEST_KEY_LIFE: Duration = DAY;
/// Rejections further apart than this are not in a row.
const REJECTIONS_IN_A_ROW_WITHIN: Duration = Duration::from_secs(365 * 86_400);

/// Whether the grant counts against the caps.
pub fn counts(grant: &Grant, policy: &ContactPolicy, now: Timestamp) -> bool {
    now < grant.granted_at + policy.cap_window
}

/// Whether the grant may be served again without counting again: within the visit window and without a response. An open
/// grant counts, because the visit window is never longer than the cap window.
pub fn is_open(grant: &Grant, policy: &ContactPolicy, now: Timestamp) -> bool {
    grant.response.is_none() && now < open_until(grant, policy)
}

/// End of the time in which the grant is served again without counting again, unless the customer responds.
pub(crate) fn open_until(grant: &Grant, policy: &ContactPolicy) -> Timestamp {
    grant.granted_at + policy.visit_window.min(policy.cap_window)
}

/// Number of times a product was offered within [`GRANTS_KEPT`] without a response. An offer that is still open does not
/// count.
pub(crate) fn times_ignored(ledger: &Ledger, product: &ProductId, policy: &ContactPolicy, now: Timestamp) -> usize {
    let of_product = ledger.grants.iter().filter(|grant| grant.product == *product && is_kept(grant, now));
    of_product.filter(|grant| grant.response.is_none() && now >= open_until(grant, policy)).count()
}

fn is_kept(grant: &Grant, now: Timestamp) -> bool {
    now < grant.granted_at + GRANTS_KEPT
}

/// Number of further grants that the ledger can hold.
pub(crate) fn room(ledger: &Ledger, now: Timestamp) -> usize {
    GRANTS_MAX.saturating_sub(ledger.grants.iter().filter(|grant| is_kept(grant, now)).count())
}

/// Records that a decision served an open grant again. After the lease there is nothing to release, so nothing is
/// recorded.
pub(crate) fn add_serving(grant: &mut Grant, decision: DecisionId, now: Timestamp) {
    let Some(lease) = grant.lease.as_mut().filter(|lease| now < lease.ends_at && !lease.is_irrevocable) else { return };
    if lease.servings.len() == GRANT_SERVINGS_MAX {
        lease.is_irrevocable = true;
        return;
    }
    lease.servings.push(GrantServing { decision, is_released: false });
}

/// Releases an offer of a decision, which made it under this grant. A grant that every decision has released is removed and
/// no longer counts.
pub fn release(ledger: &mut Ledger, grant: GrantId, decision: DecisionId, now: Timestamp) -> ReleaseResult {
    let Some(index) = ledger.grants.iter().position(|it| it.id == grant) else {
        // Every decision has released it, or it expired long after its lease.
        return ReleaseResult::Released;
    };
    let grant = &mut ledger.grants[index];
    if grant.response.is_some() {
        return ReleaseResult::Shown;
    }
    let Some(lease) = grant.lease.as_mut().filter(|lease| now < lease.ends_at) else {
        return ReleaseResult::LeaseEnded;
    };
    if lease.is_irrevocable {
        return ReleaseResult::Shown;
    }
    for serving in &mut lease.servings {
        serving.is_released |= serving.decision == decision;
    }
    if lease.servings.iter().all(|serving| serving.is_released) {
        ledger.grants.remove(index);
        return ReleaseResult::Released;
    }
    ReleaseResult::StillServed
}

/// Whether a replay of the decision may still contain an offer made under this grant: the decision has not released it.
pub(crate) fn is_still_served(ledger: &Ledger, grant: GrantId, decision: DecisionId) -> bool {
    let has_released =
        |lease: &GrantLease| lease.servings.iter().any(|serving| serving.decision == decision && serving.is_released);
    ledger.grants.iter().any(|it| it.id == grant && !it.lease.as_ref().is_some_and(has_released))
}

/// Records that the customer saw an offer made under this grant, so that it can no longer be released.
pub(crate) fn mark_shown(ledger: &mut Ledger, grant: GrantId) {
    let leases = ledger.grants.iter_mut().filter(|it| it.id == grant).filter_map(|it| it.lease.as_mut());
    for lease in leases {
        lease.is_irrevocable = true;
    }
}

/// Records the customer's response to an offer made under this grant. An acceptance takes precedence over any other response.
pub(crate) fn record_response(ledger: &mut Ledger, grant: GrantId, response: CustomerResponse) {
    for grant in ledger.grants.iter_mut().filter(|it| it.id == grant) {
        grant.response = Some(grant.response.map_or(response, |before| before.min(response)));
    }
}

/// Records the purchase of a product as acceptance of its open offers, on every channel. Returns whether there was one.
pub(crate) fn accept_by_purchase(
    ledger: &mut Ledger,
    product: &ProductId,
    policy: &ContactPolicy,
    at: Timestamp,
) -> bool {
    let mut was_accepted = false;
    for grant in ledger.grants.iter_mut().filter(|grant| grant.product == *product) {
        if at >= grant.granted_at && at < open_until(grant, policy) {
            grant.response = Some(CustomerResponse::Accepted);
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

/// Removes what no longer matters at `now`, under any policy: expired grants, the leases of grants that no call can refer to,
/// old request keys, and ended cooldowns.
pub(crate) fn remove_expired(ledger: &mut Ledger, now: Timestamp) {
    for grants in [&mut ledger.grants, &mut ledger.would_be_grants] {
        grants.retain(|grant| is_kept(grant, now));
        for grant in grants {
            // The retry of a request that served it is answered without what its decision has released.
            grant.lease.take_if(|lease| now >= lease.ends_at + REQUEST_KEY_LIFE);
        }
    }
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
