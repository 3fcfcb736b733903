//! The records of which the export of a customer consists.

use super::cached_ranking::CachedRanking;
use super::customer::Customer;
use super::decision::Decision;
use super::event::Event;

/// One record of everything that is stored of a customer.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportedRecord {
    /// The customer: profile, consents, holds, holdings, relationship state and ledger.
    Customer(Box<Customer>),
    /// The ranking cached for the customer.
    CachedRanking(CachedRanking),
    /// An event of the customer.
    Event(Event),
    /// A decision about the customer.
    Decision(Box<Decision>),
}
