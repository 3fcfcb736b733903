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

/// The most decisions replayed at once: they are held in memory.
pub const DECISIONS_MAX: usize = 200_000;
/// Decisions of one page.
const PAGE_LEN: usize = 1024;
/// Customers replayed between two chances for others.
const CUSTOMERS_AT_ONCE: usize = 64;

/// What to replay under.
#[derive(Debug, Clone, PartialEq)]
pub enum CandidatePolicy {
    /// A stored version.
    Stored(String),
    /// A policy that is not stored.
    Inline(Box<Policy>),
}

/// What would change.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicySimulation {
    /// The policy in force.
    pub in_force: String,
    /// The other.
    pub candidate: String,
    /// What would change.
    pub change: PolicyChange,
    /// The share of the recorded offers that the replay under the policy in force makes as well, 0 to 1; 1 without any.
    pub fidelity: f64,
    /// Decisions left out, because there are too many.
    pub left_out: u64,
}

/// Why nothing was replayed.
#[derive(Debug, thiserror::Error)]
pub enum SimulatePolicyError {
    /// The policy is not known.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// No decision is logged in the time asked for.
    #[error("no decision is logged since then")]
    NoDecisions,
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Replays the decisions logged since a moment under the policy in force and under another, customer by customer.
pub async fn simulate_policy(
    app: &App,
    candidate: CandidatePolicy,
    since: Option<Timestamp>,
) -> Result<PolicySimulation, SimulatePolicyError> {
    let other = match candidate {
        CandidatePolicy::Stored(version) => get_policy(app, &version).await?.policy,
        CandidatePolicy::Inline(policy) => *policy,
    };
    let other = Arc::new(other);
    let in_force = app.policy_in_force();
    let catalog = app.catalog();
    let LoggedDecisions { by_customer, decisions: _, left_out } = logged(app.store.as_ref(), since).await?;
    if by_customer.is_empty() {
        return Err(SimulatePolicyError::NoDecisions);
    }
    let mut change = PolicyChange::default();
    let (mut recorded, mut repeated) = (0_u64, 0_u64);
    let mut by_customer = by_customer.into_iter();
    while by_customer.len() > 0 {
        let mut subjects = Vec::with_capacity(CUSTOMERS_AT_ONCE);
        for of_one in by_customer.by_ref().take(CUSTOMERS_AT_ONCE) {
            let customer = load_or_unknown(app.store.as_ref(), &of_one[0].customer).await?.value;
            subjects.push((customer, of_one));
        }
        let (in_force, other, catalog) = (Arc::clone(&in_force), Arc::clone(&other), Arc::clone(&catalog));
        // Computing must not hold a thread that serves.
        let replays = tokio::task::spawn_blocking(move || {
            let both = |(customer, decisions)| CustomerReplay::of(customer, decisions, &catalog, [&in_force, &other]);
            subjects.into_iter().map(both).collect::<Vec<_>>()
        });
        let died = |error| StoreError::Failed { detail: format!("a replay died: {error}") };
        for CustomerReplay { customer, pairs, recorded: of_record, repeated: again } in replays.await.map_err(died)? {
            recorded += of_record;
            repeated += again;
            change.add(&customer, &pairs);
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "at most 200,000 decisions")]
    let fidelity = if recorded == 0 { 1.0 } else { repeated as f64 / recorded as f64 };
    let (in_force, candidate) = (in_force.version.clone(), other.version.clone());
    Ok(PolicySimulation { in_force, candidate, change, fidelity, left_out })
}

/// The decisions about one customer under both policies.
struct CustomerReplay {
    customer: CustomerId,
    pairs: Vec<ReplayPair>,
    /// Offers on record, and how many of them the replay under the policy in force makes again.
    recorded: u64,
    repeated: u64,
}

impl CustomerReplay {
    fn of(customer: Customer, mut decisions: Vec<Decision>, catalog: &Catalog, policies: [&Policy; 2]) -> Self {
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

/// Logged decisions.
#[derive(Default)]
struct LoggedDecisions {
    /// Those of each customer; none is empty.
    by_customer: Vec<Vec<Decision>>,
    /// How many they are together.
    decisions: usize,
    /// How many more there are.
    left_out: u64,
}

/// The decisions of whole customers, as many as fit.
async fn logged(store: &dyn Store, since: Option<Timestamp>) -> Result<LoggedDecisions, StoreError> {
    let mut logged = LoggedDecisions::default();
    let mut keep = |decision: Decision| {
        let last = logged.by_customer.last_mut().filter(|last| last[0].customer == decision.customer);
        if logged.left_out > 0 || (last.is_none() && logged.decisions >= DECISIONS_MAX) {
            logged.left_out += 1;
            return;
        }
        logged.decisions += 1;
        let decision = without_words(decision);
        match last {
            Some(last) => last.push(decision),
            None => logged.by_customer.push(vec![decision]),
        }
    };
    let is_asked_for = |decision: &Decision| since.is_none_or(|since| decision.at >= since);
    let mut visit = |page: Vec<Decision>| page.into_iter().filter(is_asked_for).for_each(&mut keep);
    store.visit_decisions(PAGE_LEN, &mut visit).await?;
    Ok(logged)
}

/// A replay needs no words, and they are most of a decision.
fn without_words(mut decision: Decision) -> Decision {
    decision.message = String::new();
    for offer in decision.slate.iter_mut().chain(&mut decision.would_be_slate) {
        (offer.title, offer.reasons, offer.goes_with) = (String::new(), Vec::new(), Vec::new());
    }
    decision
}
