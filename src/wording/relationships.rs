//! Relationships in words.

use super::disclosure::Disclosure;
use super::messages::{capped_message, no_offers};
use super::phrases::{count, date, list};
use crate::domain::customer::HoldReason;
use crate::domain::decision::{CapKind, QuietPeriodCause};
use crate::domain::relationship::Band;
use crate::domain::relationship_detail::{Concern, HypotheticalEvent, RelationshipSummary};
use crate::domain::time::Timestamp;

/// Puts a summary of a relationship into words: one or two sentences.
pub(crate) fn relationship_message(summary: &RelationshipSummary, now: Timestamp, disclosure: Disclosure) -> String {
    let offers = offers_sentence(summary, now, disclosure);
    match relationship_sentence(summary, now, disclosure) {
        Some(relationship) => format!("{relationship} {offers}"),
        None => offers,
    }
}

/// The sentence about the relationship itself. `None` where it would have to name what the reader may not see.
fn relationship_sentence(summary: &RelationshipSummary, now: Timestamp, disclosure: Disclosure) -> Option<String> {
    let RelationshipSummary { band, concerns, .. } = summary;
    let concerns: Vec<String> = concerns.iter().map(|concern| concern_text(concern, now)).collect();
    if concerns.is_empty() {
        let sentence = match band {
            Band::Strained => "The relationship is strained.",
            Band::Guarded => "The relationship is guarded.",
            Band::Steady => "The relationship is steady.",
            Band::Strong => "The relationship is strong.",
            Band::NewCustomer => "The customer is new.",
        };
        return Some(sentence.to_owned());
    }
    if disclosure == Disclosure::Neutral {
        return None;
    }
    let beginning = match band {
        Band::Strained => "The relationship is strained:",
        Band::Guarded => "The relationship is guarded:",
        Band::Steady => "The relationship is steady, but",
        // Not "strong": a high score beside a concern is an average.
        Band::Strong => "Most signs are good, but",
        Band::NewCustomer => "The customer is new, and",
    };
    Some(format!("{beginning} {}.", list(&concerns)))
}

fn concern_text(concern: &Concern, now: Timestamp) -> String {
    match concern {
        Concern::CancellationNotice { at } => format!("notice of cancellation was given on {}", date(*at, now)),
        Concern::PaymentTrouble { at } => format!("there was payment trouble on {}", date(*at, now)),
        Concern::NegativeSurveys { are_severe: true } => "recent surveys were very negative".to_owned(),
        Concern::NegativeSurveys { are_severe: false } => "recent surveys were negative".to_owned(),
    }
}

fn offers_sentence(summary: &RelationshipSummary, now: Timestamp, disclosure: Disclosure) -> String {
    let RelationshipSummary { band: _, concerns, offers_left, binding_cap, next_eligible_at } = summary;
    let Some(cap) = binding_cap else {
        return format!("{} can be made now.", count((*offers_left).into(), "offer", "offers"));
    };
    let is_stated = concerns.iter().any(|concern| match concern {
        Concern::CancellationNotice { .. } => cap.kind == CapKind::Hold(HoldReason::CancellationNotice),
        Concern::PaymentTrouble { .. } => matches!(
            cap.kind,
            CapKind::QuietPeriod(QuietPeriodCause::PaymentTrouble | QuietPeriodCause::PaymentFailures)
        ),
        Concern::NegativeSurveys { .. } => cap.kind == CapKind::QuietPeriod(QuietPeriodCause::DetractorSurvey),
    });
    if is_stated && !disclosure.conceals(cap.kind) {
        return format!("{}.", no_offers(*next_eligible_at, now));
    }
    capped_message(cap, *next_eligible_at, now, disclosure)
}

/// Puts a hypothetical event into words: a clause after "if".
pub(crate) fn hypothetical_event_text(event: HypotheticalEvent) -> String {
    match event {
        HypotheticalEvent::Purchase => "the customer makes a purchase".to_owned(),
        HypotheticalEvent::Return => "the customer returns a purchase".to_owned(),
        HypotheticalEvent::Ticket(severity) => format!("the customer opens a support ticket of severity {severity}"),
        HypotheticalEvent::Complaint(severity) => format!("the customer makes a complaint of severity {severity}"),
        HypotheticalEvent::PaymentFailure => "a payment fails".to_owned(),
        HypotheticalEvent::Survey(score) => format!("the customer answers a survey with {score} out of 10"),
        HypotheticalEvent::Visit => "the customer visits".to_owned(),
        HypotheticalEvent::OfferAccepted => "the customer accepts an offer".to_owned(),
        HypotheticalEvent::OfferRejected => "the customer rejects an offer".to_owned(),
        HypotheticalEvent::OfferIgnored => "the customer ignores an offer".to_owned(),
        HypotheticalEvent::CasesResolved { open: 1 } => "the open case is resolved".to_owned(),
        HypotheticalEvent::CasesResolved { open: _ } => "all open cases are resolved".to_owned(),
    }
}

/// Puts the facts behind a hold that was derived from events into words, as its note; empty where there are none.
pub(crate) fn derived_hold_note(
    reason: HoldReason,
    since: Timestamp,
    resolved_at: Option<Timestamp>,
    now: Timestamp,
) -> String {
    if reason != HoldReason::OpenComplaint {
        return String::new();
    }
    match resolved_at {
        Some(at) => format!("of {}, resolved on {}", date(since, now), date(at, now)),
        None => format!("open since {}", date(since, now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::Cap;
    use crate::domain::time::DAY;
    use crate::wording::samples::{cap, hold, march_2, now};

    fn summary(band: Band, concerns: Vec<Concern>, offers_left: u32) -> RelationshipSummary {
        RelationshipSummary { band, concerns, offers_left, binding_cap: None, next_eligible_at: None }
    }

    fn withheld(cap: Cap, summary: RelationshipSummary) -> RelationshipSummary {
        RelationshipSummary { next_eligible_at: cap.next_eligible_at, binding_cap: Some(cap), ..summary }
    }

    fn message(summary: &RelationshipSummary) -> String {
        relationship_message(summary, now(), Disclosure::Full)
    }

    fn notice() -> Concern {
        Concern::CancellationNotice { at: march_2() }
    }

    fn payment() -> Concern {
        Concern::PaymentTrouble { at: march_2() }
    }

    fn surveys() -> Concern {
        Concern::NegativeSurveys { are_severe: true }
    }

    /// Broken by: a strong relationship that is called so beside a notice of cancellation.
    #[test]
    fn messages_about_a_relationship_state_the_concerns() {
        for (band, concerns, left, expected) in [
            (Band::Strong, vec![], 8, "The relationship is strong. 8 offers can be made now."),
            (Band::Steady, vec![], 1, "The relationship is steady. 1 offer can be made now."),
            (Band::NewCustomer, vec![], 3, "The customer is new. 3 offers can be made now."),
            (
                Band::Strong,
                vec![surveys()],
                8,
                "Most signs are good, but recent surveys were very negative. 8 offers can be made now.",
            ),
            (
                Band::Strong,
                vec![notice(), payment(), Concern::NegativeSurveys { are_severe: false }],
                8,
                "Most signs are good, but notice of cancellation was given on 2 March, there was payment trouble on \
                 2 March and recent surveys were negative. 8 offers can be made now.",
            ),
            (
                Band::Guarded,
                vec![payment()],
                2,
                "The relationship is guarded: there was payment trouble on 2 March. 2 offers can be made now.",
            ),
            (
                Band::NewCustomer,
                vec![payment()],
                1,
                "The customer is new, and there was payment trouble on 2 March. 1 offer can be made now.",
            ),
        ] {
            assert_eq!(message(&summary(band, concerns, left)), expected);
        }
    }

    #[test]
    fn a_cap_that_a_concern_explains_is_not_explained_twice() {
        let until = Some(march_2() + DAY * 12);
        let quiet = |cause| cap(CapKind::QuietPeriod(cause), 0, until);
        for (concern, cap, expected) in [
            (
                notice(),
                hold(HoldReason::CancellationNotice),
                "Most signs are good, but notice of cancellation was given on 2 March. No offers before 14 March.",
            ),
            (
                payment(),
                quiet(QuietPeriodCause::PaymentTrouble),
                "Most signs are good, but there was payment trouble on 2 March. No offers before 14 March.",
            ),
            (
                payment(),
                quiet(QuietPeriodCause::PaymentFailures),
                "Most signs are good, but there was payment trouble on 2 March. No offers before 14 March.",
            ),
            (
                surveys(),
                quiet(QuietPeriodCause::DetractorSurvey),
                "Most signs are good, but recent surveys were very negative. No offers before 14 March.",
            ),
            (
                surveys(),
                hold(HoldReason::AgentHold),
                "Most signs are good, but recent surveys were very negative. No offers before 14 March: on hold since 2 \
                 March.",
            ),
        ] {
            assert_eq!(message(&withheld(cap, summary(Band::Strong, vec![concern], 0))), expected);
        }
    }

    /// Broken by: a band that is stated although the concerns beside it may not be.
    #[test]
    fn other_readers_get_neither_concerns_nor_reasons() {
        let neutral = |summary: &RelationshipSummary| relationship_message(summary, now(), Disclosure::Neutral);
        let concerned = summary(Band::Strong, vec![notice(), payment(), surveys()], 8);
        assert_eq!(neutral(&concerned), "8 offers can be made now.");
        let held = withheld(hold(HoldReason::Collections), concerned);
        assert_eq!(neutral(&held), "Not now: no offers before 14 March.");
        let held = RelationshipSummary { concerns: vec![], ..held };
        assert_eq!(neutral(&held), "The relationship is strong. Not now: no offers before 14 March.");
    }
}
