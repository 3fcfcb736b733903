//! What could be offered to a customer, by the model: prepared where it was asked before and nothing has changed since.
//!
//! Ranking costs more than all the rest of an answer. What it makes of a customer who has no basket in hand is kept in the
//! store and holds for a day, as long as the model, the catalogue, what the customer has and the profile stay the same.
//! Rules, caps and health are never prepared: they are asked anew each time. Nothing is ranked by what is known of a
//! customer who objects to profiling.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::acceptance_counts::AcceptanceCounts;
use super::app::App;
use super::offer_request::OfferRequest;
use super::snapshot::Snapshot;
use crate::domain::cached_ranking::{CACHED_RANKING_LEN_MAX, CacheKey};
use crate::domain::candidate::{Candidate, Evidence, Proposal, Support};
use crate::domain::customer::Customer;
use crate::domain::offer::{OfferKind, PropensityBasis};
use crate::domain::time::{DAY, Timestamp};
use crate::model::acceptances::{Acceptances, Counts, LOOKS_BACK_DAYS};
use crate::model::bound_model::{Complements, CrossSellQuery, KnownCustomer, UpSellQuery, Upgrades};
use crate::model::held_product::{HeldProduct, held_products};
use crate::store::contract::error::StoreError;
use crate::store::contract::versioned::Versioned;

/// How long prepared candidates hold: what fades, fades by days.
const PREPARED_LIFE: Duration = DAY;

/// What the model proposes, moved by what came of offers.
pub(super) struct AdjustedProposal<'a> {
    ranked: ModelRanking<'a>,
    acceptance_counts: &'a AcceptanceCounts,
}

enum ModelRanking<'a> {
    CrossSell(Complements<'a>),
    UpSell(Upgrades),
}

impl Proposal for AdjustedProposal<'_> {
    fn candidates(&self) -> impl Iterator<Item = Candidate> {
        let (complements, upgrades) = match &self.ranked {
            ModelRanking::CrossSell(complements) => (Some(complements), None),
            ModelRanking::UpSell(upgrades) => (None, Some(upgrades)),
        };
        let complements = complements.into_iter().flat_map(Proposal::candidates);
        let mut ranked = complements.chain(upgrades.into_iter().flat_map(Proposal::candidates));
        let lifted = lifted(&mut ranked, &self.acceptance_counts.read());
        lifted.into_iter().chain(ranked)
    }

    fn support(&self, candidate: &Candidate) -> Support {
        let mut support = match &self.ranked {
            ModelRanking::CrossSell(complements) => complements.support(candidate),
            ModelRanking::UpSell(upgrades) => upgrades.support(candidate),
        };
        if candidate.acceptance_lift > 1.0 {
            let Counts { offered, accepted, promised: _ } = self.acceptance_counts.read().of(&candidate.product);
            support.evidence.push(Evidence::Accepted { accepted, offered, days: LOOKS_BACK_DAYS });
        }
        support
    }

    fn ranked_at(&self) -> Option<Timestamp> {
        match &self.ranked {
            ModelRanking::CrossSell(complements) => complements.ranked_at(),
            ModelRanking::UpSell(upgrades) => upgrades.ranked_at(),
        }
    }
}

/// The likeliest candidates, taken from all and put into order again with their propensities lifted. Those that are left
/// stay as they are: there are enough before them. None when nothing was counted yet.
fn lifted(ranked: &mut impl Iterator<Item = Candidate>, acceptances: &Acceptances) -> Vec<Candidate> {
    if acceptances.is_empty() {
        return Vec::new();
    }
    let lift = |mut candidate: Candidate| {
        if let Some(lift) = acceptances.lift(&candidate.product) {
            let lifted = (candidate.propensity * lift).min(1.0);
            candidate.acceptance_lift = lifted / candidate.propensity;
            candidate.propensity = lifted;
            candidate.propensity_basis = PropensityBasis::Outcomes;
        }
        candidate
    };
    let mut lifted: Vec<Candidate> = ranked.take(CACHED_RANKING_LEN_MAX).map(lift).collect();
    lifted.sort_by(|a, b| b.propensity.total_cmp(&a.propensity));
    lifted
}

/// Proposes, and keeps what was ranked of a customer who is stored.
pub(super) async fn propose<'a>(
    app: &'a App,
    snapshot: &'a Snapshot,
    request: &OfferRequest,
    customer: &Versioned<Customer>,
    now: Timestamp,
) -> Result<AdjustedProposal<'a>, StoreError> {
    let ranked = rank(app, snapshot, request, customer, now).await?;
    Ok(AdjustedProposal { ranked, acceptance_counts: &app.acceptance_counts })
}

async fn rank<'a>(
    app: &App,
    snapshot: &'a Snapshot,
    request: &OfferRequest,
    customer: &Versioned<Customer>,
    now: Timestamp,
) -> Result<ModelRanking<'a>, StoreError> {
    let Versioned { version, value: customer } = customer;
    // Who objects to profiling is a stranger to the model.
    let objects = customer.consents.objects_to_profiling;
    let known = if objects { KnownCustomer::default() } else { known(snapshot, customer, now) };
    if request.kind == OfferKind::UpSell {
        let owned = owned_products(request, customer, &known.holdings, now);
        return Ok(ModelRanking::UpSell(snapshot.model.up_sell(&UpSellQuery { customer: known, owned, now })));
    }
    let query = CrossSellQuery { customer: known, context: request.products.clone(), now };
    if *version == 0 || objects || !query.context.is_empty() {
        return Ok(ModelRanking::CrossSell(snapshot.model.cross_sell(&query)));
    }
    let cache_key = CacheKey {
        model_version: snapshot.model_version(),
        catalog: snapshot.model.catalog_digest(),
        customer: digest_of(customer, &query.customer),
    };
    let prepared = app.store.load_cached_ranking(&customer.id).await?.filter(|prepared| {
        prepared.cache_key == cache_key && now < prepared.ranked_at + PREPARED_LIFE && prepared.ranked_at <= now
    });
    let source = if prepared.is_some() { "cached" } else { "computed" };
    metrics::counter!("tactful_rankings_total", "source" => source).increment(1);
    if let Some(prepared) = prepared {
        return Ok(ModelRanking::CrossSell(snapshot.model.cross_sell_prepared(&query, prepared)));
    }
    let complements = snapshot.model.cross_sell(&query);
    app.store.put_cached_ranking(&customer.id, &complements.prepare(cache_key, now)).await?;
    Ok(ModelRanking::CrossSell(complements))
}

/// What a model may know of a customer.
fn known(snapshot: &Snapshot, customer: &Customer, now: Timestamp) -> KnownCustomer {
    let sensitive = &snapshot.policy.privacy.sensitive_attributes;
    let profile = customer.attributes.iter().filter(|(name, _)| !sensitive.contains(name));
    KnownCustomer {
        holdings: held_products(&customer.holdings, now),
        forgotten: customer.holdings.fingerprints.clone(),
        profile: profile.map(|(name, text)| (name.clone(), text.clone())).collect(),
    }
}

/// A digest of what a ranking looks at. Another version of tactful may make another one, and then ranks again.
fn digest_of(customer: &Customer, known: &KnownCustomer) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (product, holding) in customer.holdings.owned() {
        (product, holding.first_at, holding.last_at, holding.is_subscribed()).hash(&mut hasher);
    }
    (&known.forgotten, &known.profile).hash(&mut hasher);
    hasher.finish()
}

/// What upgrades are asked for: the products named, owned or not, else all that the customer has.
fn owned_products(
    request: &OfferRequest,
    customer: &Customer,
    holdings: &[HeldProduct],
    now: Timestamp,
) -> Vec<HeldProduct> {
    if request.products.is_empty() {
        return holdings.to_vec();
    }
    let named = request.products.iter().map(|product| {
        let holding = customer.holdings.latest.get(product);
        HeldProduct {
            product: product.clone(),
            first_at: holding.map_or(now, |holding| holding.first_at),
            last_at: holding.map_or(now, |holding| holding.last_at),
            usage_share: holding.and_then(|holding| holding.usage).map(|(_, share)| share),
        }
    });
    named.collect()
}
