//! Decides again what was decided before, under another policy.
//!
//! The recorded candidates go through the real decision, with the caps and rules of the other policy and the grants that it
//! would have made so far. Taken as they were recorded are: the values of the components of relationship health (their inputs
//! are not kept), holds and pauses, and what the model proposed. Holdings are those of today; explicit offers and volumes do
//! not enter. So a replay is compared with a replay under the policy that was in force, not with the record.

use std::collections::{BTreeMap, BTreeSet};

use super::contact_policy::{is_pause, withheld_reason};
use super::decide::decide_as;
use super::explicit_offer_index::ExplicitOfferIndex;
use super::offer_query::{DecisionContext, OfferQuery};
use super::relationship::rescored;
use crate::domain::candidate::{Candidate, Upgrade};
use crate::domain::catalog::Catalog;
use crate::domain::customer::{Consents, Customer};
use crate::domain::decision::{CapKind, Decision, WithheldReason};
use crate::domain::ids::ProductId;
use crate::domain::ledger::Ledger;
use crate::domain::offer::{Factors, Offer, OfferKind};
use crate::domain::outlook::Outlook;
use crate::domain::policy::Policy;
use crate::domain::rejected_candidate::RejectedCandidate;
use crate::domain::relationship::RelationshipState;

/// Slates are at least allowed to be as long as callers get when they do not say.
const OFFERS_MIN: usize = 3;

/// What came of one decision.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReplayedDecision {
    /// What was offered.
    pub products: Vec<ProductId>,
    /// The expected value of it: propensity x value x context x lever, summed, in units of the median item's value.
    pub expected_value: f64,
    /// Why candidates were withheld.
    pub withheld: BTreeMap<WithheldReason, u32>,
}

/// Decides the decisions about one customer again, in the order in which they were made.
pub fn replay(decisions: &[Decision], today: &Customer, catalog: &Catalog, policy: &Policy) -> Vec<ReplayedDecision> {
    let (excluded, spent) = (BTreeSet::new(), BTreeSet::new());
    let (offers, outlook) = (ExplicitOfferIndex::default(), Outlook { buying: None, staying: None });
    let mut ledger = Ledger::default();
    let one = |decision: &Decision| {
        let health = rescored(&decision.relationship_health, &policy.relationship);
        let candidates = candidates(decision);
        if let Some(reason) = paused(decision) {
            let withheld = BTreeMap::from([(reason, u32::try_from(candidates.len()).unwrap_or(u32::MAX))]);
            return ReplayedDecision { withheld, ..ReplayedDecision::default() };
        }
        let question = OfferQuery {
            kind: decision.kind,
            products: &[],
            excluded: &excluded,
            offers_max: offers_max(decision),
            channel: decision.channel.as_ref(),
            placement: decision.placement.as_ref(),
            currency: None,
            rejected_max: 0,
        };
        let grounds = DecisionContext {
            policy,
            outlook: &outlook,
            catalog,
            offers: &offers,
            spent: &spent,
            model_version: decision.model_version,
            now: ledger.time(decision.at),
            decision: decision.id,
        };
        let customer = as_it_was(today, &candidates, ledger.clone());
        let (again, after) = decide_as(&question, &customer, &candidates, &grounds, health);
        ledger = after;
        let value = |offer: &Offer| offer.factors.score() + offer.factors.attention_price;
        ReplayedDecision {
            expected_value: again.slate.iter().map(value).sum(),
            products: again.slate.into_iter().map(|offer| offer.product).collect(),
            withheld: again.withheld,
        }
    };
    decisions.iter().map(one).collect()
}

/// Today's customer without what would keep the candidates back for reasons that did not hold then.
fn as_it_was(today: &Customer, candidates: &[Candidate], ledger: Ledger) -> Customer {
    let mut customer = Customer {
        consents: Consents::default(),
        holds: Vec::new(),
        relationship: RelationshipState::default(),
        ledger,
        ..today.clone()
    };
    for candidate in candidates {
        customer.holdings.latest.remove(&candidate.product);
    }
    customer.holdings.forgotten.clear();
    customer
}

/// The hold or pause that was on. Customers of the control group are offered what they would be offered.
fn paused(decision: &Decision) -> Option<WithheldReason> {
    let mut kinds = decision.caps.iter().map(|cap| cap.kind);
    kinds.find(|&kind| is_pause(kind) && kind != CapKind::ControlGroup).map(withheld_reason)
}

/// As long as was asked for, where the record tells; else as long as callers get when they do not say.
fn offers_max(decision: &Decision) -> usize {
    let offered = decision.slate.len().max(decision.would_be_slate.len());
    let is_full =
        decision.rejected_candidates.iter().any(|rejected| rejected.ineligibility.reason == WithheldReason::SlateFull);
    if is_full && offered > 0 { offered } else { offered.max(OFFERS_MIN) }
}

/// What was weighed then and is on record, the likeliest first.
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
        let upgrade = replaces.map(|replaces| Upgrade { replaces, gains: offer.gains.clone() });
        candidate(&offer.product, &offer.factors, upgrade)
    });
    let left = decision
        .rejected_candidates
        .iter()
        .filter_map(|RejectedCandidate { product, factors, .. }| Some(candidate(product, factors.as_ref()?, None)));
    let mut all: Vec<Candidate> = offered.chain(left).collect();
    all.sort_by(|a, b| b.propensity.total_cmp(&a.propensity).then_with(|| a.product.cmp(&b.product)));
    let mut seen = BTreeSet::new();
    all.retain(|candidate| seen.insert(candidate.product.clone()));
    all
}
