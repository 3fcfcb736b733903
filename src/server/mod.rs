//! The composition root: opens, wires, serves, drains, flushes. It alone names the stores; it holds no rule.

pub mod accept;
pub mod background;
pub mod clock;
pub mod health;
pub mod limits;
pub mod readiness;
pub mod restore;
pub mod security;
pub mod serve;
pub mod tls;
