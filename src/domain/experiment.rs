//! The holdout experiment that measures whether offers help or hurt: the customers of a control group, chosen by a stable
//! hash, are offered nothing.

use super::relationship::Band;
use super::time::Timestamp;

/// Id of an experiment, derived from the salt and the share of the control group. Another salt or share starts another
/// experiment, so that customers who got offers before do not count as untreated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExperimentId(u64);

impl ExperimentId {
    /// Creates an id from its bits.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits of the id.
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// Group of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arm {
    /// Offered nothing; what would have been offered is recorded.
    Control,
    /// Offered as usual.
    Treatment,
}

impl Arm {
    /// Name in responses and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Treatment => "treatment",
        }
    }
}

/// A customer's assignment to an arm, made at the first recorded decision within the experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// The experiment.
    pub experiment: ExperimentId,
    /// The customer's arm.
    pub arm: Arm,
    /// Time of the assignment.
    pub at: Timestamp,
    /// The customer's band at that time.
    pub band: Band,
}
