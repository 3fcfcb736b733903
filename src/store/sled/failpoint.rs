//! Points at which a test stops or stalls the store, named `store::...` and driven by the crate `fail`.
//!
//! They exist in debug builds only. A cargo feature would do the same, but would also compile the library once for the
//! server and once more for its tests.

/// Runs the action that a test has configured under this name, if any.
macro_rules! failpoint {
    ($name:literal, $action:expr) => {
        #[cfg(debug_assertions)]
        fail::fail_point!($name, $action);
    };
}
pub(super) use failpoint;
