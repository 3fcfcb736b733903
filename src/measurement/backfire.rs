//! The backfire report: did offers drive customers away?
//!
//! Customers are compared *by assignment*, never by who was served: a customer with many requests, or with room under the
//! caps, differs from the others to begin with, while the assignment is a stable hash of the id. All are followed equally
//! long from their assignment on. There is no adjustment and no later exclusion.

use std::collections::BTreeMap;
use std::time::Duration;

use super::interval::{EstimatedDifference, Sample, difference_of_means, difference_of_shares};
use crate::domain::event::{Event, EventKind, OutcomeKind};
use crate::domain::experiment::{Arm, Assignment};
use crate::domain::relationship::Band;
use crate::domain::time::{DAY, Timestamp};

/// Minimum number of customers in each arm for a report.
pub const ARM_MIN: usize = 200;
/// Minimum number of customers of a band in each arm for a comparison of the band.
pub const BAND_ARM_MIN: usize = 50;

/// Measure of each customer over the follow-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackfireMeasure {
    /// Gave notice or ended a subscription, and started none since. A share.
    Churn,
    /// Bought nothing, and neither started nor renewed a subscription. A share.
    BoughtNothing,
    /// Complained, about an offer or anything else. A share.
    Complained,
    /// Returned a product. A share.
    Returned,
    /// Opted out of offers, by the time of the report. A share.
    OptedOut,
    /// Value of purchases minus returns, in units of money, added across currencies. A mean.
    Revenue,
}

impl BackfireMeasure {
    pub const ALL: [Self; 6] =
        [Self::Churn, Self::BoughtNothing, Self::Complained, Self::Returned, Self::OptedOut, Self::Revenue];

    /// Returns the name of the measure in responses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Churn => "churn",
            Self::BoughtNothing => "bought_nothing",
            Self::Complained => "complained",
            Self::Returned => "returned",
            Self::OptedOut => "opted_out",
            Self::Revenue => "revenue",
        }
    }

    /// Whether the measure is a share of customers; the others are means.
    pub fn is_share(self) -> bool {
        self != Self::Revenue
    }
}

/// Customer followed from the assignment to the experiment on.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct FollowedCustomer {
    /// Arm and band to compare by.
    pub assignment: Assignment,
    ended_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    has_bought: bool,
    has_complained: bool,
    has_returned: bool,
    is_opted_out: bool,
    revenue: f64,
}

impl FollowedCustomer {
    /// Creates a customer without any events yet.
    pub fn new(assignment: Assignment, is_opted_out: bool) -> Self {
        Self {
            assignment,
            ended_at: None,
            started_at: None,
            has_bought: false,
            has_complained: false,
            has_returned: false,
            is_opted_out,
            revenue: 0.0,
        }
    }

    /// Adds an event of the customer. Events come in any order, and count only within `follow_up` of the assignment.
    pub fn observe(&mut self, event: &Event, follow_up: Duration) {
        let from = self.assignment.at;
        if event.at < from || event.at >= from + follow_up {
            return;
        }
        if let EventKind::Purchase(line) = &event.kind {
            self.has_bought = true;
            self.revenue += line.approximate_value();
        } else if let EventKind::Return { line, reason: _ } = &event.kind {
            self.has_returned = true;
            self.revenue -= line.approximate_value();
        } else if event.kind.subscribed_product().is_some() {
            self.has_bought = true;
            self.started_at = self.started_at.max(Some(event.at));
        } else if let EventKind::SubscriptionEnd { .. } | EventKind::Cancellation { .. } = event.kind {
            self.ended_at = self.ended_at.max(Some(event.at));
        } else if let EventKind::Complaint(_) = event.kind {
            self.has_complained = true;
        } else if let EventKind::Outcome(outcome) = &event.kind {
            self.has_complained |= outcome.kind == OutcomeKind::Complained;
            self.is_opted_out |= outcome.kind == OutcomeKind::OptedOut;
        }
    }

    fn measured(&self, measure: BackfireMeasure) -> f64 {
        let share = |hit: bool| if hit { 1.0 } else { 0.0 };
        match measure {
            BackfireMeasure::Churn => {
                // A start on the same day belongs to a renewal or a change of plans, in whichever order the two were reported.
                let is_change = |ended: Timestamp| self.started_at.is_some_and(|started| started + DAY >= ended);
                share(self.ended_at.is_some_and(|ended| !is_change(ended)))
            }
            BackfireMeasure::BoughtNothing => share(!self.has_bought),
            BackfireMeasure::Complained => share(self.has_complained),
            BackfireMeasure::Returned => share(self.has_returned),
            BackfireMeasure::OptedOut => share(self.is_opted_out),
            BackfireMeasure::Revenue => self.revenue,
        }
    }
}

/// Backfire report: the control group compared with the treatment group.
#[derive(Debug, Clone, PartialEq)]
pub struct BackfireReport {
    /// Comparison of all customers.
    pub all: GroupComparison,
    /// Comparison by band at assignment, for every band with customers.
    pub bands: Vec<(Band, GroupComparison)>,
}

/// Comparison of one group of customers.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupComparison {
    /// Number of customers in the control group, who are offered nothing.
    pub control: usize,
    /// Number of customers in the treatment group, all others.
    pub treatment: usize,
    /// One comparison for each measure; empty when there are too few customers.
    pub comparisons: Vec<MeasureComparison>,
}

/// Comparison of one measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeasureComparison {
    pub measure: BackfireMeasure,
    /// Mean of the control group.
    pub control: f64,
    /// Mean of the treatment group.
    pub treatment: f64,
    /// Treatment minus control: the effect of offers.
    pub difference: EstimatedDifference,
}

/// Error returned by [`compare_arms`] when an arm has fewer than [`ARM_MIN`] customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "only {control} customers of the control group and {treatment} of the treatment group were followed long enough; at least \
     {ARM_MIN} of each are needed"
)]
pub struct TooFewCustomers {
    /// Number of customers of the control group.
    pub control: usize,
    /// Number of customers of the treatment group.
    pub treatment: usize,
}

/// Compares the arms, over all customers and by band.
///
/// # Errors
/// When either arm has fewer than [`ARM_MIN`] customers.
pub fn compare_arms<'f>(
    followed: impl Iterator<Item = &'f FollowedCustomer>,
) -> Result<BackfireReport, TooFewCustomers> {
    let mut samples: BTreeMap<Option<Band>, ArmSamples> = BTreeMap::new();
    for customer in followed {
        for group in [None, Some(customer.assignment.band)] {
            samples.entry(group).or_default().add(customer);
        }
    }
    let all = samples.remove(&None).unwrap_or_default();
    if all.count(Arm::Control).min(all.count(Arm::Treatment)) < ARM_MIN {
        return Err(TooFewCustomers { control: all.count(Arm::Control), treatment: all.count(Arm::Treatment) });
    }
    let bands = samples.into_iter().filter_map(|(band, samples)| Some((band?, samples.group(BAND_ARM_MIN))));
    Ok(BackfireReport { all: all.group(ARM_MIN), bands: bands.collect() })
}

/// Samples of each measure for both arms.
#[derive(Default)]
struct ArmSamples {
    control: [Sample; BackfireMeasure::ALL.len()],
    treatment: [Sample; BackfireMeasure::ALL.len()],
}

impl ArmSamples {
    fn add(&mut self, customer: &FollowedCustomer) {
        let samples = match customer.assignment.arm {
            Arm::Control => &mut self.control,
            Arm::Treatment => &mut self.treatment,
        };
        for (sample, measure) in samples.iter_mut().zip(BackfireMeasure::ALL) {
            sample.add(customer.measured(measure));
        }
    }

    fn count(&self, arm: Arm) -> usize {
        match arm {
            Arm::Control => self.control[0].count,
            Arm::Treatment => self.treatment[0].count,
        }
    }

    fn group(&self, arm_min: usize) -> GroupComparison {
        let (control, treatment) = (self.count(Arm::Control), self.count(Arm::Treatment));
        let compare = |((control, treatment), measure): ((&Sample, &Sample), BackfireMeasure)| MeasureComparison {
            measure,
            control: control.mean(),
            treatment: treatment.mean(),
            difference: if measure.is_share() {
                difference_of_shares(control, treatment)
            } else {
                difference_of_means(control, treatment)
            },
        };
        let comparisons = if control.min(treatment) < arm_min {
            Vec::new()
        } else {
            self.control.iter().zip(&self.treatment).zip(BackfireMeasure::ALL).map(compare).collect()
        };
        GroupComparison { control, treatment, comparisons }
    }
}
