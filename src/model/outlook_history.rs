//! History of the outlook: activities of customers, from which their state at any past moment is recomputed by the same
//! code that maintains it while serving.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::domain::event::{Event, EventKind};
use crate::domain::ids::{CustomerId, ProductId};
use crate::domain::relationship::RelationshipState;
use crate::domain::time::Timestamp;

/// Maximum number of customers to learn from.
pub const CUSTOMERS_MAX: usize = 100_000;

/// Activities of customers, collected event by event, in any order.
#[derive(Debug, Clone)]
pub struct OutlookHistory {
    engagement: EngagementWeights,
    customers: HashMap<CustomerId, Vec<Activity>>,
    products: HashMap<ProductId, u32>,
}

/// Engagement weights of the policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EngagementWeights {
    /// Weight of a subscription started or renewed.
    pub commitment: f64,
    /// Weight of a usage report.
    pub usage: f64,
    /// Weight of a visit or a click.
    pub visit: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Activity {
    at: Timestamp,
    kind: ActivityKind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum ActivityKind {
    Bought { spent: f64 },
    Returned,
    Subscribed { product: u32 },
    SubscriptionEnded { product: u32 },
    Moved { from: u32, to: u32 },
    Engaged { weight: f64 },
}

/// Customer as of a past moment, with the outcome of the window after it.
#[derive(Debug, Clone)]
pub struct CustomerSnapshot<'a> {
    /// Id of the customer.
    pub id: &'a CustomerId,
    /// State at the moment, as far as the outlook reads it.
    pub state: RelationshipState,
    /// Number of running subscriptions and the longest time one had run; `None` without any.
    pub subscribed: Option<(usize, Duration)>,
    /// True when the customer bought after the moment and before the end of the window.
    pub repurchased: bool,
    /// True when a subscription ran at the end of the window.
    pub retained: bool,
}

impl OutlookHistory {
    /// Empty history.
    pub fn new(engagement: EngagementWeights) -> Self {
        Self { engagement, customers: HashMap::new(), products: HashMap::new() }
    }

    /// Adds one event. Anonymous events, and kinds that the outlook does not read, are ignored.
    pub fn push(&mut self, event: &Event) {
        let Some(customer) = &event.customer else { return };
        let EngagementWeights { commitment, usage, visit } = self.engagement;
        if let EventKind::Purchase(line) = &event.kind {
            self.record(customer, event, ActivityKind::Bought { spent: line.approximate_value() });
        } else if let EventKind::Return { .. } = event.kind {
            self.record(customer, event, ActivityKind::Returned);
        } else if let Some(product) = event.kind.subscribed_product() {
            let product = self.product_index(product);
            self.record(customer, event, ActivityKind::Subscribed { product });
            self.record(customer, event, ActivityKind::Engaged { weight: commitment });
        } else if let Some(product) = event.kind.changed_to_product() {
            // The customer stays, as a subscriber of the other plan if there was a subscription.
            if let Some(from) = event.kind.product() {
                let (from, to) = (self.product_index(from), self.product_index(product));
                self.record(customer, event, ActivityKind::Moved { from, to });
            }
        } else if let Some(product) = event.kind.unsubscribed_product() {
            let product = self.product_index(product);
            self.record(customer, event, ActivityKind::SubscriptionEnded { product });
        } else if let EventKind::Usage { .. } = event.kind {
            self.record(customer, event, ActivityKind::Engaged { weight: usage });
        } else if let EventKind::Visit { .. } = event.kind {
            self.record(customer, event, ActivityKind::Engaged { weight: visit });
        }
    }

    fn record(&mut self, customer: &CustomerId, event: &Event, kind: ActivityKind) {
        let activity = Activity { at: event.at, kind };
        match self.customers.get_mut(customer) {
            Some(activities) => activities.push(activity),
            None => drop(self.customers.insert(customer.clone(), vec![activity])),
        }
    }

    fn product_index(&mut self, product: &ProductId) -> u32 {
        if let Some(&index) = self.products.get(product) {
            return index;
        }
        let next = u32::try_from(self.products.len()).expect("far fewer than 2^32 products fit into memory");
        self.products.insert(product.clone(), next);
        next
    }

    /// Time of the first activity.
    pub fn starts_at(&self) -> Option<Timestamp> {
        self.customers.values().flatten().map(|activity| activity.at).min()
    }

    /// Every customer with an activity before `moment`, as of then, in order of id; at most `customers_max` of them, evenly
    /// spread. The outcome is that of the window from `moment` to `end`.
    pub fn as_of(&self, moment: Timestamp, end: Timestamp, customers_max: usize) -> Vec<CustomerSnapshot<'_>> {
        let mut ids: Vec<&CustomerId> = self.customers.keys().collect();
        ids.sort_unstable();
        let stride = ids.len().div_ceil(customers_max.max(1)).max(1);
        let sample = ids.into_iter().step_by(stride);
        sample.filter_map(|id| customer_snapshot(id, &self.customers[id], moment, end)).collect()
    }
}

fn customer_snapshot<'a>(
    id: &'a CustomerId,
    activities: &[Activity],
    moment: Timestamp,
    end: Timestamp,
) -> Option<CustomerSnapshot<'a>> {
    let mut state = RelationshipState::default();
    let mut before: Vec<&Activity> = activities.iter().filter(|activity| activity.at < moment).collect();
    before.sort_by_key(|activity| activity.at);
    if before.is_empty() {
        return None;
    }
    for activity in before {
        match activity.kind {
            ActivityKind::Bought { spent } => state.record_purchase(activity.at, spent),
            ActivityKind::Returned => state.record_return(activity.at),
            ActivityKind::Engaged { weight } => state.engagement.add(activity.at, weight),
            ActivityKind::Subscribed { .. } | ActivityKind::SubscriptionEnded { .. } | ActivityKind::Moved { .. } => {}
        }
    }
    let is_repurchase = |activity: &Activity| {
        matches!(activity.kind, ActivityKind::Bought { .. }) && activity.at >= moment && activity.at < end
    };
    let running = running_since(activities, moment);
    let subscribed = running.values().map(|&since| moment.since(since)).max().map(|longest| (running.len(), longest));
    Some(CustomerSnapshot {
        id,
        state,
        subscribed,
        repurchased: activities.iter().any(is_repurchase),
        retained: !running_since(activities, end).is_empty(),
    })
}

/// Starts and end of one subscription.
#[derive(Default)]
struct SubscriptionSpan {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    ended: Option<Timestamp>,
}

/// Subscriptions that ran at a moment, each with its first start. An end and a start of one instant are a renewal, as they
/// are while serving, and a subscription that moved to another plan keeps its first start.
fn running_since(activities: &[Activity], moment: Timestamp) -> BTreeMap<u32, Timestamp> {
    let mut spans: BTreeMap<u32, SubscriptionSpan> = BTreeMap::new();
    let mut moves: Vec<(Timestamp, u32, u32)> = Vec::new();
    for activity in activities.iter().filter(|activity| activity.at < moment) {
        match activity.kind {
            ActivityKind::Subscribed { product } => {
                let span = spans.entry(product).or_default();
                span.first = Some(span.first.map_or(activity.at, |first| first.min(activity.at)));
                span.last = span.last.max(Some(activity.at));
            }
            ActivityKind::SubscriptionEnded { product } => {
                let span = spans.entry(product).or_default();
                span.ended = span.ended.max(Some(activity.at));
            }
            ActivityKind::Moved { from, to } => moves.push((activity.at, from, to)),
            ActivityKind::Bought { .. } | ActivityKind::Returned | ActivityKind::Engaged { .. } => {}
        }
    }
    moves.sort_unstable();
    for (at, from, to) in moves {
        let is_running = |span: &SubscriptionSpan| span.last <= Some(at) && span.last >= span.ended;
        let Some(first) = spans.get(&from).filter(|span| is_running(span)).and_then(|span| span.first) else {
            continue;
        };
        spans.remove(&from);
        let span = spans.entry(to).or_default();
        span.first = Some(span.first.map_or(first, |other| other.min(first)));
        span.last = span.last.max(Some(at));
    }
    let running = spans.into_iter().filter(|(_, span)| span.last >= span.ended);
    running.filter_map(|(product, span)| Some((product, span.first?))).collect()
}
