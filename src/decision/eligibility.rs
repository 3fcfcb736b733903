//! Hard rules: may this product be offered to this customer at all? Each refusal has its reason.

use crate::domain::candidate::Candidate;
use crate::domain::customer::Customer;
use crate::domain::decision::WithheldReason;
use crate::domain::ids::ProductId;
use crate::domain::ledger::Grant;
use crate::domain::offer::OfferKind;
use crate::domain::product::{Product, Rung};

use super::grants;
use super::question::{Grounds, Question};

/// What the hard rules look at beside the candidate.
pub struct Circumstances<'a> {
    question: &'a Question<'a>,
    customer: &'a Customer,
    grounds: &'a Grounds<'a>,
    /// What the customer has that matters to other products: it stands on a ladder, or excludes something. Products of
    /// the question count as had.
    had: Vec<&'a Product>,
}

impl<'a> Circumstances<'a> {
    /// The circumstances of one question.
    #[must_use]
    pub fn new(question: &'a Question<'a>, customer: &'a Customer, grounds: &'a Grounds<'a>) -> Self {
        let owned = customer.holdings.owned().map(|(product, _)| product);
        let had = owned.chain(question.products).filter_map(|product| grounds.catalog.get(product));
        let had = had.filter(|product| product.rung.is_some() || !product.excludes.is_empty()).collect();
        Self { question, customer, grounds, had }
    }

    /// The product of a candidate that may be offered.
    ///
    /// # Errors
    /// The first rule that refuses it.
    pub fn check(&self, candidate: &Candidate) -> Result<&'a Product, WithheldReason> {
        let product = self.grounds.catalog.get(&candidate.product).ok_or(WithheldReason::NotInCatalog)?;
        if self.question.excluded.contains(&product.id) {
            return Err(WithheldReason::ExcludedByCaller);
        }
        if self.question.products.contains(&product.id) {
            return Err(WithheldReason::InContext);
        }
        if !product.available {
            return Err(WithheldReason::Unavailable);
        }
        let is_too_early = product.available_from.is_some_and(|from| self.grounds.now < from);
        let is_too_late = product.available_until.is_some_and(|until| self.grounds.now >= until);
        if is_too_early || is_too_late {
            return Err(WithheldReason::OutsideDates);
        }
        if self.question.currency.is_some_and(|wanted| product.price.is_none_or(|price| price.currency() != wanted)) {
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
                && grant.kind == self.question.kind
                && grant.channel.as_ref() == self.question.channel
                && grants::is_open(grant, self.grounds.now)
        })
    }

    fn has(&self, product: &ProductId) -> bool {
        self.question.products.contains(product) || self.customer.holdings.owns(product)
    }

    fn check_relations(&self, product: &Product, replaced: Option<&ProductId>) -> Result<(), WithheldReason> {
        if !product.requires.iter().all(|required| self.has(required)) {
            return Err(WithheldReason::RequirementMissing);
        }
        let excludes_something = product.excludes.iter().any(|other| Some(other) != replaced && self.has(other));
        let is_excluded_by_something = self
            .had
            .iter()
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
            .had
            .iter()
            .filter(|had| had.id != product.id)
            .filter_map(|had| had.rung.as_ref())
            .filter(|rung| rung.ladder == *ladder);
        match (self.question.kind, replaced) {
            (OfferKind::CrossSell, _) if rungs_held.next().is_some() => Err(WithheldReason::SameLadder),
            (OfferKind::UpSell, Some(_)) if rungs_held.any(|rung| rung.tier >= *tier) => Err(WithheldReason::NotBetter),
            (OfferKind::CrossSell | OfferKind::UpSell, _) => Ok(()),
        }
    }

    fn check_ledger(&self, product: &Product) -> Result<(), WithheldReason> {
        let ledger = &self.customer.ledger;
        let is_resting = |resting: &&crate::domain::ledger::RestingProduct| resting.product == product.id;
        if ledger.resting_products.iter().find(is_resting).is_some_and(|resting| self.grounds.now < resting.until) {
            return Err(WithheldReason::Declined);
        }
        let was_granted = ledger.grants.iter().any(|grant| {
            grant.product == product.id && grants::counts(grant, &self.grounds.policy.contact, self.grounds.now)
        });
        if was_granted && self.open_grant(&product.id).is_none() {
            return Err(WithheldReason::OfferedRecently);
        }
        Ok(())
    }
}
