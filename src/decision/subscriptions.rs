//! Subscriptions of a customer, read from the starts and partings that were reported.
//!
//! Billing systems report one change of plans as an end and a start, in any order and with times of any precision, and a
//! renewal as an end and a start of the same product. Neither is a loss of the customer, so what a parting means is decided
//! here, when it is read, from all the facts at once: the order of arrival does not matter, and neither does whether the
//! catalogue was known when the events came.
//!
//! - **Renewal**: an end and a start, renewal or purchase of one product at one moment; an end shortly before a start; or an
//!   end shortly after a start, if the subscription was running before it.
//! - **Change**: the nearest end and start of two products of one ladder or category, within
//!   [`RelationshipPolicy::plan_change_window`]. Pairs are matched nearest first, so that another end can only take a start
//!   away from the ends that are there, and another start can only help them.
//! - **End**: everything else. A downgrade and a plan change say themselves that the customer stays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::catalog::Catalog;
use crate::domain::customer::Customer;
use crate::domain::event::PlanDirection;
use crate::domain::holdings::{Holding, StartKind, SubscriptionStart};
use crate::domain::ids::ProductId;
use crate::domain::policy::RelationshipPolicy;
use crate::domain::relationship::{Parting, PartingKind};
use crate::domain::time::Timestamp;

/// Running subscriptions of a customer, and the meaning of each parting.
pub(crate) struct Subscriptions {
    /// First time of each running subscription. One that changed plans keeps its tenure.
    pub running_since: Vec<Timestamp>,
    /// Meaning of each parting, in the order of
    /// [`RelationshipState::partings`](crate::domain::relationship::RelationshipState::partings).
    pub meanings: Vec<PartingMeaning>,
}

/// Meaning of a parting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PartingMeaning {
    /// The subscription goes on.
    Renewal,
    /// An end that belongs to a start of another plan.
    InferredChange {
        /// The other plan.
        to: ProductId,
        /// Direction of the change.
        direction: PlanDirection,
    },
    /// A change that was reported as one.
    ReportedChange {
        /// The other plan; `None` when it was not reported.
        to: Option<ProductId>,
        /// Direction of the change.
        direction: PlanDirection,
    },
    /// The customer gave the product up.
    End,
}

impl Subscriptions {
    /// Reads the subscriptions of a customer.
    pub fn of(customer: &Customer, policy: &RelationshipPolicy, catalog: &Catalog) -> Self {
        let meanings = meanings(customer, policy.plan_change_window, catalog);
        Self { running_since: running_since(customer, &meanings, policy.plan_change_window), meanings }
    }
}

/// Latest end of a product.
pub(super) struct EndInEffect {
    /// The latest that is no part of a renewal, whatever was dropped: what may be owned counts as owned.
    pub certain: Option<Timestamp>,
    /// The latest that is not known to be part of a renewal.
    pub possible: Option<Timestamp>,
}

impl EndInEffect {
    /// Reads the partings of a product.
    pub fn of(holding: &Holding, partings_of_product: &[&Parting], window: Duration) -> Self {
        let readings = readings(holding, partings_of_product, window);
        let latest = |is_end: fn(&PartingReading) -> bool| {
            let ends = partings_of_product.iter().zip(&readings).filter(|(_, reading)| is_end(reading));
            ends.map(|(parting, _)| parting.at).max()
        };
        // An end that is no longer stored may have been part of a renewal.
        let may_be_renewal = |ended_at: &Timestamp| {
            let is_near = |start: &SubscriptionStart| start.at.distance(*ended_at) <= window;
            let mut starts = holding.starts.iter().filter(|start| start.kind != StartKind::PlanChange);
            let may_be_dropped = holding.starts_dropped_through.is_some_and(|through| through + window >= *ended_at);
            may_be_dropped || starts.any(is_near) || holding.items.is_bought_at(*ended_at)
        };
        Self {
            certain: latest(|reading| reading.is_end).max(holding.folded_end_at.filter(|at| !may_be_renewal(at))),
            possible: latest(|reading| !reading.is_renewal).max(holding.folded_end_at),
        }
    }
}

/// Reading of a parting by the starts of the same product.
#[derive(Default)]
struct PartingReading {
    /// Whether the subscription was renewed.
    is_renewal: bool,
    /// Whether the parting is no renewal, whatever was dropped.
    is_end: bool,
    /// Starts that renewed the subscription, or may have.
    starts: Vec<Timestamp>,
}

/// Reads each parting of a product, in the order of time. Where starts or ends were dropped that it depends on, a parting is
/// no renewal, but its starts are those of none other either.
fn readings(holding: &Holding, partings: &[&Parting], window: Duration) -> Vec<PartingReading> {
    let mut readings: Vec<PartingReading> = Vec::with_capacity(partings.len());
    for parting in partings {
        if !parting.kind.is_end() {
            readings.push(PartingReading { is_end: true, ..PartingReading::default() });
            continue;
        }
        // Whether the subscription was running before, and whether it may have been.
        let ran_before = |moment: Timestamp| {
            let started_at = holding.starts.iter().rev().find(|start| start.at < moment).map(|start| start.at);
            let earlier = || partings.iter().zip(&readings).filter(move |(it, _)| it.at < moment);
            let ends = earlier().filter(|(_, reading)| !reading.is_renewal).map(|(it, _)| it.at);
            let ended_at = ends.chain(holding.folded_end_at).max();
            let certainly_ended_at = earlier().filter(|(_, reading)| reading.is_end).map(|(it, _)| it.at).max();
            let may_have_started_at = started_at.max(holding.starts_dropped_through);
            (started_at > ended_at, may_have_started_at > certainly_ended_at)
        };
        let mut reading = PartingReading::default();
        for start in holding.starts.iter().filter(|start| start.at.distance(parting.at) <= window) {
            let (renews, may_renew) = match start.kind {
                StartKind::PlanChange => (false, false),
                StartKind::Renewal => (true, true),
                StartKind::Start if start.at >= parting.at => (true, true),
                StartKind::Start => ran_before(start.at),
            };
            reading.is_renewal |= renews;
            if renews || may_renew {
                reading.starts.push(start.at);
            }
        }
        let is_subscription = parting.kind == PartingKind::SubscriptionEnd || holding.committed_at().is_some();
        reading.is_renewal |= is_subscription && holding.items.is_bought_at(parting.at);
        let may_have_been_renewed = !reading.starts.is_empty()
            || holding.starts_dropped_through.is_some_and(|through| through + window >= parting.at);
        reading.is_end = !reading.is_renewal && !may_have_been_renewed && holding.items.folded.is_none();
        readings.push(reading);
    }
    readings
}

fn meanings(customer: &Customer, window: Duration, catalog: &Catalog) -> Vec<PartingMeaning> {
    let partings = &customer.relationship.partings;
    let mut meanings = vec![PartingMeaning::End; partings.len()];
    let mut by_product: BTreeMap<&ProductId, Vec<usize>> = BTreeMap::new();
    for (index, parting) in partings.iter().enumerate() {
        by_product.entry(&parting.product).or_default().push(index);
        match &parting.kind {
            PartingKind::Cancellation | PartingKind::SubscriptionEnd => {}
            PartingKind::Downgrade { to } => {
                let by_tier = to.as_ref().and_then(|to| direction_by_tier(&parting.product, to, catalog));
                let is_up = by_tier == Some(PlanDirection::Up);
                let direction = if is_up { PlanDirection::Up } else { PlanDirection::Down };
                meanings[index] = PartingMeaning::ReportedChange { to: to.clone(), direction };
            }
            PartingKind::PlanChange { to, direction } => {
                let by_tier = || direction_by_tier(&parting.product, to, catalog);
                meanings[index] = PartingMeaning::ReportedChange {
                    to: Some(to.clone()),
                    direction: direction.or_else(by_tier).unwrap_or(PlanDirection::Sideways),
                };
            }
        }
    }
    let mut taken = BTreeSet::new();
    for (product, indices) in by_product {
        let Some(holding) = customer.holdings.latest.get(product) else { continue };
        let of_product: Vec<&Parting> = indices.iter().map(|&index| &partings[index]).collect();
        for (&index, reading) in indices.iter().zip(readings(holding, &of_product, window)) {
            if reading.is_renewal {
                meanings[index] = PartingMeaning::Renewal;
            }
            taken.extend(reading.starts.into_iter().map(|start_at| (product, start_at)));
        }
    }
    infer_changes(customer, window, catalog, taken, &mut meanings);
    meanings
}

/// Matches ends with starts of other plans, nearest first. Starts that are taken belong to renewals, or may: those and no others near
/// one, so that a start which turns an end into a renewal takes none away from another end.
fn infer_changes<'a>(
    customer: &'a Customer,
    window: Duration,
    catalog: &Catalog,
    mut taken: BTreeSet<(&'a ProductId, Timestamp)>,
    meanings: &mut [PartingMeaning],
) {
    let partings = &customer.relationship.partings;
    let is_unmatched_end = |index: usize, meanings: &[PartingMeaning]| {
        partings[index].kind.is_end() && meanings[index] == PartingMeaning::End
    };
    if !(0..partings.len()).any(|index| is_unmatched_end(index, meanings)) {
        return;
    }
    // Starts that a parting may have taken that is no longer stored are not available.
    let available_after = customer.relationship.partings_dropped_through.map(|dropped| dropped + window);
    let mut pairs = Vec::new();
    for (to, holding) in &customer.holdings.latest {
        for start in holding.starts.iter().filter(|start| start.kind == StartKind::Start) {
            if available_after.is_some_and(|after| start.at <= after) || taken.contains(&(to, start.at)) {
                continue;
            }
            for index in (0..partings.len()).filter(|&index| is_unmatched_end(index, meanings)) {
                let parting = &partings[index];
                let distance = parting.at.distance(start.at);
                if distance <= window && parting.product != *to && are_related(&parting.product, to, catalog) {
                    pairs.push((distance, index, to, start.at));
                }
            }
        }
    }
    pairs.sort_unstable();
    for (_, index, to, start_at) in pairs {
        if meanings[index] == PartingMeaning::End && taken.insert((to, start_at)) {
            let direction = direction_by_tier(&partings[index].product, to, catalog);
            meanings[index] = PartingMeaning::InferredChange {
                to: to.clone(),
                direction: direction.unwrap_or(PlanDirection::Sideways),
            };
        }
    }
}

/// Whether two products can take each other's place: they are on one ladder or in one category.
fn are_related(a: &ProductId, b: &ProductId, catalog: &Catalog) -> bool {
    let (Some(a), Some(b)) = (catalog.get(a), catalog.get(b)) else { return false };
    let ladder_a = a.ladder_position.as_ref().map(|position| &position.ladder);
    let ladder_b = b.ladder_position.as_ref().map(|position| &position.ladder);
    (ladder_a.is_some() && ladder_a == ladder_b) || (!a.category.is_empty() && a.category == b.category)
}

/// Direction of a change within a ladder; `None` between products that are not on one.
fn direction_by_tier(from: &ProductId, to: &ProductId, catalog: &Catalog) -> Option<PlanDirection> {
    let position = |product| catalog.get(product)?.ladder_position.as_ref();
    let (from, to) = (position(from)?, position(to)?);
    (from.ladder == to.ladder).then(|| match to.tier.cmp(&from.tier) {
        std::cmp::Ordering::Greater => PlanDirection::Up,
        std::cmp::Ordering::Equal => PlanDirection::Sideways,
        std::cmp::Ordering::Less => PlanDirection::Down,
    })
}

/// Present state of a subscription that started once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate<'a> {
    /// It runs, possibly as another product.
    Runs,
    /// It went on as a start of this product, which is a subscription of its own.
    Joined(&'a ProductId),
    /// It ended.
    Ended,
}

impl Fate<'_> {
    /// Fate of a subscription after several changes at once: it ends with any of them, and is never counted twice.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Fate::Ended, _) | (_, Fate::Ended) => Fate::Ended,
            (Fate::Joined(product), _) | (_, Fate::Joined(product)) => Fate::Joined(product),
            (Fate::Runs, Fate::Runs) => Fate::Runs,
        }
    }
}

/// First time of each running subscription. A subscription begins with a start or renewal, moves with each change of plans,
/// and lasts until it ends, whatever product it is then.
fn running_since(customer: &Customer, meanings: &[PartingMeaning], window: Duration) -> Vec<Timestamp> {
    let partings = &customer.relationship.partings;
    let holdings = &customer.holdings;
    let dropped_through = customer.relationship.partings_dropped_through;
    // Fate of a subscription after each parting, from the latest to the earliest: a parting depends on later ones only.
    let mut fates: Vec<Fate<'_>> = vec![Fate::Ended; partings.len()];
    let later_partings = |product: &ProductId, is_later: &dyn Fn(Timestamp) -> bool| {
        // Of a product whose holding was evicted, any parting that was dropped may have been the end.
        let ended_at = holdings.latest.get(product).map_or(dropped_through, |holding| holding.folded_end_at);
        if ended_at.is_some_and(is_later) {
            return None;
        }
        let later = partings.iter().enumerate().filter(|(index, parting)| {
            parting.product == *product && is_later(parting.at) && meanings[*index] != PartingMeaning::Renewal
        });
        Some(later.map(|(index, _)| index).collect::<Vec<_>>())
    };
    for index in (0..partings.len()).rev() {
        fates[index] = match &meanings[index] {
            PartingMeaning::End | PartingMeaning::Renewal => Fate::Ended,
            PartingMeaning::InferredChange { to, .. } => Fate::Joined(to),
            PartingMeaning::ReportedChange { to: None, .. } => Fate::Runs,
            PartingMeaning::ReportedChange { to: Some(to), .. } => {
                let at = partings[index].at;
                if holdings.is_evicted_subscription(to) {
                    // It counts as a subscription of its own.
                    Fate::Ended
                } else if is_continued_by_start(customer, meanings, &partings[index], to, window) {
                    Fate::Joined(to)
                } else {
                    combined(later_partings(to, &|later| later > at), &fates)
                }
            }
        };
    }
    let mut roots: BTreeMap<&ProductId, (Timestamp, Fate<'_>)> = BTreeMap::new();
    for (product, holding) in &holdings.latest {
        if let Some(committed_at) = holding.committed_at() {
            let fate = combined(later_partings(product, &|later| later >= committed_at), &fates);
            roots.insert(product, (holding.first_at(), fate));
        }
    }
    let mut since: BTreeMap<&ProductId, Timestamp> = BTreeMap::new();
    for (product, (first_at, _)) in &roots {
        if let Some(running) = running_root(product, &roots) {
            since.entry(running).and_modify(|since| *since = (*since).min(*first_at)).or_insert(*first_at);
        }
    }
    let evicted = holdings.evicted_subscriptions.values().map(|subscription| subscription.acquired.first_at);
    since.into_values().chain(evicted).collect()
}

/// Whether a start or renewal of the other plan at or after a reported change is that change, so that the two are one
/// subscription: the other plan did not run before. After a move that may be down, a start shortly before it is, too; elsewhere
/// it is not, because a good or neutral event would lower the number of running subscriptions.
fn is_continued_by_start(
    customer: &Customer,
    meanings: &[PartingMeaning],
    change: &Parting,
    to: &ProductId,
    window: Duration,
) -> bool {
    let Some(holding) = customer.holdings.latest.get(to) else { return false };
    let may_be_down = match change.kind {
        PartingKind::Downgrade { .. } | PartingKind::PlanChange { direction: None | Some(PlanDirection::Down), .. } => {
            true
        }
        PartingKind::PlanChange { .. } | PartingKind::Cancellation | PartingKind::SubscriptionEnd => false,
    };
    let moved_at = if may_be_down { change.at - window } else { change.at };
    let ends = customer.relationship.partings.iter().zip(meanings).filter(|(parting, meaning)| {
        parting.product == *to && parting.at < moved_at && **meaning != PartingMeaning::Renewal
    });
    let folded_end_at = holding.folded_end_at.filter(|&ended_at| ended_at < moved_at);
    let ran_before = match ends.map(|(parting, _)| parting.at).chain(folded_end_at).max() {
        Some(ended_at) => holding.starts.iter().any(|start| start.at >= ended_at && start.at < moved_at),
        None => holding.first_at() < moved_at,
    };
    !ran_before && holding.committed_at().is_some_and(|committed_at| committed_at >= moved_at)
}

/// Fate of a subscription with these later partings; `None` when one that is no longer stored ended it.
fn combined<'a>(later: Option<Vec<usize>>, fates: &[Fate<'a>]) -> Fate<'a> {
    let Some(later) = later else { return Fate::Ended };
    later.into_iter().fold(Fate::Runs, |fate, index| fate.and(fates[index]))
}

/// The running subscription that this one is today; `None` when it ended.
fn running_root<'a>(
    product: &'a ProductId,
    roots: &BTreeMap<&'a ProductId, (Timestamp, Fate<'a>)>,
) -> Option<&'a ProductId> {
    let mut visited = BTreeSet::new();
    let mut product = product;
    loop {
        match roots.get(product)?.1 {
            Fate::Runs => return Some(product),
            Fate::Joined(next) if visited.insert(product) => product = next,
            Fate::Ended | Fate::Joined(_) => return None,
        }
    }
}
