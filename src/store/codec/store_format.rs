//! Format number of a whole store.

/// Format number of a data directory and of a backup, raised by every change of a format that was not shipped.
///
/// 1 had several nested versions of customers, decisions and models; 2 did not distinguish roll-backs from other activations of
/// a policy, and stored sentences with decisions.
pub const STORE_FORMAT: u32 = 3;
