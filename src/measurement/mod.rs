//! What offers did to customers, as figures with intervals. Pure: facts come in, a report comes out.
//!
//! Nothing is decided here, and no model is judged: that is `evaluation`'s, on files.

pub mod backfire;
pub mod interval;
