//! Hard rules: may this product be offered to this customer at all? Each refusal has its reason.

use std::collections::BTreeSet;

use crate::domain::candidate::Candidate;
use crate::domain::catalog::Catalog;
use crate::domain::customer::Customer;
use crate::domain::decision::WithheldReason;
use crate::domain::ids::{Channel, ProductId};
use crate::domain::ledger::Grant;
use crate::domain::money::Currency;
use crate::domain::offer::OfferKind;
use crate::domain::policy::ContactPolicy;
use crate::domain::product::{Product, Rung};
use crate::domain::time::Timestamp;

use super::grants;

/// What the hard rules look at beside the candidate.
pub struct Circumstances<'a> {
    /// The customer.
    pub customer: &'a Customer,
    /// The catalogue.
    pub catalog: &'a Catalog,
    /// Cross-sell or up-sell.
    pub kind: OfferKind,
    /// The basket or page, or the products named as owned: they count as owned for this call.
    pub products: &'a [ProductId],
    /// Never offer these.
    pub excluded: &'a BTreeSet<ProductId>,
    /// Only products priced in this currency.
    pub currency: Option<Currency>,
    /// The channel asked for.
    pub channel: Option<&'a Channel>,
    /// Caps and windows.
    pub policy: &'a ContactPolicy,
    /// Now.
    pub now: Timestamp,
}

impl Circumstances<'_> {
    /// The product of a candidate that may be offered.
    ///
    /// # Errors
    /// The first rule that refuses it.
    pub fn check(&self, candidate: &Candidate) -> Result<&Product, WithheldReason> {
        let product = self.catalog.get(&candidate.product).ok_or(WithheldReason::NotInCatalog)?;
        if self.excluded.contains(&product.id) {
            return Err(WithheldReason::ExcludedByCaller);
        }
        if self.products.contains(&product.id) {
            return Err(WithheldReason::InContext);
        }
        if !product.available {
            return Err(WithheldReason::Unavailable);
        }
        let is_too_early = product.available_from.is_some_and(|from| self.now < from);
        let is_too_late = product.available_until.is_some_and(|until| self.now >= until);
        if is_too_early || is_too_late {
            return Err(WithheldReason::OutsideDates);
        }
        if self.currency.is_some_and(|wanted| product.price.is_none_or(|price| price.currency() != wanted)) {
            return Err(WithheldReason::OtherCurrency);
        }
        if !product.repeatable && self.customer.holdings.owns(&product.id) {
            return Err(WithheldReason::Owned);
        }
        let replaced = candidate.upgrade.as_ref().map(|upgrade| &upgrade.replaces);
        self.check_relations(product, replaced)?;
        self.check_ladder(product, replaced)?;
        self.check_ledger(product)?;
        Ok(product)
    }

    /// The grant under which this product can be served again for free.
    #[must_use]
    pub fn open_grant(&self, product: &ProductId) -> Option<&Grant> {
        self.customer.ledger.grants.iter().find(|grant| {
            grant.product == *product
                && grant.kind == self.kind
                && grant.channel.as_ref() == self.channel
                && grants::is_open(grant, self.now)
        })
    }

    fn has(&self, product: &ProductId) -> bool {
        self.products.contains(product) || self.customer.holdings.owns(product)
    }

    /// What the customer has, the products of this call included, as far as the catalogue knows it.
    fn things_had(&self) -> impl Iterator<Item = &Product> {
        let owned = self.customer.holdings.owned().map(|(product, _)| product);
        owned.chain(self.products).filter_map(|product| self.catalog.get(product))
    }

    fn check_relations(&self, product: &Product, replaced: Option<&ProductId>) -> Result<(), WithheldReason> {
        if !product.requires.iter().all(|required| self.has(required)) {
            return Err(WithheldReason::RequirementMissing);
        }
        let excludes_something = product.excludes.iter().any(|other| Some(other) != replaced && self.has(other));
        let is_excluded_by_something = self
            .things_had()
            .any(|had| Some(&had.id) != replaced && had.id != product.id && had.excludes.contains(&product.id));
        if excludes_something || is_excluded_by_something {
            return Err(WithheldReason::ExcludedByHolding);
        }
        Ok(())
    }

    /// Cross-sell never offers from a ladder the customer is on; up-sell never offers a rung no higher than one held.
    fn check_ladder(&self, product: &Product, replaced: Option<&ProductId>) -> Result<(), WithheldReason> {
        let Some(Rung { ladder, tier }) = &product.rung else { return Ok(()) };
        let mut rungs_held = self
            .things_had()
            .filter(|had| had.id != product.id)
            .filter_map(|had| had.rung.as_ref())
            .filter(|rung| rung.ladder == *ladder);
        match (self.kind, replaced) {
            (OfferKind::CrossSell, _) if rungs_held.next().is_some() => Err(WithheldReason::SameLadder),
            (OfferKind::UpSell, Some(_)) if rungs_held.any(|rung| rung.tier >= *tier) => Err(WithheldReason::NotBetter),
            (OfferKind::CrossSell | OfferKind::UpSell, _) => Ok(()),
        }
    }

    fn check_ledger(&self, product: &Product) -> Result<(), WithheldReason> {
        let ledger = &self.customer.ledger;
        let is_resting = |resting: &&crate::domain::ledger::RestingProduct| resting.product == product.id;
        if ledger.resting_products.iter().find(is_resting).is_some_and(|resting| self.now < resting.until) {
            return Err(WithheldReason::Declined);
        }
        let was_granted = ledger
            .grants
            .iter()
            .any(|grant| grant.product == product.id && grants::counts(grant, self.policy, self.now));
        if was_granted && self.open_grant(&product.id).is_none() {
            return Err(WithheldReason::OfferedRecently);
        }
        Ok(())
    }
}
