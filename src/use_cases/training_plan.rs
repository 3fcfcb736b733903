//! Plan of the memory of a training: what the process may still use, and how much of the history fits.
//!
//! A training that exceeds the limit of its container is killed together with the server. So the share of the customers to
//! learn from is planned before the history is read, by estimates of what a customer and an event take at the peak. Customers
//! are left out as a whole: half of the purchases of each would teach other habits.

use sha2::{Digest, Sha256};

use crate::domain::event::{Event, EventKind, OrderLine};
use crate::domain::ids::CustomerId;
use crate::model::ridge;

/// Memory of a customer at the peak of a training, in bytes, without its events. This and the two below are upper estimates from
/// the peaks of three trainings: 3.8 GB with a million customers and three purchases of each, and 1.0 and 3.9 GiB with 20,000
/// and 202,000 customers and fifty purchases of each (docs/evaluation.md).
const BYTES_PER_CUSTOMER: u64 = 2100;
/// Memory of an event at the peak of a training, in bytes.
const BYTES_PER_EVENT: u64 = 300;
/// Memory of the training examples for each event, in bytes, up to a maximum: their number is limited.
const EXAMPLE_BYTES_PER_EVENT: u64 = 700;
const EXAMPLE_BYTES_MAX: u64 = 700 << 20;
/// Share of the limit that a plan leaves free for the calls served meanwhile.
const RESERVED_SHARE: u64 = 16;
/// Least memory with which a training starts.
const BYTES_MIN: u64 = 16 << 20;

/// Memory and data of a training.
#[derive(Debug, Clone, Copy)]
pub(super) struct TrainingResources {
    /// Memory budget of the settings.
    pub(super) budget: u64,
    /// Memory that the process may use; `None` where the system does not say.
    pub(super) process_limit: Option<u64>,
    /// Memory that the process uses now.
    pub(super) resident: u64,
    /// Stored customers.
    pub(super) customers: u64,
    /// Stored events.
    pub(super) events: u64,
    /// Products of the catalogue.
    pub(super) products: u64,
}

/// Plan of a training.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TrainingPlan {
    /// Share of the customers, and of the anonymous events, to learn from; above 0 and at most 1.
    pub(super) share: f64,
    /// Memory for the weights between items, in bytes.
    pub(super) weights_bytes: u64,
    /// Remark on what is left out.
    pub(super) note: Option<String>,
}

/// Error returned when there is not enough memory for any training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} MiB of memory are available for a training, at least {} are needed: raise the memory limit of the container or \
     training-memory-mib, or lower store-cache-mib",
    available >> 20,
    BYTES_MIN >> 20
)]
pub struct TooLittleMemory {
    available: u64,
}

impl TrainingResources {
    /// Memory that the training may use.
    fn available(&self) -> u64 {
        let free = self
            .process_limit
            .map_or(u64::MAX, |limit| limit.saturating_sub(limit / RESERVED_SHARE).saturating_sub(self.resident));
        self.budget.min(free)
    }

    /// Plans a training within the memory that is available.
    pub(super) fn plan(&self) -> Result<TrainingPlan, TooLittleMemory> {
        let available = self.available();
        if available < BYTES_MIN {
            return Err(TooLittleMemory { available });
        }
        let cells = self.products.saturating_mul(self.products);
        let weights_bytes = cells.saturating_mul(ridge::BYTES_PER_CELL).min(available / 2);
        let data_bytes = available - weights_bytes;
        let (history, examples) = (self.history_bytes(), self.events * EXAMPLE_BYTES_PER_EVENT);
        let needed = history + examples.min(EXAMPLE_BYTES_MAX);
        if needed <= data_bytes {
            return Ok(TrainingPlan { share: 1.0, weights_bytes: available - needed, note: None });
        }
        let share = ratio(data_bytes, history + examples);
        let has_all_examples = share * ratio(examples, EXAMPLE_BYTES_MAX) > 1.0;
        let share = if has_all_examples { ratio(data_bytes.saturating_sub(EXAMPLE_BYTES_MAX), history) } else { share };
        let note = format!(
            "learned from {:.1} % of the customers: all of them take about {} MiB, and {} MiB are available for them",
            share * 100.0,
            needed >> 20,
            data_bytes >> 20
        );
        Ok(TrainingPlan { share, weights_bytes, note: Some(note) })
    }

    /// Memory of the history with its indices.
    fn history_bytes(&self) -> u64 {
        self.customers * BYTES_PER_CUSTOMER + self.events * BYTES_PER_EVENT
    }
}

#[allow(clippy::cast_precision_loss, reason = "an estimate")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

impl TrainingPlan {
    /// Whether to learn from a customer. A smaller share selects some of the customers that a larger one selects.
    pub(super) fn selects(&self, customer: &CustomerId) -> bool {
        self.selects_text(customer.as_str())
    }

    /// Whether to learn from an event. The anonymous purchases of one order are selected together.
    pub(super) fn selects_event(&self, event: &Event) -> bool {
        match (&event.customer, &event.kind) {
            (Some(customer), _) => self.selects(customer),
            (None, EventKind::Purchase(OrderLine { order: Some(order), .. })) => self.selects_text(order.as_str()),
            (None, _) => self.selects_text(event.id.as_str()),
        }
    }

    fn selects_text(&self, text: &str) -> bool {
        if self.share >= 1.0 {
            return true;
        }
        let digest = Sha256::digest(text.as_bytes());
        let bits = u64::from_be_bytes(*digest.first_chunk::<8>().expect("SHA-256 has 32 bytes")) >> 11;
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit the mantissa")]
        let position = bits as f64 / (1_u64 << 53) as f64;
        position < self.share
    }
}

/// Returns the memory that this process uses; 0 where the system does not say.
pub(super) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    kib.unwrap_or(0) << 10
}

#[cfg(test)]
#[allow(clippy::cast_precision_loss, reason = "estimates")]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn resources() -> TrainingResources {
        TrainingResources {
            budget: 1024 * MIB,
            process_limit: Some(2048 * MIB),
            resident: 600 * MIB,
            customers: 1_000,
            events: 3_000,
            products: 500,
        }
    }

    #[test]
    fn a_history_that_fits_is_learned_whole() {
        let plan = resources().plan().expect("there is memory");
        assert_eq!((plan.share, &plan.note), (1.0, &None));
        assert!(plan.weights_bytes > 1000 * MIB && plan.weights_bytes < 1024 * MIB, "{plan:?}");
        let ada = CustomerId::new("ada").expect("valid");
        assert!(plan.selects(&ada));
    }

    /// Broken by: planning by the budget of the settings alone, or by the limit without what is in use.
    #[test]
    fn the_plan_fits_what_the_container_has_left() {
        let million = TrainingResources { customers: 1_000_000, events: 3_000_000, ..resources() };
        let by_budget = million.plan().expect("there is memory");
        let left = TrainingResources { resident: 1500 * MIB, ..million };
        let by_limit = left.plan().expect("there is memory");
        assert!(by_limit.share < by_budget.share && by_budget.share < 1.0);
        let planned = |plan: &TrainingPlan| {
            let (history, examples) = (million.history_bytes() as f64, 3e6 * EXAMPLE_BYTES_PER_EVENT as f64);
            plan.share * history + (plan.share * examples).min(EXAMPLE_BYTES_MAX as f64) + plan.weights_bytes as f64
        };
        assert!(planned(&by_budget) <= 1024.0 * MIB as f64 + 1.0);
        assert!(planned(&by_limit) <= f64::from(2048 - 2048 / 16 - 1500) * MIB as f64 + 1.0);
        let large = TrainingResources { budget: 2048 * MIB, process_limit: None, ..million };
        let large = large.plan().expect("there is memory");
        assert!(planned(&large) <= 2048.0 * MIB as f64 + 1.0 && large.share > 2.0 * by_budget.share, "{large:?}");
        assert!(by_limit.note.as_ref().is_some_and(|note| note.contains("% of the customers")), "{by_limit:?}");
        let unlimited = TrainingResources { process_limit: None, budget: 1 << 40, ..million };
        assert!(unlimited.plan().expect("there is memory").share >= 1.0);
        let full = TrainingResources { resident: 1915 * MIB, ..million };
        let error = full.plan().expect_err("nothing is left").to_string();
        assert!(error.contains("5 MiB") && error.contains("store-cache-mib"), "{error}");
    }

    #[test]
    fn a_smaller_share_selects_some_of_the_customers_of_a_larger_one() {
        let plan = |share| TrainingPlan { share, weights_bytes: 0, note: None };
        let selected = |share: f64| {
            let ids = (0..2_000).map(|number| CustomerId::new(format!("c{number}")).expect("valid"));
            ids.filter(|id| plan(share).selects(id)).collect::<std::collections::BTreeSet<_>>()
        };
        let (small, large) = (selected(0.1), selected(0.4));
        assert!(small.is_subset(&large));
        assert!(
            (150..250).contains(&small.len()) && (700..900).contains(&large.len()),
            "{} {}",
            small.len(),
            large.len()
        );
    }
}
