//! The history as the outlook reads it: what each customer did when, from which the state at any past moment is made
//! again, by the same code that keeps it while serving.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::domain::event::{Event, EventKind};
use crate::domain::ids::{CustomerId, ProductId};
use crate::domain::relationship::RelationshipState;
use crate::domain::time::Timestamp;

/// What customers did, collected event by event, in any order.
#[derive(Debug, Clone)]
pub struct OutlookHistory {
    engagement: EngagementWeights,
    customers: HashMap<CustomerId, Vec<Deed>>,
    products: HashMap<ProductId, u32>,
}

/// How much a commitment, a use and a visit engage: those of the policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EngagementWeights {
    /// A subscription started or renewed.
    pub commitment: f64,
    /// A report of usage.
    pub usage: f64,
    /// A visit or a click.
    pub visit: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Deed {
    at: Timestamp,
    kind: DeedKind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum DeedKind {
    Bought { spent: f64 },
    BroughtBack,
    Subscribed { product: u32 },
    Ended { product: u32 },
    Engaged { weight: f64 },
}

/// A customer at a past moment.
#[derive(Debug, Clone)]
pub struct PastCustomer<'a> {
    /// Who.
    pub id: &'a CustomerId,
    /// What was remembered then, as far as the outlook looks at it.
    pub state: RelationshipState,
    /// Subscriptions that ran, and the longest time one had run; `None` when none did.
    pub subscribed: Option<(usize, Duration)>,
    /// Whether the customer bought after the moment and before the end.
    pub came_back: bool,
    /// Whether a subscription ran at the end.
    pub stayed: bool,
}

impl OutlookHistory {
    /// A history of nothing.
    pub fn new(engagement: EngagementWeights) -> Self {
        Self { engagement, customers: HashMap::new(), products: HashMap::new() }
    }

    /// Adds one event. Events of nobody, and kinds that the outlook does not look at, are passed over.
    pub fn push(&mut self, event: &Event) {
        let Some(customer) = &event.customer else { return };
        let EngagementWeights { commitment, usage, visit } = self.engagement;
        match &event.kind {
            EventKind::Purchase(line) => {
                self.note(customer, event, DeedKind::Bought { spent: line.approximate_value() });
            }
            EventKind::Return(_) => self.note(customer, event, DeedKind::BroughtBack),
            EventKind::SubscriptionStart { product } | EventKind::SubscriptionRenewal { product } => {
                let product = self.number(product);
                self.note(customer, event, DeedKind::Subscribed { product });
                self.note(customer, event, DeedKind::Engaged { weight: commitment });
            }
            EventKind::SubscriptionEnd { product }
            | EventKind::Cancellation { product: Some(product) }
            | EventKind::Downgrade { from: product, .. } => {
                let product = self.number(product);
                self.note(customer, event, DeedKind::Ended { product });
            }
            EventKind::Usage { .. } => self.note(customer, event, DeedKind::Engaged { weight: usage }),
            EventKind::Visit { .. } => self.note(customer, event, DeedKind::Engaged { weight: visit }),
            EventKind::Cancellation { product: None }
            | EventKind::SupportTicket(_)
            | EventKind::Complaint(_)
            | EventKind::CaseResolved { .. }
            | EventKind::PaymentLate
            | EventKind::PaymentFailed
            | EventKind::PaymentDisputed
            | EventKind::Survey(_)
            | EventKind::Outcome(_) => {}
        }
    }

    fn note(&mut self, customer: &CustomerId, event: &Event, kind: DeedKind) {
        let deed = Deed { at: event.at, kind };
        match self.customers.get_mut(customer) {
            Some(deeds) => deeds.push(deed),
            None => drop(self.customers.insert(customer.clone(), vec![deed])),
        }
    }

    fn number(&mut self, product: &ProductId) -> u32 {
        if let Some(&number) = self.products.get(product) {
            return number;
        }
        let next = u32::try_from(self.products.len()).expect("far fewer than 2^32 products fit into memory");
        self.products.insert(product.clone(), next);
        next
    }

    /// The first moment of which anything is known.
    pub fn begins(&self) -> Option<Timestamp> {
        self.customers.values().flatten().map(|deed| deed.at).min()
    }

    /// Every customer who did something before `moment`, as of then, in order of id; at most `customers_max` of them,
    /// evenly chosen. What happened from `moment` on tells whether they came back before `end`.
    pub fn as_of(&self, moment: Timestamp, end: Timestamp, customers_max: usize) -> Vec<PastCustomer<'_>> {
        let mut ids: Vec<&CustomerId> = self.customers.keys().collect();
        ids.sort_unstable();
        let stride = ids.len().div_ceil(customers_max.max(1)).max(1);
        let chosen = ids.into_iter().step_by(stride);
        chosen.filter_map(|id| past_customer(id, &self.customers[id], moment, end)).collect()
    }
}

fn past_customer<'a>(
    id: &'a CustomerId,
    deeds: &[Deed],
    moment: Timestamp,
    end: Timestamp,
) -> Option<PastCustomer<'a>> {
    let mut state = RelationshipState::default();
    let mut before: Vec<&Deed> = deeds.iter().filter(|deed| deed.at < moment).collect();
    before.sort_by_key(|deed| deed.at);
    if before.is_empty() {
        return None;
    }
    for deed in before {
        match deed.kind {
            DeedKind::Bought { spent } => state.record_purchase(deed.at, spent),
            DeedKind::BroughtBack => state.record_return(deed.at),
            DeedKind::Engaged { weight } => state.engagement.add(deed.at, weight),
            DeedKind::Subscribed { .. } | DeedKind::Ended { .. } => {}
        }
    }
    let bought_later = |deed: &Deed| matches!(deed.kind, DeedKind::Bought { .. }) && deed.at >= moment && deed.at < end;
    let running = running_since(deeds, moment);
    let subscribed = running.values().map(|&since| moment.since(since)).max().map(|longest| (running.len(), longest));
    Some(PastCustomer {
        id,
        state,
        subscribed,
        came_back: deeds.iter().any(bought_later),
        stayed: !running_since(deeds, end).is_empty(),
    })
}

/// What is known of one subscription.
#[derive(Default)]
struct Span {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    ended: Option<Timestamp>,
}

/// The subscriptions that ran at a moment, each with its first start. Which of two deeds of one instant came first is
/// not known; the end wins, as it does while serving.
fn running_since(deeds: &[Deed], moment: Timestamp) -> BTreeMap<u32, Timestamp> {
    let mut spans: BTreeMap<u32, Span> = BTreeMap::new();
    for deed in deeds.iter().filter(|deed| deed.at < moment) {
        match deed.kind {
            DeedKind::Subscribed { product } => {
                let span = spans.entry(product).or_default();
                span.first = Some(span.first.map_or(deed.at, |first| first.min(deed.at)));
                span.last = span.last.max(Some(deed.at));
            }
            DeedKind::Ended { product } => {
                let span = spans.entry(product).or_default();
                span.ended = span.ended.max(Some(deed.at));
            }
            DeedKind::Bought { .. } | DeedKind::BroughtBack | DeedKind::Engaged { .. } => {}
        }
    }
    let running = spans.into_iter().filter(|(_, span)| span.last > span.ended);
    running.filter_map(|(product, span)| Some((product, span.first?))).collect()
}
