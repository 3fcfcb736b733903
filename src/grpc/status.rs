//! From what went wrong to what a caller reads (AIP-193): a code, a sentence, and details to act on. What is inside stays
//! inside: the log gets the cause, once, here.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use http::{HeaderMap, Response};
use prost::Message;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::convert::violations::{Violation, Violations};
use super::generated::{google, tactful::v1 as wire};
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;
use crate::use_cases::back_up::BackupInProgress;
use crate::use_cases::batch_entry::{EntryOutcome, EntryRejection};
use crate::use_cases::change_customer::{ChangeError, ChangeRejection};
use crate::use_cases::explain_decision::ExplainError;
use crate::use_cases::explicit_offers::UpsertOffersError;
use crate::use_cases::get_backfire_report::BackfireReportError;
use crate::use_cases::holds::HoldError;
use crate::use_cases::policies::PolicyError;
use crate::use_cases::release_offers::ReleaseError;
use crate::use_cases::serve_offers::ServeError;
use crate::use_cases::simulate_policy::SimulatePolicyError;
use crate::use_cases::train_model::TrainError;

const DOMAIN: &str = "tactful";
/// A status goes in headers, of which common clients take 8 KiB in all: the message in characters of up to three bytes, then the
/// details in base64 with the message once more. What does not fit is an error of the protocol, and nobody reads it.
const MESSAGE_BYTES_MAX: usize = 600;
/// How many violations the message tells; the details have room for as many at least.
const TOLD: usize = 3;
/// Of the violations in the details.
const VIOLATIONS_BYTES_MAX: usize = 3 << 10;
/// Of the path or description of one.
const TEXT_BYTES_MAX: usize = 300;
/// What a violation takes beside its texts: three tags and lengths.
const VIOLATION_FRAME_BYTES: usize = 9;
/// When a server that was busy may be asked again.
const BUSY_RETRY: Duration = Duration::from_millis(500);
/// When a store that cannot answer may be asked again.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// When a customer whom many calls changed at once may be asked about again.
const CONTENDED_RETRY: Duration = Duration::from_millis(100);

fn status(code: Code, reason: &str, message: impl AsRef<str>, retry: Option<Duration>) -> Status {
    let mut details = details(reason);
    if retry.is_some() {
        details.set_retry_info(retry);
    }
    Status::with_error_details(code, clipped(message.as_ref(), MESSAGE_BYTES_MAX), details)
}

fn details(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::<String, String>::new())
}

/// Returns the status of a shed request.
pub(crate) fn busy() -> Status {
    let message = "the server is overloaded; retry in half a second";
    status(Code::ResourceExhausted, "SERVER_BUSY", message, Some(BUSY_RETRY))
}

/// Returns [`busy`] as a response. Its headers are made once: under overload it is most of what the server sends.
pub(crate) fn busy_response() -> Response<Body> {
    static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| busy().into_http::<Body>().headers().clone());
    let mut response = Response::new(Body::default());
    response.headers_mut().clone_from(&HEADERS);
    response
}

/// Everything wrong with a message, as far as a caller can read it: of very many violations the first are named, and the rest counted.
pub fn invalid(violations: &Violations) -> Status {
    invalid_for("INVALID_FIELDS", violations)
}

fn invalid_for(reason: &str, violations: &Violations) -> Status {
    let all = violations.as_slice();
    let mut bytes_left = VIOLATIONS_BYTES_MAX;
    let named: Vec<(String, String)> = all
        .iter()
        .map_while(|Violation { field, description }| {
            let (field, description) = (clipped(field, TEXT_BYTES_MAX), clipped(description, TEXT_BYTES_MAX));
            bytes_left = bytes_left.checked_sub(field.len() + description.len() + VIOLATION_FRAME_BYTES)?;
            Some((field, description))
        })
        .collect();
    let told: Vec<String> =
        named.iter().take(TOLD).map(|(field, description)| format!("{field}: {description}")).collect();
    let more = match all.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let message = format!("{}{more}", clipped(&told.join("; "), MESSAGE_BYTES_MAX));
    let mut details = details(reason);
    for (field, description) in named {
        details.add_bad_request_violation(field, description);
    }
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The text, or as much of it as these bytes hold.
fn clipped(text: &str, bytes_max: usize) -> String {
    const MARK: &str = "...";
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = (0..=bytes_max - MARK.len()).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}{MARK}", &text[..end])
}

/// One thing wrong with one field.
pub fn invalid_field(field: &str, description: impl std::fmt::Display) -> Status {
    let mut violations = Violations::default();
    violations.add(field, description);
    invalid(&violations)
}

/// Something that is not there.
pub fn not_found(reason: &str, message: &str) -> Status {
    status(Code::NotFound, reason, message, None)
}

/// Status of a change of a customer that failed.
fn change(error: ChangeError) -> Status {
    match error {
        ChangeError::Rejected(rejection) => change_rejected(rejection),
        ChangeError::Store(error) => store(error),
    }
}

fn change_rejected(rejection: ChangeRejection) -> Status {
    match rejection {
        ChangeRejection::Contended => {
            status(Code::Unavailable, "CONTENDED", "too many calls for this customer at once", Some(CONTENDED_RETRY))
        }
        ChangeRejection::CustomerErased => {
            let message = "the customer was erased, and nothing may be stored of this id again";
            status(Code::FailedPrecondition, "CUSTOMER_ERASED", message, None)
        }
        ChangeRejection::CustomerFull => {
            status(Code::ResourceExhausted, "CUSTOMER_FULL", "the customer's record is full", None)
        }
    }
}

/// The store cannot answer.
#[allow(clippy::needless_pass_by_value, reason = "so that it fits `map_err`")]
pub fn store(error: StoreError) -> Status {
    tracing::error!(%error, "the store cannot answer");
    match error {
        StoreError::Locked { path: _ } | StoreError::OtherFormat { .. } | StoreError::Failed { detail: _ } => {
            status(Code::Unavailable, "STORE_UNAVAILABLE", "the store cannot answer", Some(STORE_RETRY))
        }
        StoreError::Damaged { what: _, detail: _ } => {
            status(Code::DataLoss, "STORE_DAMAGED", "a stored value is damaged", None)
        }
    }
}

/// Why no backup is made.
pub fn backup(_: BackupInProgress) -> Status {
    let told = "another backup is being made; try again when it has ended";
    status(Code::Aborted, "BACKUP_UNDER_WAY", told, None)
}

/// Why a policy could not be kept or put into force.
pub fn policy(error: PolicyError) -> Status {
    match error {
        PolicyError::Faults(faults) => {
            let mut violations = Violations::default();
            for fault in faults.0 {
                violations.add(fault.key, fault.problem);
            }
            invalid(&violations)
        }
        PolicyError::AlreadyExists => {
            let message = "another policy has this version; versions never change, take another name";
            status(Code::AlreadyExists, "POLICY_EXISTS", message, None)
        }
        PolicyError::NotFound => not_found("POLICY_NOT_FOUND", "there is no policy of this version"),
        PolicyError::TooMany => {
            status(Code::ResourceExhausted, "TOO_MANY_POLICIES", "there are too many policies", None)
        }
        PolicyError::NothingBefore => {
            status(Code::FailedPrecondition, "NO_POLICY_BEFORE", "no policy was in force before this one", None)
        }
        PolicyError::Store(error) => store(error),
    }
}

/// Why no decision was replayed.
pub fn simulate_policy(error: SimulatePolicyError) -> Status {
    match error {
        SimulatePolicyError::Policy(error) => policy(error),
        SimulatePolicyError::NoDecisions => {
            status(Code::FailedPrecondition, "NO_DECISIONS", "no decision is logged since then", None)
        }
        SimulatePolicyError::Store(error) => store(error),
    }
}

/// Why explicit offers were not kept.
pub fn explicit_offers(error: UpsertOffersError) -> Status {
    let told = error.to_string();
    match error {
        UpsertOffersError::TooMany { .. } => status(Code::ResourceExhausted, "TOO_MANY_OFFERS", told, None),
        UpsertOffersError::Store(error) => store(error),
    }
}

/// Why there is no backfire report.
pub fn backfire(error: BackfireReportError) -> Status {
    let told = error.to_string();
    match error {
        BackfireReportError::NoExperiment => status(Code::FailedPrecondition, "NO_EXPERIMENT", told, None),
        BackfireReportError::TooFewCustomers { .. } => {
            status(Code::FailedPrecondition, "TOO_FEW_CUSTOMERS", told, None)
        }
        BackfireReportError::Store(error) => store(error),
    }
}

/// Why there is no explanation.
pub fn explain(error: ExplainError) -> Status {
    match error {
        ExplainError::DecisionNotFound => not_found("DECISION_NOT_FOUND", "the customer has no such decision"),
        ExplainError::Store(error) => store(error),
    }
}

/// Why there is no answer to a question.
pub fn serve(error: ServeError, now: Timestamp) -> Status {
    match error {
        ServeError::RequestIdReused => {
            let mut violations = Violations::default();
            violations.add("request_id", "was used for another request within 24 hours");
            invalid_for("REQUEST_ID_REUSED", &violations)
        }
        ServeError::TooManyRequestIds { retry_at } => status(
            Code::ResourceExhausted,
            "TOO_MANY_REQUEST_IDS",
            "too many request ids for this customer within 24 hours",
            Some(retry_at.since(now)),
        ),
        ServeError::DeadlineExceeded => {
            status(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "the deadline passed; nothing was written", None)
        }
        ServeError::Change(error) => change(error),
    }
}

/// Why nothing was given back.
pub fn release(error: ReleaseError, asked: &[String]) -> Status {
    match error {
        ReleaseError::DecisionNotFound => not_found("DECISION_NOT_FOUND", "the customer has no such decision"),
        ReleaseError::OffersNotServed { offers } => {
            let mut violations = Violations::default();
            for (place, _) in
                asked.iter().enumerate().filter(|(_, id)| offers.iter().any(|offer| offer.as_str() == **id))
            {
                violations.add(format!("offer_ids[{place}]"), "was not served by this decision");
            }
            invalid(&violations)
        }
        ReleaseError::Change(error) => change(error),
    }
}

/// Why a hold was not kept.
pub fn hold(error: HoldError) -> Status {
    match error {
        HoldError::TooManyHolds => {
            status(Code::ResourceExhausted, "TOO_MANY_HOLDS", "the customer has 16 holds already", None)
        }
        HoldError::NotFound => not_found("HOLD_NOT_FOUND", "the customer has no such hold"),
        HoldError::Change(error) => change(error),
    }
}

/// Why there is no new model.
pub fn train(error: TrainError) -> Status {
    match error {
        TrainError::AlreadyRunning => {
            status(Code::FailedPrecondition, "TRAINING_RUNNING", "another training is running", None)
        }
        TrainError::NotPossible { reason } => status(
            Code::FailedPrecondition,
            "TRAINING_NOT_POSSIBLE",
            format!("training is not possible: {reason}"),
            None,
        ),
        TrainError::Store(error) => store(error),
    }
}

/// What became of an entry of a batch.
pub fn entry_result(recorded: EntryOutcome) -> wire::EntryResult {
    match recorded {
        EntryOutcome::New => ok_entry(false),
        EntryOutcome::Duplicate => ok_entry(true),
        EntryOutcome::Rejected(rejection) => failed_entry(&rejected(rejection)),
    }
}

/// An entry that was taken.
pub fn ok_entry(duplicate: bool) -> wire::EntryResult {
    wire::EntryResult { status: Some(google::rpc::Status::default()), duplicate }
}

/// An entry that was not taken.
pub fn failed_entry(status: &Status) -> wire::EntryResult {
    wire::EntryResult { status: Some(to_rpc_status(status)), duplicate: false }
}

/// A status as an entry carries it, details and all.
pub fn to_rpc_status(status: &Status) -> google::rpc::Status {
    google::rpc::Status::decode(status.details()).unwrap_or_else(|_| google::rpc::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

fn rejected(rejection: EntryRejection) -> Status {
    match rejection {
        EntryRejection::InFuture => invalid_field("event_time", "is more than 5 minutes in the future"),
        EntryRejection::DecisionNotFound => not_found("DECISION_NOT_FOUND", "the customer has no such decision"),
        EntryRejection::OfferNotServed => not_found("OFFER_NOT_SERVED", "the decision did not serve this offer"),
        EntryRejection::CustomerMissing => invalid_field("customer_id", "is required but for purchases and returns"),
        EntryRejection::TooOld => invalid_field(
            "event_time",
            "is before what the server keeps; only the start or renewal of a subscription may be older",
        ),
        EntryRejection::Change(rejection) => change_rejected(rejection),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What common clients take, with 32 bytes for each header (RFC 9113, section 6.5.2).
    const HEADERS_BYTES_MAX: usize = 8 << 10;

    fn header_bytes(status: Status) -> usize {
        let answer = status.into_http::<Body>();
        answer.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
    }

    /// Broken by: details that name all of a thousand faults, or one whole that quotes what was sent.
    #[test]
    fn what_is_wrong_fits_the_headers_however_much_it_is() {
        let cases = [
            (1_000, "ids".to_owned(), "is empty".to_owned()),
            (1_000, "ü".repeat(2_000), "ö".repeat(50_000)),
            (1, "x".repeat(20_000), "y".repeat(20_000)),
            (20, String::new(), "%".repeat(1_000)),
        ];
        for (count, field, description) in cases {
            let mut violations = Violations::default();
            for number in 0..count {
                violations.add(format!("{field}[{number}]"), &description);
            }
            let status = invalid(&violations);
            let named = status.get_details_bad_request().expect("it names fields").field_violations;
            assert!(!named.is_empty());
            assert!(count <= 3 || status.message().ends_with(&format!("and {} more", count - 3)), "{status:?}");
            assert!(header_bytes(status) <= HEADERS_BYTES_MAX);
        }
        let status = status(Code::Internal, "ANY", "ü".repeat(10_000), None);
        assert!(header_bytes(status) <= HEADERS_BYTES_MAX);
    }
}
