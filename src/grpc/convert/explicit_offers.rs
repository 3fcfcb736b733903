//! Explicit offers, in messages of `CatalogService`.

use super::nouns::{money_to_wire, offer_kind_to_wire, time_to_wire};
use super::violations::Violations;
use crate::domain::explicit_offer::{CONDITION_BYTES_MAX, ExplicitOffer, LEVER_MAX, OFFER_SCOPES_MAX, VOLUME_MAX};
use crate::domain::ids::{Channel, OfferId, Placement, ProductId};
use crate::domain::offer::OfferKind;
use crate::grpc::generated::tactful::v1 as wire;
use crate::use_cases::explicit_offers::OfferWithVolume;

/// Reads an explicit offer, without reference to the catalogue; paths of violations start with `path`.
pub(crate) fn explicit_offer_from_wire(path: &str, message: wire::ExplicitOffer) -> Result<ExplicitOffer, Violations> {
    let kind = message.kind();
    let wire::ExplicitOffer {
        offer_id,
        product_id,
        kind: kind_number,
        price,
        valid_from,
        valid_until,
        channels,
        placements,
        lever,
        volume_cap,
        condition,
        volume_used: _,
    } = message;
    let mut violations = Violations::default();
    let field = |name: &str| format!("{path}.{name}");
    let id = violations.id(&field("offer_id"), offer_id, OfferId::new);
    if id.as_ref().is_some_and(OfferId::is_implicit) {
        violations.add(field("offer_id"), "must not start with product/, which is reserved for implicit offers");
    }
    let product = violations.id(&field("product_id"), product_id, ProductId::new);
    let kind = match kind {
        wire::OfferKind::CrossSell => Some(OfferKind::CrossSell),
        wire::OfferKind::UpSell => Some(OfferKind::UpSell),
        wire::OfferKind::Unspecified if kind_number == 0 => None,
        wire::OfferKind::Unspecified => {
            violations.add(field("kind"), "must be CROSS_SELL, UP_SELL or not set");
            None
        }
    };
    let price = price.and_then(|price| violations.money_not_negative(&field("price"), price));
    let valid_from = valid_from.and_then(|at| violations.time(&field("valid_from"), at));
    let valid_until = valid_until.and_then(|at| violations.time(&field("valid_until"), at));
    if valid_from.zip(valid_until).is_some_and(|(from, until)| from >= until) {
        violations.add(field("valid_until"), "must be after valid_from");
    }
    let channels = violations.ids(&field("channels"), channels, OFFER_SCOPES_MAX, Channel::new);
    let placements = violations.ids(&field("placements"), placements, OFFER_SCOPES_MAX, Placement::new);
    let lever = lever.unwrap_or(1.0);
    // In this form NaN is rejected, too.
    if !(lever > 0.0 && lever <= LEVER_MAX) {
        violations.add(field("lever"), format_args!("must be above 0 and at most {LEVER_MAX}"));
    }
    if volume_cap.is_some_and(|cap| cap > VOLUME_MAX) {
        violations.add(field("volume_cap"), format_args!("must be at most {VOLUME_MAX}"));
    }
    violations.text_within(&field("condition"), &condition, CONDITION_BYTES_MAX);
    let offer = id.zip(product).map(|(id, product)| ExplicitOffer {
        id,
        product,
        kind,
        price,
        valid_from,
        valid_until,
        channels,
        placements,
        lever,
        volume_cap,
        condition: Some(condition).filter(|text| !text.trim().is_empty()),
    });
    violations.or(offer)
}

pub(crate) fn explicit_offer_to_wire(stored: OfferWithVolume) -> wire::ExplicitOffer {
    let OfferWithVolume { offer, used_volume } = stored;
    let ExplicitOffer {
        id,
        product,
        kind,
        price,
        valid_from,
        valid_until,
        channels,
        placements,
        lever,
        volume_cap,
        condition,
    } = offer;
    wire::ExplicitOffer {
        offer_id: id.to_string(),
        product_id: product.to_string(),
        kind: kind.map_or(wire::OfferKind::Unspecified, offer_kind_to_wire).into(),
        price: price.map(money_to_wire),
        valid_from: valid_from.map(time_to_wire),
        valid_until: valid_until.map(time_to_wire),
        channels: channels.iter().map(ToString::to_string).collect(),
        placements: placements.iter().map(ToString::to_string).collect(),
        lever: Some(lever),
        volume_cap,
        condition: condition.unwrap_or_default(),
        volume_used: used_volume,
    }
}
