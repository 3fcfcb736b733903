//! Assignment of customers to the control group of the holdout experiment.
//!
//! A customer's arm follows from the customer's id and the policy's salt alone: nothing is stored for it, every replica
//! agrees, and a larger share keeps every customer of the control group in it. The slates that control customers would
//! have got are decided by the same rules; the grants that they would have made are kept apart, where they count against
//! the caps of later would-be slates and against nothing else.

use sha2::{Digest, Sha256};

use crate::domain::customer::Customer;
use crate::domain::experiment::{Arm, Assignment, ExperimentId};
use crate::domain::ids::CustomerId;
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
        return Arm::Treatment;
    }
    let bits = hash(&control.salt, customer.as_str().as_bytes()) >> 11;
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit the mantissa")]
    let position = bits as f64 / (1_u64 << 53) as f64;
    if position < control.share { Arm::Control } else { Arm::Treatment }
}

fn hash(salt: &str, of: &[u8]) -> u64 {
    let mut digest = Sha256::new();
    // The length comes first, so that salt and id cannot be divided differently.
    digest.update(u64::try_from(salt.len()).unwrap_or(u64::MAX).to_be_bytes());
    digest.update(salt.as_bytes());
    digest.update(of);
    let digest = digest.finalize();
    u64::from_be_bytes(*digest.first_chunk::<8>().expect("SHA-256 has 32 bytes"))
}

/// The assignment after a decision at `at`: the present one, or a first one in this experiment.
pub(crate) fn assignment(customer: &Customer, control: &ControlGroup, band: Band, at: Timestamp) -> Option<Assignment> {
    let present = customer.ledger.assignment;
    let Some(experiment) = experiment(control) else { return present };
    match present {
        Some(present) if present.experiment == experiment => Some(present),
        Some(_) | None => Some(Assignment { experiment, arm: arm_of(&customer.id, control), at, band }),
    }
}
