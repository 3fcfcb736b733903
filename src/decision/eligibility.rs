//! Hard eligibility rules: whether a product may be offered to a customer at all, with the reason where it may not.

use crate::domain::candidate::{AllowanceUse, Candidate};
use crate::domain::customer::Customer;
use crate::domain::explicit_offer::ExplicitOffer;
use crate::domain::ids::{OfferId, ProductId};
use crate::domain::ledger::{CustomerResponse, GRANTS_KEPT, Grant};
use crate::domain::offer::OfferKind;
use crate::domain::product::{LadderPosition, Product};
use crate::domain::rejected_candidate::Ineligibility;
use crate::domain::time::Timestamp;
use crate::domain::withheld_reason::WithheldReason;

use super::channel_rules::is_on_channel;
use super::conditions::condition_context::ConditionContext;
use super::decision_context::DecisionContext;
use super::explicit_offer_index::TermsQuery;
use super::grants;
use super::offer_query::OfferQuery;
use super::resting_products::RestingProducts;

/// Products that the policy never offers together with this one.
pub(super) fn never_together_with<'p>(
    pairs: &'p [(ProductId, ProductId)],
    product: &'p ProductId,
) -> impl Iterator<Item = &'p ProductId> {
    pairs.iter().filter_map(move |(a, b)| match () {
        () if a == product => Some(b),
        () if b == product => Some(a),
        () => None,
    })
}

/// Inputs of the hard rules beside the candidate.
pub(super) struct EligibilityContext<'a> {
    query: &'a OfferQuery<'a>,
    customer: &'a Customer,
    context: &'a DecisionContext<'a>,
    /// Owned products that bear on others, because they are on a ladder or exclude something. Products of the query
    /// count as owned.
    owned: Vec<&'a Product>,
    /// Products that the customer declined or gave up recently.
    resting: RestingProducts<'a>,
    condition_context: ConditionContext<'a>,
}

impl<'a> EligibilityContext<'a> {
    pub fn new(query: &'a OfferQuery<'a>, customer: &'a Customer, context: &'a DecisionContext<'a>) -> Self {
        let owned = customer.holdings.owned().map(|(product, _)| product);
        let owned = owned.chain(query.products).filter_map(|product| context.catalog.get(product));
        let owned = owned.filter(|product| product.ladder_position.is_some() || !product.excludes.is_empty()).collect();
        let sensitive = &context.policy.privacy.sensitive_attributes;
        let condition_context = ConditionContext::new(customer, &context.policy.condition_attributes, sensitive);
        let resting = RestingProducts::of(customer, context);
        Self { query, customer, context, owned, resting, condition_context }
    }

    /// Returns the product of an eligible candidate.
    ///
    /// # Errors
    /// The first rule that rejects it.
    pub fn check(&self, candidate: &Candidate) -> Result<&'a Product, Ineligibility> {
        let product = self.context.catalog.get(&candidate.product).ok_or(WithheldReason::NotInCatalog)?;
        if self.query.excluded.contains(&product.id) {
            return Err(WithheldReason::ExcludedByCaller.into());
        }
        if self.query.products.contains(&product.id) {
            return Err(WithheldReason::InContext.into());
        }
        if !product.available {
            return Err(WithheldReason::Unavailable.into());
        }
        let (from, until) = (product.available_from, product.available_until);
        Ineligibility::unless_within(WithheldReason::OutsideDates, from, until, self.context.now)?;
        if self.query.currency.is_some_and(|wanted| product.price.is_none_or(|price| price.currency() != wanted)) {
            return Err(WithheldReason::OtherCurrency.into());
        }
        if !product.repeatable && self.customer.holdings.owns(&product.id) {
            return Err(WithheldReason::Owned.into());
        }
        let replaced = candidate.upgrade.as_ref().map(|upgrade| &upgrade.replaces);
        self.check_variants(product, replaced)?;
        self.check_relations(product, replaced)?;
        self.check_ladder(product, replaced)?;
        self.check_usage(candidate)?;
        self.check_rules(product, replaced)?;
        self.check_ledger(product)?;
        Ok(product)
    }

    /// The open grant under which this product can be served again without counting again: the latest on this channel.
    pub fn open_grant(&self, product: &ProductId) -> Option<&'a Grant> {
        self.customer.ledger.grants.iter().rfind(|grant| {
            grant.product == *product
                && grant.kind == self.query.kind
                && is_on_channel(grant, self.query.channel, &self.context.policy.contact.channels)
                && grants::is_open(grant, &self.context.policy.contact, self.context.now)
        })
    }

    /// Returns the terms under which a product is offered; `None` for the implicit offer. `open` is the product's open
    /// grant; `reject` is called for each explicit offer that does not apply.
    ///
    /// # Errors
    /// When the product is open under terms that do not apply any more.
    pub fn terms(
        &self,
        product: &ProductId,
        open: Option<&Grant>,
        mut reject: impl FnMut(&OfferId, Ineligibility),
    ) -> Result<Option<&'a ExplicitOffer>, Ineligibility> {
        let indexed = self.context.offers.of(product);
        let DecisionContext { policy, exhausted_offers, now, .. } = *self.context;
        let registry = &policy.contact.channels;
        let terms_query = TermsQuery { query: self.query, registry, exhausted_offers, now };
        if let Some(Grant { offer, .. }) = open {
            if offer.is_implicit() {
                return Ok(None);
            }
            let open = indexed.iter().find(|indexed| indexed.offer.id == *offer && indexed.is_for(self.query));
            let open = open.ok_or(WithheldReason::OfferOutsideDates)?;
            return open.check(&terms_query, &self.condition_context, true).map(|()| Some(&open.offer));
        }
        for indexed in indexed.iter().filter(|indexed| indexed.is_for(self.query)) {
            match indexed.check(&terms_query, &self.condition_context, false) {
                Ok(()) => return Ok(Some(&indexed.offer)),
                Err(ineligibility) => reject(&indexed.offer.id, ineligibility),
            }
        }
        Ok(None)
    }

    /// Whether the customer owns the product or has it in the basket.
    fn has(&self, product: &ProductId) -> bool {
        self.query.products.contains(product) || self.customer.holdings.owns(product)
    }

    fn check_relations(&self, product: &Product, replaced: Option<&ProductId>) -> Result<(), Ineligibility> {
        if let Some(missing) = product.requires.iter().find(|required| !self.has(required)) {
            return Err(Ineligibility::because_of(WithheldReason::RequirementMissing, missing));
        }
        let excluded = product.excludes.iter().find(|other| Some(*other) != replaced && self.has(other));
        let excludes_product = |owned: &Product| {
            Some(&owned.id) != replaced && owned.id != product.id && owned.excludes.contains(&product.id)
        };
        let excluding = self.owned.iter().find(|owned| excludes_product(owned));
        match excluded.or(excluding.map(|owned| &owned.id)) {
            Some(other) => Err(Ineligibility::because_of(WithheldReason::ExcludedByHolding, other)),
            None => Ok(()),
        }
    }

    /// A variant of what the customer has is not offered, but for a higher tier of it, and for another one of what is bought
    /// again and again. Beside a variant in the basket none is offered.
    fn check_variants(&self, product: &Product, replaced: Option<&ProductId>) -> Result<(), Ineligibility> {
        let mut variants = self.context.catalog.variants_of(&product.id).map(|variant| &variant.id);
        let has = |variant: &&ProductId| {
            let is_named = self.query.products.contains(variant);
            is_named || (!product.repeatable && self.customer.holdings.owns(variant))
        };
        match variants.find(|variant| Some(*variant) != replaced && has(variant)) {
            Some(variant) => Err(Ineligibility::because_of(WithheldReason::VariantOwned, variant)),
            None => Ok(()),
        }
    }

    /// Cross-sell never offers from a ladder the customer is on; up-sell never offers a tier no higher than an owned one.
    fn check_ladder(&self, product: &Product, replaced: Option<&ProductId>) -> Result<(), Ineligibility> {
        let Some(LadderPosition { ladder, tier }) = &product.ladder_position else { return Ok(()) };
        let others = self.owned.iter().filter(|owned| owned.id != product.id);
        let mut owned_on_ladder = others.filter_map(|owned| {
            let position = owned.ladder_position.as_ref().filter(|position| position.ladder == *ladder)?;
            Some((&owned.id, position.tier))
        });
        match (self.query.kind, replaced) {
            (OfferKind::CrossSell, _) => match owned_on_ladder.next() {
                Some((owned, _)) => Err(Ineligibility::because_of(WithheldReason::SameLadder, owned)),
                None => Ok(()),
            },
            (OfferKind::UpSell, Some(_)) => match owned_on_ladder.find(|(_, owned_tier)| owned_tier >= tier) {
                Some((as_good, owned_tier)) => Err(Ineligibility {
                    other_product: Some(as_good.clone()),
                    ..Ineligibility::observed(WithheldReason::NotBetter, f64::from(*tier), f64::from(owned_tier) + 1.0)
                }),
                None => Ok(()),
            },
            (OfferKind::UpSell, None) => Ok(()),
        }
    }

    /// Up-sell never enlarges only an allowance of which the customer uses little: that is how offers do harm.
    fn check_usage(&self, candidate: &Candidate) -> Result<(), Ineligibility> {
        let allowance_use = candidate.upgrade.as_ref().and_then(|upgrade| upgrade.allowance_use);
        let low = self.context.policy.arbitration.low_usage_share;
        match allowance_use.filter(|allowance_use| allowance_use.is_only_gain && allowance_use.share < low) {
            Some(AllowanceUse { share, .. }) => Err(Ineligibility::observed(WithheldReason::UsageLow, share, low)),
            None => Ok(()),
        }
    }

    /// Checks the rules of the policy against what the customer owns, accepted and was offered before. What they demand of a
    /// single slate is checked by [`select_slate`](super::slate::select_slate).
    fn check_rules(&self, product: &Product, replaced: Option<&ProductId>) -> Result<(), Ineligibility> {
        let contact = &self.context.policy.contact;
        let missing = contact.only_after.iter().find(|rule| rule.product == product.id && !self.has(&rule.after));
        if let Some(rule) = missing {
            return Err(Ineligibility::because_of(WithheldReason::OnlyAfter, &rule.after));
        }
        let now = self.context.now;
        for rule in contact.never_after.iter().filter(|rule| rule.then == product.id) {
            let granted = self.customer.ledger.grants.iter().filter(|grant| grant.product == rule.first);
            let until = granted.map(|grant| grant.granted_at + rule.within).max().filter(|&until| now < until);
            if until.is_some() {
                return Err(Ineligibility {
                    until,
                    ..Ineligibility::because_of(WithheldReason::NeverAfter, &rule.first)
                });
            }
        }
        for other in never_together_with(&contact.never_together, &product.id).filter(|other| Some(*other) != replaced)
        {
            if self.has(other) {
                return Err(Ineligibility::because_of(WithheldReason::NeverTogether, other));
            }
            let granted = self.customer.ledger.grants.iter().filter(|grant| grant.product == *other);
            let until = granted.filter_map(|grant| self.binds_until(grant)).max();
            if until.is_some() {
                return Err(Ineligibility { until, ..Ineligibility::because_of(WithheldReason::NeverTogether, other) });
            }
        }
        Ok(())
    }

    /// Time until which a grant excludes what its product is never offered together with: while it is open and, once it was
    /// accepted, for as long as it is kept, unless the customer has given the product up.
    fn binds_until(&self, grant: &Grant) -> Option<Timestamp> {
        let contact = &self.context.policy.contact;
        if grants::is_open(grant, contact, self.context.now) {
            return Some(grants::open_until(grant, contact));
        }
        let was_given_up = self.customer.holdings.latest.get(&grant.product).is_some_and(|holding| !holding.is_owned());
        let is_accepted = grant.response == Some(CustomerResponse::Accepted) && !was_given_up;
        is_accepted.then_some(grant.granted_at + GRANTS_KEPT).filter(|&until| self.context.now < until)
    }

    fn check_ledger(&self, product: &Product) -> Result<(), Ineligibility> {
        if let Some(ineligibility) = self.resting.find(product) {
            return Err(ineligibility);
        }
        let ledger = &self.customer.ledger;
        let contact = &self.context.policy.contact;
        let counting = ledger.grants.iter().filter(|grant| grant.product == product.id);
        let counting = counting.filter(|grant| grants::counts(grant, contact, self.context.now));
        let mut ends: Vec<Timestamp> = counting.map(|grant| grant.granted_at + contact.cap_window).collect();
        ends.sort_unstable_by(|a, b| b.cmp(a));
        // Once this grant has left the window, one fewer than allowed remain in it.
        let until = ends.get(usize::try_from(contact.per_offer).unwrap_or(usize::MAX).saturating_sub(1));
        if until.is_some() && self.open_grant(&product.id).is_none() {
            return Err(Ineligibility::until(WithheldReason::OfferedRecently, until.copied()));
        }
        Ok(())
    }
}
