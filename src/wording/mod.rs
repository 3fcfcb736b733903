//! Sentences that people read: agents, operators and customers. The only module that knows one.
//!
//! Decisions, offers and assessments are codes with parameters. They are put into words here, in English, when they are
//! read, so that wording and language change without the rules or the records. A reader who may not see why offers are
//! paused gets sentences that name no reason ([`disclosure::Disclosure`]). Sentences can be read aloud: figures and times
//! are rounded as people say them, and the exact values are in fields of their own. Titles are never changed.

pub(crate) mod disclosure;
pub(crate) mod messages;
mod phrases;
pub(crate) mod reasons;
pub(crate) mod rejections;
pub(crate) mod relationships;
#[cfg(test)]
mod samples;
pub(crate) mod scripts;
