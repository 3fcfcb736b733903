//! `CustomerService`: profiles and consents, and the rights of access and erasure.

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
use super::customer_ids::audited_customer_id;
use super::generated::tactful::v1 as wire;
use super::generated::tactful::v1::customer_service_server::CustomerService;
use super::status;
use crate::use_cases::app::App;
use crate::use_cases::customers::{get_customer, upsert_customers};
use crate::use_cases::erase_customer::{ErasedCustomer, erase_customer};
use crate::use_cases::export_customer::CustomerExport;

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
}

fn customer_not_found() -> Status {
    status::not_found("CUSTOMER_NOT_FOUND", "no data is stored about this customer")
}
