//! `PolicyService`: versions of the policy.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::convert::policies::{listed_version_to_wire, policy_from_wire, policy_version_to_wire};
use super::convert::policy_changes::{simulation_from_wire, simulation_to_wire};
use super::convert::warnings::warnings_to_wire;
use super::generated::tactful::v1 as wire;
use super::generated::tactful::v1::policy_service_server::PolicyService;
use super::status;
use crate::use_cases::app::App;
use crate::use_cases::lint::{lint_new_policy, lint_policy};
use crate::use_cases::policies::{
    PolicyActivation, PolicyVersion, activate_policy, active_policy, create_policy, get_policy, list_policies,
    roll_back_policy,
};
use crate::use_cases::simulate_policy::simulate_policy;

const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 200;

pub(crate) struct PolicyRpc {
    app: Arc<App>,
}

impl PolicyRpc {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// Warnings about the policy in force.
    async fn warnings(&self) -> Result<Vec<wire::Warning>, Status> {
        let findings = lint_policy(&self.app, &self.app.policy_in_force()).await.map_err(status::store)?;
        Ok(warnings_to_wire(findings))
    }
}

#[tonic::async_trait]
impl PolicyService for PolicyRpc {
    async fn create_policy(
        &self,
        request: Request<wire::CreatePolicyRequest>,
    ) -> Result<Response<wire::CreatePolicyResponse>, Status> {
        let wire::CreatePolicyRequest { source, validate_only } = request.into_inner();
        let (policy, text) = policy_from_wire(source).map_err(|violations| status::invalid(&violations))?;
        let warnings = lint_new_policy(&self.app, &policy).await.map_err(status::store)?;
        let version = if validate_only {
            PolicyVersion { policy, text, created_at: None, active_since: None }
        } else {
            create_policy(&self.app, policy, text).await.map_err(status::policy)?
        };
        let policy_version = Some(policy_version_to_wire(version));
        Ok(Response::new(wire::CreatePolicyResponse { policy_version, warnings: warnings_to_wire(warnings) }))
    }

    async fn simulate_policy(
        &self,
        request: Request<wire::SimulatePolicyRequest>,
    ) -> Result<Response<wire::SimulatePolicyResponse>, Status> {
        let (candidate, since) =
            simulation_from_wire(request.into_inner()).map_err(|violations| status::invalid(&violations))?;
        let simulation = simulate_policy(&self.app, candidate, since).await.map_err(status::simulate_policy)?;
        Ok(Response::new(simulation_to_wire(simulation)))
    }

    async fn get_policy(
        &self,
        request: Request<wire::GetPolicyRequest>,
    ) -> Result<Response<wire::GetPolicyResponse>, Status> {
        let wire::GetPolicyRequest { version } = request.into_inner();
        let found = match version.as_str() {
            "" => active_policy(&self.app).await,
            version => get_policy(&self.app, version).await,
        };
        let version = policy_version_to_wire(found.map_err(status::policy)?);
        Ok(Response::new(wire::GetPolicyResponse { policy_version: Some(version) }))
    }

    async fn list_policies(
        &self,
        request: Request<wire::ListPoliciesRequest>,
    ) -> Result<Response<wire::ListPoliciesResponse>, Status> {
        let wire::ListPoliciesRequest { page_size, page_token } = request.into_inner();
        let page_size_max = match usize::try_from(page_size) {
            Ok(0) => PAGE_DEFAULT,
            Ok(size) => size.min(PAGE_MAX),
            Err(_) => return Err(status::invalid_field("page_size", "must not be negative")),
        };
        let all = list_policies(&self.app).await.map_err(status::policy)?;
        // New versions are inserted at the front only, so the last one listed marks the start of the next page.
        let start = if page_token.is_empty() {
            0
        } else {
            let last = all.iter().position(|version| version.policy.version == page_token);
            last.ok_or_else(|| {
                status::invalid_field("page_token", "must be the next_page_token of an earlier response")
            })? + 1
        };
        let page: Vec<PolicyVersion> = all.iter().skip(start).take(page_size_max).cloned().collect();
        let is_last = start + page.len() >= all.len();
        let next_page_token =
            page.last().filter(|_| !is_last).map(|version| version.policy.version.clone()).unwrap_or_default();
        let policy_versions = page.into_iter().map(listed_version_to_wire).collect();
        Ok(Response::new(wire::ListPoliciesResponse { policy_versions, next_page_token }))
    }

    async fn activate_policy(
        &self,
        request: Request<wire::ActivatePolicyRequest>,
    ) -> Result<Response<wire::ActivatePolicyResponse>, Status> {
        let wire::ActivatePolicyRequest { version } = request.into_inner();
        if version.is_empty() {
            return Err(status::invalid_field("version", "must not be empty"));
        }
        let PolicyActivation { version, previous, is_drained } =
            activate_policy(&self.app, &version).await.map_err(status::policy)?;
        let warnings = self.warnings().await?;
        let drained = is_drained;
        Ok(Response::new(wire::ActivatePolicyResponse { version, previous_version: previous, drained, warnings }))
    }

    async fn roll_back_policy(
        &self,
        request: Request<wire::RollBackPolicyRequest>,
    ) -> Result<Response<wire::RollBackPolicyResponse>, Status> {
        let wire::RollBackPolicyRequest { version } = request.into_inner();
        if version.is_empty() {
            return Err(status::invalid_field("version", "must be the version to leave"));
        }
        let PolicyActivation { version, previous, is_drained } =
            roll_back_policy(&self.app, &version).await.map_err(status::policy)?;
        Ok(Response::new(wire::RollBackPolicyResponse { version, previous_version: previous, drained: is_drained }))
    }
}
