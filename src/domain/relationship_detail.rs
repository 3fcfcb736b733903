//! What stands behind relationship health, for people; `decision::relationship_detail` tells it.

use super::relationship::{Band, ComponentKind};

/// How far ahead the trend looks.
pub const TREND_DAYS: u32 = 28;
/// The most levers told of each direction.
pub const LEVERS_MAX: usize = 3;

/// What stands behind relationship health.
#[derive(Debug, Clone, PartialEq)]
pub struct RelationshipDetail {
    /// In the order of [`ComponentKind::ALL`].
    pub components: Vec<ComponentDetail>,
    /// What would raise the score most, then what would lower it most; at most [`LEVERS_MAX`] each.
    pub levers: Vec<Lever>,
}

/// What stands behind a component.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentDetail {
    /// Which one.
    pub kind: ComponentKind,
    /// Counts and times that the value was made from.
    pub raw_inputs: Vec<RawInput>,
    /// How much the value changes within [`TREND_DAYS`] days if nothing happens: troubles fade, silence tells.
    pub trend: f64,
}

/// A count or a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RawInput {
    /// What was counted; a name with `days` is in days.
    pub name: &'static str,
    /// How much.
    pub value: f64,
}

/// Something that could happen now, and what it would do.
#[derive(Debug, Clone, PartialEq)]
pub struct Lever {
    /// What, as a clause: `an open complaint is settled`.
    pub what: String,
    /// The score after it.
    pub score: f64,
    /// The band after it.
    pub band: Band,
    /// The cap on offers after it; 0 when it brings a hold about.
    pub offers_cap: u32,
}
