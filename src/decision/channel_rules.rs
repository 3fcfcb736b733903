//! Channels of a query: opt-outs, missing consents, and the caps that count.
//!
//! Nothing fails open. An opt-out of a channel that the policy does not have holds for every channel, a consent to such a
//! channel counts for none, and a query without a channel is subject to the strictest of all.

use crate::domain::channel::{ChannelRegistry, ChannelScope, ConsentKind, QueryChannel, RegisteredChannel};
use crate::domain::customer::Consents;
use crate::domain::decision::CapKind;
use crate::domain::ids::Channel;
use crate::domain::ledger::Grant;
use crate::domain::time::Timestamp;

/// Opt-outs and missing consents that withhold every offer on the channel of a query; an opt-out comes first.
pub(super) fn channel_pauses(
    consents: &Consents,
    channel: QueryChannel<'_>,
    registry: &ChannelRegistry,
    now: Timestamp,
) -> impl Iterator<Item = CapKind> {
    let opt_out = opt_out_scope(consents, channel, registry).map(CapKind::ChannelOptOut);
    let missing = missing_consent_scope(consents, channel, registry, now).map(CapKind::ConsentMissing);
    opt_out.into_iter().chain(missing)
}

fn opt_out_scope(consents: &Consents, channel: QueryChannel<'_>, registry: &ChannelRegistry) -> Option<ChannelScope> {
    let scope_of = |opt_out: &Channel| match (registry.resolve(opt_out), channel) {
        (None, _) => Some(ChannelScope::Unresolved),
        (Some(_), QueryChannel::Unset) => Some(ChannelScope::Unset),
        (Some(resolved), QueryChannel::Registered(queried)) => {
            (resolved.name() == queried.name()).then_some(ChannelScope::Queried)
        }
    };
    consents.channel_opt_outs.iter().filter_map(scope_of).min()
}

fn missing_consent_scope(
    consents: &Consents,
    channel: QueryChannel<'_>,
    registry: &ChannelRegistry,
    now: Timestamp,
) -> Option<ChannelScope> {
    let is_missing = |channel: &RegisteredChannel| {
        !channel.terms.basis.is_met_by(recorded_consent(consents, channel, registry, now))
    };
    match channel {
        QueryChannel::Registered(channel) => is_missing(channel).then_some(ChannelScope::Queried),
        QueryChannel::Unset => registry.iter().any(is_missing).then_some(ChannelScope::Unset),
    }
}

/// The strongest recorded consent to a channel.
fn recorded_consent(
    consents: &Consents,
    channel: &RegisteredChannel,
    registry: &ChannelRegistry,
    now: Timestamp,
) -> Option<ConsentKind> {
    let is_for_channel = |name: &Channel| registry.resolve(name).is_some_and(|it| it.name() == channel.name());
    let recorded = consents.channel_consents.iter().filter(|(name, _)| is_for_channel(name));
    recorded.filter(|(_, consent)| consent.granted_at <= now).map(|(_, consent)| consent.kind).min()
}

/// Whether a grant counts against the cap of a channel. One without a channel, or on one that the policy does not have any
/// more, may have reached the customer on any.
pub(super) fn counts_on_channel(grant: &Grant, channel: &RegisteredChannel, registry: &ChannelRegistry) -> bool {
    let granted_on = grant.channel.as_ref().and_then(|granted_on| registry.resolve(granted_on));
    granted_on.is_none_or(|granted_on| granted_on.name() == channel.name())
}

/// Whether a grant was made on the channel of a query, so that it can be served there again.
pub(super) fn is_on_channel(grant: &Grant, channel: QueryChannel<'_>, registry: &ChannelRegistry) -> bool {
    match (&grant.channel, channel) {
        (None, QueryChannel::Unset) => true,
        (Some(granted_on), QueryChannel::Registered(queried)) => {
            registry.resolve(granted_on).is_some_and(|granted_on| granted_on.name() == queried.name())
        }
        (None, QueryChannel::Registered(_)) | (Some(_), QueryChannel::Unset) => false,
    }
}

/// Channels whose caps a query is subject to, with their caps.
pub(super) fn capped_channels<'p>(
    channel: QueryChannel<'p>,
    registry: &'p ChannelRegistry,
) -> impl Iterator<Item = (&'p RegisteredChannel, u32)> {
    let is_subject = move |registered: &&RegisteredChannel| match channel {
        QueryChannel::Registered(queried) => registered.name() == queried.name(),
        QueryChannel::Unset => true,
    };
    registry.iter().filter(is_subject).filter_map(|registered| Some((registered, registered.terms.cap?)))
}
