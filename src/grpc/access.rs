//! Role-based access control: every method needs one role, every client has the roles of its identities, and nothing else is allowed.
//!
//! Without access rules every client may call everything. Health checks are open to all, so that probes need no identity;
//! reflection is open to clients with any role. Calls for operators, privacy and backups are written to the audit log (target
//! `tactful::audit`), allowed or denied, with the customer where the method concerns one.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use arc_swap::ArcSwapOption;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::jwt::{KeySetError, TokenVerifier};
use super::status_code::response_code;
use crate::config::access::{AccessRules, Role};
use crate::telemetry::call_context;

/// Role that each method requires.
pub const ROLES: &[(&str, Role)] = &[
    ("/tactful.v1.OfferService/CrossSell", Role::Offers),
    ("/tactful.v1.OfferService/UpSell", Role::Offers),
    ("/tactful.v1.OfferService/BatchCrossSell", Role::Offers),
    ("/tactful.v1.OfferService/BatchUpSell", Role::Offers),
    ("/tactful.v1.OfferService/ExplainDecision", Role::Offers),
    ("/tactful.v1.OfferService/ReleaseOffers", Role::Offers),
    ("/tactful.v1.FeedbackService/RecordOutcomes", Role::Ingest),
    ("/tactful.v1.FeedbackService/RecordEvents", Role::Ingest),
    ("/tactful.v1.FeedbackService/StreamEvents", Role::Ingest),
    ("/tactful.v1.CatalogService/BatchUpsertProducts", Role::Ingest),
    ("/tactful.v1.CatalogService/StreamProducts", Role::Ingest),
    ("/tactful.v1.CatalogService/GetProduct", Role::Ingest),
    ("/tactful.v1.CatalogService/ListProducts", Role::Ingest),
    ("/tactful.v1.CatalogService/DeleteProduct", Role::Ingest),
    ("/tactful.v1.CatalogService/BatchUpsertOffers", Role::Ingest),
    ("/tactful.v1.CatalogService/GetOffer", Role::Ingest),
    ("/tactful.v1.CatalogService/ListOffers", Role::Ingest),
    ("/tactful.v1.CatalogService/DeleteOffer", Role::Ingest),
    ("/tactful.v1.CustomerService/BatchUpsertCustomers", Role::Ingest),
    ("/tactful.v1.CustomerService/GetCustomer", Role::Privacy),
    ("/tactful.v1.CustomerService/ExportCustomer", Role::Privacy),
    ("/tactful.v1.CustomerService/EraseCustomer", Role::Privacy),
    ("/tactful.v1.RelationshipService/GetRelationshipHealth", Role::Offers),
    ("/tactful.v1.RelationshipService/BatchGetRelationshipHealth", Role::Offers),
    ("/tactful.v1.RelationshipService/SimulateRelationshipHealth", Role::Offers),
    ("/tactful.v1.RelationshipService/GetBackfireReport", Role::Operator),
    ("/tactful.v1.RelationshipService/CreateHold", Role::Operator),
    ("/tactful.v1.RelationshipService/ListHolds", Role::Operator),
    ("/tactful.v1.RelationshipService/DeleteHold", Role::Operator),
    ("/tactful.v1.ModelService/TrainModel", Role::Operator),
    ("/tactful.v1.ModelService/GetModel", Role::Operator),
    ("/tactful.v1.PolicyService/CreatePolicy", Role::Operator),
    ("/tactful.v1.PolicyService/GetPolicy", Role::Operator),
    ("/tactful.v1.PolicyService/ListPolicies", Role::Operator),
    ("/tactful.v1.PolicyService/ActivatePolicy", Role::Operator),
    ("/tactful.v1.PolicyService/RollBackPolicy", Role::Operator),
    ("/tactful.v1.PolicyService/SimulatePolicy", Role::Operator),
    ("/tactful.v1.BackupService/CreateBackup", Role::Backup),
];

/// Returns the role that a method requires; `None` for an unknown method.
pub fn role_of(path: &str) -> Option<Role> {
    static BY_PATH: LazyLock<HashMap<&str, Role>> = LazyLock::new(|| ROLES.iter().copied().collect());
    BY_PATH.get(path).copied()
}

/// Client at the other end of a connection.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// Identities that its certificate proves, as the access rules write them; empty without a certificate.
    pub(crate) identities: Arc<[String]>,
}

/// Access rules in force, with the keys that verify tokens.
pub(crate) struct AccessControl {
    rules: AccessRules,
    tokens: Option<TokenVerifier>,
}

/// Access control that can be replaced while serving; without one, every client may call everything.
pub(crate) type ReloadableAccessControl = Arc<ArcSwapOption<AccessControl>>;

/// Client of a call: its name in logs, and its roles.
struct Caller {
    name: String,
    roles: BTreeSet<Role>,
}

impl AccessControl {
    /// Joins access rules with the key set that their section on tokens names.
    pub(crate) fn new(rules: AccessRules, key_set: Option<&str>) -> Result<Self, KeySetError> {
        let tokens =
            rules.tokens.as_ref().zip(key_set).map(|(rules, keys)| TokenVerifier::new(rules, keys)).transpose()?;
        Ok(Self { rules, tokens })
    }

    /// Authenticates the client of a request. Its name is the first identity that the rules list, else its first identity.
    fn authenticate(&self, request: &Request<Body>) -> Result<Caller, Status> {
        let peer = request.extensions().get::<Peer>();
        let mut identities: Vec<String> = peer.map(|peer| peer.identities.to_vec()).unwrap_or_default();
        if let Some(verifier) = &self.tokens
            && let Some(token) = bearer_token(request)
        {
            let subject = verifier.verify(token).map_err(|error| Status::unauthenticated(error.to_string()))?;
            identities.push(format!("jwt:{subject}"));
        }
        if identities.is_empty() {
            return Err(Status::unauthenticated("a client certificate or a bearer token is required"));
        }
        let listed = identities.iter().filter_map(|identity| self.rules.callers.get_key_value(identity));
        let (names, roles): (Vec<&String>, Vec<&BTreeSet<Role>>) = listed.unzip();
        let name = names.first().map_or_else(|| identities[0].clone(), |name| (*name).clone());
        Ok(Caller { name, roles: roles.into_iter().flatten().copied().collect() })
    }

    /// Returns the name of the client, and whether it may call this path.
    fn authorize(&self, path: &str, request: &Request<Body>) -> (String, Result<(), Status>) {
        let Caller { name, roles } = match self.authenticate(request) {
            Ok(caller) => caller,
            Err(status) => return ("unknown".to_owned(), Err(status)),
        };
        let is_allowed = match role_of(path) {
            Some(role) => roles.contains(&role),
            None => path.starts_with("/grpc.reflection.") && !roles.is_empty(),
        };
        let denied = || Status::permission_denied(format!("{name} may not call {path}"));
        let verdict = if is_allowed { Ok(()) } else { Err(denied()) };
        (name, verdict)
    }
}

/// Returns the token of the header `authorization: Bearer ...`.
fn bearer_token(request: &Request<Body>) -> Option<&str> {
    let value = request.headers().get(http::header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Layer that checks the access rules before every call.
#[derive(Clone)]
pub(crate) struct AccessLayer {
    access: ReloadableAccessControl,
}

impl AccessLayer {
    pub(crate) fn new(access: ReloadableAccessControl) -> Self {
        Self { access }
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = AccessControlled<S>;

    fn layer(&self, inner: S) -> AccessControlled<S> {
        AccessControlled { inner, access: Arc::clone(&self.access) }
    }
}

/// Service behind the access rules.
#[derive(Clone)]
pub(crate) struct AccessControlled<S> {
    inner: S,
    access: ReloadableAccessControl,
}

impl<S> Service<Request<Body>> for AccessControlled<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = AccessFuture<S::Future, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let is_audited =
            role_of(path).is_some_and(|role| matches!(role, Role::Operator | Role::Privacy | Role::Backup));
        let access = self.access.load();
        if path.starts_with("/grpc.health.") || (access.is_none() && !is_audited) {
            return AccessFuture::Unchecked { future: self.inner.call(request) };
        }
        let path = path.to_owned();
        let (caller, verdict) = match &*access {
            Some(access) => access.authorize(&path, &request),
            None => ("anonymous".to_owned(), Ok(())),
        };
        let admitted = verdict.map(|()| self.inner.call(request));
        let checked = Box::pin(async move {
            let rpc = path.trim_start_matches('/');
            tracing::Span::current().record("caller", &caller);
            let response = match admitted {
                Ok(call) => call.await?,
                Err(denied) => {
                    tracing::warn!(caller, rpc, code = ?denied.code(), "access denied");
                    denied.into_http()
                }
            };
            if is_audited {
                let code = response_code(&response);
                let customer = call_context::customer();
                tracing::info!(target: "tactful::audit", caller, rpc, ?code, customer, "audited call");
            }
            Ok(response)
        });
        AccessFuture::Checked { future: checked }
    }
}

type CheckedCall<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

pin_project! {
    /// Call whose client was checked, or one that needs no check.
    #[project = AccessProjection]
    pub(crate) enum AccessFuture<F, E> {
        Unchecked { #[pin] future: F },
        Checked { future: CheckedCall<E> },
    }
}

impl<F, E> Future for AccessFuture<F, E>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AccessProjection::Unchecked { future } => future.poll(cx),
            AccessProjection::Checked { future } => future.as_mut().poll(cx),
        }
    }
}
