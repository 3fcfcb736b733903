//! Products that rest: what the customer declined, returned, cancelled or regretted is not offered again for a while, nor are
//! its variants and the rungs above it.
//!
//! Computed when it is read, from the times of returns, partings and accepted offers: the order in which events arrive does not
//! matter, and a change of policy takes effect at once. Only declined offers are stored with the end of their cooldown.

use std::collections::BTreeMap;

use super::decision_context::DecisionContext;
use super::subscriptions::Subscriptions;
use super::value_delivered::regrets;
use crate::domain::catalog::Catalog;
use crate::domain::customer::Customer;
use crate::domain::holdings::Holding;
use crate::domain::ids::{LadderId, ProductId};
use crate::domain::product::Product;
use crate::domain::rejected_candidate::Ineligibility;
use crate::domain::time::Timestamp;
use crate::domain::withheld_reason::WithheldReason;

/// Why, because of which product, and until when something rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rest<'a> {
    until: Timestamp,
    product: &'a ProductId,
    reason: WithheldReason,
}

/// Reach of a rest beyond the product itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RestScope {
    /// The product alone: its variants may suit the customer.
    Product,
    /// Also its variants and the rungs above it.
    Group,
}

/// The products that rest for one customer.
pub(super) struct RestingProducts<'a> {
    products: BTreeMap<&'a ProductId, Rest<'a>>,
    /// By the product that stands for all variants.
    variants: BTreeMap<&'a ProductId, Rest<'a>>,
    /// By ladder, each tier above which products rest.
    rungs: BTreeMap<&'a LadderId, Vec<(u32, Rest<'a>)>>,
    catalog: &'a Catalog,
}

impl<'a> RestingProducts<'a> {
    pub fn of(customer: &'a Customer, context: &DecisionContext<'a>) -> Self {
        let catalog = context.catalog;
        let mut resting =
            Self { products: BTreeMap::new(), variants: BTreeMap::new(), rungs: BTreeMap::new(), catalog };
        let contact = &context.policy.contact;
        for cooldown in &customer.ledger.product_cooldowns {
            let rest = Rest { until: cooldown.until, product: &cooldown.product, reason: WithheldReason::Declined };
            resting.add(rest, RestScope::Group, customer, context);
        }
        let given_up = |product, at: Timestamp, cooldown| {
            let reason = WithheldReason::GivenUp;
            Rest { until: at + cooldown, product, reason }
        };
        for (product, holding) in &customer.holdings.latest {
            // What the customer has taken up again since does not rest. A replayed decision knows nothing of the time after it.
            let is_last = |at: &Timestamp| *at >= holding.last_at() && *at <= context.now;
            if let Some(at) = holding.unwanted_at.filter(is_last) {
                let was_exchanged = has_variant_since(product, at, customer, context);
                let scope = if was_exchanged { RestScope::Product } else { RestScope::Group };
                resting.add(given_up(product, at, contact.returned_product_cooldown), scope, customer, context);
            }
            if let Some(at) = holding.wrong_variant_at.filter(is_last) {
                let rest = given_up(product, at, contact.returned_product_cooldown);
                resting.add(rest, RestScope::Product, customer, context);
            }
            if let Some(at) = holding.ended_at.filter(|at| is_last(at) && !holding.is_owned()) {
                let rest = given_up(product, at, contact.cancelled_product_cooldown);
                resting.add(rest, RestScope::Group, customer, context);
            }
        }
        let meanings = Subscriptions::of(customer, &context.policy.relationship, context.catalog).meanings;
        for (product, at) in regrets(&customer.relationship, &meanings) {
            let holding = customer.holdings.latest.get(product);
            let was_taken_up_again = holding.is_some_and(|holding| holding.last_at() > at);
            if at <= context.now && !was_taken_up_again {
                let rest = given_up(product, at, contact.regretted_product_cooldown);
                resting.add(rest, RestScope::Group, customer, context);
            }
        }
        resting
    }

    fn add(&mut self, rest: Rest<'a>, scope: RestScope, customer: &Customer, context: &DecisionContext<'a>) {
        if context.now >= rest.until {
            return;
        }
        extend(self.products.entry(rest.product).or_insert(rest), rest);
        let Some(product) = context.catalog.get(rest.product).filter(|_| scope == RestScope::Group) else { return };
        let representative = self.catalog.representative_of(&product.id);
        extend(self.variants.entry(representative).or_insert(rest), rest);
        if let Some(position) = &product.ladder_position
            && !is_above(position.tier, &position.ladder, customer, context)
        {
            self.rungs.entry(&position.ladder).or_default().push((position.tier, rest));
        }
    }

    /// The rest of a product that ends last.
    pub fn find(&self, product: &Product) -> Option<Ineligibility> {
        let own = self.products.get(&product.id);
        let of_group = self.variants.get(self.catalog.representative_of(&product.id));
        let position = product.ladder_position.as_ref();
        let rungs = position.and_then(|position| Some((position.tier, self.rungs.get(&position.ladder)?)));
        let below = rungs.into_iter().flat_map(|(tier, rungs)| rungs.iter().filter(move |(below, _)| *below < tier));
        let rests = own.into_iter().chain(of_group).chain(below.map(|(_, rest)| rest));
        let Rest { until, product: because_of, reason } = *rests.max_by_key(|rest| rest.until)?;
        let other_product = (*because_of != product.id).then(|| because_of.clone());
        Some(Ineligibility { other_product, ..Ineligibility::until(reason, Some(until)) })
    }
}

/// Keeps the rest that ends later.
fn extend<'a>(kept: &mut Rest<'a>, rest: Rest<'a>) {
    if rest.until > kept.until {
        *kept = rest;
    }
}

/// Whether the customer bought a variant after a moment, and so exchanged the product rather than gave it up.
fn has_variant_since(product: &ProductId, at: Timestamp, customer: &Customer, context: &DecisionContext<'_>) -> bool {
    let variants = context.catalog.variants_of(product).filter_map(|variant| customer.holdings.latest.get(&variant.id));
    variants.into_iter().any(|holding| holding.last_at() > at)
}

/// Whether the customer stands on a higher rung: giving up the lower one was a step up, and declining it no longer matters.
fn is_above(tier: u32, ladder: &LadderId, customer: &Customer, context: &DecisionContext<'_>) -> bool {
    let is_owned = |product: &Product| customer.holdings.latest.get(&product.id).is_some_and(Holding::is_owned);
    let rungs = context.catalog.on_ladder(ladder).filter(|product| is_owned(product));
    rungs.filter_map(|product| product.ladder_position.as_ref()).any(|position| position.tier > tier)
}
