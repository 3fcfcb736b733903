//! What another policy would have done: two replays of the same decisions, compared customer by customer.

use std::collections::BTreeMap;

use super::interval::{EstimatedDifference, Sample, mean_difference};
use crate::domain::decision::WithheldReason;
use crate::domain::ids::CustomerId;
use crate::domain::relationship::Band;

/// The most customers named who lose, and who gain.
pub const EXAMPLE_CUSTOMERS_MAX: usize = 20;

/// What became of one decision under one policy.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReplayOutcome {
    /// How many offers.
    pub offers: usize,
    /// Their expected value, in units of the median item's value.
    pub expected_value: f64,
    /// Why candidates were withheld.
    pub withheld: BTreeMap<WithheldReason, u32>,
}

/// One decision under both.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayPair {
    /// The band that the decision was recorded with.
    pub band: Band,
    /// Under the policy in force.
    pub in_force: ReplayOutcome,
    /// Under the other.
    pub candidate: ReplayOutcome,
}

/// What would change in a band, or for all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BandChange {
    /// Decisions.
    pub decisions: usize,
    /// Customers.
    pub customers: usize,
    /// Offers under the policy in force, and under the other.
    pub offers: [u64; 2],
    /// Expected value of them.
    pub expected_value: [f64; 2],
    /// Why candidates were withheld, under both.
    pub withheld: BTreeMap<WithheldReason, [u64; 2]>,
    /// Offers per customer, the other policy less the one in force; `None` for fewer than two customers.
    pub offers_change: Option<EstimatedDifference>,
    /// Expected value per customer, likewise.
    pub value_change: Option<EstimatedDifference>,
    offers_by_customer: Sample,
    value_by_customer: Sample,
}

/// What would change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PolicyChange {
    /// For all.
    pub all: BandChange,
    /// By the band that decisions were recorded with.
    pub bands: BTreeMap<Band, BandChange>,
    /// Customers who got an offer and would get none.
    pub losing: u64,
    /// Customers who got none and would get one.
    pub gaining: u64,
    /// The first of those who would lose.
    pub losing_examples: Vec<CustomerId>,
    /// The first of those who would gain.
    pub gaining_examples: Vec<CustomerId>,
}

impl PolicyChange {
    /// Takes the decisions about one customer in.
    pub fn add(&mut self, customer: &CustomerId, pairs: &[ReplayPair]) {
        self.all.add(pairs.iter());
        for band in Band::ALL {
            if pairs.iter().any(|pair| pair.band == band) {
                self.bands.entry(band).or_default().add(pairs.iter().filter(|pair| pair.band == band));
            }
        }
        let gets = |offers: fn(&ReplayPair) -> usize| pairs.iter().any(|pair| offers(pair) > 0);
        let (examples, count) = match (gets(|pair| pair.in_force.offers), gets(|pair| pair.candidate.offers)) {
            (true, false) => (&mut self.losing_examples, &mut self.losing),
            (false, true) => (&mut self.gaining_examples, &mut self.gaining),
            (true, true) | (false, false) => return,
        };
        *count += 1;
        if examples.len() < EXAMPLE_CUSTOMERS_MAX {
            examples.push(customer.clone());
        }
    }
}

impl BandChange {
    fn add<'p>(&mut self, pairs: impl Iterator<Item = &'p ReplayPair>) {
        let (mut offers, mut value) = (0.0, 0.0);
        for ReplayPair { band: _, in_force, candidate } in pairs {
            self.decisions += 1;
            for (index, outcome) in [in_force, candidate].into_iter().enumerate() {
                self.offers[index] += outcome.offers as u64;
                self.expected_value[index] += outcome.expected_value;
                for (&reason, &count) in &outcome.withheld {
                    self.withheld.entry(reason).or_default()[index] += u64::from(count);
                }
            }
            offers += candidate.offers as f64 - in_force.offers as f64;
            value += candidate.expected_value - in_force.expected_value;
        }
        self.customers += 1;
        self.offers_by_customer.add(offers);
        self.value_by_customer.add(value);
        self.offers_change = mean_difference(&self.offers_by_customer);
        self.value_change = mean_difference(&self.value_by_customer);
    }
}
