//! Rules that every source file keeps, checked on the text of `src/`, `proto/` and `docs/`.
//!
//! The checks read tokens and lines; they do not compile anything. Each rule has tests of its own that show it failing.

mod circles;
mod documents;
mod layers;
mod reader;
mod sources;
mod vocabulary;
