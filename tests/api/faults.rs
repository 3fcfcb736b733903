//! Reads the details of an error: invalid fields, reason, time of a retry.

use std::time::Duration;

use prost::Message;
use tactful::grpc::generated::tactful::v1::EntryResult;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

/// The error of a call that must fail.
pub fn refusal<T>(answer: Result<Response<T>, Status>) -> Status {
    match answer {
        Ok(_) => panic!("the call must fail"),
        Err(status) => status,
    }
}

/// The fields that an `INVALID_ARGUMENT` names. The message names the first of them for people.
pub fn bad_fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_details_bad_request().expect("BadRequest details");
    let fields: Vec<String> = details.field_violations.iter().map(|violation| violation.field.clone()).collect();
    assert!(status.message().starts_with(&fields[0]), "{status:?}");
    assert!(details.field_violations.iter().all(|violation| !violation.description.is_empty()), "{status:?}");
    fields
}

/// The reason that a program can act on.
pub fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().expect("ErrorInfo details");
    assert_eq!(info.domain, "tactful");
    info.reason
}

/// Code and reason, as a table of errors lists them.
pub fn kind(status: &Status) -> (Code, String) {
    (status.code(), reason(status))
}

/// The delay before a retry.
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|retry| retry.retry_delay)
}

/// The error of an entry, as if the entry had been a call.
pub fn entry_refusal(result: &EntryResult) -> Status {
    let status = result.status.as_ref().expect("every entry has a status");
    assert_ne!(status.code, 0, "the entry must be rejected");
    Status::with_details(Code::from(status.code), status.message.clone(), status.encode_to_vec().into())
}

/// Whether the entry was accepted.
pub fn is_ok(result: &EntryResult) -> bool {
    result.status.as_ref().is_some_and(|status| status.code == 0)
}

/// Invalid ids: empty, too long, with a control character, with outer white space.
pub fn bad_ids() -> [String; 4] {
    [String::new(), "x".repeat(129), "a\nb".into(), " a".into()]
}
