//! Replay of recorded decisions under another policy.
//!
//! The recorded candidates go through the real decision, with the caps and rules of the other policy and the grants that it
//! would have made so far. Taken from the record as they are: the component values of relationship health (their inputs
//! are not recorded), holds and pauses, and the model's proposals. Holdings and consents to a channel are today's; explicit
//! offers and volume caps do not enter. A replay is therefore compared with a replay under the active policy, not with the
//! record.

use std::collections::{BTreeMap, BTreeSet};

use super::contact_policy::{is_pause, withheld_reason};
use super::decide::decide_with_health;
use super::decision_context::DecisionContext;
use super::explicit_offer_index::ExplicitOfferIndex;
use super::offer_query::OfferQuery;
use super::relationship::rescored;
use crate::domain::candidate::{Candidate, Upgrade};
use crate::domain::catalog::Catalog;
use crate::domain::channel::QueryChannel;
use crate::domain::customer::{Consents, Customer};
use crate::domain::decision::{CapKind, Decision};
use crate::domain::ids::ProductId;
use crate::domain::ledger::Ledger;
use crate::domain::offer::{Factors, Offer, OfferKind};
use crate::domain::outlook::Outlook;
use crate::domain::policy::Policy;
use crate::domain::rejected_candidate::RejectedCandidate;
use crate::domain::relationship::RelationshipState;
use crate::domain::withheld_reason::WithheldReason;

/// Minimum slate length of a replay: the default of the API.
const OFFERS_MIN: usize = 3;

/// Result of replaying one decision.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ReplayedDecision {
    pub products: Vec<ProductId>,
    /// Expected value of the slate: the sum of propensity x value x context x lever, in units of the median item's value.
    pub expected_value: f64,
    /// Withheld candidates by reason.
    pub withheld: BTreeMap<WithheldReason, u32>,
}

/// Replays the decisions of one customer, in the order in which they were made.
pub(crate) fn replay(
    decisions: &[Decision],
    today: &Customer,
    catalog: &Catalog,
    policy: &Policy,
) -> Vec<ReplayedDecision> {
    let (excluded, exhausted_offers) = (BTreeSet::new(), BTreeSet::new());
    let (offers, outlook) = (ExplicitOfferIndex::default(), Outlook { buying: None, staying: None });
    let mut ledger = Ledger::default();
    let replay_one = |decision: &Decision| {
        let health = rescored(&decision.relationship_health, &policy.relationship);
        let candidates = candidates(decision);
        if let Some(reason) = paused(decision) {
            let withheld = BTreeMap::from([(reason, u32::try_from(candidates.len()).unwrap_or(u32::MAX))]);
            return ReplayedDecision { withheld, ..ReplayedDecision::default() };
        }
        let query = OfferQuery {
            kind: decision.kind,
            products: &[],
            excluded: &excluded,
            offers_max: offers_max(decision),
            // A channel that the policy does not have is replayed as none: the strictest of all counts.
            channel: policy.contact.query_channel(decision.channel.as_ref()).unwrap_or(QueryChannel::Unset),
            placement: decision.placement.as_ref(),
            currency: None,
            rejected_max: 0,
        };
        let context = DecisionContext {
            policy,
            outlook: &outlook,
            catalog,
            offers: &offers,
            exhausted_offers: &exhausted_offers,
            model_version: decision.model_version,
            now: ledger.time(decision.at),
            decision: decision.id,
        };
        let customer = customer_then(today, &candidates, ledger.clone());
        let (replayed, ledger_after) = decide_with_health(&query, &customer, &candidates, &context, health);
        ledger = ledger_after;
        let value = |offer: &Offer| offer.factors.score() + offer.factors.attention_price;
        ReplayedDecision {
            expected_value: replayed.slate.iter().map(value).sum(),
            products: replayed.slate.into_iter().map(|offer| offer.product).collect(),
            withheld: replayed.withheld,
        }
    };
    decisions.iter().map(replay_one).collect()
}

/// Today's customer without the state that would reject candidates for reasons that did not apply at the time. Recorded
/// consents stay, since each counts from its own time.
fn customer_then(today: &Customer, candidates: &[Candidate], ledger: Ledger) -> Customer {
    let channel_consents = today.consents.channel_consents.clone();
    let mut customer = Customer {
        consents: Consents { channel_consents, ..Consents::default() },
        holds: Vec::new(),
        relationship: RelationshipState::default(),
        ledger,
        ..today.clone()
    };
    for candidate in candidates {
        customer.holdings.latest.remove(&candidate.product);
    }
    customer.holdings.fingerprints.clear();
    customer.holdings.evicted_subscriptions.clear();
    customer
}

/// The hold or pause that applied. Customers of the control group are replayed with their would-be slates.
fn paused(decision: &Decision) -> Option<WithheldReason> {
    let mut kinds = decision.caps.iter().map(|cap| cap.kind);
    kinds.find(|&kind| is_pause(kind) && kind != CapKind::ControlGroup).map(withheld_reason)
}

/// The requested slate length where the record shows it, else the default of the API.
fn offers_max(decision: &Decision) -> usize {
    let offered = decision.slate.len().max(decision.would_be_slate.len());
    let is_full =
        decision.rejected_candidates.iter().any(|rejected| rejected.ineligibility.reason == WithheldReason::SlateFull);
    if is_full && offered > 0 { offered } else { offered.max(OFFERS_MIN) }
}

/// Scored candidates on record, likeliest first.
fn candidates(decision: &Decision) -> Vec<Candidate> {
    let candidate = |product: &ProductId, factors: &Factors, upgrade| Candidate {
        product: product.clone(),
        propensity: factors.propensity,
        propensity_basis: factors.propensity_basis,
        acceptance_lift: factors.acceptance_lift,
        need: factors.need,
        keep_probability: factors.keep_probability,
        upgrade,
    };
    let offered = decision.slate.iter().chain(&decision.would_be_slate).map(|offer| {
        let replaces = offer.replaces.clone().filter(|_| offer.kind == OfferKind::UpSell);
        let upgrade = replaces.map(|replaces| Upgrade { replaces, gains: offer.gains.clone(), allowance_use: None });
        candidate(&offer.product, &offer.factors, upgrade)
    });
    let rejected = decision
        .rejected_candidates
        .iter()
        .filter_map(|RejectedCandidate { product, factors, .. }| Some(candidate(product, factors.as_ref()?, None)));
    let mut all: Vec<Candidate> = offered.chain(rejected).collect();
    all.sort_by(|a, b| b.propensity.total_cmp(&a.propensity).then_with(|| a.product.cmp(&b.product)));
    let mut seen = BTreeSet::new();
    all.retain(|candidate| seen.insert(candidate.product.clone()));
    all
}
