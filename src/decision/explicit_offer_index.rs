//! Explicit offers, indexed by product for decisions.
//!
//! Of the explicit offers that apply, the one with the highest lever wins, then the cheapest; where none applies, the
//! product's implicit offer is made. An offer that is still open is served again under its own terms or not at all.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use super::conditions::condition::Condition;
use super::conditions::condition_context::ConditionContext;
use super::conditions::condition_error::ConditionError;
use super::offer_query::OfferQuery;
use crate::domain::channel::{ChannelRegistry, RegisteredChannel};
use crate::domain::explicit_offer::{AttributeKinds, ExplicitOffer};
use crate::domain::ids::{Channel, OfferId, ProductId};
use crate::domain::money::Money;
use crate::domain::product::Product;
use crate::domain::rejected_candidate::Ineligibility;
use crate::domain::time::Timestamp;
use crate::domain::withheld_reason::WithheldReason;

/// An explicit offer with its compiled condition.
#[derive(Debug)]
pub(crate) struct IndexedOffer {
    /// Terms of the offer.
    pub offer: ExplicitOffer,
    /// `Err` where a stored condition does not compile under the policy in force: it then holds for no customer.
    condition: Option<Result<Condition, ConditionError>>,
}

/// All explicit offers, by product.
#[derive(Debug)]
pub struct ExplicitOfferIndex {
    by_product: HashMap<ProductId, Vec<IndexedOffer>>,
    lever_max: f64,
}

impl Default for ExplicitOfferIndex {
    fn default() -> Self {
        Self::new(Vec::new(), &AttributeKinds::new())
    }
}

impl ExplicitOfferIndex {
    /// Compiles the conditions against the declared attributes, and sorts the offers of each product, preferred first.
    pub fn new(offers: Vec<ExplicitOffer>, kinds: &AttributeKinds) -> Self {
        let lever_max = offers.iter().map(|offer| offer.lever).fold(1.0, f64::max);
        let mut by_product: HashMap<ProductId, Vec<IndexedOffer>> = HashMap::new();
        for offer in offers {
            let condition = offer.condition.as_deref().map(|text| Condition::compile(text, kinds));
            by_product.entry(offer.product.clone()).or_default().push(IndexedOffer { offer, condition });
        }
        let price = |indexed: &IndexedOffer| indexed.offer.price.map_or(f64::INFINITY, Money::approximate);
        for offers in by_product.values_mut() {
            offers.sort_by(|a, b| {
                let by_lever = b.offer.lever.total_cmp(&a.offer.lever);
                by_lever.then(price(a).total_cmp(&price(b))).then_with(|| a.offer.id.cmp(&b.offer.id))
            });
        }
        Self { by_product, lever_max }
    }

    /// The highest lever of any offer, implicit ones included.
    pub(crate) fn lever_max(&self) -> f64 {
        self.lever_max
    }

    /// Explicit offers of a product, preferred first.
    pub(crate) fn of(&self, product: &ProductId) -> &[IndexedOffer] {
        self.by_product.get(product).map_or(&[], Vec::as_slice)
    }

    /// Looks up an explicit offer of a product.
    pub(crate) fn get(&self, product: &ProductId, id: &OfferId) -> Option<&ExplicitOffer> {
        self.of(product).iter().map(|indexed| &indexed.offer).find(|offer| offer.id == *id)
    }

    /// All explicit offers, in no particular order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &ExplicitOffer> {
        self.by_product.values().flatten().map(|indexed| &indexed.offer)
    }

    /// Offers whose conditions do not compile, ordered by id, each with the reason. They apply to no customer.
    pub(crate) fn unusable_conditions(&self) -> Vec<(&OfferId, &ConditionError)> {
        let indexed = self.by_product.values().flatten();
        let mut unusable: Vec<_> = indexed
            .filter_map(|indexed| Some((&indexed.offer.id, indexed.condition.as_ref()?.as_ref().err()?)))
            .collect();
        unusable.sort_unstable_by_key(|(offer, _)| *offer);
        unusable
    }
}

/// Circumstances under which terms are checked.
pub(super) struct TermsQuery<'a> {
    pub query: &'a OfferQuery<'a>,
    /// Channels of the policy, which resolve those of the terms.
    pub registry: &'a ChannelRegistry,
    /// Offers whose volume cap is known to be used up.
    pub exhausted_offers: &'a BTreeSet<OfferId>,
    pub now: Timestamp,
}

impl IndexedOffer {
    /// Whether the offer is of the kind that the query asks for.
    pub(super) fn is_for(&self, query: &OfferQuery<'_>) -> bool {
        self.offer.kind.is_none_or(|kind| kind == query.kind)
    }

    /// Checks whether the terms apply. An open offer used its share of the volume cap when it was granted.
    ///
    /// # Errors
    /// The first rule that rules the terms out.
    pub(super) fn check(
        &self,
        terms_query: &TermsQuery<'_>,
        condition_context: &ConditionContext<'_>,
        is_open: bool,
    ) -> Result<(), Ineligibility> {
        let ExplicitOffer { valid_from, valid_until, channels, placements, volume_cap, .. } = &self.offer;
        Ineligibility::unless_within(WithheldReason::OfferOutsideDates, *valid_from, *valid_until, terms_query.now)?;
        let queried = terms_query.query.channel.name();
        let is_queried =
            |channel: &Channel| terms_query.registry.resolve(channel).map(RegisteredChannel::name) == queried;
        let is_other_channel = !channels.is_empty() && (queried.is_none() || !channels.iter().any(is_queried));
        let is_other_placement = !placements.is_empty()
            && !terms_query.query.placement.is_some_and(|placement| placements.contains(placement));
        if is_other_channel || is_other_placement {
            return Err(WithheldReason::OfferElsewhere.into());
        }
        if let Some(condition) = &self.condition {
            let holds = condition.as_ref().is_ok_and(|condition| condition.holds(condition_context));
            if !holds {
                return Err(WithheldReason::OfferConditionUnmet.into());
            }
        }
        if let Some(cap) = volume_cap.filter(|_| !is_open && terms_query.exhausted_offers.contains(&self.offer.id)) {
            #[allow(clippy::cast_precision_loss, reason = "shown to people")]
            let cap = cap as f64;
            return Err(Ineligibility::observed(WithheldReason::VolumeCapReached, cap, cap + 1.0));
        }
        Ok(())
    }
}

/// The product under the terms: with their price, and a margin reduced by the same amount as the price.
pub(crate) fn product_under_terms<'p>(product: &'p Product, offer: Option<&ExplicitOffer>) -> Cow<'p, Product> {
    let Some(price) = offer.and_then(|offer| offer.price) else { return Cow::Borrowed(product) };
    let discount = product.price.and_then(|catalog_price| catalog_price.minus(price));
    let margin = product.margin.zip(discount).and_then(|(margin, discount)| margin.minus(discount));
    Cow::Owned(Product { price: Some(price), margin: margin.or(product.margin), ..product.clone() })
}
