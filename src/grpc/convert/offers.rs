//! Messages of `OfferService`.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use sha2::{Digest, Sha256};

use super::nouns::{cap_to_wire, duration_to_wire, feature_to_wire, health_to_wire, money_to_wire, time_to_wire};
use super::reasons::reasons_to_wire;
use super::violations::Violations;
use crate::domain::decision::Decision;
use crate::domain::ids::{Channel, CustomerId, DecisionId, OfferId, Placement, ProductId, RequestId};
use crate::domain::ledger::ReleaseResult;
use crate::domain::offer::{Factors, FeatureGain, Offer, OfferKind, PropensityBasis};
use crate::domain::withheld_reason::WithheldReason;
use crate::grpc::generated::tactful::v1 as wire;
use crate::use_cases::offer_request::{OfferRequest, RetryKey, ServingMode};
use crate::use_cases::release_offers::ReleasedOffers;
use crate::use_cases::serve_offers::ServedOffers;
use crate::wording::disclosure::Disclosure;
use crate::wording::messages::decision_message;

const PRODUCTS_MAX: usize = 100;
const EXCLUDED_MAX: usize = 1000;
const OFFERS_DEFAULT: usize = 3;
const OFFERS_MAX: usize = 20;

/// Amount of explanation in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ExplanationDetail {
    None,
    /// Reasons and withheld counts, too.
    Summary,
    /// Score breakdowns and components, too.
    Full,
}

/// Request for offers, with the detail that its response explains.
#[derive(Debug)]
pub(crate) struct DetailedRequest {
    pub(crate) request: OfferRequest,
    pub(crate) detail: ExplanationDetail,
}

/// Fields that CrossSell and UpSell requests share.
struct OfferRequestFields {
    kind: OfferKind,
    products_field: &'static str,
    digest: u64,
    customer_id: String,
    products: Vec<String>,
    exclude_product_ids: Vec<String>,
    max_offers: i32,
    mode: i32,
    request_id: String,
    channel: String,
    placement: String,
    currency_code: String,
    explain: i32,
}

/// Reads a CrossSell request.
pub(crate) fn cross_sell_from_wire(message: wire::CrossSellRequest) -> Result<DetailedRequest, Violations> {
    let digest = digest(OfferKind::CrossSell, &wire::CrossSellRequest { request_id: String::new(), ..message.clone() });
    let wire::CrossSellRequest {
        customer_id,
        context_product_ids,
        exclude_product_ids,
        max_offers,
        mode,
        request_id,
        channel,
        placement,
        currency_code,
        explain,
    } = message;
    read(OfferRequestFields {
        kind: OfferKind::CrossSell,
        products_field: "context_product_ids",
        digest,
        customer_id,
        products: context_product_ids,
        exclude_product_ids,
        max_offers,
        mode,
        request_id,
        channel,
        placement,
        currency_code,
        explain,
    })
}

/// Reads an UpSell request.
pub(crate) fn up_sell_from_wire(message: wire::UpSellRequest) -> Result<DetailedRequest, Violations> {
    let digest = digest(OfferKind::UpSell, &wire::UpSellRequest { request_id: String::new(), ..message.clone() });
    let wire::UpSellRequest {
        customer_id,
        owned_product_ids,
        exclude_product_ids,
        max_offers,
        mode,
        request_id,
        channel,
        placement,
        currency_code,
        explain,
    } = message;
    read(OfferRequestFields {
        kind: OfferKind::UpSell,
        products_field: "owned_product_ids",
        digest,
        customer_id,
        products: owned_product_ids,
        exclude_product_ids,
        max_offers,
        mode,
        request_id,
        channel,
        placement,
        currency_code,
        explain,
    })
}

/// Reads a hypothetical request as the RPC of its kind would in preview mode; violations name fields of `WhatIf`, or `customer_id`.
pub(crate) fn preview_from_wire(
    kind: OfferKind,
    customer_id: String,
    message: wire::WhatIf,
) -> Result<OfferRequest, Violations> {
    let wire::WhatIf { kind: _, product_id: _, product_ids, max_offers, channel, placement, currency_code } = message;
    let detailed = read(OfferRequestFields {
        kind,
        products_field: "product_ids",
        digest: 0,
        customer_id,
        products: product_ids,
        exclude_product_ids: Vec::new(),
        max_offers,
        mode: wire::ServingMode::Preview.into(),
        request_id: String::new(),
        channel,
        placement,
        currency_code,
        explain: wire::Explain::Unspecified.into(),
    });
    detailed.map(|detailed| detailed.request)
}

/// Returns a digest that distinguishes requests with the same request id: 64 bits of SHA-256 over the method and the message. Not a
/// secret.
fn digest(kind: OfferKind, message: &impl Message) -> u64 {
    let hash = Sha256::new().chain_update(kind.as_str()).chain_update(message.encode_to_vec()).finalize();
    let first: [u8; 8] = hash[..8].try_into().expect("SHA-256 has 32 bytes");
    u64::from_le_bytes(first)
}

fn read(fields: OfferRequestFields) -> Result<DetailedRequest, Violations> {
    let mut violations = Violations::default();
    let customer = violations.id("customer_id", fields.customer_id, CustomerId::new);
    let products = violations.ids(fields.products_field, fields.products, PRODUCTS_MAX, ProductId::new);
    let excluded = violations.ids("exclude_product_ids", fields.exclude_product_ids, EXCLUDED_MAX, ProductId::new);
    let offers_max = match usize::try_from(fields.max_offers) {
        Ok(0) => OFFERS_DEFAULT,
        Ok(offers_max) => offers_max.min(OFFERS_MAX),
        Err(_) => {
            violations.add("max_offers", "must not be negative");
            0
        }
    };
    let mode = match wire::ServingMode::try_from(fields.mode) {
        Ok(wire::ServingMode::Unspecified | wire::ServingMode::Reserve) => ServingMode::Reserve,
        Ok(wire::ServingMode::Preview) => ServingMode::Preview,
        Err(_) => {
            violations.add("mode", format_args!("unknown ServingMode {}", fields.mode));
            ServingMode::Preview
        }
    };
    let detail = match wire::Explain::try_from(fields.explain) {
        Ok(wire::Explain::None) => ExplanationDetail::None,
        Ok(wire::Explain::Unspecified | wire::Explain::Summary) => ExplanationDetail::Summary,
        Ok(wire::Explain::Full) => ExplanationDetail::Full,
        Err(_) => {
            violations.add("explain", format_args!("unknown Explain {}", fields.explain));
            ExplanationDetail::None
        }
    };
    let request_id = uuid(&mut violations, "request_id", &fields.request_id);
    let retry_key = request_id.map(|bits| RetryKey { id: RequestId::from_bits(bits), digest: fields.digest });
    let channel = violations.optional_id("channel", fields.channel, Channel::new);
    let placement = violations.optional_id("placement", fields.placement, Placement::new);
    let currency = match fields.currency_code.as_str() {
        "" => None,
        code => violations.currency("currency_code", code),
    };
    let request = customer.map(|customer| OfferRequest {
        customer,
        kind: fields.kind,
        mode,
        retry_key,
        products,
        excluded: BTreeSet::from_iter(excluded),
        offers_max,
        channel,
        placement,
        currency,
    });
    Ok(DetailedRequest { request: violations.or(request)?, detail })
}

/// Reads an optional UUID; an empty text is `None`, the nil UUID a violation.
fn uuid(violations: &mut Violations, field: &str, text: &str) -> Option<u128> {
    if text.is_empty() {
        return None;
    }
    let bits = uuid::Uuid::try_parse(text).ok().map(|uuid| uuid.as_u128()).filter(|&bits| bits != 0);
    if bits.is_none() {
        violations.add(field, "must be a UUID other than nil, such as 8e3b1a52-0c7e-4a8e-9f0a-6f8d2f3c1b7d");
    }
    bits
}

/// Reads a required decision id.
pub(crate) fn decision_id(violations: &mut Violations, field: &str, text: &str) -> Option<DecisionId> {
    if text.is_empty() {
        violations.add(field, "must not be empty");
    }
    uuid(violations, field, text).map(DecisionId::from_bits)
}

/// Request to release offers of a decision; without offers, all of them.
#[derive(Debug)]
pub(crate) struct ReleaseRequest {
    pub(crate) customer: CustomerId,
    pub(crate) decision: DecisionId,
    pub(crate) offers: Vec<OfferId>,
}

pub(crate) fn release_from_wire(message: wire::ReleaseOffersRequest) -> Result<ReleaseRequest, Violations> {
    let wire::ReleaseOffersRequest { customer_id, decision_id: decision, offer_ids } = message;
    let mut violations = Violations::default();
    let customer = violations.id("customer_id", customer_id, CustomerId::new);
    let decision = decision_id(&mut violations, "decision_id", &decision);
    let offers = violations.ids("offer_ids", offer_ids, OFFERS_MAX, OfferId::new);
    violations.or(customer.zip(decision).map(|(customer, decision)| ReleaseRequest { customer, decision, offers }))
}

pub(crate) fn release_to_wire(release: ReleasedOffers, disclosure: Disclosure) -> wire::ReleaseOffersResponse {
    let ReleasedOffers { offers, caps, lease } = release;
    let released = |(offer, result): (OfferId, ReleaseResult)| {
        let result = match result {
            ReleaseResult::Released => wire::ReleaseResult::Released,
            ReleaseResult::StillServed => wire::ReleaseResult::StillServed,
            ReleaseResult::LeaseEnded => wire::ReleaseResult::LeaseEnded,
            ReleaseResult::Shown => wire::ReleaseResult::Shown,
        };
        wire::ReleasedOffer { offer_id: offer.to_string(), result: result.into() }
    };
    wire::ReleaseOffersResponse {
        offers: offers.into_iter().map(released).collect(),
        caps: caps.into_iter().map(|cap| cap_to_wire(cap, disclosure)).collect(),
        lease: Some(duration_to_wire(lease)),
    }
}

pub(crate) fn cross_sell_to_wire(
    served: ServedOffers,
    mode: ServingMode,
    detail: ExplanationDetail,
    disclosure: Disclosure,
) -> wire::CrossSellResponse {
    let (slate, fields) = response_fields(served, mode, detail, disclosure);
    wire::CrossSellResponse {
        decision_id: fields.decision_id,
        offers: slate.into_iter().map(|offer| cross_sell_offer(offer, detail)).collect(),
        message: fields.message,
        relationship_health: Some(fields.relationship_health),
        cap: fields.cap,
        caps: fields.caps,
        withheld: fields.withheld,
        policy_version: fields.policy_version,
        model_version: fields.model_version,
        replayed: fields.replayed,
        decision_time: Some(fields.decision_time),
        next_eligible_time: fields.next_eligible_time,
    }
}

pub(crate) fn up_sell_to_wire(
    served: ServedOffers,
    mode: ServingMode,
    detail: ExplanationDetail,
    disclosure: Disclosure,
) -> wire::UpSellResponse {
    let (slate, fields) = response_fields(served, mode, detail, disclosure);
    wire::UpSellResponse {
        decision_id: fields.decision_id,
        offers: slate.into_iter().map(|offer| up_sell_offer(offer, detail)).collect(),
        message: fields.message,
        relationship_health: Some(fields.relationship_health),
        cap: fields.cap,
        caps: fields.caps,
        withheld: fields.withheld,
        policy_version: fields.policy_version,
        model_version: fields.model_version,
        replayed: fields.replayed,
        decision_time: Some(fields.decision_time),
        next_eligible_time: fields.next_eligible_time,
    }
}

/// Fields that CrossSell and UpSell responses share.
struct OfferResponseFields {
    /// Empty for a preview: nothing was recorded that it could name.
    decision_id: String,
    message: String,
    relationship_health: wire::RelationshipHealth,
    cap: Option<wire::Cap>,
    caps: Vec<wire::Cap>,
    withheld: Vec<wire::Withheld>,
    policy_version: String,
    model_version: u64,
    replayed: bool,
    decision_time: prost_types::Timestamp,
    next_eligible_time: Option<prost_types::Timestamp>,
}

fn response_fields(
    served: ServedOffers,
    mode: ServingMode,
    detail: ExplanationDetail,
    disclosure: Disclosure,
) -> (Vec<Offer>, OfferResponseFields) {
    let ServedOffers { decision, is_replayed } = served;
    let message = decision_message(&decision, disclosure);
    let Decision {
        id,
        customer: _,
        kind: _,
        at,
        channel: _,
        placement: _,
        slate,
        would_be_slate: _,
        message: _,
        relationship_health,
        caps,
        binding_cap,
        next_eligible_at,
        withheld: withheld_counts,
        rejected_candidates: _,
        policy_version,
        model_version,
        ranked_at: _,
    } = decision;
    let decision_id = match mode {
        ServingMode::Reserve => id.to_string(),
        ServingMode::Preview => String::new(),
    };
    let fields = OfferResponseFields {
        decision_id,
        message,
        relationship_health: health_to_wire(relationship_health, detail == ExplanationDetail::Full),
        cap: binding_cap.and_then(|index| caps.get(index).cloned()).map(|cap| cap_to_wire(cap, disclosure)),
        caps: caps.into_iter().map(|cap| cap_to_wire(cap, disclosure)).collect(),
        withheld: withheld(withheld_counts, detail),
        policy_version,
        model_version,
        replayed: is_replayed,
        decision_time: time_to_wire(at),
        next_eligible_time: next_eligible_at.map(time_to_wire),
    };
    (slate, fields)
}

fn withheld(counts: BTreeMap<WithheldReason, u32>, detail: ExplanationDetail) -> Vec<wire::Withheld> {
    if detail == ExplanationDetail::None { Vec::new() } else { withheld_to_wire(counts) }
}

/// Converts the numbers of withheld candidates by reason.
pub(crate) fn withheld_to_wire(counts: BTreeMap<WithheldReason, u32>) -> Vec<wire::Withheld> {
    counts.into_iter().map(|(reason, count)| wire::Withheld { reason: reason.as_str().to_owned(), count }).collect()
}

fn cross_sell_offer(offer: Offer, detail: ExplanationDetail) -> wire::CrossSellOffer {
    let reasons = reasons(&offer, detail);
    let Offer {
        id,
        kind: _,
        product,
        title,
        rank,
        price,
        valid_until,
        price_step: _,
        factors,
        reasons: _,
        goes_with,
        replaces: _,
        gains: _,
        mentioned: _,
        grant: _,
        is_already_granted,
    } = offer;
    wire::CrossSellOffer {
        offer_id: id.to_string(),
        product_id: product.to_string(),
        title,
        rank,
        price: price.map(money_to_wire),
        score: factors.score(),
        score_breakdown: breakdown(factors, detail),
        reasons,
        goes_with_product_ids: goes_with.iter().map(ToString::to_string).collect(),
        already_granted: is_already_granted,
        valid_until: valid_until.map(time_to_wire),
    }
}

fn up_sell_offer(offer: Offer, detail: ExplanationDetail) -> wire::UpSellOffer {
    let reasons = reasons(&offer, detail);
    let Offer {
        id,
        kind: _,
        product,
        title,
        rank,
        price,
        valid_until,
        price_step,
        factors,
        reasons: _,
        goes_with: _,
        replaces,
        gains,
        mentioned: _,
        grant: _,
        is_already_granted,
    } = offer;
    wire::UpSellOffer {
        offer_id: id.to_string(),
        product_id: product.to_string(),
        title,
        rank,
        price: price.map(money_to_wire),
        price_step: price_step.map(money_to_wire),
        score: factors.score(),
        score_breakdown: breakdown(factors, detail),
        reasons,
        replaces_product_id: replaces.map(|product| product.to_string()).unwrap_or_default(),
        gains: gains.into_iter().map(gain_to_wire).collect(),
        already_granted: is_already_granted,
        valid_until: valid_until.map(time_to_wire),
    }
}

fn reasons(offer: &Offer, detail: ExplanationDetail) -> Vec<wire::OfferReason> {
    if detail == ExplanationDetail::None { Vec::new() } else { reasons_to_wire(offer) }
}

/// Converts the gain in one feature.
pub(crate) fn gain_to_wire(gain: FeatureGain) -> wire::FeatureGain {
    let FeatureGain { feature, from, to } = gain;
    wire::FeatureGain { feature, from: from.map(feature_to_wire), to: Some(feature_to_wire(to)) }
}

fn breakdown(factors: Factors, detail: ExplanationDetail) -> Option<wire::ScoreBreakdown> {
    (detail == ExplanationDetail::Full).then(|| score_breakdown(factors))
}

/// Converts all factors of a score.
pub(crate) fn score_breakdown(factors: Factors) -> wire::ScoreBreakdown {
    let Factors {
        propensity,
        propensity_basis,
        acceptance_lift,
        value,
        seller_value,
        margin_is_assumed,
        customer_gain,
        need,
        keep_probability,
        seller_share,
        context,
        lever,
        attention_price,
    } = factors;
    let basis = match propensity_basis {
        PropensityBasis::Purchases => wire::PropensityBasis::Purchases,
        PropensityBasis::Outcomes => wire::PropensityBasis::Outcomes,
        PropensityBasis::Catalog => wire::PropensityBasis::Catalog,
    };
    wire::ScoreBreakdown {
        propensity,
        propensity_basis: basis.into(),
        acceptance_lift,
        value,
        seller_value,
        margin_assumed: margin_is_assumed,
        customer_gain,
        need,
        keep_probability,
        seller_share,
        context,
        lever,
        attention_price,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_violations_are_reported_at_once() {
        let message = wire::CrossSellRequest {
            customer_id: String::new(),
            context_product_ids: vec!["ok".into(), "x".repeat(129)],
            max_offers: -1,
            mode: 9,
            request_id: "not a uuid".into(),
            currency_code: "pounds".into(),
            explain: 77,
            ..wire::CrossSellRequest::default()
        };
        let violations = cross_sell_from_wire(message).expect_err("seven violations");
        let fields: Vec<&str> = violations.as_slice().iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(
            fields,
            ["customer_id", "context_product_ids[1]", "max_offers", "mode", "explain", "request_id", "currency_code"]
        );
    }

    #[test]
    fn digests_distinguish_requests_but_not_request_ids() {
        let message = |request_id: &str, max_offers| wire::CrossSellRequest {
            customer_id: "c".into(),
            request_id: request_id.into(),
            max_offers,
            ..wire::CrossSellRequest::default()
        };
        let digest = |message| cross_sell_from_wire(message).expect("right").request.retry_key.expect("a key").digest;
        let (one, two) = ("8e3b1a52-0c7e-4a8e-9f0a-6f8d2f3c1b7d", "8e3b1a52-0c7e-4a8e-9f0a-6f8d2f3c1b7e");
        assert_eq!(digest(message(one, 3)), digest(message(two, 3)));
        assert_ne!(digest(message(one, 3)), digest(message(one, 4)));
    }
}
