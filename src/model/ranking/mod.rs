//! How complements are ordered: signals of every candidate, and a ranker that weighs them.
//!
//! What is known of products (`tables`) is asked about what a customer has (`asked`); the answer is a row of signals for
//! each candidate (`lanes`, `likeness`, `signals`). A ranker (`ranker`) picks the strongest candidates by a blend of few
//! signals and orders these by a forest of decision trees (`forest`) that was trained on what customers did next in
//! earlier windows of the same history (`lessons`). Which blend, which regularisers and whether the forest is used at
//! all is chosen on the last window (`tuning`), which also tells what probability a strength is of (`curves`). Steps up (`steps`) are weighed by the same signals and by what is known of
//! the two products, and learned in the same way (`step_lessons`).

pub mod asked;
mod curves;
pub mod forest;
pub mod lanes;
pub mod lessons;
pub mod likeness;
pub mod pasts;
pub mod ranker;
pub mod shelves;
pub mod signals;
pub mod step_lessons;
pub mod steps;
pub mod tables;
pub mod taught;
pub mod tuning;
