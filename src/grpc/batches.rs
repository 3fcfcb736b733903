//! Batches and streams of independent entries, which are accepted or rejected one by one.

use tonic::Status;

use super::convert::violations::Violations;
use super::generated::tactful::v1 as wire;
use super::status;
use crate::use_cases::batch_entry::EntryOutcome;

/// Maximum number of entries of a batch that is stored.
pub(super) const BATCH_LEN_MAX: usize = 1000;
/// Maximum number of rejected entries that the response to a stream lists.
const REJECTIONS_LISTED_MAX: usize = 100;

/// Rejects an empty or oversized batch as a whole.
#[allow(clippy::result_large_err, reason = "every method answers with a Status")]
pub(super) fn check_batch_len(field: &str, len: usize, len_max: usize) -> Result<(), Status> {
    if len == 0 {
        return Err(status::invalid_field(field, "must not be empty"));
    }
    if len > len_max {
        return Err(status::invalid_field(field, format_args!("has {len} entries, at most {len_max} are allowed")));
    }
    Ok(())
}

/// Entries of a batch, valid ones separate from invalid ones.
pub(super) struct BatchEntries<T> {
    /// Valid entries, in order.
    pub(super) valid: Vec<T>,
    /// For each entry the result of an invalid one, or `None`.
    invalid: Vec<Option<wire::EntryResult>>,
}

impl<T> BatchEntries<T> {
    /// Reads every entry; the path of the third is `field[2]`.
    pub(super) fn read<M>(field: &str, messages: Vec<M>, read: impl Fn(&str, M) -> Result<T, Violations>) -> Self {
        let mut entries =
            Self { valid: Vec::with_capacity(messages.len()), invalid: Vec::with_capacity(messages.len()) };
        for (index, message) in messages.into_iter().enumerate() {
            match read(&format!("{field}[{index}]"), message) {
                Ok(entry) => {
                    entries.valid.push(entry);
                    entries.invalid.push(None);
                }
                Err(violations) => {
                    entries.invalid.push(Some(status::failed_entry(&status::invalid(&violations))));
                }
            }
        }
        entries
    }

    /// Returns one result per entry, in order, given the outcomes of the valid ones.
    pub(super) fn results(self, outcomes: Vec<EntryOutcome>) -> Vec<wire::EntryResult> {
        let mut outcomes = outcomes.into_iter().map(status::entry_result);
        let mut next = || outcomes.next().expect("one outcome per valid entry");
        self.invalid.into_iter().map(|invalid| invalid.unwrap_or_else(&mut next)).collect()
    }
}

/// Counts of the entries of a stream.
#[derive(Default)]
pub(super) struct StreamTally {
    /// Entries that changed something.
    pub(super) recorded: u64,
    /// Entries that changed nothing.
    pub(super) duplicates: u64,
    /// Invalid or rejected entries.
    pub(super) rejected: u64,
    /// Rejected events whose id is recorded with other content.
    pub(super) reused_ids: u64,
    /// Rejected events that are older than events are kept.
    pub(super) too_old: u64,
    /// First rejected entries, with their positions in the stream.
    pub(super) rejections: Vec<wire::RejectedEntry>,
}

impl StreamTally {
    /// Counts the next entry.
    pub(super) fn count(&mut self, result: wire::EntryResult) {
        let index = self.recorded + self.duplicates + self.rejected;
        let wire::EntryResult { status, duplicate } = result;
        if status.as_ref().is_some_and(|status| status.code != 0) {
            self.rejected += 1;
            let has_reason =
                |reason| u64::from(status.as_ref().is_some_and(|status| status::has_reason(status, reason)));
            self.reused_ids += has_reason(status::EVENT_ID_REUSED);
            self.too_old += has_reason(status::EVENT_TOO_OLD);
            if self.rejections.len() < REJECTIONS_LISTED_MAX {
                self.rejections.push(wire::RejectedEntry { index, status });
            }
        } else if duplicate {
            self.duplicates += 1;
        } else {
            self.recorded += 1;
        }
    }
}
