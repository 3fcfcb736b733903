//! Policies and their activations as they are stored.

use crate::domain::time::Timestamp;

/// A version of the policy: never changed once stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPolicy {
    /// Name of the version, 1 to 64 bytes.
    pub version: String,
    /// Text of the policy document.
    pub text: String,
    /// Time at which it was stored.
    pub created_at: Timestamp,
}

/// Activation of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// Name of the policy version.
    pub policy: String,
    /// Time from which it is in force.
    pub at: Timestamp,
    /// Whether it is the return from the version that was in force before, to the one that was in force before that.
    pub is_roll_back: bool,
}
