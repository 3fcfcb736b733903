//! A customer's profile, consents, holds and holdings. [`customer`](super::customer) has the value around it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::enums::StoredHoldReason;
use super::frame::CodecError;
use super::ledger::StoredLedger;
use super::merge::StoredMerge;
use super::relationship::StoredRelationship;
use super::scalar::{FiniteF64, ms_since, optional_timestamp, stored_enum, timestamp, timestamp_after};
use crate::domain::channel::ConsentKind;
use crate::domain::customer::{ChannelConsent, Consents, Customer, Hold};
use crate::domain::holdings::{Acquisitions, EvictedSubscription, Holding, Holdings, StartKind, SubscriptionStart};
use crate::domain::ids::{Channel, CustomerId, HoldId, Meter, ProductId};
use crate::domain::item_balance::{FoldedMovements, ItemBalance, Movement};
use crate::domain::merge::MergeState;
use crate::domain::time::Timestamp;
use crate::domain::usage::{Period, UsageHistory};

#[derive(Serialize, Deserialize)]
pub(super) struct StoredCustomerV1 {
    id: String,
    /// The second field, so that [`MergeState`] can be read without the rest.
    merge: StoredMerge,
    attributes: BTreeMap<String, String>,
    consents: StoredConsents,
    holds: Vec<StoredHold>,
    holdings: Vec<StoredHolding>,
    /// Delta-encoded in ascending order: the first fingerprint, then the distances, mostly two bytes each.
    fingerprints: Vec<u32>,
    evicted_subscriptions: Vec<StoredEvictedSubscription>,
    evicted_end_at: Option<i64>,
    relationship: StoredRelationship,
    ledger: StoredLedger,
}

/// Reads the merge state of an encoded customer without decoding the rest.
pub(super) fn merge_state(body: &[u8]) -> Result<MergeState, CodecError> {
    let ((_id, merge), _rest) = postcard::take_from_bytes::<(String, StoredMerge)>(body)?;
    merge.state()
}

#[derive(Serialize, Deserialize)]
struct StoredConsents {
    is_opted_out: bool,
    channel_opt_outs: Vec<String>,
    channel_consents: Vec<StoredChannelConsent>,
    objects_to_profiling: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredChannelConsent {
    channel: String,
    kind: StoredConsentKind,
    granted_at: i64,
    source: String,
}

stored_enum! {
    /// Stored [`ConsentKind`].
    StoredConsentKind of ConsentKind { OptIn, SoftOptIn }
}

#[derive(Serialize, Deserialize)]
struct StoredHold {
    id: String,
    reason: StoredHoldReason,
    note: String,
    created_at: i64,
    expires_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct StoredHolding {
    product: String,
    first_event_at: i64,
    /// Milliseconds after `first_event_at`, as are all times below: 0 for a product bought once.
    acquired: Option<(i64, i64)>,
    items: StoredItems,
    starts: Vec<(i64, StoredStartKind)>,
    starts_dropped_through: Option<i64>,
    ended_at: Option<i64>,
    possibly_ended_at: Option<i64>,
    folded_end_at: Option<i64>,
    returned_at: Option<i64>,
    unwanted_at: Option<i64>,
    wrong_variant_at: Option<i64>,
    usage: Vec<StoredMeter>,
}

/// Usage of one meter.
#[derive(Serialize, Deserialize)]
struct StoredMeter {
    name: Option<String>,
    periods: Vec<StoredUsage>,
}

stored_enum! {
    /// Stored [`StartKind`].
    StoredStartKind of StartKind { PlanChange, Renewal, Start }
}

/// Stored [`EvictedSubscription`].
#[derive(Serialize, Deserialize)]
struct StoredEvictedSubscription {
    fingerprint: u32,
    first_at: i64,
    /// Milliseconds after `first_at`, as is the next one.
    last_at: i64,
    subscribed_at: i64,
    is_start: bool,
}

/// Stored [`ItemBalance`]: of the folded movements the time and the balance, then the others. Times are milliseconds after
/// the first event about the product.
#[derive(Serialize, Deserialize)]
struct StoredItems {
    folded: Option<(i64, u64)>,
    movements: Vec<(i64, i64)>,
}

#[derive(Serialize, Deserialize)]
struct StoredUsage {
    start: i64,
    /// Milliseconds after `start`.
    end: i64,
    share: FiniteF64,
}

impl From<&Customer> for StoredCustomerV1 {
    fn from(customer: &Customer) -> Self {
        let Customer { id, merge, attributes, consents, holds, holdings, relationship, ledger } = customer;
        let Holdings { latest, fingerprints, evicted_subscriptions, evicted_end_at } = holdings;
        let mut before = 0;
        let steps = fingerprints.iter().map(|&fingerprint| {
            let step = fingerprint - before;
            before = fingerprint;
            step
        });
        Self {
            id: id.to_string(),
            merge: merge.into(),
            attributes: attributes.clone(),
            consents: consents.into(),
            holds: holds.iter().map(StoredHold::from).collect(),
            holdings: latest.iter().map(|(product, holding)| StoredHolding::new(product, holding)).collect(),
            fingerprints: steps.collect(),
            evicted_subscriptions: evicted_subscriptions.iter().map(StoredEvictedSubscription::from).collect(),
            evicted_end_at: evicted_end_at.map(Timestamp::unix_ms),
            relationship: relationship.into(),
            ledger: ledger.into(),
        }
    }
}

impl StoredCustomerV1 {
    pub fn customer(self) -> Result<Customer, CodecError> {
        let Self {
            id,
            merge,
            attributes,
            consents,
            holds,
            holdings,
            fingerprints,
            evicted_subscriptions,
            evicted_end_at,
            relationship,
            ledger,
        } = self;
        let mut latest = BTreeMap::new();
        for stored in holdings {
            let (product, holding) = stored.holding()?;
            latest.insert(product, holding);
        }
        let mut fingerprint = 0_u32;
        let decoded = fingerprints.into_iter().map(|step| {
            fingerprint = fingerprint.checked_add(step)?;
            Some(fingerprint)
        });
        let fingerprints = decoded.collect::<Option<_>>();
        Ok(Customer {
            id: CustomerId::new(id)?,
            merge: merge.state()?,
            attributes,
            consents: consents.consents()?,
            holds: holds.into_iter().map(StoredHold::hold).collect::<Result<_, _>>()?,
            holdings: Holdings {
                latest,
                fingerprints: fingerprints.ok_or_else(|| CodecError("a fingerprint is too large".to_owned()))?,
                evicted_subscriptions: evicted_subscriptions
                    .into_iter()
                    .map(StoredEvictedSubscription::subscription)
                    .collect::<Result<_, _>>()?,
                evicted_end_at: optional_timestamp(evicted_end_at)?,
            },
            relationship: relationship.state()?,
            ledger: ledger.ledger()?,
        })
    }
}

impl From<&Consents> for StoredConsents {
    fn from(consents: &Consents) -> Self {
        let Consents { is_opted_out, channel_opt_outs, channel_consents, objects_to_profiling } = consents;
        let channel_consent = |(channel, consent): (&Channel, &ChannelConsent)| {
            let ChannelConsent { kind, granted_at, source } = consent;
            StoredChannelConsent {
                channel: channel.to_string(),
                kind: (*kind).into(),
                granted_at: granted_at.unix_ms(),
                source: source.clone(),
            }
        };
        Self {
            is_opted_out: *is_opted_out,
            channel_opt_outs: channel_opt_outs.iter().map(ToString::to_string).collect(),
            channel_consents: channel_consents.iter().map(channel_consent).collect(),
            objects_to_profiling: *objects_to_profiling,
        }
    }
}

impl StoredConsents {
    fn consents(self) -> Result<Consents, CodecError> {
        let Self { is_opted_out, channel_opt_outs, channel_consents, objects_to_profiling } = self;
        Ok(Consents {
            is_opted_out,
            channel_opt_outs: channel_opt_outs.into_iter().map(Channel::new).collect::<Result<_, _>>()?,
            channel_consents: channel_consents
                .into_iter()
                .map(StoredChannelConsent::channel_consent)
                .collect::<Result<_, _>>()?,
            objects_to_profiling,
        })
    }
}

impl StoredChannelConsent {
    fn channel_consent(self) -> Result<(Channel, ChannelConsent), CodecError> {
        let Self { channel, kind, granted_at, source } = self;
        let granted_at = timestamp(granted_at)?;
        Ok((Channel::new(channel)?, ChannelConsent { kind: kind.into(), granted_at, source }))
    }
}

impl From<&Hold> for StoredHold {
    fn from(hold: &Hold) -> Self {
        let Hold { id, reason, note, created_at, expires_at } = hold;
        Self {
            id: id.to_string(),
            reason: (*reason).into(),
            note: note.clone(),
            created_at: created_at.unix_ms(),
            expires_at: expires_at.map(Timestamp::unix_ms),
        }
    }
}

impl StoredHold {
    fn hold(self) -> Result<Hold, CodecError> {
        let Self { id, reason, note, created_at, expires_at } = self;
        Ok(Hold {
            id: HoldId::new(id)?,
            reason: reason.into(),
            note,
            created_at: timestamp(created_at)?,
            expires_at: optional_timestamp(expires_at)?,
        })
    }
}

impl StoredMeter {
    fn new(name: Option<&Meter>, periods: &BTreeMap<Period, f64>) -> Self {
        let stored = periods.iter().map(|(period, &share)| StoredUsage {
            start: period.start().unix_ms(),
            end: ms_since(period.start(), period.end()),
            share: FiniteF64(share),
        });
        Self { name: name.map(ToString::to_string), periods: stored.collect() }
    }

    fn meter(self) -> Result<(Option<Meter>, BTreeMap<Period, f64>), CodecError> {
        let Self { name, periods } = self;
        let periods = periods.into_iter().map(|StoredUsage { start, end, share }| {
            let start = timestamp(start)?;
            let period = Period::new(start, timestamp_after(start, end)?);
            let period =
                period.ok_or_else(|| CodecError("a period of usage does not end after it starts".to_owned()))?;
            Ok((period, share.0))
        });
        Ok((name.map(Meter::new).transpose()?, periods.collect::<Result<_, CodecError>>()?))
    }
}

impl StoredHolding {
    fn new(product: &ProductId, holding: &Holding) -> Self {
        let Holding {
            first_event_at,
            acquired,
            items,
            starts,
            starts_dropped_through,
            ended_at,
            possibly_ended_at,
            folded_end_at,
            returned_at,
            unwanted_at,
            wrong_variant_at,
            usage,
        } = holding;
        let ItemBalance { folded, movements } = items;
        let since_first = |at: Timestamp| ms_since(*first_event_at, at);
        Self {
            product: product.to_string(),
            first_event_at: first_event_at.unix_ms(),
            acquired: acquired.map(|Acquisitions { first_at, last_at }| (since_first(first_at), since_first(last_at))),
            items: StoredItems {
                folded: folded.map(|FoldedMovements { through, items }| (since_first(through), items)),
                movements: movements.iter().map(|&Movement { at, items }| (since_first(at), items)).collect(),
            },
            starts: starts.iter().map(|&SubscriptionStart { at, kind }| (since_first(at), kind.into())).collect(),
            starts_dropped_through: starts_dropped_through.map(since_first),
            ended_at: ended_at.map(since_first),
            possibly_ended_at: possibly_ended_at.map(since_first),
            folded_end_at: folded_end_at.map(since_first),
            returned_at: returned_at.map(since_first),
            unwanted_at: unwanted_at.map(since_first),
            wrong_variant_at: wrong_variant_at.map(since_first),
            usage: usage.meters.iter().map(|(name, periods)| StoredMeter::new(name.as_ref(), periods)).collect(),
        }
    }

    fn holding(self) -> Result<(ProductId, Holding), CodecError> {
        let Self {
            product,
            first_event_at,
            acquired,
            items,
            starts,
            starts_dropped_through,
            ended_at,
            possibly_ended_at,
            folded_end_at,
            returned_at,
            unwanted_at,
            wrong_variant_at,
            usage,
        } = self;
        let first_at = timestamp(first_event_at)?;
        let at = |ms: Option<i64>| ms.map(|ms| timestamp_after(first_at, ms)).transpose();
        let meters = usage.into_iter().map(StoredMeter::meter).collect::<Result<_, _>>()?;
        let start = |(at, kind): (i64, StoredStartKind)| {
            Ok::<_, CodecError>(SubscriptionStart { at: timestamp_after(first_at, at)?, kind: kind.into() })
        };
        let acquired = match acquired {
            Some((first, last)) => Some(Acquisitions {
                first_at: timestamp_after(first_at, first)?,
                last_at: timestamp_after(first_at, last)?,
            }),
            None => None,
        };
        let holding = Holding {
            first_event_at: first_at,
            acquired,
            items: items.balance(first_at)?,
            starts: starts.into_iter().map(start).collect::<Result<_, _>>()?,
            starts_dropped_through: at(starts_dropped_through)?,
            ended_at: at(ended_at)?,
            possibly_ended_at: at(possibly_ended_at)?,
            folded_end_at: at(folded_end_at)?,
            returned_at: at(returned_at)?,
            unwanted_at: at(unwanted_at)?,
            wrong_variant_at: at(wrong_variant_at)?,
            usage: UsageHistory { meters },
        };
        Ok((ProductId::new(product)?, holding))
    }
}

impl From<(&u32, &EvictedSubscription)> for StoredEvictedSubscription {
    fn from((fingerprint, subscription): (&u32, &EvictedSubscription)) -> Self {
        let EvictedSubscription { acquired: Acquisitions { first_at, last_at }, subscribed_at, is_start } =
            subscription;
        Self {
            fingerprint: *fingerprint,
            first_at: first_at.unix_ms(),
            last_at: ms_since(*first_at, *last_at),
            subscribed_at: ms_since(*first_at, *subscribed_at),
            is_start: *is_start,
        }
    }
}

impl StoredEvictedSubscription {
    fn subscription(self) -> Result<(u32, EvictedSubscription), CodecError> {
        let Self { fingerprint, first_at, last_at, subscribed_at, is_start } = self;
        let first_at = timestamp(first_at)?;
        let acquired = Acquisitions { first_at, last_at: timestamp_after(first_at, last_at)? };
        let subscribed_at = timestamp_after(first_at, subscribed_at)?;
        Ok((fingerprint, EvictedSubscription { acquired, subscribed_at, is_start }))
    }
}

impl StoredItems {
    fn balance(self, first_at: Timestamp) -> Result<ItemBalance, CodecError> {
        let Self { folded, movements } = self;
        let folded = match folded {
            Some((through, items)) => Some(FoldedMovements { through: timestamp_after(first_at, through)?, items }),
            None => None,
        };
        let movement = |(at, items)| Ok(Movement { at: timestamp_after(first_at, at)?, items });
        Ok(ItemBalance { folded, movements: movements.into_iter().map(movement).collect::<Result<_, CodecError>>()? })
    }
}
