//! From relationship health and rules to an allowance: what is left of each cap.
//!
//! Caps combine with AND. A cap counts distinct offers granted within an exact sliding window: a grant at `t` counts
//! until just before `t + window`. The cap set by relationship health falls at once and rises by one offer a week.

use std::cmp::Reverse;
use std::time::Duration;

use crate::decision::channel_rules::{capped_channels, channel_pauses, counts_on_channel};
use crate::decision::grants::{self, back_off_end, counts};
use crate::decision::relationship::{assess, band_of_score};
use crate::domain::catalog::Catalog;
use crate::domain::channel::{QueryChannel, RegisteredChannel};
use crate::domain::customer::{ActiveHold, Customer, Hold};
use crate::domain::decision::{Cap, CapKind, QuietPeriodCause};
use crate::domain::ledger::{AllowanceLevel, GRANTS_KEPT, GRANTS_MAX, Grant, Ledger};
use crate::domain::offer::OfferKind;
use crate::domain::outlook::Outlook;
use crate::domain::policy::{BandCaps, ContactPolicy, Policy};
use crate::domain::relationship::{Band, RelationshipHealth};
use crate::domain::time::Timestamp;
use crate::domain::withheld_reason::WithheldReason;

/// State of every cap that applies to a customer, and the number of offers left.
#[derive(Debug, Clone, PartialEq)]
pub struct Allowance {
    /// Every cap that applies, the customer's own first.
    pub caps: Vec<Cap>,
    /// Maximum number of offers within the window.
    pub offers_limit: u32,
    /// Number of offers left.
    pub offers_left: u32,
    /// Maximum number of up-sell offers within the window.
    pub up_sell_limit: u32,
    /// Number of up-sell offers left, never more than `offers_left`.
    pub up_sell_left: u32,
    /// Number of offers left on the query's channel; `None` where it has no cap of its own. Not included in the numbers
    /// above, which hold for all channels.
    pub channel_left: Option<u32>,
}

impl Allowance {
    /// Maximum number of offers of a kind within the window.
    pub fn limit(&self, kind: OfferKind) -> u32 {
        match kind {
            OfferKind::CrossSell => self.offers_limit,
            OfferKind::UpSell => self.up_sell_limit.min(self.offers_limit),
        }
    }

    /// Number of offers of a kind left on the query's channel.
    pub(crate) fn left(&self, kind: OfferKind) -> u32 {
        let left = self.customer_left(kind);
        self.channel_left.map_or(left, |channel_left| channel_left.min(left))
    }

    /// Number of offers of a kind left, without regard to the channel.
    pub(crate) fn customer_left(&self, kind: OfferKind) -> u32 {
        match kind {
            OfferKind::CrossSell => self.offers_left,
            OfferKind::UpSell => self.up_sell_left,
        }
    }

    /// Sets the allowance to zero, because the customer is in the control group.
    pub(super) fn withhold_for_control_group(&mut self) {
        self.caps.push(zero_cap(CapKind::ControlGroup, None, None));
        (self.offers_limit, self.offers_left, self.up_sell_limit, self.up_sell_left) = (0, 0, 0, 0);
    }

    /// Index of the cap that binds queries of this kind: of those with nothing left, the one that lasts longest. Holds and
    /// pauses take precedence over the control group, because they withhold everything in either arm; all three take
    /// precedence over counted caps. `None` while an offer is left.
    pub(crate) fn binding(&self, kind: OfferKind) -> Option<usize> {
        let exhausted = self.caps.iter().enumerate().filter(|(_, cap)| binds(cap, kind));
        let precedence = |cap: &Cap| {
            let is_control = cap.kind == CapKind::ControlGroup;
            (is_pause(cap.kind), !is_control, cap.next_eligible_at.unwrap_or(Timestamp::MAX))
        };
        exhausted.rev().max_by_key(|(_, cap)| precedence(cap)).map(|(index, _)| index)
    }
}

/// Whether nothing is left of a cap that counts for queries of this kind.
pub(super) fn binds(cap: &Cap, kind: OfferKind) -> bool {
    cap.remaining == 0 && (cap.kind != CapKind::UpSell || kind == OfferKind::UpSell)
}

/// Whether the cap withholds every offer, whatever was offered before.
pub(super) fn is_pause(kind: CapKind) -> bool {
    match kind {
        CapKind::Hold(_)
        | CapKind::BackOff
        | CapKind::QuietPeriod(_)
        | CapKind::ChannelOptOut(_)
        | CapKind::ConsentMissing(_)
        | CapKind::ControlGroup => true,
        CapKind::RelationshipHealth | CapKind::UpSell | CapKind::SlowRise | CapKind::Channel | CapKind::GrantsKept => {
            false
        }
    }
}

/// Reason for which this cap withholds candidates.
pub(super) fn withheld_reason(kind: CapKind) -> WithheldReason {
    match kind {
        CapKind::Hold(_) => WithheldReason::OnHold,
        CapKind::BackOff => WithheldReason::BackOff,
        CapKind::QuietPeriod(_) => WithheldReason::QuietPeriod,
        CapKind::ChannelOptOut(_) => WithheldReason::OptedOut,
        CapKind::ConsentMissing(_) => WithheldReason::ConsentMissing,
        CapKind::ControlGroup => WithheldReason::ControlGroup,
        CapKind::Channel => WithheldReason::ChannelCapReached,
        CapKind::UpSell => WithheldReason::UpSellCapReached,
        CapKind::RelationshipHealth | CapKind::SlowRise | CapKind::GrantsKept => WithheldReason::CapReached,
    }
}

/// Caps set by relationship health. A new customer gets at most what a new customer may get and at most what the score alone
/// would allow, in every band: a fall to guarded must not yield more offers than being new.
pub(crate) fn band_caps(health: &RelationshipHealth, policy: &Policy) -> BandCaps {
    score_caps(health.score, health.is_new, policy)
}

/// Caps set by a score of relationship health.
pub(super) fn score_caps(score: f64, is_new: bool, policy: &Policy) -> BandCaps {
    let by_score = policy.contact.caps_of(band_of_score(score, policy.relationship.band_limits));
    if !is_new {
        return by_score;
    }
    let while_new = policy.contact.caps_of(Band::NewCustomer);
    BandCaps { offers: while_new.offers.min(by_score.offers), up_sell: while_new.up_sell.min(by_score.up_sell) }
}

/// Computes the allowance at `now` under this ledger of the customer. Without a channel it is that of the customer,
/// whatever the channel.
pub(crate) fn allowance(
    customer: &Customer,
    ledger: &Ledger,
    health: &RelationshipHealth,
    holds: &[ActiveHold],
    channel: Option<QueryChannel<'_>>,
    policy: &Policy,
    now: Timestamp,
) -> Allowance {
    let contact = &policy.contact;
    let band_caps = band_caps(health, policy);
    let risen_cap = cap_after_rise(ledger.level, band_caps.offers, contact.rise_step, now);
    let all_grants = GrantCounter { ledger, kind: None, channel: None, policy: contact };
    let up_sells = GrantCounter { kind: Some(OfferKind::UpSell), ..all_grants };

    let mut caps = vec![all_grants.cap(CapKind::RelationshipHealth, now, |_| band_caps.offers)];
    if risen_cap < band_caps.offers {
        let level = ledger.level;
        let rise = |at| cap_after_rise(level, band_caps.offers, contact.rise_step, at);
        caps.push(all_grants.cap(CapKind::SlowRise, now, rise));
    }
    caps.push(up_sells.cap(CapKind::UpSell, now, |_| band_caps.up_sell));
    caps.extend(channel.and_then(|channel| smallest_channel_cap(all_grants, channel, now)));
    let pauses = pauses(customer, ledger, holds, channel, contact, now);
    let basis = AllowanceBasis::at(ledger, !pauses.is_empty(), channel, contact, now);
    caps.extend(pauses);
    let allowance = basis.allowance(band_caps);
    let record_cap = record_cap(ledger, now);
    if record_cap.remaining < allowance.offers_limit.saturating_sub(basis.used) {
        caps.push(record_cap);
    }
    Allowance { caps, ..allowance }
}

/// Everything that the allowance depends on apart from relationship health, at one instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct AllowanceBasis {
    /// Whether a hold or a pause withholds every offer.
    is_paused: bool,
    /// Maximum that the slow rise allows.
    risen: u32,
    /// Grants that count.
    used: u32,
    /// Up-sell grants that count.
    up_sells_used: u32,
    /// Number of further grants that the ledger can hold.
    room: u32,
    /// Number of offers left on the query's channel.
    channel_left: Option<u32>,
}

impl AllowanceBasis {
    /// The basis at `now`, under this ledger.
    pub(super) fn at(
        ledger: &Ledger,
        is_paused: bool,
        channel: Option<QueryChannel<'_>>,
        policy: &ContactPolicy,
        now: Timestamp,
    ) -> Self {
        let all_grants = GrantCounter { ledger, kind: None, channel: None, policy };
        let channel_left = channel.and_then(|channel| {
            let capped = capped_channels(channel, &policy.channels);
            let left = capped.map(|(channel, limit)| {
                limit.saturating_sub(GrantCounter { channel: Some(channel), ..all_grants }.used(now))
            });
            left.min()
        });
        Self {
            is_paused,
            risen: cap_after_rise(ledger.level, u32::MAX, policy.rise_step, now),
            used: all_grants.used(now),
            up_sells_used: GrantCounter { kind: Some(OfferKind::UpSell), ..all_grants }.used(now),
            room: u32::try_from(grants::room(ledger, now)).unwrap_or(u32::MAX),
            channel_left,
        }
    }

    /// The allowance under the caps of relationship health, without the caps that explain it.
    pub(super) fn allowance(&self, band_caps: BandCaps) -> Allowance {
        let limit = |limit: u32| if self.is_paused { 0 } else { limit };
        let (offers_limit, up_sell_limit) = (limit(band_caps.offers.min(self.risen)), limit(band_caps.up_sell));
        let offers_left = offers_limit.saturating_sub(self.used).min(self.room);
        let up_sell_left = up_sell_limit.saturating_sub(self.up_sells_used).min(offers_left);
        let caps = Vec::new();
        Allowance { caps, offers_limit, offers_left, up_sell_limit, up_sell_left, channel_left: self.channel_left }
    }
}

/// Whether a hold or a pause withholds every offer at `now`.
pub(super) fn is_paused(
    customer: &Customer,
    ledger: &Ledger,
    holds: &[ActiveHold],
    channel: Option<QueryChannel<'_>>,
    policy: &ContactPolicy,
    now: Timestamp,
) -> bool {
    !pauses(customer, ledger, holds, channel, policy, now).is_empty()
}

/// Every time at which something dated changes the allowance, in no order and some of it past: grants leave their windows,
/// the slow rise takes a step, a hold or a pause in force at `now` ends, a consent begins. Between two of them only
/// relationship health changes it: no pause begins later than now without an event.
pub(super) fn dated_changes(
    customer: &Customer,
    ledger: &Ledger,
    holds: &[ActiveHold],
    channel: Option<QueryChannel<'_>>,
    policy: &ContactPolicy,
    now: Timestamp,
) -> Vec<Timestamp> {
    let mut changes: Vec<Timestamp> = ledger.grants.iter().map(|grant| grant.granted_at + policy.cap_window).collect();
    if grants::room(ledger, now) == 0 {
        changes.extend(ledger.grants.iter().map(|grant| grant.granted_at + GRANTS_KEPT));
    }
    changes.extend(rise_steps(ledger, policy));
    let pauses = pauses(customer, ledger, holds, channel, policy, now);
    changes.extend(pauses.into_iter().filter_map(|pause| pause.next_eligible_at));
    changes.extend(customer.consents.channel_consents.values().map(|consent| consent.granted_at));
    changes
}

/// Steps of the slow rise, from the first one.
fn rise_steps(ledger: &Ledger, policy: &ContactPolicy) -> impl Iterator<Item = Timestamp> {
    let rise_step = policy.rise_step;
    ledger
        .level
        .into_iter()
        .flat_map(move |level| (1..=RISE_STEPS_MAX).map(move |step| level.since + rise_step.saturating_mul(step)))
}

/// The cap set by the number of grants that a ledger can hold: no grant is dropped to make room for another.
fn record_cap(ledger: &Ledger, now: Timestamp) -> Cap {
    let limit = u32::try_from(GRANTS_MAX).unwrap_or(u32::MAX);
    let remaining = u32::try_from(grants::room(ledger, now)).unwrap_or(limit);
    let mut ends: Vec<Timestamp> = ledger.grants.iter().map(|grant| grant.granted_at + GRANTS_KEPT).collect();
    ends.sort_unstable();
    let next_eligible_at = (remaining == 0).then(|| ends.iter().rev().nth(GRANTS_MAX - 1).copied()).flatten();
    Cap {
        kind: CapKind::GrantsKept,
        limit,
        used: limit - remaining,
        remaining,
        window: GRANTS_KEPT,
        next_eligible_at,
        since: None,
        resolved_at: None,
    }
}

/// The cap of the query's channel; without a channel, the one that leaves fewest offers for longest.
fn smallest_channel_cap(all_grants: GrantCounter<'_>, channel: QueryChannel<'_>, now: Timestamp) -> Option<Cap> {
    let caps = capped_channels(channel, &all_grants.policy.channels).map(|(channel, limit)| {
        let on_channel = GrantCounter { channel: Some(channel), ..all_grants };
        on_channel.cap(CapKind::Channel, now, |_| limit)
    });
    caps.min_by_key(|cap| (cap.remaining, cap.limit, Reverse(cap.next_eligible_at.unwrap_or(Timestamp::MAX))))
}

/// Caps that withhold every offer: holds, opt-outs of the channel and missing consents to it, pauses.
fn pauses(
    customer: &Customer,
    ledger: &Ledger,
    holds: &[ActiveHold],
    channel: Option<QueryChannel<'_>>,
    policy: &ContactPolicy,
    now: Timestamp,
) -> Vec<Cap> {
    let mut pauses: Vec<Cap> = holds.iter().map(hold_cap).collect();
    if let Some(channel) = channel {
        let closed = channel_pauses(&customer.consents, channel, &policy.channels, now);
        pauses.extend(closed.map(|kind| zero_cap(kind, None, None)));
    }
    if let Some(until) = back_off_end(ledger, policy).filter(|&until| now < until) {
        let since = ledger.rejections.last().map(|rejection| rejection.at);
        pauses.push(zero_cap(CapKind::BackOff, since, Some(until)));
    }
    pauses.extend(quiet_period(customer, policy).filter(|quiet| quiet.next_eligible_at.is_some_and(|end| now < end)));
    pauses
}

/// A cap that withholds every offer.
fn zero_cap(kind: CapKind, since: Option<Timestamp>, until: Option<Timestamp>) -> Cap {
    Cap {
        kind,
        limit: 0,
        used: 0,
        remaining: 0,
        window: Duration::ZERO,
        next_eligible_at: until,
        since,
        resolved_at: None,
    }
}

fn hold_cap(active: &ActiveHold) -> Cap {
    let Hold { id: _, reason, note: _, created_at, expires_at } = &active.hold;
    let since = Some(*created_at).filter(|&at| at > Timestamp::MIN);
    Cap { resolved_at: active.resolved_at, ..zero_cap(CapKind::Hold(*reason), since, *expires_at) }
}

/// The quiet period that ends last.
fn quiet_period(customer: &Customer, policy: &ContactPolicy) -> Option<Cap> {
    let last = &customer.relationship.last;
    let failure = last.repeated_payment_failure(policy.payment_failures_min, policy.payment_failure_window);
    let periods = [
        (QuietPeriodCause::Purchase, last.purchase.max(last.subscription_start), policy.quiet_after_purchase),
        (QuietPeriodCause::Return, last.return_, policy.quiet_after_return),
        (QuietPeriodCause::Ticket, last.ticket, policy.quiet_after_ticket),
        (QuietPeriodCause::PaymentTrouble, last.payment_trouble, policy.quiet_after_payment_trouble),
        (QuietPeriodCause::DetractorSurvey, last.detractor_survey, policy.quiet_after_detractor_survey),
        (QuietPeriodCause::PaymentFailures, failure, policy.quiet_after_payment_failures),
    ];
    let caps = periods.into_iter().filter_map(|(cause, at, quiet)| {
        let at = at?;
        Some(zero_cap(CapKind::QuietPeriod(cause), Some(at), Some(at + quiet)))
    });
    caps.max_by_key(|cap| cap.next_eligible_at)
}

/// Counts the grants of one cap.
#[derive(Clone, Copy)]
struct GrantCounter<'a> {
    ledger: &'a Ledger,
    kind: Option<OfferKind>,
    channel: Option<&'a RegisteredChannel>,
    policy: &'a ContactPolicy,
}

impl<'a> GrantCounter<'a> {
    fn grants(self) -> impl Iterator<Item = &'a Grant> {
        let is_of_kind = move |grant: &&Grant| self.kind.is_none_or(|kind| grant.kind == kind);
        let is_on_channel = move |grant: &&Grant| {
            self.channel.is_none_or(|channel| counts_on_channel(grant, channel, &self.policy.channels))
        };
        self.ledger.grants.iter().filter(is_of_kind).filter(is_on_channel)
    }

    fn used(self, now: Timestamp) -> u32 {
        let count = self.grants().filter(|grant| counts(grant, self.policy, now)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The state of the cap, with the first moment at which a grant leaves the window or the limit rises so that one more
    /// offer becomes possible.
    fn cap(self, kind: CapKind, now: Timestamp, limit_at: impl Fn(Timestamp) -> u32) -> Cap {
        let window = self.policy.cap_window;
        let (limit, used) = (limit_at(now), self.used(now));
        let remaining = limit.saturating_sub(used);
        let next_eligible_at = (remaining == 0).then(|| self.next_eligible_at(now, limit_at)).flatten();
        Cap { kind, limit, used, remaining, window, next_eligible_at, since: None, resolved_at: None }
    }

    fn next_eligible_at(self, now: Timestamp, limit_at: impl Fn(Timestamp) -> u32) -> Option<Timestamp> {
        let leaving = self.grants().map(|grant| grant.granted_at + self.policy.cap_window);
        let rising = rise_steps(self.ledger, self.policy);
        let mut moments: Vec<Timestamp> = leaving.chain(rising).filter(|&moment| moment > now).collect();
        moments.sort_unstable();
        moments.into_iter().find(|&moment| self.used(moment) < limit_at(moment))
    }
}

/// Number of steps of the slow rise that are looked ahead; no cap is as high.
const RISE_STEPS_MAX: u32 = 64;

/// The cap under the slow rise: the smaller of the cap that relationship health sets and the level plus the whole steps
/// since. Without a level nothing has happened yet, and relationship health alone decides.
pub fn cap_after_rise(level: Option<AllowanceLevel>, cap: u32, rise_step: Duration, now: Timestamp) -> u32 {
    let Some(level) = level else { return cap };
    cap.min(level.offers.saturating_add(whole_steps(level, rise_step, now)))
}

fn whole_steps(level: AllowanceLevel, rise_step: Duration, now: Timestamp) -> u32 {
    let steps = now.since(level.since).as_millis() / rise_step.as_millis().max(1);
    u32::try_from(steps).unwrap_or(u32::MAX)
}

/// Updates the level: it falls at once, rises by whole steps, and keeps the fraction of a step that has passed.
pub fn updated_level(level: Option<AllowanceLevel>, cap: u32, rise_step: Duration, now: Timestamp) -> AllowanceLevel {
    let Some(level) = level else { return AllowanceLevel { offers: cap, since: now } };
    let steps = whole_steps(level, rise_step, now);
    let risen = level.offers.saturating_add(steps);
    if cap <= level.offers || cap <= risen {
        // At the cap the fraction of a step is dropped: after the next fall, steps count from that fall.
        return AllowanceLevel { offers: cap, since: now };
    }
    AllowanceLevel { offers: risen, since: level.since + rise_step.saturating_mul(steps) }
}

/// Updates the customer's level at `now`, which must not be before the ledger's clock.
pub(super) fn update_level(
    customer: &mut Customer,
    policy: &Policy,
    outlook: &Outlook,
    catalog: &Catalog,
    now: Timestamp,
) {
    let health = assess(customer, policy, outlook, catalog, now);
    customer.ledger.level = Some(level_under(&health, &customer.ledger, policy, now));
}

/// The updated level of a ledger under the cap that relationship health sets.
pub(super) fn level_under(
    health: &RelationshipHealth,
    ledger: &Ledger,
    policy: &Policy,
    now: Timestamp,
) -> AllowanceLevel {
    updated_level(ledger.level, band_caps(health, policy).offers, policy.contact.rise_step, now)
}
