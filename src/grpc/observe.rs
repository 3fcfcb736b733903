//! What every call passes through: a request id for the log, admission, a time limit, and the metrics of the call.
//!
//! Health checks and reflection are never shed: a busy server is not an unhealthy one.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use prost::Message;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Instrument;

use super::admission::{Admission, CallLimits, Kind, Wait, busy};
use super::generated::FILE_DESCRIPTOR_SET;

/// Wraps every service.
#[derive(Clone)]
pub struct ObserveLayer {
    shared: Arc<Shared>,
}

struct Shared {
    admission: Arc<Admission>,
    request_timeout: Duration,
    /// The paths that exist; others count as one, so that callers cannot make labels.
    known: HashSet<String>,
    /// The paths of client streams, each message of which is waited for.
    streams: HashSet<String>,
    /// Calls that came so far, and connections.
    arrivals: AtomicU64,
}

/// Calls that read everything, or compute for long.
const LONG: [&str; 3] = [
    "/tactful.v1.ModelService/TrainModel",
    "/tactful.v1.PolicyService/SimulatePolicy",
    "/tactful.v1.RelationshipService/GetBackfireReport",
];

impl ObserveLayer {
    /// Serves calls within these limits.
    #[must_use]
    pub fn new(limits: &CallLimits) -> Self {
        let mut known = HashSet::new();
        let mut streams = HashSet::new();
        let descriptors = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)
            .expect("the build script encoded these descriptors");
        for file in &descriptors.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    if method.client_streaming() {
                        streams.insert(path.clone());
                    }
                    known.insert(path);
                }
            }
        }
        let (admission, request_timeout) = (Admission::new(limits), limits.request_timeout);
        Self { shared: Arc::new(Shared { admission, request_timeout, known, streams, arrivals: AtomicU64::new(0) }) }
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe { inner, shared: Arc::clone(&self.shared), arrived: Instant::now(), arrival: 0 }
    }
}

/// A service under observation.
pub struct Observe<S> {
    inner: S,
    shared: Arc<Shared>,
    /// When this clone was made.
    arrived: Instant,
    /// The how many-th it is.
    arrival: u64,
}

/// The transport clones the service for each call when it has read its headers, and calls the clone when it is the call's turn.
/// In between lies the queue of the runtime, which is where calls wait when there are more than the processor can do.
impl<S: Clone> Clone for Observe<S> {
    fn clone(&self) -> Self {
        let arrival = self.shared.arrivals.fetch_add(1, Ordering::Relaxed) + 1;
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared), arrived: Instant::now(), arrival }
    }
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
        let behind = self.shared.arrivals.load(Ordering::Relaxed).saturating_sub(self.arrival);
        let wait = Wait { time: self.arrived.elapsed(), behind };
        let path = request.uri().path();
        if path.starts_with("/grpc.") {
            let admitted = self.shared.admission.admit(Kind::Free, wait, request);
            let (request, _) = admitted.expect("these are never refused");
            return Box::pin(self.inner.call(request));
        }
        let rpc = self.shared.known.get(path).cloned().unwrap_or_else(|| "unknown".to_owned());
        let kind = if self.shared.streams.contains(path) { Kind::Many } else { Kind::One };
        let is_limited = kind == Kind::One && !LONG.contains(&path);
        let Some((request, held)) = self.shared.admission.admit(kind, wait, request) else {
            tell(&rpc, Code::ResourceExhausted, Duration::ZERO);
            return Box::pin(std::future::ready(Ok(busy().into_http())));
        };
        let span = tracing::info_span!("rpc", rpc, request_id = request_id(&request), caller = tracing::field::Empty);
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
            drop(held);
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
