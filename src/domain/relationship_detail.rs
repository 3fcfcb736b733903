//! Details behind relationship health, for people; computed by `decision::relationship_detail`.

use super::decision::Cap;
use super::relationship::{Band, ComponentKind};
use super::time::Timestamp;

/// Number of days that the trend looks ahead.
pub const TREND_DAYS: u32 = 28;
/// Maximum number of what-if effects reported in each direction.
pub const WHAT_IF_EFFECTS_MAX: usize = 3;

/// Details behind relationship health.
#[derive(Debug, Clone, PartialEq)]
pub struct RelationshipDetail {
    /// Details of every component, in the order of [`ComponentKind::ALL`].
    pub components: Vec<ComponentDetail>,
    /// The events that would allow an offer soonest, then those that would raise the score most, at most
    /// [`WHAT_IF_EFFECTS_MAX`]; then as many of those that would lower it most.
    pub what_if_effects: Vec<WhatIfEffect>,
}

/// Summary of a relationship: the content of its message. `wording` puts it into words.
#[derive(Debug, Clone, PartialEq)]
pub struct RelationshipSummary {
    /// Band of relationship health.
    pub band: Band,
    /// Signs of trouble that a person should know of, the gravest first.
    pub concerns: Vec<Concern>,
    /// Number of offers that can be made now.
    pub offers_left: u32,
    /// The cap that withholds every offer; `None` while an offer is left.
    pub binding_cap: Option<Cap>,
    /// First instant at which one more cross-sell offer becomes possible, on a channel without a cap or a consent of its own;
    /// `None` when one is possible now, when none is within 180 days, and for customers of the control group.
    pub next_eligible_at: Option<Timestamp>,
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
    /// The event.
    pub event: HypotheticalEvent,
    /// Score after the event.
    pub score: f64,
    /// Band after the event.
    pub band: Band,
    /// Cap on offers after the event; 0 when it leads to a hold.
    pub offers_cap: u32,
    /// Number of cross-sell offers that could be made at once after the event.
    pub offers_left: u32,
    /// First instant at which one could be made if the event happened now; `None` when one could be made at once, when none
    /// within 180 days, and for customers of the control group.
    pub next_eligible_at: Option<Timestamp>,
}

/// A hypothetical event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HypotheticalEvent {
    /// The customer makes a purchase.
    Purchase,
    /// The customer returns a purchase.
    Return,
    /// The customer opens a support ticket of this severity.
    Ticket(u8),
    /// The customer makes a complaint of this severity.
    Complaint(u8),
    /// A payment fails.
    PaymentFailure,
    /// The customer answers a survey with so many out of 10.
    Survey(u8),
    /// The customer visits.
    Visit,
    /// The customer accepts an offer.
    OfferAccepted,
    /// The customer rejects an offer.
    OfferRejected,
    /// The customer ignores an offer.
    OfferIgnored,
    /// All open cases are resolved.
    CasesResolved {
        /// Number of open cases, at least 1.
        open: usize,
    },
}

/// A sign of trouble in a relationship that a person should know of, whatever the score is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// The customer gave notice of cancellation.
    CancellationNotice {
        /// Time of the notice.
        at: Timestamp,
    },
    /// Payments were late, failed or were disputed.
    PaymentTrouble {
        /// Time of the latest one.
        at: Timestamp,
    },
    /// Answers to surveys were negative.
    NegativeSurveys {
        /// Whether they leave almost nothing of the sentiment component.
        are_severe: bool,
    },
}
