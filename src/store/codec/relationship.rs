//! The relationship state inside a stored customer.

use serde::{Deserialize, Serialize};

use super::event::{StoredPlanDirection, severity_of};
use super::frame::CodecError;
use super::scalar::{FiniteF64, ms_since, optional_product, optional_timestamp, timestamp, timestamp_after};
use crate::domain::decayed_sum::{DecayedSum, HALF_LIVES_DAYS};
use crate::domain::ids::{CaseId, ProductId};
use crate::domain::relationship::{
    AcceptedOffer, Case, FoldedOpenCases, LastEventTimes, Parting, PartingKind, ProductReturn, RelationshipState,
};
use crate::domain::time::{Day, Timestamp};

#[derive(Serialize, Deserialize)]
pub(super) struct StoredRelationship {
    cases: Vec<StoredCase>,
    folded_friction: StoredDecayedSum,
    /// Friction, and the time until which it counts.
    folded_open_cases: Option<(FiniteF64, i64)>,
    folded_complaints_hold_until: Option<i64>,
    payment_trouble: StoredDecayedSum,
    offer_pressure: StoredDecayedSum,
    sentiment: StoredDecayedSum,
    accepted_offers: Vec<StoredAcceptedOffer>,
    acceptances_dropped_through: Option<i64>,
    returns: Vec<StoredReturn>,
    returns_dropped_through: Option<i64>,
    partings: Vec<StoredParting>,
    partings_dropped_through: Option<i64>,
    folded_value: StoredDecayedSum,
    engagement: StoredDecayedSum,
    /// Delta-encoded in ascending order: the first day's number, then the distances in days, mostly one byte each.
    purchase_days: Vec<i32>,
    first_purchase_day: Option<i32>,
    spent: StoredDecayedSum,
    returned: StoredDecayedSum,
    last: StoredLastTimes,
}

#[derive(Serialize, Deserialize)]
struct StoredCase {
    id: String,
    is_complaint: bool,
    severity: Option<u8>,
    reported_at: Option<i64>,
    resolved_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct StoredAcceptedOffer {
    at: i64,
    product: String,
    /// Milliseconds after `at`: 0, or below.
    since: i64,
}

#[derive(Serialize, Deserialize)]
struct StoredReturn {
    at: i64,
    product: String,
    follows_acceptance: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredParting {
    at: i64,
    product: String,
    kind: StoredPartingKind,
    follows_acceptance: bool,
}

#[derive(Serialize, Deserialize)]
enum StoredPartingKind {
    Cancellation,
    SubscriptionEnd,
    Downgrade { to: Option<String> },
    PlanChange { to: String, direction: Option<StoredPlanDirection> },
}

/// Stored [`DecayedSum`], one number for each half-life; the list is empty while all are zero, which most are.
#[derive(Serialize, Deserialize)]
struct StoredDecayedSum {
    as_of: Option<i64>,
    sums: Vec<FiniteF64>,
}

#[derive(Serialize, Deserialize)]
struct StoredLastTimes {
    purchase: Option<i64>,
    return_: Option<i64>,
    ticket: Option<i64>,
    payment_trouble: Option<i64>,
    cancellation: Option<i64>,
    commitment: Option<i64>,
    subscription_start: Option<i64>,
    detractor_survey: Option<i64>,
    payment_failures: Vec<i64>,
}

impl From<&RelationshipState> for StoredRelationship {
    fn from(state: &RelationshipState) -> Self {
        let RelationshipState {
            cases,
            folded_friction,
            folded_open_cases,
            folded_complaints_hold_until,
            payment_trouble,
            offer_pressure,
            sentiment,
            accepted_offers,
            acceptances_dropped_through,
            returns,
            returns_dropped_through,
            partings,
            partings_dropped_through,
            folded_value,
            engagement,
            purchase_days,
            first_purchase_day,
            spent,
            returned,
            last,
        } = state;
        let mut before = 0;
        let steps = purchase_days.iter().map(|day| {
            // Wrapping keeps every pair of days representable; reading wraps back.
            let step = day.number().wrapping_sub(before);
            before = day.number();
            step
        });
        Self {
            cases: cases.iter().map(StoredCase::from).collect(),
            folded_friction: folded_friction.into(),
            folded_open_cases: folded_open_cases
                .map(|FoldedOpenCases { friction, until }| (FiniteF64(friction), until.unix_ms())),
            folded_complaints_hold_until: folded_complaints_hold_until.map(Timestamp::unix_ms),
            payment_trouble: payment_trouble.into(),
            offer_pressure: offer_pressure.into(),
            sentiment: sentiment.into(),
            accepted_offers: accepted_offers.iter().map(StoredAcceptedOffer::from).collect(),
            acceptances_dropped_through: acceptances_dropped_through.map(Timestamp::unix_ms),
            returns: returns.iter().map(StoredReturn::from).collect(),
            returns_dropped_through: returns_dropped_through.map(Timestamp::unix_ms),
            partings: partings.iter().map(StoredParting::from).collect(),
            partings_dropped_through: partings_dropped_through.map(Timestamp::unix_ms),
            folded_value: folded_value.into(),
            engagement: engagement.into(),
            purchase_days: steps.collect(),
            first_purchase_day: first_purchase_day.map(Day::number),
            spent: spent.into(),
            returned: returned.into(),
            last: last.into(),
        }
    }
}

impl StoredRelationship {
    pub fn state(self) -> Result<RelationshipState, CodecError> {
        let Self {
            cases,
            folded_friction,
            folded_open_cases,
            folded_complaints_hold_until,
            payment_trouble,
            offer_pressure,
            sentiment,
            accepted_offers,
            acceptances_dropped_through,
            returns,
            returns_dropped_through,
            partings,
            partings_dropped_through,
            folded_value,
            engagement,
            purchase_days,
            first_purchase_day,
            spent,
            returned,
            last,
        } = self;
        let mut number = 0_i32;
        let days = purchase_days.into_iter().map(|step| {
            number = number.wrapping_add(step);
            Day::from_number(number)
        });
        Ok(RelationshipState {
            cases: cases.into_iter().map(StoredCase::case).collect::<Result<_, _>>()?,
            folded_friction: folded_friction.sum()?,
            folded_open_cases: match folded_open_cases {
                Some((FiniteF64(friction), until)) => Some(FoldedOpenCases { friction, until: timestamp(until)? }),
                None => None,
            },
            folded_complaints_hold_until: optional_timestamp(folded_complaints_hold_until)?,
            payment_trouble: payment_trouble.sum()?,
            offer_pressure: offer_pressure.sum()?,
            sentiment: sentiment.sum()?,
            accepted_offers: accepted_offers
                .into_iter()
                .map(StoredAcceptedOffer::accepted_offer)
                .collect::<Result<_, _>>()?,
            acceptances_dropped_through: optional_timestamp(acceptances_dropped_through)?,
            returns: returns.into_iter().map(StoredReturn::product_return).collect::<Result<_, _>>()?,
            returns_dropped_through: optional_timestamp(returns_dropped_through)?,
            partings: partings.into_iter().map(StoredParting::parting).collect::<Result<_, _>>()?,
            partings_dropped_through: optional_timestamp(partings_dropped_through)?,
            folded_value: folded_value.sum()?,
            engagement: engagement.sum()?,
            purchase_days: days.collect(),
            first_purchase_day: first_purchase_day.map(Day::from_number),
            spent: spent.sum()?,
            returned: returned.sum()?,
            last: last.times()?,
        })
    }
}

impl From<&Case> for StoredCase {
    fn from(case: &Case) -> Self {
        let Case { id, is_complaint, severity, reported_at, resolved_at } = case;
        Self {
            id: id.to_string(),
            is_complaint: *is_complaint,
            severity: severity.map(crate::domain::event::Severity::level),
            reported_at: reported_at.map(Timestamp::unix_ms),
            resolved_at: resolved_at.map(Timestamp::unix_ms),
        }
    }
}

impl StoredCase {
    fn case(self) -> Result<Case, CodecError> {
        let Self { id, is_complaint, severity, reported_at, resolved_at } = self;
        Ok(Case {
            id: CaseId::new(id)?,
            is_complaint,
            severity: severity.map(severity_of).transpose()?,
            reported_at: optional_timestamp(reported_at)?,
            resolved_at: optional_timestamp(resolved_at)?,
        })
    }
}

impl From<&AcceptedOffer> for StoredAcceptedOffer {
    fn from(accepted: &AcceptedOffer) -> Self {
        let AcceptedOffer { at, product, since } = accepted;
        Self { at: at.unix_ms(), product: product.to_string(), since: ms_since(*at, *since) }
    }
}

impl StoredAcceptedOffer {
    fn accepted_offer(self) -> Result<AcceptedOffer, CodecError> {
        let Self { at, product, since } = self;
        let at = timestamp(at)?;
        Ok(AcceptedOffer { at, product: ProductId::new(product)?, since: timestamp_after(at, since)? })
    }
}

impl From<&ProductReturn> for StoredReturn {
    fn from(product_return: &ProductReturn) -> Self {
        let ProductReturn { at, product, follows_acceptance } = product_return;
        Self { at: at.unix_ms(), product: product.to_string(), follows_acceptance: *follows_acceptance }
    }
}

impl StoredReturn {
    fn product_return(self) -> Result<ProductReturn, CodecError> {
        let Self { at, product, follows_acceptance } = self;
        Ok(ProductReturn { at: timestamp(at)?, product: ProductId::new(product)?, follows_acceptance })
    }
}

impl From<&Parting> for StoredParting {
    fn from(parting: &Parting) -> Self {
        let Parting { at, product, kind, follows_acceptance } = parting;
        let kind = match kind {
            PartingKind::Cancellation => StoredPartingKind::Cancellation,
            PartingKind::SubscriptionEnd => StoredPartingKind::SubscriptionEnd,
            PartingKind::Downgrade { to } => StoredPartingKind::Downgrade { to: to.as_ref().map(ToString::to_string) },
            PartingKind::PlanChange { to, direction } => {
                StoredPartingKind::PlanChange { to: to.to_string(), direction: direction.map(Into::into) }
            }
        };
        Self { at: at.unix_ms(), product: product.to_string(), kind, follows_acceptance: *follows_acceptance }
    }
}

impl StoredParting {
    fn parting(self) -> Result<Parting, CodecError> {
        let Self { at, product, kind, follows_acceptance } = self;
        let kind = match kind {
            StoredPartingKind::Cancellation => PartingKind::Cancellation,
            StoredPartingKind::SubscriptionEnd => PartingKind::SubscriptionEnd,
            StoredPartingKind::Downgrade { to } => PartingKind::Downgrade { to: optional_product(to)? },
            StoredPartingKind::PlanChange { to, direction } => {
                PartingKind::PlanChange { to: ProductId::new(to)?, direction: direction.map(Into::into) }
            }
        };
        Ok(Parting { at: timestamp(at)?, product: ProductId::new(product)?, kind, follows_acceptance })
    }
}

impl From<&DecayedSum> for StoredDecayedSum {
    fn from(sum: &DecayedSum) -> Self {
        let DecayedSum { as_of, sums } = sum;
        // By bits, so that a negative zero survives the round trip.
        let is_zero = sums.iter().all(|sum| sum.to_bits() == 0);
        let sums = if is_zero { &[][..] } else { &sums[..] };
        Self { as_of: as_of.map(Timestamp::unix_ms), sums: sums.iter().map(|&sum| FiniteF64(sum)).collect() }
    }
}

impl StoredDecayedSum {
    fn sum(self) -> Result<DecayedSum, CodecError> {
        let Self { as_of, sums } = self;
        let mut numbers = [0.0; HALF_LIVES_DAYS.len()];
        if !sums.is_empty() {
            if sums.len() != numbers.len() {
                return Err(CodecError(format!("a decayed sum has {} half-lives", sums.len())));
            }
            for (number, FiniteF64(sum)) in numbers.iter_mut().zip(sums) {
                *number = sum;
            }
        }
        Ok(DecayedSum { as_of: optional_timestamp(as_of)?, sums: numbers })
    }
}

impl From<&LastEventTimes> for StoredLastTimes {
    fn from(last: &LastEventTimes) -> Self {
        let LastEventTimes {
            purchase,
            return_,
            ticket,
            payment_trouble,
            cancellation,
            commitment,
            subscription_start,
            detractor_survey,
            payment_failures,
        } = last;
        Self {
            purchase: purchase.map(Timestamp::unix_ms),
            return_: return_.map(Timestamp::unix_ms),
            ticket: ticket.map(Timestamp::unix_ms),
            payment_trouble: payment_trouble.map(Timestamp::unix_ms),
            cancellation: cancellation.map(Timestamp::unix_ms),
            commitment: commitment.map(Timestamp::unix_ms),
            subscription_start: subscription_start.map(Timestamp::unix_ms),
            detractor_survey: detractor_survey.map(Timestamp::unix_ms),
            payment_failures: payment_failures.iter().map(|at| at.unix_ms()).collect(),
        }
    }
}

impl StoredLastTimes {
    fn times(self) -> Result<LastEventTimes, CodecError> {
        let Self {
            purchase,
            return_,
            ticket,
            payment_trouble,
            cancellation,
            commitment,
            subscription_start,
            detractor_survey,
            payment_failures,
        } = self;
        Ok(LastEventTimes {
            purchase: optional_timestamp(purchase)?,
            return_: optional_timestamp(return_)?,
            ticket: optional_timestamp(ticket)?,
            payment_trouble: optional_timestamp(payment_trouble)?,
            cancellation: optional_timestamp(cancellation)?,
            commitment: optional_timestamp(commitment)?,
            subscription_start: optional_timestamp(subscription_start)?,
            detractor_survey: optional_timestamp(detractor_survey)?,
            payment_failures: payment_failures.into_iter().map(timestamp).collect::<Result<_, _>>()?,
        })
    }
}
