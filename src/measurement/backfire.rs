//! The backfire report: did offers drive customers away?
//!
//! Customers are compared *by assignment*, never by who was served: whoever is asked about often, or has room under the
//! caps, differs from the others to begin with, but a stable hash of the id knows none of that. All are followed equally
//! long from the moment the experiment met them. Nothing is adjusted for and nobody is left out afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use super::interval::{EstimatedDifference, Sample, difference_of_means, difference_of_shares};
use crate::domain::event::{Event, EventKind, OutcomeKind};
use crate::domain::experiment::{Arm, Assignment};
use crate::domain::relationship::Band;
use crate::domain::time::Timestamp;

/// Fewer customers than this in either arm, and there is no report.
pub const ARM_MIN: usize = 200;
/// Fewer customers of a band than this in either arm, and the band has no figures.
pub const BAND_ARM_MIN: usize = 50;

/// What is measured of each customer over the follow-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackfireMeasure {
    /// Gave notice or ended a subscription, and began none since. A share.
    Churn,
    /// Bought nothing, and neither began nor renewed a subscription. A share.
    BoughtNothing,
    /// Complained, of an offer or of anything else. A share.
    Complained,
    /// Brought something back. A share.
    Returned,
    /// Opted out of offers, by the time of the report. A share.
    OptedOut,
    /// What was bought less what was brought back, in units of money, currencies added as they are. A mean.
    Revenue,
}

impl BackfireMeasure {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Churn, Self::BoughtNothing, Self::Complained, Self::Returned, Self::OptedOut, Self::Revenue];

    /// The measure's name in answers.
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

    /// True for shares of customers, false for means.
    pub fn is_share(self) -> bool {
        self != Self::Revenue
    }
}

/// One customer followed from the assignment on.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct FollowedCustomer {
    /// The arm and the band to compare by.
    pub assignment: Assignment,
    ended_at: Option<Timestamp>,
    began_at: Option<Timestamp>,
    has_bought: bool,
    has_complained: bool,
    has_returned: bool,
    is_opted_out: bool,
    revenue: f64,
}

impl FollowedCustomer {
    /// Nothing has happened yet.
    pub fn new(assignment: Assignment, is_opted_out: bool) -> Self {
        Self {
            assignment,
            ended_at: None,
            began_at: None,
            has_bought: false,
            has_complained: false,
            has_returned: false,
            is_opted_out,
            revenue: 0.0,
        }
    }

    /// Takes an event of the customer in; in any order, and only within `follow_up` of the assignment.
    pub fn observe(&mut self, event: &Event, follow_up: Duration) {
        let from = self.assignment.at;
        if event.at < from || event.at >= from + follow_up {
            return;
        }
        match &event.kind {
            EventKind::Purchase(line) => {
                self.has_bought = true;
                self.revenue += line.approximate_value();
            }
            EventKind::Return(line) => {
                self.has_returned = true;
                self.revenue -= line.approximate_value();
            }
            EventKind::SubscriptionStart { .. } | EventKind::SubscriptionRenewal { .. } => {
                self.has_bought = true;
                self.began_at = self.began_at.max(Some(event.at));
            }
            EventKind::SubscriptionEnd { .. } | EventKind::Cancellation { .. } => {
                self.ended_at = self.ended_at.max(Some(event.at));
            }
            EventKind::Complaint(_) => self.has_complained = true,
            EventKind::Outcome(outcome) => {
                self.has_complained |= outcome.kind == OutcomeKind::Complained;
                self.is_opted_out |= outcome.kind == OutcomeKind::OptedOut;
            }
            EventKind::Downgrade { .. }
            | EventKind::Usage { .. }
            | EventKind::SupportTicket(_)
            | EventKind::CaseResolved { .. }
            | EventKind::PaymentLate
            | EventKind::PaymentFailed
            | EventKind::PaymentDisputed
            | EventKind::Survey(_)
            | EventKind::Visit { .. } => {}
        }
    }

    fn measured(&self, measure: BackfireMeasure) -> f64 {
        let share = |hit: bool| if hit { 1.0 } else { 0.0 };
        match measure {
            BackfireMeasure::Churn => {
                share(self.ended_at.is_some_and(|ended| self.began_at.is_none_or(|began| began < ended)))
            }
            BackfireMeasure::BoughtNothing => share(!self.has_bought),
            BackfireMeasure::Complained => share(self.has_complained),
            BackfireMeasure::Returned => share(self.has_returned),
            BackfireMeasure::OptedOut => share(self.is_opted_out),
            BackfireMeasure::Revenue => self.revenue,
        }
    }
}

/// Control against the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct BackfireReport {
    /// All customers.
    pub all: GroupComparison,
    /// By band at assignment, every band that has customers.
    pub bands: Vec<(Band, GroupComparison)>,
}

/// Customers compared.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupComparison {
    /// Customers offered nothing.
    pub control: usize,
    /// The others.
    pub rest: usize,
    /// One for each measure; empty when there are too few customers.
    pub comparisons: Vec<MeasureComparison>,
}

/// One measure compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeasureComparison {
    /// Which.
    pub measure: BackfireMeasure,
    /// The mean of those offered nothing.
    pub control: f64,
    /// The mean of the others.
    pub rest: f64,
    /// The rest less control: what offers did.
    pub difference: EstimatedDifference,
}

/// There are too few customers for a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{control} customers of the control group and {rest} others were followed long enough, {ARM_MIN} of each are needed"
)]
pub struct TooFewCustomers {
    /// Customers of the control group.
    pub control: usize,
    /// The others.
    pub rest: usize,
}

/// Compares.
///
/// # Errors
/// When either arm has fewer than [`ARM_MIN`] customers.
pub fn report<'f>(followed: impl Iterator<Item = &'f FollowedCustomer>) -> Result<BackfireReport, TooFewCustomers> {
    let mut samples: BTreeMap<Option<Band>, ArmSamples> = BTreeMap::new();
    for customer in followed {
        for group in [None, Some(customer.assignment.band)] {
            samples.entry(group).or_default().add(customer);
        }
    }
    let all = samples.remove(&None).unwrap_or_default();
    if all.count(Arm::Control).min(all.count(Arm::Rest)) < ARM_MIN {
        return Err(TooFewCustomers { control: all.count(Arm::Control), rest: all.count(Arm::Rest) });
    }
    let bands = samples.into_iter().filter_map(|(band, samples)| Some((band?, samples.group(BAND_ARM_MIN))));
    Ok(BackfireReport { all: all.group(ARM_MIN), bands: bands.collect() })
}

/// Each measure over both arms.
#[derive(Default)]
struct ArmSamples {
    control: [Sample; BackfireMeasure::ALL.len()],
    rest: [Sample; BackfireMeasure::ALL.len()],
}

impl ArmSamples {
    fn add(&mut self, customer: &FollowedCustomer) {
        let samples = match customer.assignment.arm {
            Arm::Control => &mut self.control,
            Arm::Rest => &mut self.rest,
        };
        for (sample, measure) in samples.iter_mut().zip(BackfireMeasure::ALL) {
            sample.add(customer.measured(measure));
        }
    }

    fn count(&self, arm: Arm) -> usize {
        match arm {
            Arm::Control => self.control[0].count,
            Arm::Rest => self.rest[0].count,
        }
    }

    fn group(&self, least: usize) -> GroupComparison {
        let (control, rest) = (self.count(Arm::Control), self.count(Arm::Rest));
        let compare = |((control, rest), measure): ((&Sample, &Sample), BackfireMeasure)| MeasureComparison {
            measure,
            control: control.mean(),
            rest: rest.mean(),
            difference: if measure.is_share() {
                difference_of_shares(control, rest)
            } else {
                difference_of_means(control, rest)
            },
        };
        let comparisons = if control.min(rest) < least {
            Vec::new()
        } else {
            self.control.iter().zip(&self.rest).zip(BackfireMeasure::ALL).map(compare).collect()
        };
        GroupComparison { control, rest, comparisons }
    }
}
