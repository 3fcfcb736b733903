//! Arms of the simulation: contact policies to compare, each a policy for the real decision.

use std::time::Duration;

use crate::domain::policy::{BandCaps, Policy};
use crate::domain::relationship::Band;
use crate::domain::time::DAY;

/// Contact policy of one arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyArm {
    /// No cap: an offer at every opportunity at which one is worth it.
    NoCap,
    /// One offer a week for every customer.
    WeeklyCap,
    /// The default policy's caps of the steady band for every customer: 4 offers in 28 days, 1 of them up-sell. Makes as few
    /// offers as the health caps, without regard to health.
    SteadyCap,
    /// The default policy: caps by relationship health, holds and pauses.
    HealthCaps,
}

impl PolicyArm {
    /// All arms, in the order of the reports.
    pub const ALL: [Self; 4] = [Self::NoCap, Self::WeeklyCap, Self::SteadyCap, Self::HealthCaps];

    /// Arms that the health caps are compared with.
    pub const BASELINES: [Self; 3] = [Self::NoCap, Self::WeeklyCap, Self::SteadyCap];

    /// Name of the arm in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoCap => "no_cap",
            Self::WeeklyCap => "weekly_cap",
            Self::SteadyCap => "steady_cap",
            Self::HealthCaps => "health_caps",
        }
    }

    /// Builds the policy of the arm. Opt-outs hold in every arm.
    pub fn policy(self) -> Policy {
        match self {
            Self::NoCap => without_brakes(BandCaps { offers: 40, up_sell: 40 }, DAY * 28),
            Self::WeeklyCap => without_brakes(BandCaps { offers: 1, up_sell: 1 }, DAY * 7),
            Self::SteadyCap => without_brakes(Policy::default().contact.caps_of(Band::Steady), DAY * 28),
            Self::HealthCaps => Policy::default(),
        }
    }
}

/// Builds a policy with the same caps for every band and without pauses.
fn without_brakes(caps: BandCaps, cap_window: Duration) -> Policy {
    let mut policy = Policy::default();
    let contact = &mut policy.contact;
    contact.caps = [caps; Band::ALL.len()];
    contact.cap_window = cap_window;
    contact.per_offer = caps.offers;
    // An offer that was declined a day ago may be made again.
    contact.visit_window = DAY;
    contact.lease = DAY.min(contact.lease);
    for pause in [
        &mut contact.back_off,
        &mut contact.back_off_max,
        &mut contact.rejected_product_cooldown,
        &mut contact.dismissed_product_cooldown,
        &mut contact.returned_product_cooldown,
        &mut contact.cancelled_product_cooldown,
        &mut contact.regretted_product_cooldown,
        &mut contact.complaint_hold_after_resolution,
        &mut contact.complaint_hold_unresolved,
        &mut contact.cancellation_hold,
        &mut contact.quiet_after_purchase,
        &mut contact.quiet_after_return,
        &mut contact.quiet_after_ticket,
        &mut contact.quiet_after_payment_trouble,
        &mut contact.quiet_after_detractor_survey,
        &mut contact.quiet_after_payment_failures,
    ] {
        *pause = Duration::ZERO;
    }
    policy.arbitration.attention_price_growth = 0.0;
    policy
}
