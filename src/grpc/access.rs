//! Who may call what: every method has one role, every caller the roles that the rules give it, and nothing else is allowed.
//!
//! Without rules everybody who can connect may do everything. Health checks are open to all, so that probes need no
//! identity; reflection is open to callers of any role. Calls of operators, those about privacy and backups are told in the log,
//! under the target `tactful::audit`, allowed or not, with the customer where the method said whom it is about.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use arc_swap::ArcSwapOption;
use http::{Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::observe::code;
use super::tokens::TokenVerifier;
use crate::config::access::{AccessRules, Role};
use crate::telemetry::call_context;

/// The role that each method needs.
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

/// A method's role; `None` for one that there is not.
pub fn role_of(path: &str) -> Option<Role> {
    static BY_PATH: LazyLock<HashMap<&str, Role>> = LazyLock::new(|| ROLES.iter().copied().collect());
    BY_PATH.get(path).copied()
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// What its certificate names, as identities of the access rules; empty without one.
    pub identities: Arc<[String]>,
}

/// The rules as they are now.
pub struct Access {
    rules: AccessRules,
    tokens: Option<TokenVerifier>,
}

/// What can be put in the place of the rules while serving; nothing: everybody may do everything.
pub type CurrentAccess = Arc<ArcSwapOption<Access>>;

impl Access {
    /// Rules with the key set that their section on tokens names.
    ///
    /// # Errors
    /// When the key set cannot be used.
    pub fn new(rules: AccessRules, key_set: Option<&str>) -> Result<Self, String> {
        let tokens =
            rules.tokens.as_ref().zip(key_set).map(|(rules, keys)| TokenVerifier::new(rules, keys)).transpose()?;
        Ok(Self { rules, tokens })
    }

    /// Who calls, by name, and what the caller may do.
    fn caller(&self, request: &Request<Body>) -> Result<(String, BTreeSet<Role>), Status> {
        let peer = request.extensions().get::<Peer>();
        let mut identities: Vec<String> = peer.map(|peer| peer.identities.to_vec()).unwrap_or_default();
        if let Some(verifier) = &self.tokens
            && let Some(token) = bearer(request)
        {
            let subject = verifier.subject(token).map_err(Status::unauthenticated)?;
            identities.push(format!("jwt:{subject}"));
        }
        if identities.is_empty() {
            return Err(Status::unauthenticated("a client certificate or a bearer token must say who calls"));
        }
        let known = identities.iter().filter_map(|identity| self.rules.callers.get_key_value(identity));
        let (names, roles): (Vec<&String>, Vec<&BTreeSet<Role>>) = known.unzip();
        let name = names.first().map_or_else(|| identities[0].clone(), |name| (*name).clone());
        Ok((name, roles.into_iter().flatten().copied().collect()))
    }

    fn admit(&self, path: &str, request: &Request<Body>) -> (String, Result<(), Status>) {
        let (name, roles) = match self.caller(request) {
            Ok(caller) => caller,
            Err(status) => return ("unknown".to_owned(), Err(status)),
        };
        let may = match role_of(path) {
            Some(role) => roles.contains(&role),
            None => path.starts_with("/grpc.reflection.") && !roles.is_empty(),
        };
        let refusal = || Status::permission_denied(format!("{name} may not call {path}"));
        let verdict = if may { Ok(()) } else { Err(refusal()) };
        (name, verdict)
    }
}

/// The token of the header `authorization: Bearer ...`.
fn bearer(request: &Request<Body>) -> Option<&str> {
    let value = request.headers().get(http::header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Asks the rules before every service.
#[derive(Clone)]
pub struct AccessLayer {
    current: CurrentAccess,
}

impl AccessLayer {
    /// By these rules, whatever is put in their place.
    pub fn new(current: CurrentAccess) -> Self {
        Self { current }
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, current: Arc::clone(&self.current) }
    }
}

/// A service behind the rules.
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    current: CurrentAccess,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let is_audited =
            role_of(path).is_some_and(|role| matches!(role, Role::Operator | Role::Privacy | Role::Backup));
        let access = self.current.load();
        if path.starts_with("/grpc.health.") || (access.is_none() && !is_audited) {
            return Box::pin(self.inner.call(request));
        }
        let path = path.to_owned();
        let (caller, verdict) = match &*access {
            Some(access) => access.admit(&path, &request),
            None => ("anybody".to_owned(), Ok(())),
        };
        let admitted = verdict.map(|()| self.inner.call(request));
        Box::pin(async move {
            let rpc = path.trim_start_matches('/');
            tracing::Span::current().record("caller", &caller);
            let answer = match admitted {
                Ok(answering) => answering.await?,
                Err(refused) => {
                    tracing::warn!(caller, rpc, code = ?refused.code(), "refused");
                    refused.into_http()
                }
            };
            if is_audited {
                let code: Code = code(&answer);
                let customer = call_context::customer();
                tracing::info!(target: "tactful::audit", caller, rpc, ?code, customer, "called");
            }
            Ok(answer)
        })
    }
}
