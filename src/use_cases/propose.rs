//! Candidates for a customer, ranked by the model or taken from the cached ranking.
//!
//! Ranking costs more than the rest of a call. The ranking for a customer without a basket is cached in the store for a day,
//! as long as model, catalogue, holdings and profile stay the same. Rules, caps and health are never cached: they apply anew
//! to each call. Customers who object to profiling are ranked as anonymous.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::acceptance_counts::AcceptanceCounts;
use super::app::App;
use super::offer_request::OfferRequest;
use super::snapshot::Snapshot;
use crate::domain::cached_ranking::{CACHED_RANKING_LEN_MAX, CacheKey, CachedRanking};
use crate::domain::candidate::{Candidate, Proposal, SUPPORT_MIN, Support};
use crate::domain::customer::Customer;
use crate::domain::evidence::Evidence;
use crate::domain::holdings::Holding;
use crate::domain::offer::{OfferKind, PropensityBasis};
use crate::domain::time::{DAY, Timestamp};
use crate::model::acceptances::{Acceptances, LOOKBACK_DAYS, OfferCounts};
use crate::model::complements::Complements;
use crate::model::held_product::{HeldProduct, held_products};
use crate::model::offer_queries::{CrossSellQuery, CustomerContext, UpSellQuery};
use crate::model::upgrades::Upgrades;
use crate::store::contract::error::StoreError;
use crate::store::contract::versioned::Versioned;

/// Lifetime of a cached ranking: recency weights change by the day.
const CACHED_RANKING_LIFETIME: Duration = DAY;

/// Candidates of the model, with propensities adjusted by the acceptances of earlier offers.
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
        let adjusted = take_adjusted(&mut ranked, &self.acceptance_counts.read());
        adjusted.into_iter().chain(ranked)
    }

    fn support(&self, candidate: &Candidate) -> Support {
        let mut support = match &self.ranked {
            ModelRanking::CrossSell(complements) => complements.support(candidate),
            ModelRanking::UpSell(upgrades) => upgrades.support(candidate),
        };
        if candidate.acceptance_lift > 1.0 {
            let OfferCounts { offered, accepted, expected: _ } =
                self.acceptance_counts.read().counts(&candidate.product);
            if accepted >= SUPPORT_MIN {
                support.evidence.push(Evidence::Accepted { accepted, offered, days: LOOKBACK_DAYS });
            }
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

/// Takes the likeliest candidates and reorders them by their adjusted propensities. The candidates that remain in `ranked`
/// stay as they are: enough precede them. Takes none when no offer was counted yet.
fn take_adjusted(ranked: &mut impl Iterator<Item = Candidate>, acceptances: &Acceptances) -> Vec<Candidate> {
    if acceptances.is_empty() {
        return Vec::new();
    }
    let adjust = |mut candidate: Candidate| {
        if let Some(lift) = acceptances.lift(&candidate.product) {
            let propensity = (candidate.propensity * lift).min(1.0);
            candidate.acceptance_lift = propensity / candidate.propensity;
            candidate.propensity = propensity;
            candidate.propensity_basis = PropensityBasis::Outcomes;
        }
        candidate
    };
    let mut adjusted: Vec<Candidate> = ranked.take(CACHED_RANKING_LEN_MAX).map(adjust).collect();
    adjusted.sort_by(|a, b| b.propensity.total_cmp(&a.propensity));
    adjusted
}

/// Proposes candidates, and caches a new ranking of a stored customer.
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
    // Customers who object to profiling are ranked as anonymous.
    let objects = customer.consents.objects_to_profiling;
    let known = if objects { CustomerContext::default() } else { known_customer(snapshot, customer, now) };
    if request.kind == OfferKind::UpSell {
        let owned = owned_products(request, customer, &known.holdings, now);
        let low_usage_share = snapshot.policy.arbitration.low_usage_share;
        let query = UpSellQuery { customer: known, owned, low_usage_share, now };
        return Ok(ModelRanking::UpSell(snapshot.model.up_sell(&query)));
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
    let is_valid = |cached: &CachedRanking| {
        cached.cache_key == cache_key && now < cached.ranked_at + CACHED_RANKING_LIFETIME && cached.ranked_at <= now
    };
    let cached = app.store.load_cached_ranking(&customer.id).await?.filter(is_valid);
    let source = if cached.is_some() { "cached" } else { "computed" };
    metrics::counter!("tactful_rankings_total", "source" => source).increment(1);
    if let Some(cached) = cached {
        return Ok(ModelRanking::CrossSell(snapshot.model.cross_sell_from_cache(&query, cached)));
    }
    let complements = snapshot.model.cross_sell(&query);
    app.store.put_cached_ranking(&customer.id, &complements.cached_ranking(cache_key, now)).await?;
    Ok(ModelRanking::CrossSell(complements))
}

/// Returns what the model may use of a customer: holdings, and attributes that are not sensitive.
fn known_customer(snapshot: &Snapshot, customer: &Customer, now: Timestamp) -> CustomerContext {
    let sensitive = &snapshot.policy.privacy.sensitive_attributes;
    let profile = customer.attributes.iter().filter(|(name, _)| !sensitive.contains(name));
    CustomerContext {
        holdings: held_products(&customer.holdings, now),
        forgotten: customer.holdings.evicted_fingerprints(),
        profile: profile.map(|(name, text)| (name.clone(), text.clone())).collect(),
    }
}

/// Digest of everything about a customer that a ranking depends on. A new version of tactful may compute another digest,
/// which makes cached rankings miss.
fn digest_of(customer: &Customer, known: &CustomerContext) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (product, holding) in customer.holdings.owned() {
        (product, holding.first_at(), holding.last_at(), holding.is_subscribed()).hash(&mut hasher);
    }
    (&known.forgotten, &known.profile).hash(&mut hasher);
    hasher.finish()
}

/// Returns the products to upgrade: those of the request, owned or not, otherwise everything the customer has.
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
            first_at: holding.map_or(now, Holding::first_at),
            last_at: holding.map_or(now, Holding::last_at),
            usage: holding.map_or_else(Vec::new, |holding| holding.usage.as_of(holding.first_at(), now)),
        }
    });
    named.collect()
}
