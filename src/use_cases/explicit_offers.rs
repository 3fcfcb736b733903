//! Explicit offers: checked against catalogue and policy, stored, and published together.

use std::collections::BTreeSet;

use super::app::App;
use crate::decision::conditions::condition::Condition;
use crate::domain::channel::InvalidChannel;
use crate::domain::explicit_offer::{EXPLICIT_OFFERS_MAX, ExplicitOffer};
use crate::domain::ids::OfferId;
use crate::store::contract::error::StoreError;

/// Fault of an explicit offer against the catalogue or the policy in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplicitOfferFault {
    /// Field of the offer.
    pub field: &'static str,
    /// Predicate that completes the sentence which begins with the field, such as "is not in the catalogue".
    pub problem: String,
}

/// Checks an offer against the catalogue and the policy in force, and returns every fault.
pub fn check_offer(app: &App, offer: &ExplicitOffer) -> Vec<ExplicitOfferFault> {
    let mut faults = Vec::new();
    let mut add = |field, problem| faults.push(ExplicitOfferFault { field, problem });
    let catalog = app.catalog();
    match catalog.get(&offer.product) {
        None => add("product_id", "is not in the catalogue".to_owned()),
        Some(product) => {
            let currencies = offer.price.zip(product.price).map(|(ours, its)| (ours.currency(), its.currency()));
            if let Some((ours, its)) = currencies.filter(|(ours, its)| ours != its) {
                add("price", format!("is in {ours}, the product's price in {its}"));
            }
        }
    }
    let registry = &app.policy_in_force().contact.channels;
    for channel in offer.channels.iter().filter(|channel| registry.resolve(channel).is_none()) {
        let invalid = InvalidChannel::Unknown { channel: channel.clone(), known: registry.names() };
        add("channels", format!("are invalid: {invalid}"));
    }
    if let Some(condition) = &offer.condition {
        // The declared kinds include no sensitive attribute: a policy that declares one is rejected.
        let kinds = &app.policy_in_force().condition_attributes;
        if let Err(error) = Condition::compile(condition, kinds) {
            add("condition", error.to_string());
        }
    }
    faults
}

/// Error returned by [`upsert_offers`]; no offer was stored.
#[derive(Debug, thiserror::Error)]
pub enum UpsertOffersError {
    /// The maximum number of explicit offers would be exceeded.
    #[error("there would be {would_be} explicit offers, at most {EXPLICIT_OFFERS_MAX} are allowed")]
    TooMany {
        /// Number of explicit offers that there would be.
        would_be: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores offers, each replacing the one with its id, and publishes them; durable when it returns. Returns whether each
/// offer changed anything.
pub async fn upsert_offers(app: &App, offers: &[ExplicitOffer]) -> Result<Vec<bool>, UpsertOffersError> {
    let _publishing = app.publishing.lock().await;
    let known = app.store.load_offers().await?;
    let would_be = known.iter().chain(offers).map(|offer| &offer.id).collect::<BTreeSet<_>>().len();
    if would_be > EXPLICIT_OFFERS_MAX {
        return Err(UpsertOffersError::TooMany { would_be });
    }
    let changes = app.store.put_offers(offers).await?;
    app.store.durable().await?;
    app.publish_offers().await?;
    Ok(changes)
}

/// Deletes an offer and publishes the rest. Returns whether it existed.
pub async fn delete_offer(app: &App, offer: &OfferId) -> Result<bool, StoreError> {
    let _publishing = app.publishing.lock().await;
    let was_there = app.store.delete_offer(offer).await?;
    app.store.durable().await?;
    app.publish_offers().await?;
    Ok(was_there)
}

/// Explicit offer with the used part of its volume.
#[derive(Debug, Clone, PartialEq)]
pub struct OfferWithVolume {
    /// Offer as stored.
    pub offer: ExplicitOffer,
    /// Number of used units of its volume.
    pub used_volume: u64,
}

/// Returns an offer; `None` when it does not exist.
pub async fn get_offer(app: &App, id: &OfferId) -> Result<Option<OfferWithVolume>, StoreError> {
    let offer = app.snapshot().offers.all().find(|offer| offer.id == *id).cloned();
    let Some(offer) = offer else { return Ok(None) };
    let used_volume = app.store.used_volume(id).await?;
    Ok(Some(OfferWithVolume { offer, used_volume }))
}

/// Returns a page of the offers with ids above `after`, ordered by id, and whether more follow.
pub async fn list_offers(
    app: &App,
    after: Option<&OfferId>,
    page_len: usize,
) -> Result<(Vec<OfferWithVolume>, bool), StoreError> {
    let snapshot = app.snapshot();
    let mut offers: Vec<&ExplicitOffer> =
        snapshot.offers.all().filter(|it| after.is_none_or(|id| it.id > *id)).collect();
    offers.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let is_more = offers.len() > page_len;
    let mut page = Vec::new();
    for offer in offers.into_iter().take(page_len) {
        page.push(OfferWithVolume { offer: offer.clone(), used_volume: app.store.used_volume(&offer.id).await? });
    }
    Ok((page, is_more))
}
