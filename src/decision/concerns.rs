//! Signs of trouble in a relationship that a person should know of.
//!
//! A score is an average: three surveys with the worst answer leave it high in a customer who buys much. The concerns are
//! stated beside it; they limit no offers, which holds, pauses and the score do.

use super::active_holds::active_holds;
use crate::domain::catalog::Catalog;
use crate::domain::customer::{Customer, HoldReason};
use crate::domain::policy::Policy;
use crate::domain::relationship::{ComponentKind, RelationshipHealth};
use crate::domain::relationship_detail::Concern;
use crate::domain::time::Timestamp;

/// A component is a concern below this share of its value without data. With the default policy that is a late payment of
/// the last days, a failed one of the last ten weeks, or a survey answered with 3 of 10.
const CONCERN_SHARE: f64 = 0.7;
/// Surveys below this share are severe: with the default policy one answered with 0 of 10.
const SEVERE_SHARE: f64 = 0.4;

/// Concerns about a relationship at `now`, the gravest first.
pub(crate) fn concerns(
    customer: &Customer,
    health: &RelationshipHealth,
    policy: &Policy,
    catalog: &Catalog,
    now: Timestamp,
) -> Vec<Concern> {
    let holds = active_holds(customer, policy, catalog, now);
    let notices = holds.iter().filter(|active| active.hold.reason == HoldReason::CancellationNotice);
    let notice = notices.map(|active| active.hold.created_at).max().map(|at| Concern::CancellationNotice { at });
    let share = |kind: ComponentKind| {
        let component = health.components.iter().find(|component| component.kind == kind && component.is_known)?;
        Some(component.value / policy.relationship.component(kind).prior)
    };
    let payment = share(ComponentKind::Payment).filter(|&share| share < CONCERN_SHARE);
    let trouble = payment.and(customer.relationship.last.payment_trouble).map(|at| Concern::PaymentTrouble { at });
    let surveys = share(ComponentKind::Sentiment).filter(|&share| share < CONCERN_SHARE);
    let surveys = surveys.map(|share| Concern::NegativeSurveys { are_severe: share < SEVERE_SHARE });
    notice.into_iter().chain(trouble).chain(surveys).collect()
}
