//! What every call passes through: a request id for the log, a place among the calls served at once, a time limit, and
//! the metrics of the call.
//!
//! Health checks and reflection are never shed: a busy server is not an unhealthy one.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use prost::Message;
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Layer, Service};
use tracing::Instrument;

use super::generated::FILE_DESCRIPTOR_SET;

/// How long a caller that was shed should wait.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Wraps every service.
#[derive(Clone)]
pub struct ObserveLayer {
    shared: Arc<Shared>,
}

struct Shared {
    places: Arc<Semaphore>,
    request_timeout: Duration,
    /// The paths that exist; others count as one, so that callers cannot make labels.
    known: HashSet<String>,
    /// The paths of client streams and trainings, which take as long as they take.
    unlimited: HashSet<String>,
}

/// Calls that read everything, or compute for long.
const LONG: [&str; 3] = [
    "/tactful.v1.ModelService/TrainModel",
    "/tactful.v1.PolicyService/SimulatePolicy",
    "/tactful.v1.RelationshipService/GetBackfireReport",
];

impl ObserveLayer {
    /// Serves at most `requests_max` calls at once, each for at most `request_timeout`.
    #[must_use]
    pub fn new(requests_max: usize, request_timeout: Duration) -> Self {
        let mut known = HashSet::new();
        let mut unlimited: HashSet<String> = LONG.map(str::to_owned).into();
        let descriptors = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)
            .expect("the build script encoded these descriptors");
        for file in &descriptors.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    if method.client_streaming() {
                        unlimited.insert(path.clone());
                    }
                    known.insert(path);
                }
            }
        }
        let places = Arc::new(Semaphore::new(requests_max));
        Self { shared: Arc::new(Shared { places, request_timeout, known, unlimited }) }
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service under observation.
#[derive(Clone)]
pub struct Observe<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for Observe<S>
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
        if path.starts_with("/grpc.") {
            return Box::pin(self.inner.call(request));
        }
        let rpc = self.shared.known.get(path).cloned().unwrap_or_else(|| "unknown".to_owned());
        let is_limited = !self.shared.unlimited.contains(path);
        let span = tracing::info_span!("rpc", rpc, request_id = request_id(&request), caller = tracing::field::Empty);
        let Ok(place) = Arc::clone(&self.shared.places).try_acquire_owned() else {
            tell(&rpc, Code::ResourceExhausted, Duration::ZERO);
            return Box::pin(std::future::ready(Ok(busy().into_http())));
        };
        let timeout = self.shared.request_timeout;
        let called = self.inner.call(request);
        let answered = async move {
            let started = Instant::now();
            metrics::gauge!("tactful_rpcs_in_flight").increment(1.0);
            let _leaving = Leaving;
            let answer = if is_limited {
                match tokio::time::timeout(timeout, called).await {
                    Ok(answer) => answer?,
                    Err(_) => Status::deadline_exceeded("the server's time limit for a call passed").into_http(),
                }
            } else {
                called.await?
            };
            tell(&rpc, code(&answer), started.elapsed());
            drop(place);
            Ok(answer)
        };
        Box::pin(answered.instrument(span))
    }
}

/// Counts a call out however it ends.
struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        metrics::gauge!("tactful_rpcs_in_flight").decrement(1.0);
    }
}

/// The caller's id for this call when it sent a short clean one, else one of our own.
fn request_id(request: &Request<Body>) -> String {
    let sent = request.headers().get("x-request-id").and_then(|value| value.to_str().ok());
    let clean = sent.filter(|id| !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_graphic()));
    clean.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

/// A failed unary call carries its code in the headers; one that has none there went well.
pub(super) fn code(answer: &Response<Body>) -> Code {
    answer.headers().get("grpc-status").map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}

fn tell(rpc: &str, code: Code, took: Duration) {
    metrics::histogram!("tactful_rpc_duration_seconds", "rpc" => rpc.to_owned(), "code" => format!("{code:?}"))
        .record(took.as_secs_f64());
    tracing::debug!(rpc, ?code, took_ms = took.as_secs_f64() * 1e3, "answered");
}

fn busy() -> Status {
    let mut details = ErrorDetails::with_error_info("SERVER_BUSY", "tactful", HashMap::<String, String>::new());
    details.set_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(Code::ResourceExhausted, "the server is busy; try again in half a second", details)
}
