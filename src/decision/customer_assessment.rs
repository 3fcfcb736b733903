//! The customer's side of a decision: relationship health, holds in force, and the allowance that follows from them.

use super::active_holds::active_holds;
use super::contact_policy::{Allowance, allowance};
use super::control_group::arm_of;
use super::decision_context::DecisionContext;
use super::relationship::assess;
use crate::domain::channel::QueryChannel;
use crate::domain::customer::{ActiveHold, Customer};
use crate::domain::experiment::Arm;
use crate::domain::ledger::Ledger;
use crate::domain::relationship::RelationshipHealth;

/// Relationship health, holds, and what is left of each cap.
pub struct CustomerAssessment {
    /// Relationship health.
    pub health: RelationshipHealth,
    /// Every hold in force.
    pub holds: Vec<ActiveHold>,
    /// Remaining allowance of each cap.
    pub allowance: Allowance,
}

impl CustomerAssessment {
    /// Assesses a customer, on one channel or without regard to any. Customers of the control group have no allowance.
    pub fn of(customer: &Customer, channel: Option<QueryChannel<'_>>, context: &DecisionContext<'_>) -> Self {
        let health = assess(customer, context.policy, context.outlook, context.catalog, context.now);
        let mut assessment = Self::with(health, customer, channel, context);
        if arm_of(&customer.id, &context.policy.control_group) == Arm::Control {
            assessment.allowance.withhold_for_control_group();
        }
        assessment
    }

    /// Assesses a customer whose relationship health is known, without regard to the control group.
    pub(super) fn with(
        health: RelationshipHealth,
        customer: &Customer,
        channel: Option<QueryChannel<'_>>,
        context: &DecisionContext<'_>,
    ) -> Self {
        let holds = active_holds(customer, context.policy, context.catalog, context.now);
        let allowance = allowance(customer, &customer.ledger, &health, &holds, channel, context.policy, context.now);
        Self { health, holds, allowance }
    }

    /// Replaces the ledger: only the allowance depends on it.
    pub(super) fn with_ledger(
        self,
        customer: &Customer,
        ledger: &Ledger,
        channel: Option<QueryChannel<'_>>,
        context: &DecisionContext<'_>,
    ) -> Self {
        let Self { health, holds, allowance: _ } = self;
        let allowance = allowance(customer, ledger, &health, &holds, channel, context.policy, context.now);
        Self { health, holds, allowance }
    }
}
