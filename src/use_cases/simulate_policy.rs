//! Replays logged decisions under another policy. Reads only.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::app::App;
use super::load_customer::load_or_unknown;
use super::policies::{PolicyError, get_policy};
use crate::decision::replay::{ReplayedDecision, replay};
use crate::domain::catalog::Catalog;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::ids::{CustomerId, ProductId};
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::measurement::policy_change::{PolicyChange, ReplayOutcome, ReplayPair};
use crate::store::contract::error::StoreError;
use crate::store::contract::store::Store;

/// Maximum number of decisions in one simulation: they are held in memory.
pub const DECISIONS_MAX: usize = 200_000;
/// Number of decisions in one page.
const PAGE_LEN: usize = 1024;
/// Number of customers whose decisions are replayed in one blocking task.
const BATCH_CUSTOMERS: usize = 64;

/// Policy to compare with the one in force.
#[derive(Debug, Clone, PartialEq)]
pub enum CandidatePolicy {
    /// Version of a stored policy.
    Stored(String),
    /// Policy that is not stored.
    Inline(Box<Policy>),
}

/// Result of a simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicySimulation {
    /// Version of the policy in force.
    pub in_force: String,
    /// Version of the candidate policy.
    pub candidate: String,
    /// Change from the policy in force to the candidate.
    pub change: PolicyChange,
    /// Share of the recorded offers that the replay under the policy in force makes as well, 0 to 1; 1 without any.
    pub fidelity: f64,
    /// Number of decisions left out above [`DECISIONS_MAX`].
    pub left_out: u64,
}

/// Error returned by [`simulate_policy`].
#[derive(Debug, thiserror::Error)]
pub enum SimulatePolicyError {
    /// The candidate policy cannot be read.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The requested period has no logged decision.
    #[error("no decision is logged since then")]
    NoDecisions,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Replays the decisions logged since a moment under the policy in force and under the candidate, customer by customer.
pub async fn simulate_policy(
    app: &App,
    candidate: CandidatePolicy,
    since: Option<Timestamp>,
) -> Result<PolicySimulation, SimulatePolicyError> {
    let candidate = match candidate {
        CandidatePolicy::Stored(version) => get_policy(app, &version).await?.policy,
        CandidatePolicy::Inline(policy) => *policy,
    };
    let candidate = Arc::new(candidate);
    let in_force = app.policy_in_force();
    let catalog = app.catalog();
    let LoggedDecisions { by_customer, decisions: _, left_out } =
        load_logged_decisions(app.store.as_ref(), since).await?;
    if by_customer.is_empty() {
        return Err(SimulatePolicyError::NoDecisions);
    }
    let mut tally = ReplayTally::default();
    let mut remaining = by_customer.into_iter();
    while remaining.len() > 0 {
        let mut subjects = Vec::with_capacity(BATCH_CUSTOMERS);
        for decisions in remaining.by_ref().take(BATCH_CUSTOMERS) {
            let customer = load_or_unknown(app.store.as_ref(), &decisions[0].customer).await?.value;
            subjects.push((customer, decisions));
        }
        let policies = [Arc::clone(&in_force), Arc::clone(&candidate)];
        replay_batch(subjects, Arc::clone(&catalog), policies).await?.iter().for_each(|replay| tally.add(replay));
    }
    let fidelity = tally.fidelity();
    let (in_force, candidate) = (in_force.version.clone(), candidate.version.clone());
    Ok(PolicySimulation { in_force, candidate, change: tally.change, fidelity, left_out })
}

/// Replays the decisions about some customers under both policies, on a thread that does not serve.
async fn replay_batch(
    subjects: Vec<(Customer, Vec<Decision>)>,
    catalog: Arc<Catalog>,
    policies: [Arc<Policy>; 2],
) -> Result<Vec<CustomerReplay>, StoreError> {
    let replays = tokio::task::spawn_blocking(move || {
        let [in_force, candidate] = &policies;
        let replay = |(customer, decisions)| CustomerReplay::new(customer, decisions, &catalog, [in_force, candidate]);
        subjects.into_iter().map(replay).collect()
    });
    replays.await.map_err(|error| StoreError::Failed { detail: format!("replaying decisions failed: {error}") })
}

/// Running totals of a simulation.
#[derive(Default)]
struct ReplayTally {
    change: PolicyChange,
    /// Number of offers on record.
    recorded: u64,
    /// Number of those that the replay under the policy in force makes again.
    repeated: u64,
}

impl ReplayTally {
    fn add(&mut self, replay: &CustomerReplay) {
        self.recorded += replay.recorded;
        self.repeated += replay.repeated;
        self.change.add(&replay.customer, &replay.pairs);
    }

    #[allow(clippy::cast_precision_loss, reason = "at most 200,000 decisions")]
    fn fidelity(&self) -> f64 {
        if self.recorded == 0 { 1.0 } else { self.repeated as f64 / self.recorded as f64 }
    }
}

/// Decisions about one customer, replayed under both policies.
struct CustomerReplay {
    customer: CustomerId,
    pairs: Vec<ReplayPair>,
    /// Number of offers on record.
    recorded: u64,
    /// Number of those that the replay under the policy in force makes again.
    repeated: u64,
}

impl CustomerReplay {
    fn new(customer: Customer, mut decisions: Vec<Decision>, catalog: &Catalog, policies: [&Policy; 2]) -> Self {
        decisions.sort_by_key(|decision| (decision.at, decision.id));
        let [in_force, candidate] = policies.map(|policy| replay(&decisions, &customer, catalog, policy));
        let (mut recorded, mut repeated) = (0, 0);
        for (decision, replayed) in decisions.iter().zip(&in_force) {
            let again: BTreeSet<&ProductId> = replayed.products.iter().collect();
            recorded += decision.slate.len() as u64;
            repeated += decision.slate.iter().filter(|offer| again.contains(&offer.product)).count() as u64;
        }
        let outcome = |it: ReplayedDecision| ReplayOutcome {
            offers: it.products.len(),
            expected_value: it.expected_value,
            withheld: it.withheld,
        };
        let pairs =
            decisions.iter().zip(in_force.into_iter().zip(candidate)).map(|(decision, (in_force, candidate))| {
                ReplayPair {
                    band: decision.relationship_health.band,
                    in_force: outcome(in_force),
                    candidate: outcome(candidate),
                }
            });
        Self { pairs: pairs.collect(), customer: customer.id, recorded, repeated }
    }
}

/// Logged decisions, grouped by customer.
#[derive(Default)]
struct LoggedDecisions {
    /// Decisions of each customer; none of the lists is empty.
    by_customer: Vec<Vec<Decision>>,
    /// Number of decisions in all lists.
    decisions: usize,
    /// Number of further decisions, which are left out.
    left_out: u64,
}

impl LoggedDecisions {
    /// Adds a decision. Those of one customer come one after the other, and are all in or all out.
    fn add(&mut self, decision: Decision) {
        let last = self.by_customer.last_mut().filter(|last| last[0].customer == decision.customer);
        if self.left_out > 0 || (last.is_none() && self.decisions >= DECISIONS_MAX) {
            self.left_out += 1;
            return;
        }
        self.decisions += 1;
        let decision = without_texts(decision);
        match last {
            Some(last) => last.push(decision),
            None => self.by_customer.push(vec![decision]),
        }
    }
}

/// Loads the decisions since a moment, of as many whole customers as fit.
async fn load_logged_decisions(store: &dyn Store, since: Option<Timestamp>) -> Result<LoggedDecisions, StoreError> {
    let mut logged = LoggedDecisions::default();
    let is_in_period = |decision: &Decision| since.is_none_or(|since| decision.at >= since);
    let mut visit = |page: Vec<Decision>| {
        page.into_iter().filter(is_in_period).for_each(|decision| logged.add(decision));
    };
    store.visit_decisions(PAGE_LEN, &mut visit).await?;
    Ok(logged)
}

/// Removes titles and reasons of a decision: a replay does not need them, and they are most of it.
fn without_texts(mut decision: Decision) -> Decision {
    for offer in decision.slate.iter_mut().chain(&mut decision.would_be_slate) {
        (offer.title, offer.reasons, offer.goes_with) = (String::new(), Vec::new(), Vec::new());
        offer.mentioned.clear();
    }
    decision
}
