//! Messages of decisions in words.

use super::disclosure::Disclosure;
use super::phrases::{all_allowed, coming, count, date, duration};
use crate::domain::channel::ChannelScope;
use crate::domain::customer::HoldReason;
use crate::domain::decision::{Cap, CapKind, Decision, DecisionMessage, QuietPeriodCause};
use crate::domain::offer::OfferKind;
use crate::domain::time::Timestamp;

/// Puts the message of a decision into words: one or two sentences.
pub(crate) fn decision_message(decision: &Decision, disclosure: Disclosure) -> String {
    let binding_cap = decision.binding_cap.and_then(|index| decision.caps.get(index));
    match decision.message {
        DecisionMessage::Offers { made, left } => offers_message(made, decision.kind, left),
        DecisionMessage::Capped => {
            let until = decision.next_eligible_at;
            binding_cap
                .map_or_else(|| "No offers.".to_owned(), |cap| capped_message(cap, until, decision.at, disclosure))
        }
        DecisionMessage::NothingSuitable => nothing_suitable_message(decision.kind),
        DecisionMessage::Released => "No offers: the offers of this decision have been released.".to_owned(),
    }
}

fn offers_message(offers: u32, kind: OfferKind, left: u32) -> String {
    let (singular, plural) = match kind {
        OfferKind::CrossSell => ("cross-sell offer", "cross-sell offers"),
        OfferKind::UpSell => ("up-sell offer", "up-sell offers"),
    };
    let offers = count(offers.into(), singular, plural);
    match left {
        0 => format!("{offers}. No more are allowed for now."),
        1 => format!("{offers}. 1 more is allowed now."),
        left => format!("{offers}. {left} more are allowed now."),
    }
}

fn nothing_suitable_message(kind: OfferKind) -> String {
    match kind {
        OfferKind::CrossSell => {
            "No offers: nothing that goes with the customer's products is worth offering now.".to_owned()
        }
        OfferKind::UpSell => "No offers: no upgrade of the customer's products is worth offering now.".to_owned(),
    }
}

/// The sentence about a cap that withholds every offer. `until` is the first instant at which one is possible over all caps,
/// which may be later than the end of this one.
pub(super) fn capped_message(cap: &Cap, until: Option<Timestamp>, now: Timestamp, disclosure: Disclosure) -> String {
    if disclosure.conceals(cap.kind) {
        return match until {
            Some(at) => format!("Not now: no offers before {}.", coming(at, now)),
            None => "Not now: no offers.".to_owned(),
        };
    }
    format!("{}: {}.", no_offers(until, now), cap_reason(cap, now))
}

/// The beginning of a sentence about a cap, up to its reason.
pub(super) fn no_offers(until: Option<Timestamp>, now: Timestamp) -> String {
    match until {
        Some(at) => format!("No offers before {}", coming(at, now)),
        None => "No offers".to_owned(),
    }
}

fn cap_reason(cap: &Cap, now: Timestamp) -> String {
    let with_date = |what: &str, preposition: &str| match cap.since {
        Some(since) => format!("{what} {preposition} {}", date(since, now)),
        None => what.to_owned(),
    };
    let within = |scope: &str| format!("{scope} in {}", duration(cap.window));
    match cap.kind {
        CapKind::Hold(HoldReason::OptOut) => "the customer has opted out of offers".to_owned(),
        CapKind::Hold(HoldReason::OpenComplaint) => match cap.resolved_at {
            Some(at) => format!("{}, resolved on {}", with_date("complaint", "of"), date(at, now)),
            None => with_date("complaint open", "since"),
        },
        CapKind::Hold(HoldReason::AgentHold) => with_date("on hold", "since"),
        CapKind::Hold(HoldReason::CancellationNotice) => with_date("notice of cancellation given", "on"),
        CapKind::Hold(HoldReason::Collections) => with_date("in debt collection", "since"),
        CapKind::Hold(HoldReason::Bereavement) => with_date("bereavement reported", "on"),
        CapKind::Hold(HoldReason::Vulnerability) => with_date("the customer has needed particular care", "since"),
        CapKind::Hold(HoldReason::ProfilingObjection) => "the customer objects to profiling".to_owned(),
        CapKind::Hold(HoldReason::Merge) => "the customer's ids are being merged".to_owned(),
        CapKind::ChannelOptOut(scope) => channel_opt_out_reason(scope).to_owned(),
        CapKind::ConsentMissing(scope) => consent_missing_reason(scope).to_owned(),
        CapKind::ControlGroup => {
            "the customer is in the control group, which gets no offers so that their effect can be measured".to_owned()
        }
        CapKind::BackOff => with_date("the customer rejected an offer", "on"),
        CapKind::QuietPeriod(QuietPeriodCause::Purchase) => with_date("quiet period after a purchase", "on"),
        CapKind::QuietPeriod(QuietPeriodCause::Return) => with_date("quiet period after a return", "on"),
        CapKind::QuietPeriod(QuietPeriodCause::Ticket) => with_date("quiet period after a support ticket", "on"),
        CapKind::QuietPeriod(QuietPeriodCause::PaymentTrouble) => with_date("quiet period after payment trouble", "on"),
        CapKind::QuietPeriod(QuietPeriodCause::DetractorSurvey) => {
            with_date("quiet period after a low survey score", "on")
        }
        CapKind::QuietPeriod(QuietPeriodCause::PaymentFailures) => {
            with_date("quiet period after a repeated payment failure", "on")
        }
        CapKind::UpSell if cap.limit == 0 => "the relationship is not healthy enough for up-sell offers".to_owned(),
        CapKind::RelationshipHealth | CapKind::SlowRise if cap.limit == 0 => {
            "the relationship is not healthy enough for offers".to_owned()
        }
        CapKind::UpSell => all_allowed(cap.limit.into(), "up-sell offer", "up-sell offers", &within("")),
        CapKind::Channel => all_allowed(cap.limit.into(), "offer", "offers", &within(" on this channel")),
        CapKind::RelationshipHealth | CapKind::GrantsKept => {
            all_allowed(cap.limit.into(), "offer", "offers", &within(""))
        }
        CapKind::SlowRise => {
            let made = all_allowed(cap.limit.into(), "offer", "offers", &within(""));
            format!("{made}, and the relationship is still recovering")
        }
    }
}

fn channel_opt_out_reason(scope: ChannelScope) -> &'static str {
    match scope {
        ChannelScope::Queried => "the customer has opted out of offers on this channel",
        ChannelScope::Unset => {
            "the customer has opted out of offers on a channel, and the request names none; name the channel of the \
             request, or set contact.unset_channel in the policy"
        }
        ChannelScope::Unresolved => {
            "the customer has opted out of a channel that the policy does not have, which blocks all channels; add it \
             under contact.channels, as a channel or as an alias of one"
        }
    }
}

fn consent_missing_reason(scope: ChannelScope) -> &'static str {
    match scope {
        ChannelScope::Queried => "offers on this channel need a consent that is not recorded",
        ChannelScope::Unset | ChannelScope::Unresolved => {
            "offers on a channel need a consent that is not recorded, and the request names no channel; name the channel \
             of the request, or set contact.unset_channel in the policy"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::DAY;
    use crate::wording::samples::{HOLD_REASONS, cap, capped, hold, march_2, now};

    #[test]
    fn messages_with_offers_agree_in_number() {
        for (offers, kind, left, expected) in [
            (1, OfferKind::CrossSell, 0, "1 cross-sell offer. No more are allowed for now."),
            (3, OfferKind::CrossSell, 5, "3 cross-sell offers. 5 more are allowed now."),
            (1, OfferKind::UpSell, 1, "1 up-sell offer. 1 more is allowed now."),
            (2, OfferKind::UpSell, 0, "2 up-sell offers. No more are allowed for now."),
        ] {
            assert_eq!(offers_message(offers, kind, left), expected);
        }
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn messages_of_caps_name_the_cap_and_its_end() {
        let counted = |kind, limit| cap(kind, limit, Some(march_2() + DAY * 12));
        let since = |kind, until| Cap { since: Some(march_2()), ..cap(kind, 0, Some(until)) };
        let quiet = |cause| since(CapKind::QuietPeriod(cause), now() + DAY / 4);
        for (cap, expected) in [
            (
                counted(CapKind::RelationshipHealth, 4),
                "No offers before 14 March: all 4 offers allowed in 30 days have been made.",
            ),
            (
                counted(CapKind::RelationshipHealth, 1),
                "No offers before 14 March: the only offer allowed in 30 days has been made.",
            ),
            (
                counted(CapKind::UpSell, 2),
                "No offers before 14 March: both up-sell offers allowed in 30 days have been made.",
            ),
            (
                counted(CapKind::Channel, 3),
                "No offers before 14 March: all 3 offers allowed on this channel in 30 days have been made.",
            ),
            (
                counted(CapKind::SlowRise, 3),
                "No offers before 14 March: all 3 offers allowed in 30 days have been made, and the relationship is still \
                 recovering.",
            ),
            (
                Cap { window: DAY * 180, ..counted(CapKind::GrantsKept, 280) },
                "No offers before 14 March: all 280 offers allowed in 180 days have been made.",
            ),
            (
                cap(CapKind::RelationshipHealth, 0, None),
                "No offers: the relationship is not healthy enough for offers.",
            ),
            (cap(CapKind::UpSell, 0, None), "No offers: the relationship is not healthy enough for up-sell offers."),
            (
                quiet(QuietPeriodCause::Purchase),
                "No offers before 18:00 UTC today: quiet period after a purchase on 2 March.",
            ),
            (
                quiet(QuietPeriodCause::Return),
                "No offers before 18:00 UTC today: quiet period after a return on 2 March.",
            ),
            (
                quiet(QuietPeriodCause::Ticket),
                "No offers before 18:00 UTC today: quiet period after a support ticket on 2 March.",
            ),
            (
                quiet(QuietPeriodCause::PaymentTrouble),
                "No offers before 18:00 UTC today: quiet period after payment trouble on 2 March.",
            ),
            (
                quiet(QuietPeriodCause::DetractorSurvey),
                "No offers before 18:00 UTC today: quiet period after a low survey score on 2 March.",
            ),
            (
                quiet(QuietPeriodCause::PaymentFailures),
                "No offers before 18:00 UTC today: quiet period after a repeated payment failure on 2 March.",
            ),
            (
                since(CapKind::BackOff, march_2() + DAY * 365),
                "No offers before 2 March 2027: the customer rejected an offer on 2 March.",
            ),
            (
                cap(CapKind::ChannelOptOut(ChannelScope::Queried), 0, None),
                "No offers: the customer has opted out of offers on this channel.",
            ),
            (
                cap(CapKind::ChannelOptOut(ChannelScope::Unset), 0, None),
                "No offers: the customer has opted out of offers on a channel, and the request names none; name the \
                 channel of the request, or set contact.unset_channel in the policy.",
            ),
            (
                cap(CapKind::ChannelOptOut(ChannelScope::Unresolved), 0, None),
                "No offers: the customer has opted out of a channel that the policy does not have, which blocks all \
                 channels; add it under contact.channels, as a channel or as an alias of one.",
            ),
            (
                cap(CapKind::ConsentMissing(ChannelScope::Queried), 0, None),
                "No offers: offers on this channel need a consent that is not recorded.",
            ),
            (
                cap(CapKind::ConsentMissing(ChannelScope::Unset), 0, None),
                "No offers: offers on a channel need a consent that is not recorded, and the request names no channel; \
                 name the channel of the request, or set contact.unset_channel in the policy.",
            ),
            (hold(HoldReason::OpenComplaint), "No offers before 14 March: complaint open since 2 March."),
            (
                Cap { resolved_at: Some(march_2() + DAY), ..hold(HoldReason::OpenComplaint) },
                "No offers before 14 March: complaint of 2 March, resolved on 3 March.",
            ),
            (hold(HoldReason::AgentHold), "No offers before 14 March: on hold since 2 March."),
            (
                hold(HoldReason::CancellationNotice),
                "No offers before 14 March: notice of cancellation given on 2 March.",
            ),
            (hold(HoldReason::Collections), "No offers before 14 March: in debt collection since 2 March."),
            (hold(HoldReason::Bereavement), "No offers before 14 March: bereavement reported on 2 March."),
            (
                hold(HoldReason::Vulnerability),
                "No offers before 14 March: the customer has needed particular care since 2 March.",
            ),
        ] {
            assert_eq!(decision_message(&capped(cap), Disclosure::Full), expected);
        }
    }

    /// Broken by: the end of the binding cap as the date, which another cap outlasts, or after which none is allowed.
    #[test]
    fn the_date_of_a_message_is_that_of_all_caps_together() {
        let decision = capped(hold(HoldReason::OpenComplaint));
        let later = Decision { next_eligible_at: Some(march_2() + DAY * 20), ..decision.clone() };
        let never = Decision { next_eligible_at: None, ..decision };
        for (decision, full, neutral) in [
            (later, "No offers before 22 March: complaint open since 2 March.", "Not now: no offers before 22 March."),
            (never, "No offers: complaint open since 2 March.", "Not now: no offers."),
        ] {
            assert_eq!(decision_message(&decision, Disclosure::Full), full);
            assert_eq!(decision_message(&decision, Disclosure::Neutral), neutral);
        }
    }

    /// Broken by: a reason that is worded for a reader who may not see it.
    #[test]
    fn other_readers_get_one_sentence_for_every_hold_and_quiet_period() {
        let quiet = [
            QuietPeriodCause::Purchase,
            QuietPeriodCause::Return,
            QuietPeriodCause::Ticket,
            QuietPeriodCause::PaymentTrouble,
            QuietPeriodCause::DetractorSurvey,
            QuietPeriodCause::PaymentFailures,
        ];
        let until = Some(march_2() + DAY * 12);
        let quiet = quiet.into_iter().map(|cause| cap(CapKind::QuietPeriod(cause), 0, until));
        for pause in HOLD_REASONS.into_iter().map(hold).chain(quiet) {
            let endless = Cap { next_eligible_at: None, ..pause.clone() };
            for (cap, expected) in [(pause, "Not now: no offers before 14 March."), (endless, "Not now: no offers.")] {
                assert_eq!(decision_message(&capped(cap), Disclosure::Neutral), expected);
            }
        }
        let counted = cap(CapKind::RelationshipHealth, 4, until);
        assert_eq!(
            decision_message(&capped(counted), Disclosure::Neutral),
            "No offers before 14 March: all 4 offers allowed in 30 days have been made."
        );
    }

    #[test]
    fn messages_without_offers_and_caps_give_the_reason() {
        let decision = |message| Decision { message, ..capped(cap(CapKind::BackOff, 0, None)) };
        for (message, expected) in [
            (
                DecisionMessage::NothingSuitable,
                "No offers: nothing that goes with the customer's products is worth offering now.",
            ),
            (DecisionMessage::Released, "No offers: the offers of this decision have been released."),
        ] {
            assert_eq!(decision_message(&decision(message), Disclosure::Full), expected);
        }
    }
}
