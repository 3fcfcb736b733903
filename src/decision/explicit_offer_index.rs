//! Under which terms a product is offered: the explicit offers as decisions look them up.
//!
//! Of the explicit offers that apply the one with the highest lever is made, then the cheapest; where none applies, the
//! implicit offer. An offer that is still open is served again under its own terms or not at all.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use super::condition::{Condition, ConditionContext};
use super::offer_query::OfferQuery;
use crate::domain::decision::WithheldReason;
use crate::domain::explicit_offer::ExplicitOffer;
use crate::domain::ids::{OfferId, ProductId};
use crate::domain::money::Money;
use crate::domain::product::Product;
use crate::domain::rejected_candidate::Ineligibility;
use crate::domain::time::Timestamp;

/// An explicit offer with its condition read.
#[derive(Debug)]
pub struct IndexedOffer {
    /// The terms.
    pub offer: ExplicitOffer,
    /// `Err` where a stored condition does not parse any more: it holds for nobody.
    condition: Option<Result<Condition, String>>,
}

/// All explicit offers.
#[derive(Debug)]
pub struct ExplicitOfferIndex {
    by_product: HashMap<ProductId, Vec<IndexedOffer>>,
    lever_max: f64,
}

impl Default for ExplicitOfferIndex {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl ExplicitOfferIndex {
    /// Reads the conditions and sorts the offers of each product, the preferred one first.
    pub fn new(offers: Vec<ExplicitOffer>) -> Self {
        let lever_max = offers.iter().map(|offer| offer.lever).fold(1.0, f64::max);
        let mut by_product: HashMap<ProductId, Vec<IndexedOffer>> = HashMap::new();
        for offer in offers {
            let condition = offer.condition.as_deref().map(Condition::parse);
            by_product.entry(offer.product.clone()).or_default().push(IndexedOffer { offer, condition });
        }
        let price = |booked: &IndexedOffer| booked.offer.price.map_or(f64::INFINITY, Money::approximate);
        for offers in by_product.values_mut() {
            offers.sort_by(|a, b| {
                let by_lever = b.offer.lever.total_cmp(&a.offer.lever);
                by_lever.then(price(a).total_cmp(&price(b))).then_with(|| a.offer.id.cmp(&b.offer.id))
            });
        }
        Self { by_product, lever_max }
    }

    /// The highest lever of any offer, implicit ones included.
    pub fn lever_max(&self) -> f64 {
        self.lever_max
    }

    /// The explicit offers of a product, the preferred one first.
    pub fn of(&self, product: &ProductId) -> &[IndexedOffer] {
        self.by_product.get(product).map_or(&[], Vec::as_slice)
    }

    /// An explicit offer of a product.
    pub fn get(&self, product: &ProductId, id: &OfferId) -> Option<&ExplicitOffer> {
        self.of(product).iter().map(|booked| &booked.offer).find(|offer| offer.id == *id)
    }

    /// All of them, in no order.
    pub fn all(&self) -> impl Iterator<Item = &ExplicitOffer> {
        self.by_product.values().flatten().map(|booked| &booked.offer)
    }
}

/// What terms are looked at with.
pub(super) struct TermsQuery<'a> {
    pub question: &'a OfferQuery<'a>,
    /// Offers whose volume is known to be gone.
    pub spent: &'a BTreeSet<OfferId>,
    pub now: Timestamp,
}

impl IndexedOffer {
    /// True when the offer could be one for this question at all.
    pub(super) fn is_for(&self, question: &OfferQuery<'_>) -> bool {
        self.offer.kind.is_none_or(|kind| kind == question.kind)
    }

    /// The first rule that keeps these terms back. An open offer took its part of the volume when it was granted.
    pub(super) fn check<'f>(
        &self,
        asked: &TermsQuery<'_>,
        facts: impl Fn() -> &'f ConditionContext,
        is_open: bool,
    ) -> Result<(), Ineligibility> {
        let ExplicitOffer { valid_from, valid_until, channels, placements, volume_cap, .. } = &self.offer;
        Ineligibility::outside(WithheldReason::OfferOutsideDates, *valid_from, *valid_until, asked.now)?;
        let is_elsewhere = !channels.is_empty() && !asked.question.channel.is_some_and(|it| channels.contains(it));
        let is_not_here = !placements.is_empty() && !asked.question.placement.is_some_and(|it| placements.contains(it));
        if is_elsewhere || is_not_here {
            return Err(WithheldReason::OfferElsewhere.into());
        }
        if let Some(condition) = &self.condition {
            let holds = condition.as_ref().is_ok_and(|condition| condition.holds(facts()));
            if !holds {
                return Err(WithheldReason::OfferConditionUnmet.into());
            }
        }
        if let Some(cap) = volume_cap.filter(|_| !is_open && asked.spent.contains(&self.offer.id)) {
            #[allow(clippy::cast_precision_loss, reason = "shown to people")]
            let cap = cap as f64;
            return Err(Ineligibility::seen(WithheldReason::VolumeCapReached, cap, cap + 1.0));
        }
        Ok(())
    }
}

/// The product as it is under the terms: its price, and a margin that gives what the price gives.
pub fn under_terms<'p>(product: &'p Product, offer: Option<&ExplicitOffer>) -> Cow<'p, Product> {
    let Some(price) = offer.and_then(|offer| offer.price) else { return Cow::Borrowed(product) };
    let discount = product.price.and_then(|catalog_price| catalog_price.minus(price));
    let margin = product.margin.zip(discount).and_then(|(margin, discount)| margin.minus(discount));
    Cow::Owned(Product { price: Some(price), margin: margin.or(product.margin), ..product.clone() })
}
