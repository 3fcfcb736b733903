//! Effect of a candidate policy: two replays of the same decisions, compared customer by customer.

use std::collections::BTreeMap;

use super::interval::{EstimatedDifference, Sample, mean_difference};
use crate::domain::ids::CustomerId;
use crate::domain::relationship::Band;
use crate::domain::withheld_reason::WithheldReason;

/// Maximum number of example customers who lose all offers, and of those who gain some.
pub const EXAMPLE_CUSTOMERS_MAX: usize = 20;

/// Result of one decision replayed under one policy.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReplayOutcome {
    pub offers: usize,
    /// Expected value of the offers, in units of the median item's value.
    pub expected_value: f64,
    /// Number of withheld candidates by reason.
    pub withheld: BTreeMap<WithheldReason, u32>,
}

/// One decision replayed under both policies.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayPair {
    /// Band that the decision was recorded with.
    pub band: Band,
    /// Result under the policy in force.
    pub in_force: ReplayOutcome,
    /// Result under the candidate policy.
    pub candidate: ReplayOutcome,
}

/// Change for the customers of a band, or for all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BandChange {
    pub decisions: usize,
    pub customers: usize,
    /// Number of offers under the policy in force, and under the candidate.
    pub offers: [u64; 2],
    /// Expected value of these offers.
    pub expected_value: [f64; 2],
    /// Number of withheld candidates by reason, under both.
    pub withheld: BTreeMap<WithheldReason, [u64; 2]>,
    /// Change of offers per customer, candidate minus policy in force; `None` for fewer than two customers.
    pub offers_change: Option<EstimatedDifference>,
    /// Change of expected value per customer, likewise.
    pub value_change: Option<EstimatedDifference>,
    offers_by_customer: Sample,
    value_by_customer: Sample,
}

/// Change under the candidate policy.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PolicyChange {
    /// Change for all customers.
    pub all: BandChange,
    /// Change by the band that decisions were recorded with.
    pub bands: BTreeMap<Band, BandChange>,
    /// Number of customers who got an offer and would get none.
    pub losing: u64,
    /// Number of customers who got no offer and would get one.
    pub gaining: u64,
    /// First customers who would lose all offers.
    pub losing_examples: Vec<CustomerId>,
    /// First customers who would gain an offer.
    pub gaining_examples: Vec<CustomerId>,
}

impl PolicyChange {
    /// Adds the decisions about one customer.
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
