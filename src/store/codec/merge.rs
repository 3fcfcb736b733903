//! The merge state inside a stored customer.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::frame::CodecError;
use crate::domain::ids::CustomerId;
use crate::domain::merge::{MergeState, MergeStep};

#[derive(Serialize, Deserialize)]
pub(super) struct StoredMerge {
    members: Vec<String>,
    step: StoredMergeStep,
    was_merged: bool,
}

#[derive(Serialize, Deserialize)]
enum StoredMergeStep {
    Settled,
    Leaving { into: String },
    Absorbing { from: String },
    Alias { into: String },
    Splitting { from: String },
    Erasing,
}

impl From<&MergeState> for StoredMerge {
    fn from(state: &MergeState) -> Self {
        let MergeState { members, step, was_merged } = state;
        let step = match step {
            MergeStep::Settled => StoredMergeStep::Settled,
            MergeStep::Leaving { into } => StoredMergeStep::Leaving { into: into.to_string() },
            MergeStep::Absorbing { from } => StoredMergeStep::Absorbing { from: from.to_string() },
            MergeStep::Alias { into } => StoredMergeStep::Alias { into: into.to_string() },
            MergeStep::Splitting { from } => StoredMergeStep::Splitting { from: from.to_string() },
            MergeStep::Erasing => StoredMergeStep::Erasing,
        };
        Self { members: members.iter().map(ToString::to_string).collect(), step, was_merged: *was_merged }
    }
}

impl StoredMerge {
    pub fn state(self) -> Result<MergeState, CodecError> {
        let Self { members, step, was_merged } = self;
        let step = match step {
            StoredMergeStep::Settled => MergeStep::Settled,
            StoredMergeStep::Leaving { into } => MergeStep::Leaving { into: CustomerId::new(into)? },
            StoredMergeStep::Absorbing { from } => MergeStep::Absorbing { from: CustomerId::new(from)? },
            StoredMergeStep::Alias { into } => MergeStep::Alias { into: CustomerId::new(into)? },
            StoredMergeStep::Splitting { from } => MergeStep::Splitting { from: CustomerId::new(from)? },
            StoredMergeStep::Erasing => MergeStep::Erasing,
        };
        let members = members.into_iter().map(CustomerId::new).collect::<Result<BTreeSet<_>, _>>()?;
        Ok(MergeState { members, step, was_merged })
    }
}

#[cfg(test)]
mod tests {
    use super::super::profile::{StoredCustomerV1, merge_state};
    use super::*;
    use crate::domain::customer::Customer;

    /// Broken by: a field before the merge state; two steps that are swapped.
    #[test]
    fn every_step_is_read_back_without_the_rest_of_the_customer() {
        let [into, from] = ["ann", "guest"].map(|id| CustomerId::new(id).expect("valid"));
        let steps = [
            MergeStep::Settled,
            MergeStep::Leaving { into: into.clone() },
            MergeStep::Absorbing { from: from.clone() },
            MergeStep::Alias { into: into.clone() },
            MergeStep::Splitting { from: from.clone() },
            MergeStep::Erasing,
        ];
        for step in steps {
            let merge = MergeState { members: BTreeSet::from([from.clone()]), step, was_merged: true };
            let customer = Customer { merge: merge.clone(), ..Customer::unknown(into.clone()) };
            let body = postcard::to_extend(&StoredCustomerV1::from(&customer), Vec::new()).expect("encodes");
            assert_eq!(merge_state(&body).expect("decodes"), merge);
        }
    }
}
