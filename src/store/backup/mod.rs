//! A store as a stream of bytes: what a backup is made of, how it is written, and how it is read and checked.
//!
//! A backup is whole or it is refused. It says nothing about how a backend keeps its records, so a backup of one backend can
//! be restored into another. It is not compressed and not encrypted: whoever keeps it does both better.

pub mod reader;
pub mod record;
pub mod writer;
