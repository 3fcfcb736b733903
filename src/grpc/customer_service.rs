//! `CustomerService`: profiles and consents.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::convert::customers::{customer_to_wire, profile_from_wire};
use super::feedback_service::{BATCH_MAX, Entries, check_batch};
use super::generated::tactful::v1 as wire;
use super::generated::tactful::v1::customer_service_server::CustomerService;
use super::relationship_service::customer_id;
use super::status;
use crate::use_cases::keep_customers::{get_customer, upsert_customers};
use crate::use_cases::tactful::Tactful;

/// Serves `CustomerService`.
pub struct CustomerRpc {
    tactful: Arc<Tactful>,
}

impl CustomerRpc {
    /// A service of this system.
    #[must_use]
    pub fn new(tactful: Arc<Tactful>) -> Self {
        Self { tactful }
    }
}

#[tonic::async_trait]
impl CustomerService for CustomerRpc {
    async fn batch_upsert_customers(
        &self,
        request: Request<wire::BatchUpsertCustomersRequest>,
    ) -> Result<Response<wire::BatchUpsertCustomersResponse>, Status> {
        let wire::BatchUpsertCustomersRequest { customers } = request.into_inner();
        check_batch("customers", customers.len(), BATCH_MAX)?;
        let entries = Entries::read("customers", customers, profile_from_wire);
        let recorded = upsert_customers(&self.tactful, &entries.good).await.map_err(status::store)?;
        Ok(Response::new(wire::BatchUpsertCustomersResponse { results: entries.results(recorded) }))
    }

    async fn get_customer(
        &self,
        request: Request<wire::GetCustomerRequest>,
    ) -> Result<Response<wire::GetCustomerResponse>, Status> {
        let id = customer_id(request.into_inner().customer_id)?;
        let customer = get_customer(&self.tactful, &id).await.map_err(status::store)?;
        let customer =
            customer.ok_or_else(|| status::not_found("CUSTOMER_NOT_FOUND", "nothing is kept of this customer"))?;
        Ok(Response::new(customer_to_wire(customer)))
    }
}
