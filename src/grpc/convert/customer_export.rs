//! The export of a customer for `CustomerService`.
//!
//! Every domain struct is destructured whole, without `..`: a new field does not compile until it is exported too, or its
//! absence has a reason here.

use std::collections::BTreeMap;

use super::customers::{grant_to_wire, profile_to_wire};
use super::events::{event_to_wire, outcome_kind_to_wire, plan_change_to_wire};
use super::explanations::step_to_wire;
use super::nouns::{
    band_to_wire, cap_to_wire, health_to_wire, hold_reason_to_wire, money_to_wire, offer_kind_to_wire, time_to_wire,
};
use super::offers::{gain_to_wire, score_breakdown, withheld_to_wire};
use super::reasons::reasons_to_wire;
use crate::domain::cached_ranking::{CacheKey, CachedRanking, RankedProduct};
use crate::domain::customer::{Customer, Hold};
use crate::domain::customer_export::ExportedRecord;
use crate::domain::decayed_sum::{DecayedSum, HALF_LIVES_DAYS};
use crate::domain::decision::Decision;
use crate::domain::event::{Event, EventKind, Outcome};
use crate::domain::experiment::{Arm, Assignment};
use crate::domain::holdings::{Acquisitions, EvictedSubscription, Holding, Holdings, StartKind, SubscriptionStart};
use crate::domain::ids::{Meter, ProductId};
use crate::domain::item_balance::{FoldedMovements, ItemBalance, Movement};
use crate::domain::ledger::{
    AllowanceLevel, CustomerResponse, Grant, GrantServing, Ledger, ProductCooldown, Rejection, RequestKey,
};
use crate::domain::merge::{MergeState, MergeStep};
use crate::domain::offer::Offer;
use crate::domain::rejected_candidate::{Ineligibility, RejectedCandidate};
use crate::domain::relationship::{
    AcceptedOffer, Case, LastEventTimes, Parting, PartingKind, ProductReturn, RelationshipState,
};
use crate::domain::time::Day;
use crate::domain::usage::{Period, UsageHistory};
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::customer_export_record::Record;
use crate::wording::disclosure::Disclosure;
use crate::wording::messages::decision_message;

/// Converts a record of the export.
pub(crate) fn export_record_to_wire(record: ExportedRecord) -> wire::CustomerExportRecord {
    let record = match record {
        ExportedRecord::Customer(customer) => Record::Customer(customer_to_wire(*customer)),
        ExportedRecord::CachedRanking(ranking) => Record::Ranking(ranking_to_wire(ranking)),
        ExportedRecord::Event(event) => event_record(event),
        ExportedRecord::Decision(decision) => Record::Decision(decision_to_wire(*decision)),
    };
    wire::CustomerExportRecord { record: Some(record) }
}

fn customer_to_wire(customer: Customer) -> wire::ExportedCustomer {
    let Customer { id, merge, attributes, consents, holds, holdings, relationship, ledger } = customer;
    let Holdings { latest, fingerprints, evicted_subscriptions, evicted_end_at } = holdings;
    let MergeState { members, step, was_merged } = merge;
    let (alias_of, merging_with) = match step {
        MergeStep::Settled | MergeStep::Erasing => (None, None),
        MergeStep::Alias { into } => (Some(into), None),
        MergeStep::Leaving { into: other }
        | MergeStep::Absorbing { from: other }
        | MergeStep::Splitting { from: other } => (None, Some(other)),
    };
    wire::ExportedCustomer {
        merged_customer_ids: members.iter().map(ToString::to_string).collect(),
        alias_of_customer_id: alias_of.map_or_else(String::new, |id| id.to_string()),
        merging_with_customer_id: merging_with.map_or_else(String::new, |id| id.to_string()),
        was_merged,
        profile: Some(profile_to_wire(&id, attributes, consents)),
        holds: holds.into_iter().map(hold_to_wire).collect(),
        holdings: latest.into_iter().map(|(product, holding)| holding_to_wire(&product, holding)).collect(),
        older_holding_fingerprints: fingerprints.into_iter().collect(),
        older_subscriptions: evicted_subscriptions.into_iter().map(evicted_subscription_to_wire).collect(),
        older_subscription_end_time: evicted_end_at.map(time_to_wire),
        relationship: Some(relationship_to_wire(relationship)),
        ledger: Some(ledger_to_wire(ledger)),
    }
}

fn hold_to_wire(hold: Hold) -> wire::Hold {
    let Hold { id, reason, note, created_at, expires_at } = hold;
    wire::Hold {
        hold_id: id.to_string(),
        reason: hold_reason_to_wire(reason).into(),
        note,
        create_time: Some(time_to_wire(created_at)),
        expire_time: expires_at.map(time_to_wire),
        derived: false,
    }
}

fn holding_to_wire(product: &ProductId, holding: Holding) -> wire::ExportedHolding {
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
    let movement = |Movement { at, items }| wire::ExportedMovement { time: Some(time_to_wire(at)), items };
    wire::ExportedHolding {
        product_id: product.to_string(),
        first_event_time: Some(time_to_wire(first_event_at)),
        first_time: acquired.map(|acquired| time_to_wire(acquired.first_at)),
        last_time: acquired.map(|acquired| time_to_wire(acquired.last_at)),
        starts: starts.into_iter().map(start_to_wire).collect(),
        older_starts_time: starts_dropped_through.map(time_to_wire),
        end_time: ended_at.map(time_to_wire),
        possible_end_time: possibly_ended_at.map(time_to_wire),
        older_end_time: folded_end_at.map(time_to_wire),
        return_time: returned_at.map(time_to_wire),
        unwanted_time: unwanted_at.map(time_to_wire),
        wrong_variant_time: wrong_variant_at.map(time_to_wire),
        usage: usage_to_wire(usage),
        movements: movements.into_iter().map(movement).collect(),
        older_movements_time: folded.map(|folded| time_to_wire(folded.through)),
        older_movements_quantity: folded.map_or(0, |FoldedMovements { through: _, items }| items),
    }
}

fn start_to_wire(start: SubscriptionStart) -> wire::ExportedSubscriptionStart {
    let SubscriptionStart { at, kind } = start;
    wire::ExportedSubscriptionStart { time: Some(time_to_wire(at)), kind: start_kind_to_wire(kind).into() }
}

fn start_kind_to_wire(kind: StartKind) -> wire::EventKind {
    match kind {
        StartKind::Start => wire::EventKind::SubscriptionStart,
        StartKind::Renewal => wire::EventKind::SubscriptionRenewal,
        StartKind::PlanChange => wire::EventKind::PlanChange,
    }
}

fn evicted_subscription_to_wire(
    (product_fingerprint, subscription): (u32, EvictedSubscription),
) -> wire::ExportedOlderSubscription {
    let EvictedSubscription { acquired: Acquisitions { first_at, last_at }, subscribed_at, is_start } = subscription;
    let kind = if is_start { StartKind::Start } else { StartKind::Renewal };
    wire::ExportedOlderSubscription {
        product_fingerprint,
        first_time: Some(time_to_wire(first_at)),
        last_time: Some(time_to_wire(last_at)),
        subscription_time: Some(time_to_wire(subscribed_at)),
        kind: start_kind_to_wire(kind).into(),
    }
}

fn usage_to_wire(UsageHistory { meters }: UsageHistory) -> Vec<wire::ExportedUsage> {
    let of_meter = |(meter, periods): (Option<Meter>, BTreeMap<Period, f64>)| {
        let meter = meter.map(|meter| meter.to_string()).unwrap_or_default();
        periods.into_iter().map(move |(period, share)| wire::ExportedUsage {
            meter: meter.clone(),
            period_start: Some(time_to_wire(period.start())),
            period_end: Some(time_to_wire(period.end())),
            share,
        })
    };
    meters.into_iter().flat_map(of_meter).collect()
}

fn relationship_to_wire(state: RelationshipState) -> wire::ExportedRelationship {
    let RelationshipState {
        cases,
        folded_friction,
        folded_open_cases,
        folded_complaints_hold_until,
        payment_trouble,
        offer_pressure,
        sentiment,
        accepted_offers,
        acceptances_dropped_through,
        returns,
        returns_dropped_through,
        partings,
        partings_dropped_through,
        folded_value,
        engagement,
        purchase_days,
        first_purchase_day,
        spent,
        returned,
        last,
    } = state;
    let LastEventTimes {
        purchase,
        return_,
        ticket,
        payment_trouble: last_payment_trouble,
        cancellation,
        commitment,
        subscription_start,
        detractor_survey,
        payment_failures,
    } = last;
    wire::ExportedRelationship {
        cases: cases.into_iter().map(case_to_wire).collect(),
        folded_friction: Some(sum_to_wire(folded_friction)),
        payment_trouble: Some(sum_to_wire(payment_trouble)),
        offer_pressure: Some(sum_to_wire(offer_pressure)),
        sentiment: Some(sum_to_wire(sentiment)),
        accepted_offers: accepted_offers.into_iter().map(acceptance_to_wire).collect(),
        folded_value: Some(sum_to_wire(folded_value)),
        engagement: Some(sum_to_wire(engagement)),
        purchase_dates: purchase_days.into_iter().map(date).collect(),
        spent: Some(sum_to_wire(spent)),
        returned: Some(sum_to_wire(returned)),
        last_purchase_time: purchase.map(time_to_wire),
        last_return_time: return_.map(time_to_wire),
        last_ticket_time: ticket.map(time_to_wire),
        last_payment_trouble_time: last_payment_trouble.map(time_to_wire),
        last_cancellation_time: cancellation.map(time_to_wire),
        last_commitment_time: commitment.map(time_to_wire),
        last_subscription_start_time: subscription_start.map(time_to_wire),
        older_open_cases_friction: folded_open_cases.map_or(0.0, |folded| folded.friction),
        older_open_cases_until_time: folded_open_cases.map(|folded| time_to_wire(folded.until)),
        older_complaints_hold_until_time: folded_complaints_hold_until.map(time_to_wire),
        first_purchase_date: first_purchase_day.map(date).unwrap_or_default(),
        returns: returns.into_iter().map(return_to_wire).collect(),
        partings: partings.into_iter().map(parting_to_wire).collect(),
        older_acceptances_time: acceptances_dropped_through.map(time_to_wire),
        older_returns_time: returns_dropped_through.map(time_to_wire),
        older_partings_time: partings_dropped_through.map(time_to_wire),
        last_detractor_survey_time: detractor_survey.map(time_to_wire),
        payment_failure_times: payment_failures.into_iter().map(time_to_wire).collect(),
    }
}

/// Formats a day as an ISO 8601 date.
fn date(day: Day) -> String {
    let (year, month, day) = day.civil();
    format!("{year:04}-{month:02}-{day:02}")
}

fn sum_to_wire(sum: DecayedSum) -> wire::ExportedDecayedSum {
    let DecayedSum { as_of, sums } = sum;
    let values = HALF_LIVES_DAYS.into_iter().zip(sums);
    let values = values.map(|(half_life_days, value)| wire::ExportedDecayedValue { half_life_days, value });
    wire::ExportedDecayedSum {
        as_of: as_of.map(time_to_wire),
        values: if sums.iter().all(|&sum| sum == 0.0) { Vec::new() } else { values.collect() },
    }
}

fn case_to_wire(case: Case) -> wire::ExportedCase {
    let Case { id, is_complaint, severity, reported_at, resolved_at } = case;
    wire::ExportedCase {
        case_id: id.to_string(),
        complaint: is_complaint,
        severity: severity.map(|severity| i32::from(severity.level())),
        report_time: reported_at.map(time_to_wire),
        resolve_time: resolved_at.map(time_to_wire),
    }
}

fn acceptance_to_wire(accepted: AcceptedOffer) -> wire::ExportedAcceptance {
    let AcceptedOffer { at, product, since } = accepted;
    wire::ExportedAcceptance {
        product_id: product.to_string(),
        accept_time: Some(time_to_wire(at)),
        first_accept_time: Some(time_to_wire(since)),
    }
}

fn return_to_wire(product_return: ProductReturn) -> wire::ExportedReturn {
    let ProductReturn { at, product, follows_acceptance } = product_return;
    wire::ExportedReturn { product_id: product.to_string(), return_time: Some(time_to_wire(at)), follows_acceptance }
}

fn parting_to_wire(parting: Parting) -> wire::ExportedParting {
    let Parting { at, product, kind, follows_acceptance } = parting;
    let unspecified = wire::PlanDirection::Unspecified;
    let (kind, to, direction) = match kind {
        PartingKind::Cancellation => (wire::EventKind::Cancellation, None, unspecified),
        PartingKind::SubscriptionEnd => (wire::EventKind::SubscriptionEnd, None, unspecified),
        PartingKind::Downgrade { to } => (wire::EventKind::Downgrade, to, unspecified),
        PartingKind::PlanChange { to, direction } => {
            let (kind, direction) = plan_change_to_wire(direction);
            (kind, Some(to), direction)
        }
    };
    wire::ExportedParting {
        product_id: product.to_string(),
        parting_time: Some(time_to_wire(at)),
        kind: kind.into(),
        to_product_id: to.map(|product| product.to_string()).unwrap_or_default(),
        plan_direction: direction.into(),
        follows_acceptance,
    }
}

fn ledger_to_wire(ledger: Ledger) -> wire::ExportedLedger {
    let Ledger {
        clock,
        grants,
        request_keys,
        level,
        rejections,
        accepted_at,
        product_cooldowns,
        would_be_grants,
        assignment,
    } = ledger;
    let (allowance_level, allowance_level_at) =
        level.map(|AllowanceLevel { offers, since }| (offers, time_to_wire(since))).unzip();
    wire::ExportedLedger {
        clock_time: clock.map(time_to_wire),
        grants: grants.into_iter().map(exported_grant_to_wire).collect(),
        request_keys: request_keys.into_iter().map(request_key_to_wire).collect(),
        allowance_level,
        allowance_level_time: allowance_level_at,
        rejections: rejections.into_iter().map(rejected_decision_to_wire).collect(),
        last_acceptance_time: accepted_at.map(time_to_wire),
        product_cooldowns: product_cooldowns.into_iter().map(cooldown_to_wire).collect(),
        would_be_grants: would_be_grants.into_iter().map(exported_grant_to_wire).collect(),
        assignment: assignment.map(assignment_to_wire),
    }
}

fn exported_grant_to_wire(grant: Grant) -> wire::ExportedGrant {
    let granted_offer = grant_to_wire(&grant);
    let Grant {
        // Part of `granted_offer`.
        offer: _,
        product: _,
        kind: _,
        granted_at: _,
        // A digest of the decision that made the grant and of the offer.
        id: _,
        channel,
        lease,
        response,
    } = grant;
    let response = match response {
        None => wire::OutcomeKind::Unspecified,
        Some(CustomerResponse::Accepted) => wire::OutcomeKind::Accepted,
        Some(CustomerResponse::Rejected) => wire::OutcomeKind::Rejected,
        Some(CustomerResponse::Dismissed) => wire::OutcomeKind::Dismissed,
    };
    wire::ExportedGrant {
        granted_offer: Some(granted_offer),
        channel: channel.map(|channel| channel.to_string()).unwrap_or_default(),
        irrevocable: lease.as_ref().is_none_or(|lease| lease.is_irrevocable),
        servings: lease.into_iter().flat_map(|lease| lease.servings).map(serving_to_wire).collect(),
        response: response.into(),
    }
}

fn serving_to_wire(serving: GrantServing) -> wire::ExportedServing {
    let GrantServing { decision, is_released } = serving;
    wire::ExportedServing { decision_id: decision.to_string(), released: is_released }
}

fn request_key_to_wire(key: RequestKey) -> wire::ExportedRequestKey {
    let RequestKey { kind, request, digest, decision, at } = key;
    wire::ExportedRequestKey {
        kind: offer_kind_to_wire(kind).into(),
        request_id: request.to_string(),
        request_digest: format!("{digest:016x}"),
        decision_id: decision.to_string(),
        request_time: Some(time_to_wire(at)),
    }
}

fn rejected_decision_to_wire(rejection: Rejection) -> wire::ExportedRejectedDecision {
    let Rejection { at, decision } = rejection;
    wire::ExportedRejectedDecision { decision_id: decision.to_string(), rejection_time: Some(time_to_wire(at)) }
}

fn cooldown_to_wire(resting: ProductCooldown) -> wire::ExportedProductCooldown {
    let ProductCooldown { product, until } = resting;
    wire::ExportedProductCooldown { product_id: product.to_string(), until_time: Some(time_to_wire(until)) }
}

fn assignment_to_wire(assignment: Assignment) -> wire::ExportedAssignment {
    let Assignment { experiment, arm, at, band } = assignment;
    let arm = match arm {
        Arm::Control => wire::ExperimentArm::Control,
        Arm::Treatment => wire::ExperimentArm::Treatment,
    };
    wire::ExportedAssignment {
        experiment_id: format!("{:016x}", experiment.bits()),
        arm: arm.into(),
        assign_time: Some(time_to_wire(at)),
        band: band_to_wire(band).into(),
    }
}

fn ranking_to_wire(ranking: CachedRanking) -> wire::ExportedRanking {
    let CachedRanking { cache_key, ranked_at, ranked } = ranking;
    let CacheKey { model_version, catalog, customer } = cache_key;
    let product =
        |RankedProduct { catalog_index, propensity }| wire::ExportedRankedProduct { catalog_index, propensity };
    wire::ExportedRanking {
        model_version,
        catalog_digest: format!("{catalog:016x}"),
        customer_digest: format!("{customer:016x}"),
        ranking_time: Some(time_to_wire(ranked_at)),
        products: ranked.into_iter().map(product).collect(),
    }
}

fn event_record(event: Event) -> Record {
    let Event { id, customer, at, kind } = event;
    if let EventKind::Outcome(outcome) = kind {
        // The grant follows from decision and offer.
        let Outcome { decision, offer, grant: _, product, kind, case } = outcome;
        return Record::Outcome(wire::ExportedOutcome {
            outcome: Some(wire::OfferOutcome {
                customer_id: customer.map(|customer| customer.to_string()).unwrap_or_default(),
                decision_id: decision.to_string(),
                offer_id: offer.to_string(),
                kind: outcome_kind_to_wire(kind).into(),
                outcome_time: Some(time_to_wire(at)),
                case_id: case.map(|case| case.to_string()).unwrap_or_default(),
            }),
            event_id: id.to_string(),
            product_id: product.to_string(),
        });
    }
    let event = event_to_wire(Event { id, customer, at, kind });
    Record::Event(event.expect("only outcomes have no event on the wire"))
}

/// Converts a decision. The export is for the customer, who may see everything in it.
fn decision_to_wire(decision: Decision) -> wire::ExportedDecision {
    let message = decision_message(&decision, Disclosure::Full);
    let Decision {
        id,
        customer,
        kind,
        at,
        channel,
        placement,
        slate,
        would_be_slate,
        message: _,
        relationship_health,
        caps,
        binding_cap,
        next_eligible_at,
        withheld,
        rejected_candidates,
        policy_version,
        model_version,
        ranked_at,
    } = decision;
    wire::ExportedDecision {
        decision_id: id.to_string(),
        customer_id: customer.to_string(),
        kind: offer_kind_to_wire(kind).into(),
        decision_time: Some(time_to_wire(at)),
        channel: channel.map(|channel| channel.to_string()).unwrap_or_default(),
        placement: placement.map(|placement| placement.to_string()).unwrap_or_default(),
        offers: slate.into_iter().map(offer_to_wire).collect(),
        would_be_offers: would_be_slate.into_iter().map(offer_to_wire).collect(),
        message,
        relationship_health: Some(health_to_wire(relationship_health, true)),
        cap: binding_cap.and_then(|index| caps.get(index).cloned()).map(|cap| cap_to_wire(cap, Disclosure::Full)),
        caps: caps.into_iter().map(|cap| cap_to_wire(cap, Disclosure::Full)).collect(),
        withheld: withheld_to_wire(withheld),
        rejected_candidates: rejected_candidates.into_iter().map(rejection_to_wire).collect(),
        policy_version,
        model_version,
        ranking_time: Some(time_to_wire(ranked_at)),
        next_eligible_time: next_eligible_at.map(time_to_wire),
    }
}

fn offer_to_wire(offer: Offer) -> wire::ExportedOffer {
    let reasons = reasons_to_wire(&offer);
    let Offer {
        id,
        kind,
        product,
        title,
        rank,
        price,
        valid_until,
        price_step,
        factors,
        reasons: _,
        goes_with,
        replaces,
        gains,
        mentioned: _,
        // A digest of the decision that made the grant and of the offer.
        grant: _,
        is_already_granted,
    } = offer;
    wire::ExportedOffer {
        offer_id: id.to_string(),
        kind: offer_kind_to_wire(kind).into(),
        product_id: product.to_string(),
        title,
        rank,
        price: price.map(money_to_wire),
        valid_until: valid_until.map(time_to_wire),
        price_step: price_step.map(money_to_wire),
        score_breakdown: Some(score_breakdown(factors)),
        reasons,
        goes_with_product_ids: goes_with.iter().map(ToString::to_string).collect(),
        replaces_product_id: replaces.map(|product| product.to_string()).unwrap_or_default(),
        gains: gains.into_iter().map(gain_to_wire).collect(),
        already_granted: is_already_granted,
    }
}

fn rejection_to_wire(rejected: RejectedCandidate) -> wire::ExportedRejection {
    let RejectedCandidate { product, offer, propensity, step, ineligibility, factors } = rejected;
    let Ineligibility { reason, other_product, observed, threshold, until } = ineligibility;
    wire::ExportedRejection {
        product_id: product.to_string(),
        offer_id: offer.map(|offer| offer.to_string()).unwrap_or_default(),
        propensity,
        step: step_to_wire(step).into(),
        rule: reason.as_str().to_owned(),
        other_product_id: other_product.map(|product| product.to_string()).unwrap_or_default(),
        observed,
        threshold,
        until: until.map(time_to_wire),
        score_breakdown: factors.map(score_breakdown),
    }
}
