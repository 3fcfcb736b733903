//! Exports everything that is stored of a customer, under all of its ids.

use std::collections::VecDeque;

use super::app::App;
use super::load_customer::load_by_any_id;
use crate::domain::customer_export::ExportedRecord;
use crate::domain::ids::CustomerId;
use crate::store::contract::customer_export::{CustomerExportPage, CustomerExportPosition};
use crate::store::contract::error::StoreError;

/// Maximum number of records of a page.
const EXPORT_PAGE_LEN: usize = 64;

/// Cursor over the export of a customer, which is read page by page.
///
/// Deliberately not a snapshot: a customer may have years of history, and events recorded during the export may or may not be
/// in it.
pub struct CustomerExport {
    customer: CustomerId,
    next: Option<CustomerExportPosition>,
    /// Other ids of the customer, whose records follow.
    members: VecDeque<CustomerId>,
}

impl CustomerExport {
    /// Creates a cursor at the first record of the customer of whom this id is a name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start(app: &App, customer: &CustomerId) -> Result<Self, StoreError> {
        let (customer, loaded) = load_by_any_id(app.store.as_ref(), customer).await?;
        let members = loaded.stored().map(|stored| stored.value.merge.members).unwrap_or_default();
        Ok(Self { customer, next: Some(CustomerExportPosition::Customer), members: members.into_iter().collect() })
    }

    /// Reads the next page, which is never empty; `None` after the last.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next_page(&mut self, app: &App) -> Result<Option<Vec<ExportedRecord>>, StoreError> {
        while let Some(position) = self.next.take() {
            let page = app.store.load_customer_export(&self.customer, position, EXPORT_PAGE_LEN).await?;
            let CustomerExportPage { records, next } = page;
            self.next = next;
            if self.next.is_none()
                && let Some(member) = self.members.pop_front()
            {
                self.customer = member;
                self.next = Some(CustomerExportPosition::Customer);
            }
            if !records.is_empty() {
                return Ok(Some(records));
            }
        }
        Ok(None)
    }
}
