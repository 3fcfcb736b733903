//! Ids of one customer: which ids were merged, and where an interrupted merge stands.
//!
//! A merge changes two customers without a transaction, so each step leaves a mark in the record that it changes, and the
//! next step follows from the marks alone. `use_cases::merge_customers` has the steps.

use std::collections::BTreeSet;

use super::ids::CustomerId;

/// Maximum number of ids of one customer, its own included. Each is read by an export, an erasure and an unmerge.
pub const MEMBERS_MAX: usize = 8;

/// State of a customer's ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MergeState {
    /// The other ids of this customer, at most [`MEMBERS_MAX`] less one: those merged into it, and the members of those.
    /// Each is stored as an alias, and history and decisions from before the merge stay under it.
    pub members: BTreeSet<CustomerId>,
    /// Step of a merge, or its result.
    pub step: MergeStep,
    /// Whether the customer was ever part of a merge. Its history is then that of two arms of an experiment.
    pub was_merged: bool,
}

/// Mark of a customer that is being merged, or has been.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum MergeStep {
    /// No merge is in progress.
    #[default]
    Settled,
    /// The customer is being merged into another one. Nothing but the merge changes it.
    Leaving {
        /// The other customer.
        into: CustomerId,
    },
    /// Another customer is being merged into this one. Nothing but the merge changes it.
    Absorbing {
        /// The other customer.
        from: CustomerId,
    },
    /// The id is another name of a customer, who may be an alias in turn. Of the record, only the attributes are in use: an
    /// unmerge restores them.
    Alias {
        /// The customer.
        into: CustomerId,
    },
    /// A member is being split off again. Nothing but the unmerge changes the customer.
    Splitting {
        /// The member.
        from: CustomerId,
    },
    /// All ids are being erased, this one last.
    Erasing,
}

impl MergeState {
    /// Whether a merge, an unmerge or an erasure of several ids is in progress, so that nothing else may change the customer.
    pub fn is_in_progress(&self) -> bool {
        match self.step {
            MergeStep::Settled | MergeStep::Alias { .. } => false,
            MergeStep::Leaving { .. }
            | MergeStep::Absorbing { .. }
            | MergeStep::Splitting { .. }
            | MergeStep::Erasing => true,
        }
    }

    /// The customer of whom this id is another name.
    pub fn alias_of(&self) -> Option<&CustomerId> {
        match &self.step {
            MergeStep::Alias { into } => Some(into),
            MergeStep::Settled
            | MergeStep::Leaving { .. }
            | MergeStep::Absorbing { .. }
            | MergeStep::Splitting { .. }
            | MergeStep::Erasing => None,
        }
    }
}
