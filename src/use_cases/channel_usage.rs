//! Channels that customers are stored with: which spellings there are, and which of them a policy resolves. Reads every
//! customer; changes nothing.

use std::collections::BTreeMap;

use super::app::App;
use crate::decision::grants;
use crate::domain::customer::Customer;
use crate::domain::ids::Channel;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;

/// Number of customers in one page.
const PAGE_LEN: usize = 1024;
/// Maximum number of spellings that are counted one by one; there are more only when they contain data.
const SPELLINGS_MAX: usize = 1024;

/// Maximum number of channels in a message.
const LISTED_MAX: usize = 8;

/// Channels by their spellings, with the number of customers of each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelUsage {
    /// Opt-outs.
    opt_outs: BTreeMap<Channel, u64>,
    /// Recorded consents.
    consents: BTreeMap<Channel, u64>,
    /// Grants that count against a cap.
    grants: BTreeMap<Channel, u64>,
}

/// A spelling of a channel, with the number of customers who are stored with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedChannel {
    /// The channel as it was written.
    pub channel: Channel,
    /// Number of customers; 0 when only explicit offers name it.
    pub customers: u64,
}

impl ChannelUsage {
    fn add(&mut self, customer: &Customer, policy: &Policy, now: Timestamp) {
        for channel in &customer.consents.channel_opt_outs {
            count(&mut self.opt_outs, channel);
        }
        for channel in customer.consents.channel_consents.keys() {
            count(&mut self.consents, channel);
        }
        let counting = customer.ledger.grants.iter().filter(|grant| grants::counts(grant, &policy.contact, now));
        let mut channels: Vec<&Channel> = counting.filter_map(|grant| grant.channel.as_ref()).collect();
        channels.sort_unstable();
        channels.dedup();
        for channel in channels {
            count(&mut self.grants, channel);
        }
    }

    /// Opt-outs of channels that the policy does not have, so that they block all channels.
    pub fn unresolved_opt_outs(&self, policy: &Policy) -> Vec<UsedChannel> {
        let registry = &policy.contact.channels;
        let unresolved = self.opt_outs.iter().filter(|(channel, _)| registry.resolve(channel).is_none());
        unresolved.map(|(channel, customers)| UsedChannel { channel: channel.clone(), customers: *customers }).collect()
    }

    /// Channels in use that one policy has and the next one does not, under any name.
    fn dropped(&self, before: &Policy, next: &Policy) -> Vec<UsedChannel> {
        let [before, next] = [before, next].map(|policy| &policy.contact.channels);
        let mut customers: BTreeMap<&Channel, u64> = BTreeMap::new();
        for (channel, count) in self.opt_outs.iter().chain(&self.consents).chain(&self.grants) {
            if before.resolve(channel).is_some() && next.resolve(channel).is_none() {
                let counted = customers.entry(channel).or_default();
                *counted = (*counted).max(*count);
            }
        }
        customers.into_iter().map(|(channel, customers)| UsedChannel { channel: channel.clone(), customers }).collect()
    }
}

fn count(spellings: &mut BTreeMap<Channel, u64>, channel: &Channel) {
    if let Some(customers) = spellings.get_mut(channel) {
        *customers += 1;
    } else if spellings.len() < SPELLINGS_MAX {
        spellings.insert(channel.clone(), 1);
    }
}

/// Lists channels with their numbers of customers: "fax (1 customer), telex (3 customers)".
pub(super) fn counted(channels: &[UsedChannel]) -> String {
    let channel = |UsedChannel { channel, customers }: &UsedChannel| match customers {
        0 => format!("{:?} (explicit offers)", channel.as_str()),
        1 => format!("{:?} (1 customer)", channel.as_str()),
        customers => format!("{:?} ({customers} customers)", channel.as_str()),
    };
    let mut listed: Vec<String> = channels.iter().take(LISTED_MAX).map(channel).collect();
    if channels.len() > LISTED_MAX {
        listed.push(format!("and {} more", channels.len() - LISTED_MAX));
    }
    listed.join(", ")
}

/// Sets the gauge of unresolved opt-outs under the policy in force, and logs them when there are any.
pub async fn report_unresolved_opt_outs(app: &App) -> Result<(), StoreError> {
    let unresolved = load_channel_usage(app).await?.unresolved_opt_outs(&app.policy_in_force());
    let opt_outs: u64 = unresolved.iter().map(|used| used.customers).sum();
    #[allow(clippy::cast_precision_loss, reason = "a gauge")]
    metrics::gauge!("tactful_unresolved_opt_outs").set(opt_outs as f64);
    if opt_outs > 0 {
        let channels = counted(&unresolved);
        tracing::warn!(opt_outs, channels, "opt-outs of channels that the policy does not have block all channels");
    }
    Ok(())
}

/// Counts the channels of all customers. Grants count under the policy in force.
pub async fn load_channel_usage(app: &App) -> Result<ChannelUsage, StoreError> {
    let (policy, now) = (app.policy_in_force(), app.now());
    let mut usage = ChannelUsage::default();
    let mut visit = |customers: Vec<Customer>| customers.iter().for_each(|customer| usage.add(customer, &policy, now));
    app.store.visit_customers(PAGE_LEN, &mut visit).await?;
    Ok(usage)
}

/// Returns the channels in use that the policy in force has and the next one does not. Customers are read only when the next
/// policy lacks a name of the one in force.
pub(super) async fn dropped_channels(app: &App, next: &Policy) -> Result<Vec<UsedChannel>, StoreError> {
    let in_force = app.policy_in_force();
    if has_every_name(next, &in_force) {
        return Ok(Vec::new());
    }
    let registry = &next.contact.channels;
    let mut dropped = load_channel_usage(app).await?.dropped(&in_force, next);
    let snapshot = app.snapshot();
    for channel in snapshot.offers.all().flat_map(|offer| &offer.channels) {
        let is_dropped = in_force.contact.channels.resolve(channel).is_some() && registry.resolve(channel).is_none();
        if is_dropped && !dropped.iter().any(|used| used.channel == *channel) {
            dropped.push(UsedChannel { channel: channel.clone(), customers: 0 });
        }
    }
    dropped.sort_by(|a, b| a.channel.cmp(&b.channel));
    Ok(dropped)
}

/// Whether a policy has every channel name of another one, as a name or an alias.
fn has_every_name(policy: &Policy, other: &Policy) -> bool {
    let registry = &policy.contact.channels;
    let mut names = other.contact.channels.iter().flat_map(|channel| channel.aliases().iter().chain([channel.name()]));
    names.all(|name| registry.resolve(name).is_some())
}
