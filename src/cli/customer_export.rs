//! JSON of the records of a customer's export.
//!
//! Field names are those of the protos; a field that is unset is `null`. Times are RFC 3339 in UTC, enum values lower-case
//! words. Messages are destructured whole, so that a new field does not compile until it is written.

use serde_json::{Map, Value, json};

use super::client::{money_text, words};
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::customer_export_record::Record;
use crate::grpc::generated::tactful::v1::feature_value;

/// Returns the JSON object of a record. Its field `record` names the kind: customer, ranking, event, outcome or decision.
/// `None` for a kind that this version does not know.
pub(super) fn record_to_json(record: wire::CustomerExportRecord) -> Option<Value> {
    let wire::CustomerExportRecord { record } = record;
    let (kind, fields) = match record? {
        Record::Customer(customer) => ("customer", customer_to_json(customer)),
        Record::Ranking(ranking) => ("ranking", ranking_to_json(ranking)),
        Record::Event(event) => ("event", event_to_json(event)),
        Record::Outcome(outcome) => ("outcome", outcome_to_json(outcome)),
        Record::Decision(decision) => ("decision", decision_to_json(decision)),
    };
    let mut object = Map::from_iter([("record".to_owned(), Value::from(kind))]);
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    Some(Value::Object(object))
}

fn customer_to_json(customer: wire::ExportedCustomer) -> Value {
    let wire::ExportedCustomer {
        profile,
        holds,
        holdings,
        older_holding_fingerprints,
        relationship,
        ledger,
        older_subscriptions,
        older_subscription_end_time,
        merged_customer_ids,
        alias_of_customer_id,
        merging_with_customer_id,
        was_merged,
    } = customer;
    let older_subscription = |subscription: wire::ExportedOlderSubscription| {
        let kind = words(subscription.kind().as_str_name(), "EVENT_KIND_");
        let wire::ExportedOlderSubscription { product_fingerprint, first_time, subscription_time, kind: _, last_time } =
            subscription;
        json!({
            "product_fingerprint": product_fingerprint,
            "first_time": time(first_time),
            "last_time": time(last_time),
            "subscription_time": time(subscription_time),
            "kind": kind,
        })
    };
    let wire::CustomerProfile { customer_id, attributes, consents, consents_update: _ } = profile.unwrap_or_default();
    let wire::Consents { opted_out, opted_out_channels, objects_to_profiling, channel_consents } =
        consents.unwrap_or_default();
    json!({
        "customer_id": customer_id,
        "merged_customer_ids": merged_customer_ids,
        "alias_of_customer_id": alias_of_customer_id,
        "merging_with_customer_id": merging_with_customer_id,
        "was_merged": was_merged,
        "attributes": attributes,
        "consents": {
            "opted_out": opted_out,
            "opted_out_channels": opted_out_channels,
            "objects_to_profiling": objects_to_profiling,
            "channel_consents": list(channel_consents, channel_consent_to_json),
        },
        "holds": list(holds, hold_to_json),
        "holdings": list(holdings, holding_to_json),
        "older_holding_fingerprints": older_holding_fingerprints,
        "older_subscriptions": list(older_subscriptions, older_subscription),
        "older_subscription_end_time": time(older_subscription_end_time),
        "relationship": relationship.map(relationship_to_json),
        "ledger": ledger.map(ledger_to_json),
    })
}

fn channel_consent_to_json(consent: wire::ChannelConsent) -> Value {
    let kind = words(consent.kind().as_str_name(), "CONSENT_KIND_");
    let wire::ChannelConsent { channel, kind: _, grant_time, source } = consent;
    json!({ "channel": channel, "kind": kind, "grant_time": time(grant_time), "source": source })
}

fn hold_to_json(hold: wire::Hold) -> Value {
    let reason = words(hold.reason().as_str_name(), "HOLD_REASON_");
    let wire::Hold { hold_id, reason: _, note, create_time, expire_time, derived } = hold;
    json!({
        "hold_id": hold_id,
        "reason": reason,
        "note": note,
        "create_time": time(create_time),
        "expire_time": time(expire_time),
        "derived": derived,
    })
}

fn holding_to_json(holding: wire::ExportedHolding) -> Value {
    let wire::ExportedHolding {
        product_id,
        first_time,
        last_time,
        end_time,
        return_time,
        movements,
        older_movements_time,
        older_movements_quantity,
        first_event_time,
        starts,
        older_end_time,
        usage,
        unwanted_time,
        wrong_variant_time,
        older_starts_time,
        possible_end_time,
    } = holding;
    let start = |start: wire::ExportedSubscriptionStart| {
        let kind = words(start.kind().as_str_name(), "EVENT_KIND_");
        let wire::ExportedSubscriptionStart { time: at, kind: _ } = start;
        json!({ "time": time(at), "kind": kind })
    };
    let movement = |wire::ExportedMovement { time: at, items }| json!({ "time": time(at), "items": items });
    json!({
        "product_id": product_id,
        "first_event_time": time(first_event_time),
        "first_time": time(first_time),
        "last_time": time(last_time),
        "starts": list(starts, start),
        "older_starts_time": time(older_starts_time),
        "end_time": time(end_time),
        "possible_end_time": time(possible_end_time),
        "older_end_time": time(older_end_time),
        "return_time": time(return_time),
        "unwanted_time": time(unwanted_time),
        "wrong_variant_time": time(wrong_variant_time),
        "movements": list(movements, movement),
        "older_movements_time": time(older_movements_time),
        "older_movements_quantity": older_movements_quantity,
        "usage": list(usage, usage_to_json),
    })
}

fn usage_to_json(usage: wire::ExportedUsage) -> Value {
    let wire::ExportedUsage { meter, period_start, period_end, share } = usage;
    json!({
        "meter": optional(meter),
        "period_start": time(period_start),
        "period_end": time(period_end),
        "share": share,
    })
}

fn relationship_to_json(relationship: wire::ExportedRelationship) -> Value {
    let wire::ExportedRelationship {
        cases,
        folded_friction,
        payment_trouble,
        offer_pressure,
        sentiment,
        accepted_offers,
        folded_value,
        engagement,
        purchase_dates,
        spent,
        returned,
        last_purchase_time,
        last_return_time,
        last_ticket_time,
        last_payment_trouble_time,
        last_cancellation_time,
        last_commitment_time,
        last_subscription_start_time,
        returns,
        partings,
        older_acceptances_time,
        older_returns_time,
        older_partings_time,
        older_open_cases_friction,
        older_open_cases_until_time,
        older_complaints_hold_until_time,
        first_purchase_date,
        last_detractor_survey_time,
        payment_failure_times,
    } = relationship;
    json!({
        "cases": list(cases, case_to_json),
        "folded_friction": folded_friction.map(sum_to_json),
        "payment_trouble": payment_trouble.map(sum_to_json),
        "offer_pressure": offer_pressure.map(sum_to_json),
        "sentiment": sentiment.map(sum_to_json),
        "accepted_offers": list(accepted_offers, acceptance_to_json),
        "folded_value": folded_value.map(sum_to_json),
        "engagement": engagement.map(sum_to_json),
        "purchase_dates": purchase_dates,
        "spent": spent.map(sum_to_json),
        "returned": returned.map(sum_to_json),
        "last_purchase_time": time(last_purchase_time),
        "last_return_time": time(last_return_time),
        "last_ticket_time": time(last_ticket_time),
        "last_payment_trouble_time": time(last_payment_trouble_time),
        "last_cancellation_time": time(last_cancellation_time),
        "last_commitment_time": time(last_commitment_time),
        "last_subscription_start_time": time(last_subscription_start_time),
        "returns": list(returns, return_to_json),
        "partings": list(partings, parting_to_json),
        "older_acceptances_time": time(older_acceptances_time),
        "older_returns_time": time(older_returns_time),
        "older_partings_time": time(older_partings_time),
        "older_open_cases_friction": older_open_cases_friction,
        "older_open_cases_until_time": time(older_open_cases_until_time),
        "older_complaints_hold_until_time": time(older_complaints_hold_until_time),
        "first_purchase_date": optional(first_purchase_date),
        "last_detractor_survey_time": time(last_detractor_survey_time),
        "payment_failure_times": list(payment_failure_times, |at| time(Some(at))),
    })
}

fn sum_to_json(sum: wire::ExportedDecayedSum) -> Value {
    let wire::ExportedDecayedSum { as_of, values } = sum;
    let value = |wire::ExportedDecayedValue { half_life_days, value }| json!({ "half_life_days": half_life_days, "value": value });
    json!({ "as_of": time(as_of), "values": list(values, value) })
}

fn case_to_json(case: wire::ExportedCase) -> Value {
    let wire::ExportedCase { case_id, complaint, severity, report_time, resolve_time } = case;
    json!({
        "case_id": case_id,
        "complaint": complaint,
        "severity": severity,
        "report_time": time(report_time),
        "resolve_time": time(resolve_time),
    })
}

fn acceptance_to_json(acceptance: wire::ExportedAcceptance) -> Value {
    let wire::ExportedAcceptance { product_id, accept_time, first_accept_time } = acceptance;
    json!({
        "product_id": product_id,
        "accept_time": time(accept_time),
        "first_accept_time": time(first_accept_time),
    })
}

fn return_to_json(product_return: wire::ExportedReturn) -> Value {
    let wire::ExportedReturn { product_id, return_time, follows_acceptance } = product_return;
    json!({
        "product_id": product_id,
        "return_time": time(return_time),
        "follows_acceptance": follows_acceptance,
    })
}

fn parting_to_json(parting: wire::ExportedParting) -> Value {
    let kind = words(parting.kind().as_str_name(), "EVENT_KIND_");
    let plan_direction = optional_words(parting.plan_direction().as_str_name(), "PLAN_DIRECTION_");
    let wire::ExportedParting {
        product_id,
        parting_time,
        kind: _,
        to_product_id,
        plan_direction: _,
        follows_acceptance,
    } = parting;
    json!({
        "product_id": product_id,
        "parting_time": time(parting_time),
        "kind": kind,
        "to_product_id": optional(to_product_id),
        "plan_direction": plan_direction,
        "follows_acceptance": follows_acceptance,
    })
}

fn ledger_to_json(ledger: wire::ExportedLedger) -> Value {
    let wire::ExportedLedger {
        clock_time,
        grants,
        request_keys,
        allowance_level,
        allowance_level_time,
        product_cooldowns,
        would_be_grants,
        assignment,
        rejections,
        last_acceptance_time,
    } = ledger;
    let rejection = |wire::ExportedRejectedDecision { decision_id, rejection_time }| json!({ "decision_id": decision_id, "rejection_time": time(rejection_time) });
    let cooldown = |wire::ExportedProductCooldown { product_id, until_time }| json!({ "product_id": product_id, "until_time": time(until_time) });
    json!({
        "clock_time": time(clock_time),
        "grants": list(grants, grant_to_json),
        "request_keys": list(request_keys, request_key_to_json),
        "allowance_level": allowance_level,
        "allowance_level_time": time(allowance_level_time),
        "rejections": list(rejections, rejection),
        "last_acceptance_time": time(last_acceptance_time),
        "product_cooldowns": list(product_cooldowns, cooldown),
        "would_be_grants": list(would_be_grants, grant_to_json),
        "assignment": assignment.map(assignment_to_json),
    })
}

fn grant_to_json(grant: wire::ExportedGrant) -> Value {
    let response = optional_words(grant.response().as_str_name(), "OUTCOME_KIND_");
    let wire::ExportedGrant { granted_offer, channel, servings, irrevocable, response: _ } = grant;
    let granted_offer = granted_offer.unwrap_or_default();
    let kind = offer_kind(granted_offer.kind());
    let wire::GrantedOffer { offer_id, product_id, kind: _, grant_time, lease_end_time, open_until_time } =
        granted_offer;
    let serving =
        |wire::ExportedServing { decision_id, released }| json!({ "decision_id": decision_id, "released": released });
    json!({
        "offer_id": offer_id,
        "product_id": product_id,
        "kind": kind,
        "grant_time": time(grant_time),
        "lease_end_time": time(lease_end_time),
        "open_until_time": time(open_until_time),
        "channel": optional(channel),
        "servings": list(servings, serving),
        "irrevocable": irrevocable,
        "response": response,
    })
}

fn request_key_to_json(key: wire::ExportedRequestKey) -> Value {
    let kind = offer_kind(key.kind());
    let wire::ExportedRequestKey { kind: _, request_id, request_digest, decision_id, request_time } = key;
    json!({
        "kind": kind,
        "request_id": request_id,
        "request_digest": request_digest,
        "decision_id": decision_id,
        "request_time": time(request_time),
    })
}

fn assignment_to_json(assignment: wire::ExportedAssignment) -> Value {
    let arm = words(assignment.arm().as_str_name(), "EXPERIMENT_ARM_");
    let band = words(assignment.band().as_str_name(), "RELATIONSHIP_BAND_");
    let wire::ExportedAssignment { experiment_id, arm: _, assign_time, band: _ } = assignment;
    json!({ "experiment_id": experiment_id, "arm": arm, "assign_time": time(assign_time), "band": band })
}

fn ranking_to_json(ranking: wire::ExportedRanking) -> Value {
    let wire::ExportedRanking { model_version, catalog_digest, customer_digest, ranking_time, products } = ranking;
    let product = |wire::ExportedRankedProduct { catalog_index, propensity }| json!({ "catalog_index": catalog_index, "propensity": propensity });
    json!({
        "model_version": model_version,
        "catalog_digest": catalog_digest,
        "customer_digest": customer_digest,
        "ranking_time": time(ranking_time),
        "products": list(products, product),
    })
}

fn event_to_json(event: wire::CustomerEvent) -> Value {
    let kind = words(event.kind().as_str_name(), "EVENT_KIND_");
    let plan_direction = optional_words(event.plan_direction().as_str_name(), "PLAN_DIRECTION_");
    let return_reason = optional_words(event.return_reason().as_str_name(), "RETURN_REASON_");
    let wire::CustomerEvent {
        event_id,
        customer_id,
        kind: _,
        event_time,
        product_id,
        order_id,
        quantity,
        unit_price,
        case_id,
        severity,
        score,
        score_max,
        to_product_id,
        amount,
        allowance,
        plan_direction: _,
        return_reason: _,
        meter,
        period_start,
        period_end,
    } = event;
    json!({
        "event_id": event_id,
        "customer_id": customer_id,
        "kind": kind,
        "event_time": time(event_time),
        "product_id": optional(product_id),
        "order_id": optional(order_id),
        "quantity": quantity,
        "unit_price": money(unit_price),
        "case_id": optional(case_id),
        "severity": severity,
        "score": score,
        "score_max": score_max,
        "to_product_id": optional(to_product_id),
        "amount": amount,
        "allowance": allowance,
        "plan_direction": plan_direction,
        "return_reason": return_reason,
        "meter": optional(meter),
        "period_start": time(period_start),
        "period_end": time(period_end),
    })
}

fn outcome_to_json(outcome: wire::ExportedOutcome) -> Value {
    let wire::ExportedOutcome { outcome, event_id, product_id } = outcome;
    let outcome = outcome.unwrap_or_default();
    let kind = words(outcome.kind().as_str_name(), "OUTCOME_KIND_");
    let wire::OfferOutcome { customer_id, decision_id, offer_id, kind: _, outcome_time, case_id } = outcome;
    json!({
        "event_id": event_id,
        "customer_id": customer_id,
        "decision_id": decision_id,
        "offer_id": offer_id,
        "product_id": product_id,
        "kind": kind,
        "outcome_time": time(outcome_time),
        "case_id": optional(case_id),
    })
}

fn decision_to_json(decision: wire::ExportedDecision) -> Value {
    let kind = offer_kind(decision.kind());
    let wire::ExportedDecision {
        decision_id,
        customer_id,
        kind: _,
        decision_time,
        channel,
        placement,
        offers,
        would_be_offers,
        message,
        relationship_health,
        cap,
        caps,
        withheld,
        rejected_candidates,
        policy_version,
        model_version,
        ranking_time,
        next_eligible_time,
    } = decision;
    let withheld: Map<String, Value> =
        withheld.into_iter().map(|wire::Withheld { reason, count }| (reason, count.into())).collect();
    json!({
        "decision_id": decision_id,
        "customer_id": customer_id,
        "kind": kind,
        "decision_time": time(decision_time),
        "channel": optional(channel),
        "placement": optional(placement),
        "offers": list(offers, offer_to_json),
        "would_be_offers": list(would_be_offers, offer_to_json),
        "message": message,
        "relationship_health": relationship_health.map(health_to_json),
        "cap": cap.map(cap_to_json),
        "caps": list(caps, cap_to_json),
        "withheld": withheld,
        "rejected_candidates": list(rejected_candidates, rejection_to_json),
        "policy_version": policy_version,
        "model_version": model_version,
        "ranking_time": time(ranking_time),
        "next_eligible_time": time(next_eligible_time),
    })
}

fn offer_to_json(offer: wire::ExportedOffer) -> Value {
    let kind = offer_kind(offer.kind());
    let wire::ExportedOffer {
        offer_id,
        kind: _,
        product_id,
        title,
        rank,
        price,
        valid_until,
        price_step,
        score_breakdown,
        reasons,
        goes_with_product_ids,
        replaces_product_id,
        gains,
        already_granted,
    } = offer;
    let reason =
        |wire::OfferReason { code, parameters, text }| json!({ "code": code, "parameters": parameters, "text": text });
    let gain = |wire::FeatureGain { feature, from, to }| json!({ "feature": feature, "from": from.map(feature_to_json), "to": to.map(feature_to_json) });
    json!({
        "offer_id": offer_id,
        "kind": kind,
        "product_id": product_id,
        "title": title,
        "rank": rank,
        "price": money(price),
        "valid_until": time(valid_until),
        "price_step": money(price_step),
        "score_breakdown": score_breakdown.map(breakdown_to_json),
        "reasons": list(reasons, reason),
        "goes_with_product_ids": goes_with_product_ids,
        "replaces_product_id": optional(replaces_product_id),
        "gains": list(gains, gain),
        "already_granted": already_granted,
    })
}

fn feature_to_json(value: wire::FeatureValue) -> Value {
    let wire::FeatureValue { value } = value;
    match value {
        Some(feature_value::Value::Number(number)) => number.into(),
        Some(feature_value::Value::Flag(flag)) => flag.into(),
        Some(feature_value::Value::Text(text)) => text.into(),
        None => Value::Null,
    }
}

fn rejection_to_json(rejection: wire::ExportedRejection) -> Value {
    let step = words(rejection.step().as_str_name(), "DECISION_STEP_");
    let wire::ExportedRejection {
        product_id,
        offer_id,
        propensity,
        step: _,
        rule,
        other_product_id,
        observed,
        threshold,
        until,
        score_breakdown,
    } = rejection;
    json!({
        "product_id": product_id,
        "offer_id": optional(offer_id),
        "propensity": propensity,
        "step": step,
        "rule": rule,
        "other_product_id": optional(other_product_id),
        "observed": observed,
        "threshold": threshold,
        "until": time(until),
        "score_breakdown": score_breakdown.map(breakdown_to_json),
    })
}

fn breakdown_to_json(breakdown: wire::ScoreBreakdown) -> Value {
    let basis = words(breakdown.propensity_basis().as_str_name(), "PROPENSITY_BASIS_");
    let wire::ScoreBreakdown {
        propensity,
        propensity_basis: _,
        value,
        seller_value,
        margin_assumed,
        customer_gain,
        need,
        keep_probability,
        seller_share,
        context,
        lever,
        attention_price,
        acceptance_lift,
    } = breakdown;
    json!({
        "propensity": propensity,
        "propensity_basis": basis,
        "acceptance_lift": acceptance_lift,
        "value": value,
        "seller_value": seller_value,
        "margin_assumed": margin_assumed,
        "customer_gain": customer_gain,
        "need": need,
        "keep_probability": keep_probability,
        "seller_share": seller_share,
        "context": context,
        "lever": lever,
        "attention_price": attention_price,
    })
}

fn health_to_json(health: wire::RelationshipHealth) -> Value {
    let band = words(health.band().as_str_name(), "RELATIONSHIP_BAND_");
    let wire::RelationshipHealth { score, band: _, coverage, components } = health;
    json!({ "score": score, "band": band, "coverage": coverage, "components": list(components, component_to_json) })
}

fn component_to_json(component: wire::RelationshipComponent) -> Value {
    // Raw inputs and trend are not part of a decision.
    let wire::RelationshipComponent { name, value, weight, input, half_life_days, known, raw_inputs: _, trend: _ } =
        component;
    json!({
        "name": name,
        "value": value,
        "weight": weight,
        "input": input,
        "half_life_days": half_life_days,
        "known": known,
    })
}

fn cap_to_json(cap: wire::Cap) -> Value {
    let kind = words(cap.kind().as_str_name(), "CAP_KIND_");
    let hold_reason = optional_words(cap.hold_reason().as_str_name(), "HOLD_REASON_");
    let quiet_period_cause = optional_words(cap.quiet_period_cause().as_str_name(), "QUIET_PERIOD_CAUSE_");
    let wire::Cap {
        kind: _,
        hold_reason: _,
        limit,
        used,
        remaining,
        window,
        next_eligible_time,
        since_time,
        resolved_time,
        quiet_period_cause: _,
    } = cap;
    json!({
        "kind": kind,
        "hold_reason": hold_reason,
        "limit": limit,
        "used": used,
        "remaining": remaining,
        "window_seconds": window.map(|window| window.seconds),
        "next_eligible_time": time(next_eligible_time),
        "since_time": time(since_time),
        "resolved_time": time(resolved_time),
        "quiet_period_cause": quiet_period_cause,
    })
}

fn list<Message>(messages: Vec<Message>, to_json: impl Fn(Message) -> Value) -> Value {
    messages.into_iter().map(to_json).collect()
}

/// Returns the exact time, because an erasure or a dispute may depend on it.
fn time(at: Option<prost_types::Timestamp>) -> Value {
    let at = at.and_then(|at| jiff::Timestamp::new(at.seconds, at.nanos).ok());
    at.map_or(Value::Null, |at| at.to_string().into())
}

fn money(money: Option<wire::Money>) -> Value {
    money.map_or(Value::Null, |money| money_text(Some(&money)).into())
}

fn optional(text: String) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

fn offer_kind(kind: wire::OfferKind) -> String {
    words(kind.as_str_name(), "OFFER_KIND_")
}

/// Returns the value of an enum in words, or null when it is unspecified.
fn optional_words(name: &str, prefix: &str) -> Value {
    let words = words(name, prefix);
    if words == "unspecified" { Value::Null } else { words.into() }
}
