//! `RelationshipService`: relationship health, holds and the backfire report.

use std::collections::HashSet;
use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::access::disclosure;
use super::batches::check_batch_len;
use super::convert::backfire::{backfire_to_wire, follow_up_from_wire};
use super::convert::relationships::{hold_from_wire, hold_to_wire, hypothesis_from_wire, relationship_to_wire};
use super::convert::violations::Violations;
use super::customer_ids::{audited_customer_id, customer_id};
use super::generated::google::rpc;
use super::generated::tactful::v1 as wire;
use super::generated::tactful::v1::relationship_service_server::RelationshipService;
use super::status;
use crate::domain::customer::ActiveHold;
use crate::domain::ids::{CustomerId, HoldId};
use crate::telemetry::call_context;
use crate::use_cases::app::App;
use crate::use_cases::get_backfire_report::get_backfire_report;
use crate::use_cases::get_relationship_health::{get_relationship_health, simulate_relationship_health};
use crate::use_cases::holds::{create_hold, delete_hold, list_holds};

/// Maximum number of customers of a batch.
const BATCH_LEN_MAX: usize = 100;

pub(crate) struct RelationshipRpc {
    app: Arc<App>,
}

impl RelationshipRpc {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl RelationshipService for RelationshipRpc {
    async fn get_relationship_health(
        &self,
        request: Request<wire::GetRelationshipHealthRequest>,
    ) -> Result<Response<wire::GetRelationshipHealthResponse>, Status> {
        let disclosure = disclosure(&request);
        let customer = customer_id(request.into_inner().customer_id)?;
        let view = get_relationship_health(&self.app, &customer).await.map_err(status::store)?;
        Ok(Response::new(relationship_to_wire(view, disclosure)))
    }

    async fn batch_get_relationship_health(
        &self,
        request: Request<wire::BatchGetRelationshipHealthRequest>,
    ) -> Result<Response<wire::BatchGetRelationshipHealthResponse>, Status> {
        let disclosure = disclosure(&request);
        let ids = request.into_inner().customer_ids;
        check_batch_len("customer_ids", ids.len(), BATCH_LEN_MAX)?;
        reject_repeated("customer_ids", &ids)?;
        let mut entries = Vec::with_capacity(ids.len());
        for (index, id) in ids.into_iter().enumerate() {
            let health = match CustomerId::new(id) {
                Ok(customer) => get_relationship_health(&self.app, &customer).await.map_err(status::store),
                Err(invalid) => Err(status::invalid_field(&format!("customer_ids[{index}]"), invalid)),
            };
            entries.push(match health {
                Ok(view) => wire::RelationshipHealthEntry {
                    status: Some(rpc::Status::default()),
                    answer: Some(relationship_to_wire(view, disclosure)),
                },
                Err(status) => {
                    wire::RelationshipHealthEntry { status: Some(status::to_rpc_status(&status)), answer: None }
                }
            });
        }
        Ok(Response::new(wire::BatchGetRelationshipHealthResponse { entries }))
    }

    async fn simulate_relationship_health(
        &self,
        request: Request<wire::SimulateRelationshipHealthRequest>,
    ) -> Result<Response<wire::SimulateRelationshipHealthResponse>, Status> {
        let disclosure = disclosure(&request);
        let (customer, hypothesis) = hypothesis_from_wire(request.into_inner(), self.app.now())
            .map_err(|violations| status::invalid(&violations))?;
        let simulated = simulate_relationship_health(&self.app, &customer, hypothesis).await;
        let [before, after] = simulated.map_err(status::store)?.map(|view| relationship_to_wire(view, disclosure));
        Ok(Response::new(wire::SimulateRelationshipHealthResponse { before: Some(before), after: Some(after) }))
    }

    async fn get_backfire_report(
        &self,
        request: Request<wire::GetBackfireReportRequest>,
    ) -> Result<Response<wire::GetBackfireReportResponse>, Status> {
        let follow_up = follow_up_from_wire(request.into_inner()).map_err(|violations| status::invalid(&violations))?;
        let backfire = get_backfire_report(&self.app, follow_up).await.map_err(status::backfire)?;
        Ok(Response::new(backfire_to_wire(backfire)))
    }

    async fn create_hold(
        &self,
        request: Request<wire::CreateHoldRequest>,
    ) -> Result<Response<wire::CreateHoldResponse>, Status> {
        let (customer, hold) =
            hold_from_wire(request.into_inner(), self.app.now()).map_err(|violations| status::invalid(&violations))?;
        call_context::set_customer(customer.as_str());
        let hold = create_hold(&self.app, &customer, hold).await.map_err(status::hold)?;
        let hold = hold_to_wire(ActiveHold { hold, is_derived: false, resolved_at: None }, self.app.now());
        Ok(Response::new(wire::CreateHoldResponse { hold: Some(hold) }))
    }

    async fn list_holds(
        &self,
        request: Request<wire::ListHoldsRequest>,
    ) -> Result<Response<wire::ListHoldsResponse>, Status> {
        let customer = audited_customer_id(request.into_inner().customer_id)?;
        let holds = list_holds(&self.app, &customer).await.map_err(status::hold)?;
        let now = self.app.now();
        let holds = holds.into_iter().map(|hold| hold_to_wire(hold, now)).collect();
        Ok(Response::new(wire::ListHoldsResponse { holds }))
    }

    async fn delete_hold(
        &self,
        request: Request<wire::DeleteHoldRequest>,
    ) -> Result<Response<wire::DeleteHoldResponse>, Status> {
        let wire::DeleteHoldRequest { customer_id, hold_id } = request.into_inner();
        let mut violations = Violations::default();
        let customer = violations.id("customer_id", customer_id, CustomerId::new);
        let hold = violations.id("hold_id", hold_id, HoldId::new);
        let (customer, hold) = violations.or(customer.zip(hold)).map_err(|violations| status::invalid(&violations))?;
        call_context::set_customer(customer.as_str());
        delete_hold(&self.app, &customer, &hold).await.map_err(status::hold)?;
        Ok(Response::new(wire::DeleteHoldResponse {}))
    }
}

/// Rejects a batch that names a customer twice, which is a mistake of the client.
#[allow(clippy::result_large_err, reason = "every method answers with a Status")]
fn reject_repeated(field: &str, ids: &[String]) -> Result<(), Status> {
    let mut seen = HashSet::new();
    let mut violations = Violations::default();
    for (index, id) in ids.iter().enumerate() {
        if !seen.insert(id) {
            violations.add(format!("{field}[{index}]"), "is repeated in this batch");
        }
    }
    violations.check().map_err(|violations| status::invalid(&violations))
}
