//! Learned ranker of upgrades.

use super::super::probability_calibration::ProbabilityCalibration;
use super::forest::Forest;

/// Ranker of the alternatives to an owned item.
#[derive(Debug, Clone, PartialEq)]
pub struct UpgradeRanker {
    /// Scores the alternatives, where that was better than popularity on the latest window.
    pub forest: Option<Forest>,
    /// Maps the odds of the forest to probabilities.
    pub calibration: ProbabilityCalibration,
}

impl UpgradeRanker {
    /// Ranker that learned nothing.
    pub const UNTRAINED: Self = Self { forest: None, calibration: ProbabilityCalibration::DEFAULT };
}
