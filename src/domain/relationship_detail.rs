//! Details behind relationship health, for people; computed by `decision::relationship_detail`.

use super::relationship::{Band, ComponentKind};

/// Number of days that the trend looks ahead.
pub const TREND_DAYS: u32 = 28;
/// Maximum number of what-if effects reported in each direction.
pub const WHAT_IF_EFFECTS_MAX: usize = 3;

/// Details behind relationship health.
#[derive(Debug, Clone, PartialEq)]
pub struct RelationshipDetail {
    /// Details of every component, in the order of [`ComponentKind::ALL`].
    pub components: Vec<ComponentDetail>,
    /// The events that would raise the score most, then those that would lower it most; at most [`WHAT_IF_EFFECTS_MAX`] each.
    pub what_if_effects: Vec<WhatIfEffect>,
}

/// Details behind a component.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentDetail {
    /// Kind of component.
    pub kind: ComponentKind,
    /// Counts and times that the value was computed from.
    pub raw_inputs: Vec<RawInput>,
    /// Change of the value within [`TREND_DAYS`] days if nothing happens.
    pub trend: f64,
}

/// A count or a time behind a component.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RawInput {
    /// Name of the input; one that contains `days` is in days.
    pub name: &'static str,
    /// The count, or the number of days.
    pub value: f64,
}

/// Effect that a hypothetical event would have on relationship health now.
#[derive(Debug, Clone, PartialEq)]
pub struct WhatIfEffect {
    /// The event as a clause: `the customer makes a purchase`.
    pub event: String,
    /// Score after the event.
    pub score: f64,
    /// Band after the event.
    pub band: Band,
    /// Cap on offers after the event; 0 when it leads to a hold.
    pub offers_cap: u32,
}
