//! Hard rules: may this product be offered to this customer at all? Each refusal has its reason.

use std::cell::OnceCell;

use crate::domain::candidate::Candidate;
use crate::domain::customer::Customer;
use crate::domain::decision::WithheldReason;
use crate::domain::explicit_offer::ExplicitOffer;
use crate::domain::ids::{OfferId, ProductId};
use crate::domain::ledger::Grant;
use crate::domain::offer::OfferKind;
use crate::domain::product::{LadderPosition, Product};
use crate::domain::rejected_candidate::Ineligibility;
use crate::domain::time::Timestamp;

use super::condition::ConditionContext;
use super::explicit_offer_index::TermsQuery;
use super::grants;
use super::offer_query::{DecisionContext, OfferQuery};

/// What is never offered together with a product.
pub fn others_of<'p>(
    pairs: &'p [(ProductId, ProductId)],
    product: &'p ProductId,
) -> impl Iterator<Item = &'p ProductId> {
    pairs.iter().filter_map(move |(a, b)| match () {
        () if a == product => Some(b),
        () if b == product => Some(a),
        () => None,
    })
}

/// What the hard rules look at beside the candidate.
pub struct EligibilityContext<'a> {
    question: &'a OfferQuery<'a>,
    customer: &'a Customer,
    grounds: &'a DecisionContext<'a>,
    /// What the customer has that matters to other products: it stands on a ladder, or excludes something. Products of
    /// the question count as had.
    had: Vec<&'a Product>,
    /// What conditions see of the customer, made for the first one that looks.
    facts: OnceCell<ConditionContext>,
}

impl<'a> EligibilityContext<'a> {
    /// The circumstances of one question.
    pub fn new(question: &'a OfferQuery<'a>, customer: &'a Customer, grounds: &'a DecisionContext<'a>) -> Self {
        let owned = customer.holdings.owned().map(|(product, _)| product);
        let had = owned.chain(question.products).filter_map(|product| grounds.catalog.get(product));
        let had = had.filter(|product| product.rung.is_some() || !product.excludes.is_empty()).collect();
        Self { question, customer, grounds, had, facts: OnceCell::new() }
    }

    /// The product of a candidate that may be offered.
    ///
    /// # Errors
    /// The first rule that refuses it.
    pub fn check(&self, candidate: &Candidate) -> Result<&'a Product, Ineligibility> {
        let product = self.grounds.catalog.get(&candidate.product).ok_or(WithheldReason::NotInCatalog)?;
        if self.question.excluded.contains(&product.id) {
            return Err(WithheldReason::ExcludedByCaller.into());
        }
        if self.question.products.contains(&product.id) {
            return Err(WithheldReason::InContext.into());
        }
        if !product.available {
            return Err(WithheldReason::Unavailable.into());
        }
        let (from, until) = (product.available_from, product.available_until);
        Ineligibility::outside(WithheldReason::OutsideDates, from, until, self.grounds.now)?;
        if self.question.currency.is_some_and(|wanted| product.price.is_none_or(|price| price.currency() != wanted)) {
            return Err(WithheldReason::OtherCurrency.into());
        }
        if !product.repeatable && self.customer.holdings.owns(&product.id) {
            return Err(WithheldReason::Owned.into());
        }
        let replaced = candidate.upgrade.as_ref().map(|upgrade| &upgrade.replaces);
        self.check_relations(product, replaced)?;
        self.check_ladder(product, replaced)?;
        self.check_rules(product)?;
        self.check_ledger(product)?;
        Ok(product)
    }

    /// The grant under which this product can be served again for free.
    pub fn open_grant(&self, product: &ProductId) -> Option<&Grant> {
        self.customer.ledger.grants.iter().find(|grant| {
            grant.product == *product
                && grant.kind == self.question.kind
                && grant.channel.as_ref() == self.question.channel
                && grants::is_open(grant, self.grounds.now)
        })
    }

    /// The terms under which a product is offered, `open` being its open grant; `None` for the implicit offer. `refuse` is told of terms that do not
    /// apply.
    ///
    /// # Errors
    /// When the product is open under terms that do not apply any more.
    pub fn terms(
        &self,
        product: &ProductId,
        open: Option<&Grant>,
        mut refuse: impl FnMut(&OfferId, Ineligibility),
    ) -> Result<Option<&'a ExplicitOffer>, Ineligibility> {
        let booked = self.grounds.offers.of(product);
        let DecisionContext { policy, spent, now, .. } = *self.grounds;
        let asked = TermsQuery { question: self.question, spent, now };
        let privacy = &policy.privacy;
        let made = || ConditionContext::of(self.customer, &policy.condition_attributes, &privacy.sensitive_attributes);
        let facts = || self.facts.get_or_init(made);
        if let Some(Grant { offer, .. }) = open {
            if offer.is_implicit() {
                return Ok(None);
            }
            let open = booked.iter().find(|booked| booked.offer.id == *offer && booked.is_for(self.question));
            let open = open.ok_or(WithheldReason::OfferOutsideDates)?;
            return open.check(&asked, facts, true).map(|()| Some(&open.offer));
        }
        for booked in booked.iter().filter(|booked| booked.is_for(self.question)) {
            match booked.check(&asked, facts, false) {
                Ok(()) => return Ok(Some(&booked.offer)),
                Err(ineligibility) => refuse(&booked.offer.id, ineligibility),
            }
        }
        Ok(None)
    }

    fn has(&self, product: &ProductId) -> bool {
        self.question.products.contains(product) || self.customer.holdings.owns(product)
    }

    fn check_relations(&self, product: &Product, replaced: Option<&ProductId>) -> Result<(), Ineligibility> {
        if let Some(missing) = product.requires.iter().find(|required| !self.has(required)) {
            return Err(Ineligibility::by(WithheldReason::RequirementMissing, missing));
        }
        let excluded = product.excludes.iter().find(|other| Some(*other) != replaced && self.has(other));
        let excluding = self
            .had
            .iter()
            .find(|had| Some(&had.id) != replaced && had.id != product.id && had.excludes.contains(&product.id));
        match excluded.or(excluding.map(|had| &had.id)) {
            Some(other) => Err(Ineligibility::by(WithheldReason::ExcludedByHolding, other)),
            None => Ok(()),
        }
    }

    /// Cross-sell never offers from a ladder the customer is on; up-sell never offers a rung no higher than one held.
    fn check_ladder(&self, product: &Product, replaced: Option<&ProductId>) -> Result<(), Ineligibility> {
        let Some(LadderPosition { ladder, tier }) = &product.rung else { return Ok(()) };
        let held = self.had.iter().filter(|had| had.id != product.id);
        let mut held = held.filter_map(|had| Some((&had.id, had.rung.as_ref().filter(|rung| rung.ladder == *ladder)?)));
        match (self.question.kind, replaced) {
            (OfferKind::CrossSell, _) => match held.next() {
                Some((on_ladder, _)) => Err(Ineligibility::by(WithheldReason::SameLadder, on_ladder)),
                None => Ok(()),
            },
            (OfferKind::UpSell, Some(_)) => match held.find(|(_, rung)| rung.tier >= *tier) {
                Some((as_good, rung)) => Err(Ineligibility {
                    other: Some(as_good.clone()),
                    ..Ineligibility::seen(WithheldReason::NotBetter, f64::from(*tier), f64::from(rung.tier) + 1.0)
                }),
                None => Ok(()),
            },
            (OfferKind::UpSell, None) => Ok(()),
        }
    }

    /// The rules of the policy, as far as they look at what the customer has and was offered. What they say about one
    /// slate is for [`choose`](super::slate::choose) to see.
    fn check_rules(&self, product: &Product) -> Result<(), Ineligibility> {
        let contact = &self.grounds.policy.contact;
        let missing = contact.only_after.iter().find(|rule| rule.product == product.id && !self.has(&rule.after));
        if let Some(rule) = missing {
            return Err(Ineligibility::by(WithheldReason::OnlyAfter, &rule.after));
        }
        let now = self.grounds.now;
        for rule in contact.never_after.iter().filter(|rule| rule.then == product.id) {
            let granted = self.customer.ledger.grants.iter().filter(|grant| grant.product == rule.first);
            let until = granted.map(|grant| grant.granted_at + rule.within).max().filter(|&until| now < until);
            if until.is_some() {
                return Err(Ineligibility { until, ..Ineligibility::by(WithheldReason::NeverAfter, &rule.first) });
            }
        }
        for other in others_of(&contact.never_together, &product.id) {
            let granted = self.customer.ledger.grants.iter().filter(|grant| grant.product == *other);
            if let Some(open) = granted.filter(|grant| grants::is_open(grant, now)).max_by_key(|grant| grant.open_until)
            {
                let until = Some(open.open_until);
                return Err(Ineligibility { until, ..Ineligibility::by(WithheldReason::NeverTogether, other) });
            }
        }
        Ok(())
    }

    fn check_ledger(&self, product: &Product) -> Result<(), Ineligibility> {
        let ledger = &self.customer.ledger;
        let resting = ledger.resting_products.iter().find(|resting| resting.product == product.id);
        if let Some(resting) = resting.filter(|resting| self.grounds.now < resting.until) {
            return Err(Ineligibility::until(WithheldReason::Declined, Some(resting.until)));
        }
        let contact = &self.grounds.policy.contact;
        let counting = ledger.grants.iter().filter(|grant| grant.product == product.id);
        let counting = counting.filter(|grant| grants::counts(grant, contact, self.grounds.now));
        let mut ends: Vec<Timestamp> = counting.map(|grant| grant.granted_at + contact.cap_window).collect();
        ends.sort_unstable_by(|a, b| b.cmp(a));
        // Once this one has left the window, one fewer than allowed are in it.
        let until = ends.get(usize::try_from(contact.per_offer).unwrap_or(usize::MAX).saturating_sub(1));
        if until.is_some() && self.open_grant(&product.id).is_none() {
            return Err(Ineligibility::until(WithheldReason::OfferedRecently, until.copied()));
        }
        Ok(())
    }
}
