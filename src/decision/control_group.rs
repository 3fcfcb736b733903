//! Who is in the control group, and what becomes of their slates.
//!
//! A customer's arm follows from the customer's id and the policy's salt alone: nothing is stored for it, every replica
//! agrees, and a larger share keeps everybody who was in the control group there. The slates that control customers would
//! have got are decided by the same rules; the grants that they would have made are kept apart, where they count against
//! the caps of later would-be slates and against nothing else.

use sha2::{Digest, Sha256};

use super::contact_policy::is_pause;
use super::decide::{CustomerAssessment, decide_freely};
use super::offer_query::{DecisionContext, OfferQuery};
use super::wording::capped_message;
use crate::domain::candidate::Proposal;
use crate::domain::customer::Customer;
use crate::domain::decision::{CapKind, Decision, WithheldReason};
use crate::domain::experiment::{Arm, Assignment, ExperimentId};
use crate::domain::ids::CustomerId;
use crate::domain::ledger::Ledger;
use crate::domain::policy::ControlGroup;
use crate::domain::relationship::Band;
use crate::domain::time::Timestamp;

/// The experiment that a policy runs; `None` while the control group's share is 0.
pub fn experiment(control: &ControlGroup) -> Option<ExperimentId> {
    let bits = || hash(&control.salt, &control.share.to_bits().to_be_bytes());
    (control.share > 0.0).then(|| ExperimentId::from_bits(bits()))
}

/// The customer's arm: control when the first 53 bits of SHA-256 over salt and id, as a number in `[0, 1)`, are below the
/// share.
pub fn arm_of(customer: &CustomerId, control: &ControlGroup) -> Arm {
    if control.share <= 0.0 {
        return Arm::Rest;
    }
    let bits = hash(&control.salt, customer.as_str().as_bytes()) >> 11;
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit the mantissa")]
    let place = bits as f64 / (1_u64 << 53) as f64;
    if place < control.share { Arm::Control } else { Arm::Rest }
}

fn hash(salt: &str, of: &[u8]) -> u64 {
    let mut digest = Sha256::new();
    // The length first, so that no salt runs into an id.
    digest.update(u64::try_from(salt.len()).unwrap_or(u64::MAX).to_be_bytes());
    digest.update(salt.as_bytes());
    digest.update(of);
    let digest = digest.finalize();
    u64::from_be_bytes(*digest.first_chunk::<8>().expect("SHA-256 has 32 bytes"))
}

/// The assignment after a decision at `at`: the one there is, or a first one in this experiment.
pub fn assignment(customer: &Customer, control: &ControlGroup, band: Band, at: Timestamp) -> Option<Assignment> {
    let known = customer.ledger.assignment;
    let Some(experiment) = experiment(control) else { return known };
    match known {
        Some(known) if known.experiment == experiment => Some(known),
        Some(_) | None => Some(Assignment { experiment, arm: arm_of(&customer.id, control), at, band }),
    }
}

/// Decides as for everybody, and withholds the slate.
pub(super) fn decide_for_control(
    question: &OfferQuery<'_>,
    customer: &Customer,
    proposal: &impl Proposal,
    grounds: &DecisionContext<'_>,
) -> (Decision, Ledger) {
    let mut as_if = customer.clone();
    swap_grants(&mut as_if.ledger);
    let (mut decision, mut ledger) = decide_freely(question, &as_if, proposal, grounds);
    swap_grants(&mut ledger);
    if !decision.slate.is_empty() {
        decision.would_be_slate = std::mem::take(&mut decision.slate);
        let count = u32::try_from(decision.would_be_slate.len()).unwrap_or(u32::MAX);
        decision.withheld.insert(WithheldReason::ControlGroup, count);
    }
    // The caller is told how the customer stands, and not how it would.
    let after = Customer { ledger, ..as_if };
    let health = decision.relationship_health.clone();
    let mut allowance = CustomerAssessment::with(health, &after, question.channel, grounds).allowance;
    allowance.withhold_from_control();
    let caps = allowance.caps;
    // A hold or a pause would have kept everything back in either arm, and says more.
    let binding = decision.binding_cap.map(|place| decision.caps[place].kind).filter(|&kind| is_pause(kind));
    let place_of = |kind: CapKind| caps.iter().position(|cap| cap.kind == kind);
    decision.binding_cap = binding.or(Some(CapKind::ControlGroup)).and_then(place_of);
    if let Some(place) = decision.binding_cap.filter(|_| binding.is_none()) {
        decision.message = capped_message(&caps[place], None, grounds.now);
    }
    decision.caps = caps;
    (decision, after.ledger)
}

/// Puts the would-be grants in the place of the grants, and back.
fn swap_grants(ledger: &mut Ledger) {
    std::mem::swap(&mut ledger.grants, &mut ledger.would_be_grants);
}
