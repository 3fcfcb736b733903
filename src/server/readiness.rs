//! When a service is not ready although the server runs: the rules, pure. `health` tells them, `serve` looks.
//!
//! A condition must hold for some looks in a row before it counts, and be gone for more of them before it does not: a service
//! that comes and goes moves all its callers each time. Start, stop and a failed store need no looks and are not here.
//!
//! Deliberately no condition: load. Who sheds is asked less by the answer itself; and where there is one server, withdrawing it
//! sends nobody anywhere else.

/// A condition must hold for this many looks, a second apart: longer than a pause of a machine that is moved.
const WITHDRAWN_AFTER: u32 = 5;
/// And be gone for this many.
const BACK_AFTER: u32 = 10;

/// What can be wrong while the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Wall and monotonic clock disagree: caps, holds and fading would be wrong.
    ClockUntrusted,
    /// What is written does not reach the disk within a second: whoever waits for it waits in vain.
    DiskStalled,
}

impl Condition {
    /// Every condition.
    pub const ALL: [Self; 2] = [Self::ClockUntrusted, Self::DiskStalled];

    /// Whether a service cannot do what it is for. The empty name stands for the server as a whole.
    pub fn stops(self, service: &str) -> bool {
        match self {
            // Products have no time.
            Self::ClockUntrusted => service != "tactful.v1.CatalogService",
            // Those that are there to write. The others still preview, assess and explain; the server as a whole stays, because a
            // pod that is taken out serves not even these.
            Self::DiskStalled => matches!(service, "tactful.v1.FeedbackService" | "tactful.v1.CatalogService"),
        }
    }
}

/// One condition over several looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Looked {
    is_in_force: bool,
    /// Looks in a row that contradict `is_in_force`.
    contradicting: u32,
}

impl Looked {
    fn look(&mut self, holds: bool) {
        self.contradicting = if holds == self.is_in_force { 0 } else { self.contradicting + 1 };
        let needed = if self.is_in_force { BACK_AFTER } else { WITHDRAWN_AFTER };
        if self.contradicting >= needed {
            *self = Self { is_in_force: holds, contradicting: 0 };
        }
    }
}

/// All conditions over several looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readiness([Looked; Condition::ALL.len()]);

impl Readiness {
    /// Takes what one look saw; returns the conditions that began to count, or ended, with it.
    pub fn look(&mut self, holds: impl Fn(Condition) -> bool) -> Vec<Condition> {
        let before = *self;
        for condition in Condition::ALL {
            self.0[condition as usize].look(holds(condition));
        }
        let changed = |condition: &Condition| self.is_in_force(*condition) != before.is_in_force(*condition);
        Condition::ALL.into_iter().filter(changed).collect()
    }

    /// Whether a condition counts.
    pub fn is_in_force(&self, condition: Condition) -> bool {
        self.0[condition as usize].is_in_force
    }

    /// Whether a service is ready.
    pub fn is_ready(&self, service: &str) -> bool {
        !Condition::ALL.into_iter().any(|condition| self.is_in_force(condition) && condition.stops(service))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grpc::services::SERVICE_NAMES;

    fn seen(readiness: &mut Readiness, looks: u32, held: &[Condition]) {
        for _ in 0..looks {
            readiness.look(|condition| held.contains(&condition));
        }
    }

    /// Broken by: a look in between that is forgotten.
    #[test]
    fn a_condition_counts_after_five_looks_and_ends_after_ten() {
        let clock = [Condition::ClockUntrusted];
        let mut readiness = Readiness::default();
        seen(&mut readiness, WITHDRAWN_AFTER - 1, &clock);
        seen(&mut readiness, 1, &[]);
        seen(&mut readiness, WITHDRAWN_AFTER - 1, &clock);
        assert!(readiness.is_ready(""));
        assert_eq!(readiness.look(|condition| clock.contains(&condition)), clock);
        assert!(!readiness.is_ready(""));
        seen(&mut readiness, BACK_AFTER - 1, &[]);
        assert!(!readiness.is_ready(""));
        seen(&mut readiness, 1, &clock);
        seen(&mut readiness, BACK_AFTER - 1, &[]);
        assert!(!readiness.is_ready(""));
        assert_eq!(readiness.look(|_| false), clock);
        assert!(readiness.is_ready(""));
    }

    #[test]
    fn each_condition_stops_those_who_cannot_work_under_it() {
        let services = || SERVICE_NAMES.into_iter().chain([""]);
        let stopped = |condition: Condition| services().filter(move |service| condition.stops(service));
        assert!(!stopped(Condition::ClockUntrusted).any(|service| service == "tactful.v1.CatalogService"));
        assert_eq!(stopped(Condition::ClockUntrusted).count(), SERVICE_NAMES.len());
        let writers = ["tactful.v1.FeedbackService", "tactful.v1.CatalogService"];
        assert_eq!(stopped(Condition::DiskStalled).collect::<Vec<_>>(), writers);
    }

    proptest! {
        /// Whatever is seen, a change follows as many looks of its kind as it needs, and never fewer.
        /// Broken by: a count that goes on over a contradiction.
        #[test]
        fn no_change_without_its_looks(looks in prop::collection::vec(any::<bool>(), 0..200)) {
            let mut readiness = Readiness::default();
            for end in 1..=looks.len() {
                let holds = looks[end - 1];
                let was = readiness.is_in_force(Condition::DiskStalled);
                let changed = readiness.look(|condition| condition == Condition::DiskStalled && holds);
                let needed = if was { BACK_AFTER } else { WITHDRAWN_AFTER } as usize;
                let alike = looks[..end].iter().rev().take_while(|&&look| look == holds).count();
                prop_assert_eq!(!changed.is_empty(), holds != was && alike >= needed);
                prop_assert_eq!(readiness.is_in_force(Condition::DiskStalled), was == changed.is_empty());
            }
        }
    }
}
