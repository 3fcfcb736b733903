//! Role-based access control: every method needs one role, every client has the roles of its identities, and nothing else is allowed.
//!
//! Without access rules every client may call everything. Health checks are open to all, so that probes need no identity;
//! reflection is open to clients with any role. Calls that need one of the audited roles are written to the audit log (target
//! `tactful::audit`), allowed or denied, under the identity whose role allowed the call, with the customer where the method
//! concerns one.
//!
//! A caller that may list holds may see the reasons of holds in every other response, too; other callers get responses that
//! name none ([`disclosure`]).

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
use super::status_code::{code_name, response_code};
use crate::config::access::{AccessRules, Role};
use crate::telemetry::call_context;
use crate::wording::disclosure::Disclosure;

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
    ("/tactful.v1.CustomerService/GetCustomer", Role::Agent),
    ("/tactful.v1.CustomerService/ExportCustomer", Role::Privacy),
    ("/tactful.v1.CustomerService/EraseCustomer", Role::Erasure),
    ("/tactful.v1.CustomerService/MergeCustomers", Role::Ingest),
    ("/tactful.v1.CustomerService/UnmergeCustomers", Role::Agent),
    ("/tactful.v1.RelationshipService/GetRelationshipHealth", Role::Offers),
    ("/tactful.v1.RelationshipService/BatchGetRelationshipHealth", Role::Offers),
    ("/tactful.v1.RelationshipService/SimulateRelationshipHealth", Role::Offers),
    ("/tactful.v1.RelationshipService/GetBackfireReport", Role::Operator),
    ("/tactful.v1.RelationshipService/CreateHold", Role::Agent),
    ("/tactful.v1.RelationshipService/ListHolds", Role::Agent),
    ("/tactful.v1.RelationshipService/DeleteHold", Role::Agent),
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

/// Method whose callers may see the reasons of holds.
const LISTS_HOLDS: &str = "/tactful.v1.RelationshipService/ListHolds";

/// Returns whether the response to a request may name the reasons of holds. A request that no [`AccessLayer`] has passed
/// gets a response that names none.
pub(crate) fn disclosure<T>(request: &tonic::Request<T>) -> Disclosure {
    request.extensions().get().copied().unwrap_or(Disclosure::Neutral)
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

/// Client of a call: each of its identities with the roles that the rules give it. Never empty.
struct Caller<'r>(Vec<(String, Option<&'r BTreeSet<Role>>)>);

impl Caller<'_> {
    /// The first identity that has a role of the kind.
    fn identity_with(&self, is_wanted: impl Fn(Role) -> bool) -> Option<&str> {
        let has_role =
            |roles: Option<&BTreeSet<Role>>| roles.is_some_and(|roles| roles.iter().any(|&role| is_wanted(role)));
        self.0.iter().find(|(_, roles)| has_role(*roles)).map(|(identity, _)| identity.as_str())
    }

    /// Name of a client that no role allows a call: its first identity that the rules list, else its first identity.
    fn name(&self) -> &str {
        self.identity_with(|_| true).unwrap_or(&self.0[0].0)
    }

    /// Whether the client may see the reasons of holds: it may list holds, under any of its identities.
    fn disclosure(&self) -> Disclosure {
        let may_list_holds = self.identity_with(|role| role_of(LISTS_HOLDS) == Some(role)).is_some();
        if may_list_holds { Disclosure::Full } else { Disclosure::Neutral }
    }
}

impl AccessControl {
    /// Joins access rules with the key set that their section on tokens names.
    pub(crate) fn new(rules: AccessRules, key_set: Option<&str>) -> Result<Self, KeySetError> {
        let tokens =
            rules.tokens.as_ref().zip(key_set).map(|(rules, keys)| TokenVerifier::new(rules, keys)).transpose()?;
        Ok(Self { rules, tokens })
    }

    /// Authenticates the client of a request.
    fn authenticate(&self, request: &Request<Body>) -> Result<Caller<'_>, Status> {
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
        let with_roles = |identity: String| {
            let roles = self.rules.callers.get(&identity);
            (identity, roles)
        };
        Ok(Caller(identities.into_iter().map(with_roles).collect()))
    }

    /// Returns the name of the client, and whether it may call this path, and see the reasons of holds then. The name is the
    /// identity whose role allows the call: of several, another one may only have come along.
    fn authorize(&self, path: &str, request: &Request<Body>) -> (String, Result<Disclosure, Status>) {
        let caller = match self.authenticate(request) {
            Ok(caller) => caller,
            Err(status) => return ("unknown".to_owned(), Err(status)),
        };
        let needed = role_of(path);
        let allowing = match needed {
            Some(needed) => caller.identity_with(|role| role == needed),
            None if path.starts_with("/grpc.reflection.") => caller.identity_with(|_| true),
            None => None,
        };
        if let Some(allowing) = allowing {
            return (allowing.to_owned(), Ok(caller.disclosure()));
        }
        let name = caller.name();
        let denied = match needed {
            Some(role) => format!("{name} may not call {path}: it does not have the role {}", role.as_str()),
            None => format!("{name} may not call {path}"),
        };
        (name.to_owned(), Err(Status::permission_denied(denied)))
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

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let audited_role = role_of(path).filter(|role| role.is_audited()).map(Role::as_str);
        let access = self.access.load();
        if path.starts_with("/grpc.health.") || (access.is_none() && audited_role.is_none()) {
            request.extensions_mut().insert(Disclosure::Full);
            return AccessFuture::Unchecked { future: self.inner.call(request) };
        }
        let path = path.to_owned();
        let (caller, verdict) = match &*access {
            Some(access) => access.authorize(&path, &request),
            None => ("anonymous".to_owned(), Ok(Disclosure::Full)),
        };
        let admitted = verdict.map(|disclosure| {
            request.extensions_mut().insert(disclosure);
            self.inner.call(request)
        });
        let checked = Box::pin(async move {
            let rpc = path.trim_start_matches('/');
            tracing::Span::current().record("caller", &caller);
            let response = match admitted {
                Ok(call) => call.await?,
                Err(denied) => {
                    tracing::warn!(caller, rpc, code = code_name(denied.code()), "access denied");
                    denied.into_http()
                }
            };
            if let Some(role) = audited_role {
                let code = code_name(response_code(&response));
                let customer = call_context::customer();
                tracing::info!(target: "tactful::audit", caller, role, rpc, code, customer, "audited call");
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const RULES: &str = r#"
        callers = [
            { identity = "spiffe://example.org/shop", roles = ["offers"] },
            { identity = "dns:desk.example.org", roles = ["offers", "agent"] },
            { identity = "dns:erasure.example.org", roles = ["erasure"] },
        ]
    "#;

    fn authorized(identities: &[&str], method: &str) -> (String, bool) {
        let rules = AccessRules::parse(RULES, Path::new("")).expect("valid rules");
        let access = AccessControl::new(rules, None).expect("no keys");
        let mut request = Request::new(Body::empty());
        let identities: Vec<String> = identities.iter().map(|&identity| identity.to_owned()).collect();
        request.extensions_mut().insert(Peer { identities: identities.into() });
        let (name, verdict) = access.authorize(method, &request);
        (name, verdict.is_ok())
    }

    /// Broken by: the name of the first listed identity, whichever role was needed.
    #[test]
    fn calls_are_named_by_the_identity_whose_role_allows_them() {
        let all = ["dns:unlisted", "spiffe://example.org/shop", "dns:desk.example.org", "dns:erasure.example.org"];
        for (method, identity, is_allowed) in [
            ("/tactful.v1.OfferService/CrossSell", "spiffe://example.org/shop", true),
            ("/tactful.v1.RelationshipService/CreateHold", "dns:desk.example.org", true),
            ("/tactful.v1.CustomerService/GetCustomer", "dns:desk.example.org", true),
            ("/tactful.v1.CustomerService/EraseCustomer", "dns:erasure.example.org", true),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "spiffe://example.org/shop", true),
            ("/tactful.v1.PolicyService/ActivatePolicy", "spiffe://example.org/shop", false),
            ("/tactful.v1.CustomerService/ExportCustomer", "spiffe://example.org/shop", false),
            ("/tactful.v1.OfferService/Unheard", "spiffe://example.org/shop", false),
        ] {
            assert_eq!(authorized(&all, method), (identity.to_owned(), is_allowed), "{method}");
        }
        let unlisted = ("dns:unlisted".to_owned(), false);
        assert_eq!(authorized(&["dns:unlisted"], "/tactful.v1.OfferService/CrossSell"), unlisted);
        assert_eq!(authorized(&[], "/tactful.v1.OfferService/CrossSell"), ("unknown".to_owned(), false));
    }
}
