//! Data that a training learns from, read from the store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::training_plan::TrainingPlan;
use crate::domain::customer::Customer;
use crate::domain::event::Event;
use crate::domain::ids::CustomerId;
use crate::domain::policy::Policy;
use crate::model::history::TrainingHistory;
use crate::model::outlook_history::{EngagementWeights, OutlookHistory};
use crate::store::contract::error::StoreError;
use crate::store::contract::store::Store;

/// Number of events in one page.
const EVENTS_PAGE_LEN: usize = 4096;
/// Number of customers in one page; each has at most 16 KiB.
const CUSTOMERS_PAGE_LEN: usize = 256;

/// Attributes of customers that are not sensitive.
pub(super) type CustomerProfiles = HashMap<CustomerId, BTreeMap<String, String>>;

/// History and profiles of the customers who do not object to profiling and are in the plan.
pub(super) struct TrainingData {
    pub(super) history: TrainingHistory,
    pub(super) outlook_history: OutlookHistory,
    pub(super) profiles: CustomerProfiles,
    /// Period over which the outlook is learned.
    pub(super) outlook_window: Duration,
}

impl TrainingData {
    /// Reads every customer and the whole history once, and keeps what is in the plan. `replan` returns the plan for the
    /// history once the customers are read, when the cache of the store has filled up.
    pub(super) async fn read<E: From<StoreError>>(
        store: &dyn Store,
        policy: &Policy,
        plan: &TrainingPlan,
        replan: impl FnOnce() -> Result<TrainingPlan, E>,
    ) -> Result<(Self, TrainingPlan), E> {
        let TrainingCustomers { objecting, mut profiles } =
            read_customers(store, &policy.privacy.sensitive_attributes, plan).await?;
        let later = replan()?;
        let plan = if later.share < plan.share { later } else { plan.clone() };
        profiles.retain(|customer, _| plan.selects(customer));
        let relationship = &policy.relationship;
        let [_, commitment, usage, visit] = relationship.engagement_weights;
        let mut history = TrainingHistory::new();
        let mut outlook_history = OutlookHistory::new(EngagementWeights { commitment, usage, visit });
        let mut push = |events: Vec<Event>| {
            let is_wanted = |event: &&Event| event.customer.as_ref().is_none_or(|id| !objecting.contains(id));
            for event in events.iter().filter(is_wanted).filter(|event| plan.selects_event(event)) {
                history.push(event);
                outlook_history.push(event);
            }
        };
        store.visit_events(EVENTS_PAGE_LEN, &mut push).await?;
        for (customer, attributes) in &profiles {
            history.set_profile(customer, attributes.clone());
        }
        Ok((Self { history, outlook_history, profiles, outlook_window: relationship.outlook_window }, plan))
    }
}

/// Parts of the stored customers that a training needs.
#[derive(Default)]
struct TrainingCustomers {
    /// Customers who object to profiling, whose history is left out.
    objecting: HashSet<CustomerId>,
    /// Profiles of the others; customers without attributes are left out.
    profiles: CustomerProfiles,
}

async fn read_customers(
    store: &dyn Store,
    sensitive: &[String],
    plan: &TrainingPlan,
) -> Result<TrainingCustomers, StoreError> {
    let mut known = TrainingCustomers::default();
    let mut add = |customers: Vec<Customer>| {
        for customer in customers {
            if customer.consents.objects_to_profiling {
                known.objecting.extend(customer.merge.members.into_iter().chain([customer.id]));
                continue;
            }
            let mut attributes = customer.attributes;
            attributes.retain(|name, _| !sensitive.contains(name));
            if !attributes.is_empty() && plan.selects(&customer.id) {
                known.profiles.insert(customer.id, attributes);
            }
        }
    };
    store.visit_customers(CUSTOMERS_PAGE_LEN, &mut add).await?;
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;
    use crate::store::contract::change::Change;
    use crate::store::contract::customers::CustomerStore;
    use crate::store::memory::store::MemoryStore;

    /// Broken by: the history under the other ids of a customer who objects.
    #[tokio::test]
    async fn an_objection_leaves_the_history_of_all_ids_out() {
        let [ada, guest] = ["ada", "guest"].map(|id| CustomerId::new(id).expect("valid"));
        let mut customer = Customer::unknown(ada.clone());
        customer.consents.objects_to_profiling = true;
        customer.merge.members.insert(guest.clone());
        let store = MemoryStore::new();
        let now = Timestamp::from_unix_ms(1_700_000_000_000).expect("in range");
        store.commit(Change::new(0, &customer, now)).await.expect("committed");
        let plan = TrainingPlan { share: 1.0, weights_bytes: 1 << 20, note: None };
        let TrainingCustomers { objecting, profiles: _ } = read_customers(&store, &[], &plan).await.expect("reads");
        assert_eq!(objecting, HashSet::from([ada, guest]));
    }
}
