//! Backups: a whole store as a stream of bytes, written and verified block by block.
//!
//! An incomplete backup is rejected. It does not depend on how a backend lays out its records, so a backup of one backend
//! can be restored into another. It is neither compressed nor encrypted: the tool that stores it does both better.

pub mod reader;
pub mod record;
pub mod writer;
