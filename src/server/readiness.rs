//! Readiness of services while the server runs, with hysteresis: pure rules. `health` reports the result, `serve` performs the
//! checks.
//!
//! A condition must hold for several checks in a row before it applies, and be absent for more of them before it ends: each time
//! a service flaps, all its clients move. Start, stop and a failed store take effect at once and are not here.
//!
//! Load is deliberately not a condition: `RESOURCE_EXHAUSTED` already tells clients to back off, and where there is one server,
//! there is no other one to send them to.

/// Checks in a row, a second apart, that a condition must hold to apply: longer than the pause of a live migration.
const CHECKS_TO_APPLY: u32 = 5;
/// Checks in a row that a condition must be absent to end.
const CHECKS_TO_END: u32 = 10;

/// Condition in which some services cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadinessCondition {
    /// Wall and monotonic clock diverge: caps, holds and decay would be wrong.
    ClockUntrusted,
    /// Writes do not reach the disk within a second: calls that wait for them time out.
    DiskStalled,
    /// The database of the store does not answer.
    DatabaseLost,
    /// The database answers, but no standby confirms commits.
    CommitsStalled,
    /// The changes that other replicas published cannot be loaded.
    SnapshotStale,
}

impl ReadinessCondition {
    pub(super) const ALL: [Self; 5] =
        [Self::ClockUntrusted, Self::DiskStalled, Self::DatabaseLost, Self::CommitsStalled, Self::SnapshotStale];

    /// Name in the log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::ClockUntrusted => "clock_untrusted",
            Self::DiskStalled => "disk_stalled",
            Self::DatabaseLost => "database_lost",
            Self::CommitsStalled => "commits_stalled",
            Self::SnapshotStale => "snapshot_stale",
        }
    }

    /// Whether a service cannot work under this condition. The empty name stands for the server as a whole.
    pub(super) fn stops(self, service: &str) -> bool {
        match self {
            // Another replica may still reach the database, or load what this one cannot.
            Self::DatabaseLost | Self::SnapshotStale => true,
            // The catalogue does not depend on time.
            Self::ClockUntrusted => service != "tactful.v1.CatalogService",
            // Services that only write. The others can still preview, assess and explain; the server as a whole stays ready,
            // because a pod that is not ready could not do even that.
            Self::DiskStalled | Self::CommitsStalled => {
                matches!(service, "tactful.v1.FeedbackService" | "tactful.v1.CatalogService")
            }
        }
    }
}

/// Hysteresis of one condition over several checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct ConditionHysteresis {
    applies: bool,
    /// Checks in a row that contradict `applies`.
    contradicting: u32,
}

impl ConditionHysteresis {
    fn record(&mut self, holds: bool) {
        self.contradicting = if holds == self.applies { 0 } else { self.contradicting + 1 };
        let needed = if self.applies { CHECKS_TO_END } else { CHECKS_TO_APPLY };
        if self.contradicting >= needed {
            *self = Self { applies: holds, contradicting: 0 };
        }
    }
}

/// Readiness of all services, from all conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Readiness([ConditionHysteresis; ReadinessCondition::ALL.len()]);

impl Readiness {
    /// Records one check of all conditions, and returns those that start to apply, or end, with it.
    pub(super) fn record(&mut self, holds: impl Fn(ReadinessCondition) -> bool) -> Vec<ReadinessCondition> {
        let before = *self;
        for condition in ReadinessCondition::ALL {
            self.0[condition as usize].record(holds(condition));
        }
        let changed = |condition: &ReadinessCondition| self.applies(*condition) != before.applies(*condition);
        ReadinessCondition::ALL.into_iter().filter(changed).collect()
    }

    /// Whether a condition applies.
    pub(super) fn applies(&self, condition: ReadinessCondition) -> bool {
        self.0[condition as usize].applies
    }

    /// Whether a service is ready.
    pub(super) fn is_ready(&self, service: &str) -> bool {
        !ReadinessCondition::ALL.into_iter().any(|condition| self.applies(condition) && condition.stops(service))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grpc::services::SERVICE_NAMES;

    fn record(readiness: &mut Readiness, checks: u32, holding: &[ReadinessCondition]) {
        for _ in 0..checks {
            readiness.record(|condition| holding.contains(&condition));
        }
    }

    /// Broken by: a contradicting check that does not reset the count.
    #[test]
    fn a_condition_applies_after_five_checks_and_ends_after_ten() {
        let clock = [ReadinessCondition::ClockUntrusted];
        let mut readiness = Readiness::default();
        record(&mut readiness, CHECKS_TO_APPLY - 1, &clock);
        record(&mut readiness, 1, &[]);
        record(&mut readiness, CHECKS_TO_APPLY - 1, &clock);
        assert!(readiness.is_ready(""));
        assert_eq!(readiness.record(|condition| clock.contains(&condition)), clock);
        assert!(!readiness.is_ready(""));
        record(&mut readiness, CHECKS_TO_END - 1, &[]);
        assert!(!readiness.is_ready(""));
        record(&mut readiness, 1, &clock);
        record(&mut readiness, CHECKS_TO_END - 1, &[]);
        assert!(!readiness.is_ready(""));
        assert_eq!(readiness.record(|_| false), clock);
        assert!(readiness.is_ready(""));
    }

    #[test]
    fn each_condition_stops_the_services_that_cannot_work_under_it() {
        let services = || SERVICE_NAMES.into_iter().chain([""]);
        let stopped = |condition: ReadinessCondition| services().filter(move |service| condition.stops(service));
        assert!(!stopped(ReadinessCondition::ClockUntrusted).any(|service| service == "tactful.v1.CatalogService"));
        assert_eq!(stopped(ReadinessCondition::ClockUntrusted).count(), SERVICE_NAMES.len());
        let writers = ["tactful.v1.FeedbackService", "tactful.v1.CatalogService"];
        assert_eq!(stopped(ReadinessCondition::DiskStalled).collect::<Vec<_>>(), writers);
    }

    proptest! {
        /// A change needs its number of equal checks in a row, for any sequence of checks.
        /// Broken by: a count that continues after a contradicting check.
        #[test]
        fn no_change_without_enough_equal_checks(checks in prop::collection::vec(any::<bool>(), 0..200)) {
            let mut readiness = Readiness::default();
            for end in 1..=checks.len() {
                let holds = checks[end - 1];
                let was = readiness.applies(ReadinessCondition::DiskStalled);
                let changed = readiness.record(|condition| condition == ReadinessCondition::DiskStalled && holds);
                let needed = if was { CHECKS_TO_END } else { CHECKS_TO_APPLY } as usize;
                let equal = checks[..end].iter().rev().take_while(|&&check| check == holds).count();
                prop_assert_eq!(!changed.is_empty(), holds != was && equal >= needed);
                prop_assert_eq!(readiness.applies(ReadinessCondition::DiskStalled), was == changed.is_empty());
            }
        }
    }
}
