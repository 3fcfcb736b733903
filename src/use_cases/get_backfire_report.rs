//! Compares the control group with the treatment group. Reads every customer and the whole history once; changes nothing.

use std::collections::HashMap;
use std::time::Duration;

use super::app::App;
use crate::decision::control_group::experiment;
use crate::domain::experiment::ExperimentId;
use crate::domain::ids::CustomerId;
use crate::domain::time::{DAY, Timestamp};
use crate::measurement::backfire::{BackfireReport, FollowedCustomer, TooFewCustomers, compare_arms};
use crate::store::contract::error::StoreError;

/// Default follow-up: the three months of the field experiment that `docs/simulation.md` cites.
pub const FOLLOW_UP_DEFAULT: Duration = Duration::from_secs(90 * 86_400);
pub const FOLLOW_UP_MIN: Duration = DAY;
/// Maximum follow-up, three years.
pub const FOLLOW_UP_MAX: Duration = Duration::from_secs(1096 * 86_400);
/// Number of customers or events in one page.
const PAGE_LEN: usize = 1024;

/// Backfire report of one experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentReport {
    /// Experiment of the policy in force, otherwise the latest one.
    pub experiment: ExperimentId,
    /// Time for which each customer was followed.
    pub follow_up: Duration,
    /// Number of customers left out because their follow-up has not ended yet.
    pub waiting: usize,
    /// Time of the report.
    pub as_of: Timestamp,
    /// Comparison of the two arms.
    pub report: BackfireReport,
}

/// Error returned by [`get_backfire_report`].
#[derive(Debug, thiserror::Error)]
pub enum BackfireReportError {
    /// No customer was ever assigned.
    #[error("no experiment has assigned a customer; set control_group.share in the policy")]
    NoExperiment,
    /// Too few customers were followed to the end.
    #[error("{counts}; {waiting} more are waiting for their follow-up to end")]
    TooFewCustomers {
        /// Number of customers in each arm.
        counts: TooFewCustomers,
        /// Number of customers whose follow-up has not ended yet.
        waiting: usize,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Compares the arms, with each customer followed for `follow_up` from the assignment on.
pub async fn get_backfire_report(app: &App, follow_up: Duration) -> Result<ExperimentReport, BackfireReportError> {
    let as_of = app.now();
    let store = app.store.as_ref();
    let mut assigned: HashMap<CustomerId, FollowedCustomer> = HashMap::new();
    store
        .visit_customers(PAGE_LEN, &mut |customers| {
            // The offers under one id may have been those of the other arm.
            for customer in customers.into_iter().filter(|customer| !customer.merge.was_merged) {
                let Some(assignment) = customer.ledger.assignment else { continue };
                assigned.insert(customer.id, FollowedCustomer::new(assignment, customer.consents.is_opted_out));
            }
        })
        .await?;
    let running = experiment(&app.policy_in_force().control_group);
    let latest = || assigned.values().map(|it| it.assignment).max_by_key(|it| it.at).map(|it| it.experiment);
    let experiment = running.or_else(latest).ok_or(BackfireReportError::NoExperiment)?;
    assigned.retain(|_, followed| followed.assignment.experiment == experiment);
    let met = assigned.len();
    assigned.retain(|_, followed| followed.assignment.at + follow_up <= as_of);
    let waiting = met - assigned.len();

    store
        .visit_events(PAGE_LEN, &mut |events| {
            for event in events {
                let followed = event.customer.as_ref().and_then(|customer| assigned.get_mut(customer));
                if let Some(followed) = followed {
                    followed.observe(&event, follow_up);
                }
            }
        })
        .await?;
    let report =
        compare_arms(assigned.values()).map_err(|counts| BackfireReportError::TooFewCustomers { counts, waiting })?;
    Ok(ExperimentReport { experiment, follow_up, waiting, as_of, report })
}
