//! Extent to which a reader may see why offers to a customer are paused.

use crate::domain::decision::CapKind;

/// Whether a reader may see the reasons of holds and quiet periods, which can be bereavement, debts or a complaint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disclosure {
    /// The reasons, for readers who may list holds.
    Full,
    /// No reason: offers are not made now.
    Neutral,
}

impl Disclosure {
    /// Whether the reason of this cap must not be shown.
    pub(crate) fn conceals(self, kind: CapKind) -> bool {
        match kind {
            CapKind::Hold(_) | CapKind::QuietPeriod(_) => self == Self::Neutral,
            CapKind::RelationshipHealth
            | CapKind::UpSell
            | CapKind::SlowRise
            | CapKind::BackOff
            | CapKind::ChannelOptOut(_)
            | CapKind::ConsentMissing(_)
            | CapKind::Channel
            | CapKind::ControlGroup
            | CapKind::GrantsKept => false,
        }
    }
}
