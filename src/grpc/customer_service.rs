//! `CustomerService`: profiles and consents, merges of ids, and the rights of access and erasure.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::batches::{BATCH_LEN_MAX, BatchEntries, check_batch_len};
use super::convert::customer_export::export_record_to_wire;
use super::convert::customers::{customer_to_wire, profile_from_wire};
use super::convert::nouns::time_to_wire;
use super::convert::violations::Violations;
use super::customer_ids::audited_customer_id;
use super::generated::tactful::v1 as wire;
use super::generated::tactful::v1::customer_service_server::CustomerService;
use super::status;
use crate::domain::ids::CustomerId;
use crate::telemetry::call_context;
use crate::use_cases::app::App;
use crate::use_cases::customers::{get_customer, upsert_customers};
use crate::use_cases::erase_customer::{ErasedCustomer, erase_customer};
use crate::use_cases::export_customer::CustomerExport;
use crate::use_cases::merge_customers::{MergeResult, merge_customers, unmerge_customers};

pub(crate) struct CustomerRpc {
    app: Arc<App>,
}

impl CustomerRpc {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl CustomerService for CustomerRpc {
    async fn batch_upsert_customers(
        &self,
        request: Request<wire::BatchUpsertCustomersRequest>,
    ) -> Result<Response<wire::BatchUpsertCustomersResponse>, Status> {
        let wire::BatchUpsertCustomersRequest { customers } = request.into_inner();
        check_batch_len("customers", customers.len(), BATCH_LEN_MAX)?;
        let now = self.app.now();
        let entries = BatchEntries::read("customers", customers, |path, message| profile_from_wire(path, message, now));
        let recorded = upsert_customers(&self.app, &entries.valid).await.map_err(status::store)?;
        Ok(Response::new(wire::BatchUpsertCustomersResponse { results: entries.results(recorded) }))
    }

    async fn get_customer(
        &self,
        request: Request<wire::GetCustomerRequest>,
    ) -> Result<Response<wire::GetCustomerResponse>, Status> {
        let id = audited_customer_id(request.into_inner().customer_id)?;
        let customer = get_customer(&self.app, &id).await.map_err(status::store)?;
        Ok(Response::new(customer_to_wire(customer.ok_or_else(customer_not_found)?)))
    }

    type ExportCustomerStream = Pin<Box<dyn Stream<Item = Result<wire::ExportCustomerResponse, Status>> + Send>>;

    async fn export_customer(
        &self,
        request: Request<wire::ExportCustomerRequest>,
    ) -> Result<Response<Self::ExportCustomerStream>, Status> {
        let id = audited_customer_id(request.into_inner().customer_id)?;
        let mut export = CustomerExport::start(&self.app, &id).await.map_err(status::store)?;
        // The first page is loaded before the response starts, so that NOT_FOUND can still be its status.
        let mut page = export.next_page(&self.app).await.map_err(status::store)?;
        if page.is_none() {
            return Err(customer_not_found());
        }
        let (pages, stream) = mpsc::channel(1);
        let app = Arc::clone(&self.app);
        tokio::spawn(async move {
            while let Some(records) = page.take() {
                let records = records.into_iter().map(export_record_to_wire).collect();
                // The client has disconnected.
                if pages.send(Ok(wire::ExportCustomerResponse { records })).await.is_err() {
                    return;
                }
                match export.next_page(&app).await {
                    Ok(next) => page = next,
                    Err(error) => drop(pages.send(Err(status::store(error))).await),
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn erase_customer(
        &self,
        request: Request<wire::EraseCustomerRequest>,
    ) -> Result<Response<wire::EraseCustomerResponse>, Status> {
        let id = audited_customer_id(request.into_inner().customer_id)?;
        let ErasedCustomer { erased, erasure } = erase_customer(&self.app, &id).await.map_err(status::change)?;
        Ok(Response::new(wire::EraseCustomerResponse {
            was_stored: erased.was_stored,
            events: erased.events,
            decisions: erased.decisions,
            erase_time: Some(time_to_wire(erasure.at)),
            was_opted_out: erasure.was_opted_out,
        }))
    }

    async fn merge_customers(
        &self,
        request: Request<wire::MergeCustomersRequest>,
    ) -> Result<Response<wire::MergeCustomersResponse>, Status> {
        let wire::MergeCustomersRequest { from_customer_id, into_customer_id } = request.into_inner();
        let (from, into) = two_customer_ids(from_customer_id, into_customer_id)?;
        let merged = merge_customers(&self.app, &from, &into).await.map_err(status::merge)?;
        let MergeResult { customer, members, is_duplicate } = merged;
        Ok(Response::new(wire::MergeCustomersResponse {
            customer_id: customer.to_string(),
            merged_customer_ids: members.iter().map(ToString::to_string).collect(),
            duplicate: is_duplicate,
        }))
    }

    async fn unmerge_customers(
        &self,
        request: Request<wire::UnmergeCustomersRequest>,
    ) -> Result<Response<wire::UnmergeCustomersResponse>, Status> {
        let wire::UnmergeCustomersRequest { from_customer_id, into_customer_id } = request.into_inner();
        let (from, into) = two_customer_ids(from_customer_id, into_customer_id)?;
        let split = unmerge_customers(&self.app, &from, &into).await.map_err(status::merge)?;
        let MergeResult { customer, members, is_duplicate } = split;
        Ok(Response::new(wire::UnmergeCustomersResponse {
            customer_id: customer.to_string(),
            merged_customer_ids: members.iter().map(ToString::to_string).collect(),
            duplicate: is_duplicate,
        }))
    }
}

/// Reads both ids of a merge, and reports the faults of both.
#[allow(clippy::result_large_err, reason = "every method answers with a Status")]
fn two_customer_ids(from: String, into: String) -> Result<(CustomerId, CustomerId), Status> {
    let mut violations = Violations::default();
    let mut id =
        |field: &str, text: String| CustomerId::new(text).map_err(|invalid| violations.add(field, invalid)).ok();
    let ids = (id("from_customer_id", from), id("into_customer_id", into));
    match ids {
        (Some(from), Some(into)) if from == into => {
            Err(status::invalid_field("into_customer_id", "must be another id than from_customer_id"))
        }
        (Some(from), Some(into)) => {
            // The audit log names the customer that stays.
            call_context::set_customer(into.as_str());
            Ok((from, into))
        }
        (_, _) => Err(status::invalid(&violations)),
    }
}

fn customer_not_found() -> Status {
    status::not_found("CUSTOMER_NOT_FOUND", "no data is stored about this customer")
}
