//! Conversion of errors to gRPC statuses (AIP-193): a code, a sentence, and details that a client can act on.
//!
//! Internal causes are never sent to clients: they are logged, once, here.

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
use crate::domain::event::EventDifference;
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;
use crate::use_cases::back_up::BackupInProgress;
use crate::use_cases::batch_entry::{EntryOutcome, EntryRejection};
use crate::use_cases::change_customer::{ChangeError, ChangeRejection};
use crate::use_cases::explain_decision::ExplainError;
use crate::use_cases::explicit_offers::UpsertOffersError;
use crate::use_cases::get_backfire_report::BackfireReportError;
use crate::use_cases::holds::HoldError;
use crate::use_cases::merge_customers::MergeError;
use crate::use_cases::policies::PolicyError;
use crate::use_cases::release_offers::ReleaseError;
use crate::use_cases::serve_offers::ServeError;
use crate::use_cases::simulate_policy::SimulatePolicyError;
use crate::use_cases::train_model::TrainError;

const DOMAIN: &str = "tactful";
/// Reason of the status of an event whose id is recorded with other content.
pub(crate) const EVENT_ID_REUSED: &str = "EVENT_ID_REUSED";
/// Reason of the status of an event that is older than events are kept.
pub(crate) const EVENT_TOO_OLD: &str = "EVENT_TOO_OLD";
/// Maximum length of a status message. A status is sent in headers, of which common clients accept 8 KiB in all: the message in
/// characters of up to three bytes, then the details in base64 with the message once more. Longer headers are a protocol error, and
/// the client reads nothing.
const MESSAGE_BYTES_MAX: usize = 600;
/// Number of violations in the message; at least as many fit into the details.
const MESSAGE_VIOLATIONS: usize = 3;
/// Maximum size of all violations in the details.
const VIOLATIONS_BYTES_MAX: usize = 3 << 10;
/// Maximum length of the path or description of a violation.
const TEXT_BYTES_MAX: usize = 300;
/// Encoded size of a violation without its texts: three tags and lengths.
const VIOLATION_FRAME_BYTES: usize = 9;
/// Retry delay after a shed request.
const BUSY_RETRY: Duration = Duration::from_millis(500);
/// Retry delay while the store is unavailable.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// Retry delay after too many concurrent changes of one customer.
const CONTENDED_RETRY: Duration = Duration::from_millis(100);

fn status(code: Code, reason: &str, message: impl AsRef<str>, retry: Option<Duration>) -> Status {
    let mut details = details(reason);
    if retry.is_some() {
        details.set_retry_info(retry);
    }
    Status::with_error_details(code, truncated(message.as_ref(), MESSAGE_BYTES_MAX), details)
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

/// Returns the status of an invalid message. Of very many violations the first are named and the rest counted.
pub(crate) fn invalid(violations: &Violations) -> Status {
    invalid_for("INVALID_FIELDS", violations)
}

fn invalid_for(reason: &str, violations: &Violations) -> Status {
    let all = violations.as_slice();
    let mut bytes_left = VIOLATIONS_BYTES_MAX;
    let listed: Vec<(String, String)> = all
        .iter()
        .map_while(|Violation { field, description }| {
            let (field, description) = (truncated(field, TEXT_BYTES_MAX), truncated(description, TEXT_BYTES_MAX));
            bytes_left = bytes_left.checked_sub(field.len() + description.len() + VIOLATION_FRAME_BYTES)?;
            Some((field, description))
        })
        .collect();
    let in_message: Vec<String> =
        listed.iter().take(MESSAGE_VIOLATIONS).map(|(field, description)| format!("{field}: {description}")).collect();
    let more = match all.len().saturating_sub(MESSAGE_VIOLATIONS) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let message = format!("{}{more}", truncated(&in_message.join("; "), MESSAGE_BYTES_MAX));
    let mut details = details(reason);
    for (field, description) in listed {
        details.add_bad_request_violation(field, description);
    }
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// Returns the text, truncated to this many bytes.
fn truncated(text: &str, bytes_max: usize) -> String {
    const ELLIPSIS: &str = "...";
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = (0..=bytes_max - ELLIPSIS.len()).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}{ELLIPSIS}", &text[..end])
}

/// Returns the status of a message with one invalid field.
pub(crate) fn invalid_field(field: &str, description: impl std::fmt::Display) -> Status {
    let mut violations = Violations::default();
    violations.add(field, description);
    invalid(&violations)
}

/// Returns the status for something that does not exist.
pub(crate) fn not_found(reason: &str, message: &str) -> Status {
    status(Code::NotFound, reason, message, None)
}

/// Returns the status of a failed change of a customer.
pub(crate) fn change(error: ChangeError) -> Status {
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
            let message = "the customer was erased; no data may be stored under this id again";
            status(Code::FailedPrecondition, "CUSTOMER_ERASED", message, None)
        }
        ChangeRejection::CustomerFull => {
            status(Code::ResourceExhausted, "CUSTOMER_FULL", "the customer's record is full", None)
        }
    }
}

/// Returns the status of a failed merge or unmerge.
pub(crate) fn merge(error: MergeError) -> Status {
    let message = error.to_string();
    match error {
        MergeError::SameId => invalid_field("into_customer_id", "must be another id than from_customer_id"),
        MergeError::Cycle => status(Code::FailedPrecondition, "MERGE_CYCLE", message, None),
        MergeError::SecondTarget => status(Code::FailedPrecondition, "MERGED_ELSEWHERE", message, None),
        MergeError::TooManyIds => status(Code::FailedPrecondition, "TOO_MANY_IDS", message, None),
        MergeError::BackupInProgress => backup(BackupInProgress),
        MergeError::Change(error) => change(error),
    }
}

/// Logs a store error and returns its status.
#[allow(clippy::needless_pass_by_value, reason = "so that it fits `map_err`")]
pub(crate) fn store(error: StoreError) -> Status {
    // Every call meets a database that is lost, or its standbys; that is logged once.
    if matches!(error, StoreError::Unavailable { .. } | StoreError::Unconfirmed { .. }) {
        tracing::debug!(%error, "store request failed");
    } else {
        tracing::error!(%error, "store request failed");
    }
    match error {
        StoreError::Locked { path: _ }
        | StoreError::OtherFormat { .. }
        | StoreError::Unavailable { detail: _ }
        | StoreError::Failed { detail: _ } => {
            status(Code::Unavailable, "STORE_UNAVAILABLE", "the store is unavailable", Some(STORE_RETRY))
        }
        StoreError::Unconfirmed { detail: _ } => {
            let message = "the store has not confirmed the change; the same request again finds what became of it";
            status(Code::Unavailable, "STORE_UNCONFIRMED", message, Some(STORE_RETRY))
        }
        StoreError::Damaged { what: _, detail: _ } => {
            status(Code::DataLoss, "STORE_DAMAGED", "a stored value is damaged", None)
        }
    }
}

/// Returns the status of a backup that was not started.
pub(crate) fn backup(_: BackupInProgress) -> Status {
    let message = "a backup is in progress; retry when it has finished";
    status(Code::Aborted, "BACKUP_UNDER_WAY", message, None)
}

/// Returns the status of a failed policy request.
pub(crate) fn policy(error: PolicyError) -> Status {
    let message = error.to_string();
    match error {
        PolicyError::Faults(faults) => {
            let mut violations = Violations::default();
            for fault in faults.0 {
                violations.add(fault.key, fault.problem);
            }
            invalid(&violations)
        }
        PolicyError::AlreadyExists => {
            let message = "a policy with this version exists; versions are immutable, choose another name";
            status(Code::AlreadyExists, "POLICY_EXISTS", message, None)
        }
        PolicyError::NotFound => not_found("POLICY_NOT_FOUND", "there is no policy with this version"),
        PolicyError::TooMany => {
            status(Code::ResourceExhausted, "TOO_MANY_POLICIES", "there are too many policies", None)
        }
        PolicyError::ChannelsInUse { channels: _ } => {
            status(Code::FailedPrecondition, "CHANNELS_IN_USE", message, None)
        }
        PolicyError::NothingBefore => {
            status(Code::FailedPrecondition, "NO_POLICY_BEFORE", "no policy was active before this one", None)
        }
        PolicyError::NotActive { active } => {
            let message = format!("the active version is {active}");
            status(Code::FailedPrecondition, "POLICY_NOT_ACTIVE", message, None)
        }
        PolicyError::Store(error) => store(error),
    }
}

/// Returns the status of a failed policy simulation.
pub(crate) fn simulate_policy(error: SimulatePolicyError) -> Status {
    match error {
        SimulatePolicyError::Policy(error) => policy(error),
        SimulatePolicyError::NoDecisions => {
            status(Code::FailedPrecondition, "NO_DECISIONS", "no decisions have been logged since then", None)
        }
        SimulatePolicyError::Store(error) => store(error),
    }
}

/// Returns the status of explicit offers that were not stored.
pub(crate) fn explicit_offers(error: UpsertOffersError) -> Status {
    let message = error.to_string();
    match error {
        UpsertOffersError::TooMany { .. } => status(Code::ResourceExhausted, "TOO_MANY_OFFERS", message, None),
        UpsertOffersError::Store(error) => store(error),
    }
}

/// Returns the status of a failed backfire report.
pub(crate) fn backfire(error: BackfireReportError) -> Status {
    let message = error.to_string();
    match error {
        BackfireReportError::NoExperiment => status(Code::FailedPrecondition, "NO_EXPERIMENT", message, None),
        BackfireReportError::TooFewCustomers { .. } => {
            status(Code::FailedPrecondition, "TOO_FEW_CUSTOMERS", message, None)
        }
        BackfireReportError::Store(error) => store(error),
    }
}

/// Returns the status of a failed explanation.
pub(crate) fn explain(error: ExplainError) -> Status {
    match error {
        ExplainError::DecisionNotFound => not_found("DECISION_NOT_FOUND", "the customer has no such decision"),
        ExplainError::Channel(channel) => invalid_field("what_if.channel", channel),
        ExplainError::Store(error) => store(error),
    }
}

/// Returns the status of a request for offers that was not served.
pub(crate) fn serve(error: ServeError, now: Timestamp) -> Status {
    match error {
        ServeError::RequestIdReused => {
            let mut violations = Violations::default();
            violations.add("request_id", "was used for a different request within the last 24 hours");
            invalid_for("REQUEST_ID_REUSED", &violations)
        }
        ServeError::TooManyRequestIds { retry_at } => status(
            Code::ResourceExhausted,
            "TOO_MANY_REQUEST_IDS",
            "too many request ids for this customer within the last 24 hours",
            Some(retry_at.since(now)),
        ),
        ServeError::Channel(channel) => invalid_field("channel", channel),
        ServeError::DeadlineExceeded => status(
            Code::DeadlineExceeded,
            "DEADLINE_EXCEEDED",
            "the deadline passed before the decision; nothing was recorded",
            None,
        ),
        ServeError::Change(error) => change(error),
    }
}

/// Returns the status of a failed release of offers.
pub(crate) fn release(error: ReleaseError, requested: &[String]) -> Status {
    match error {
        ReleaseError::DecisionNotFound => not_found("DECISION_NOT_FOUND", "the customer has no such decision"),
        ReleaseError::OffersNotServed { offers } => {
            let mut violations = Violations::default();
            for (index, _) in
                requested.iter().enumerate().filter(|(_, id)| offers.iter().any(|offer| offer.as_str() == **id))
            {
                violations.add(format!("offer_ids[{index}]"), "was not served by this decision");
            }
            invalid(&violations)
        }
        ReleaseError::Change(error) => change(error),
    }
}

/// Returns the status of a failed request about a hold.
pub(crate) fn hold(error: HoldError) -> Status {
    match error {
        HoldError::TooManyHolds => {
            status(Code::ResourceExhausted, "TOO_MANY_HOLDS", "the customer has 16 holds already", None)
        }
        HoldError::NotFound => not_found("HOLD_NOT_FOUND", "the customer has no such hold"),
        HoldError::Change(error) => change(error),
    }
}

/// Returns the status of a failed training.
pub(crate) fn train(error: TrainError) -> Status {
    match error {
        TrainError::AlreadyRunning => {
            status(Code::FailedPrecondition, "TRAINING_RUNNING", "a training is already running", None)
        }
        TrainError::Superseded => status(Code::Aborted, "TRAINING_SUPERSEDED", error.to_string(), None),
        TrainError::NotPossible(_) | TrainError::TooLittleMemory(_) => {
            status(Code::FailedPrecondition, "TRAINING_NOT_POSSIBLE", error.to_string(), None)
        }
        TrainError::ThreadFailed(cause) => {
            tracing::error!(%cause, "training failed");
            status(Code::Internal, "TRAINING_FAILED", "the training failed; the current model stays in use", None)
        }
        TrainError::Store(error) => store(error),
    }
}

/// Returns the result of a batch entry.
pub(crate) fn entry_result(outcome: EntryOutcome) -> wire::EntryResult {
    match outcome {
        EntryOutcome::New => ok_entry(false),
        EntryOutcome::Duplicate => ok_entry(true),
        EntryOutcome::Rejected(rejection) => failed_entry(&rejected(rejection)),
    }
}

/// Returns the result of an accepted entry.
pub(crate) fn ok_entry(duplicate: bool) -> wire::EntryResult {
    wire::EntryResult { status: Some(google::rpc::Status::default()), duplicate }
}

/// Returns the result of a rejected entry.
pub(crate) fn failed_entry(status: &Status) -> wire::EntryResult {
    wire::EntryResult { status: Some(to_rpc_status(status)), duplicate: false }
}

/// Converts a status, with its details, to the message that entries carry.
pub(crate) fn to_rpc_status(status: &Status) -> google::rpc::Status {
    google::rpc::Status::decode(status.details()).unwrap_or_else(|_| google::rpc::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

/// Whether the status of an entry has this reason.
pub(crate) fn has_reason(status: &google::rpc::Status, reason: &str) -> bool {
    if status.code == 0 {
        return false;
    }
    let status = Status::with_details(Code::from(status.code), &status.message, status.encode_to_vec().into());
    status.get_details_error_info().is_some_and(|info| info.reason == reason)
}

fn rejected(rejection: EntryRejection) -> Status {
    match rejection {
        EntryRejection::InFuture => invalid_field("event_time", "is more than 5 minutes in the future"),
        EntryRejection::DecisionNotFound => not_found("DECISION_NOT_FOUND", "the customer has no such decision"),
        EntryRejection::OfferNotServed => not_found("OFFER_NOT_SERVED", "the decision did not serve this offer"),
        EntryRejection::CustomerMissing => invalid_field("customer_id", "is required except for purchases and returns"),
        EntryRejection::IdReused(difference) => {
            let difference = match difference {
                EventDifference::Kind => "another kind",
                EventDifference::Time => "another event_time",
                EventDifference::Details => "other details",
            };
            let message = format!(
                "event_id is recorded with {difference}; nothing was changed, send a different event under an id of its own"
            );
            status(Code::AlreadyExists, EVENT_ID_REUSED, message, None)
        }
        EntryRejection::TooOld { oldest } => {
            let mut violations = Violations::default();
            violations.add(
                "event_time",
                format_args!("is before {oldest}: events older than --event-retention allows have no effect"),
            );
            invalid_for(EVENT_TOO_OLD, &violations)
        }
        EntryRejection::Change(rejection) => change_rejected(rejection),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Header size that common clients accept, at 32 bytes of overhead per header (RFC 9113, section 6.5.2).
    const HEADERS_BYTES_MAX: usize = 8 << 10;

    fn header_bytes(status: Status) -> usize {
        let response = status.into_http::<Body>();
        response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
    }

    /// Broken by: details with all of a thousand violations, or one violation that quotes the request in full.
    #[test]
    fn statuses_fit_the_headers_however_many_violations_there_are() {
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
            let listed = status.get_details_bad_request().expect("it names fields").field_violations;
            assert!(!listed.is_empty());
            assert!(count <= 3 || status.message().ends_with(&format!("and {} more", count - 3)), "{status:?}");
            assert!(header_bytes(status) <= HEADERS_BYTES_MAX);
        }
        let status = status(Code::Internal, "ANY", "ü".repeat(10_000), None);
        assert!(header_bytes(status) <= HEADERS_BYTES_MAX);
    }
}
