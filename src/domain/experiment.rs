//! The experiment that tells whether offers help or hurt: some customers, chosen by a stable hash, are offered nothing.

use super::relationship::Band;
use super::time::Timestamp;

/// Names an experiment: the salt and the share of the control group. Another salt or share begins another experiment, so
/// that nobody who was offered things before counts as never having been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExperimentId(u64);

impl ExperimentId {
    /// From its bits.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// The two groups of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arm {
    /// Offered nothing; what would have been offered is recorded.
    Control,
    /// Everybody else.
    Rest,
}

impl Arm {
    /// The arm's name in answers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Rest => "rest",
        }
    }
}

/// How a customer stood when the experiment first met them: at the first recorded decision, in either arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// The experiment.
    pub experiment: ExperimentId,
    /// The customer's arm.
    pub arm: Arm,
    /// When.
    pub at: Timestamp,
    /// The band at that moment.
    pub band: Band,
}
