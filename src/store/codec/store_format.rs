//! Format number of a whole store.

/// Format number of a data directory and of a backup, raised by every change of a format that was not shipped.
///
/// 1 had several nested versions of customers, decisions and models; 2 had other shapes of most records, and stored sentences;
/// 3 had customers that could not be merged.
pub const STORE_FORMAT: u32 = 4;
