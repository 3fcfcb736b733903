//! What every call passes through: a request id and the caller's trace for the log, admission, a time limit, the metrics of the
//! call, and a line in the log when it was slow.
//!
//! Health checks and reflection need no turn and no place: a busy server is not an unhealthy one. Server streams are counted as
//! they begin; what ends them early is in the log.

use std::collections::HashMap;
use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use metrics::Label;
use prost::Message;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Instrument;

use super::admission::{Admission, CallLimits, Kind, busy_answer};
use super::generated::FILE_DESCRIPTOR_SET;
use super::line::{Turn, Wait};
use crate::telemetry::call_context::{self, CallStage};
use crate::telemetry::call_span;
use crate::telemetry::trace_context::TraceContext;

/// Wraps every service.
#[derive(Clone)]
pub struct ObserveLayer {
    shared: Arc<Shared>,
}

struct Shared {
    admission: Arc<Admission>,
    request_timeout: Duration,
    slow_call: Option<Duration>,
    /// By their paths the methods that exist; others count as one, so that callers cannot make labels.
    known: HashMap<String, Arc<Method>>,
    other: Arc<Method>,
    /// Calls that came so far, and connections.
    arrivals: AtomicU64,
}

impl Shared {
    fn wait(&self, arrived: Instant, arrival: u64) -> Wait {
        let behind = self.arrivals.load(Ordering::Relaxed).saturating_sub(arrival);
        Wait { time: arrived.elapsed(), behind }
    }
}

/// What is called.
struct Method {
    /// `tactful.v1.OfferService/CrossSell`.
    name: Arc<str>,
    /// Whether the caller sends a stream, each message of which is waited for.
    kind: Kind,
    /// A client stream or a training, which takes as long as it takes.
    is_unlimited: bool,
}

/// Calls that read everything, or compute for long.
const LONG: [&str; 3] = [
    "/tactful.v1.ModelService/TrainModel",
    "/tactful.v1.PolicyService/SimulatePolicy",
    "/tactful.v1.RelationshipService/GetBackfireReport",
];

impl ObserveLayer {
    /// Serves calls within these limits; logs those that take `slow_call`.
    pub fn new(limits: &CallLimits, slow_call: Option<Duration>) -> Self {
        let mut known = HashMap::new();
        let descriptors = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)
            .expect("the build script encoded these descriptors");
        for file in &descriptors.file {
            for service in &file.service {
                for method in &service.method {
                    let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                    let path = format!("/{name}");
                    let kind = if method.client_streaming() { Kind::Many } else { Kind::One };
                    let is_unlimited = kind == Kind::Many || LONG.contains(&path.as_str());
                    known.insert(path, Arc::new(Method { name: name.into(), kind, is_unlimited }));
                }
            }
        }
        let other = Arc::new(Method { name: "_OTHER".into(), kind: Kind::One, is_unlimited: false });
        let (admission, request_timeout) = (Admission::new(limits), limits.request_timeout);
        let arrivals = AtomicU64::new(0);
        Self { shared: Arc::new(Shared { admission, request_timeout, slow_call, known, other, arrivals }) }
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
        let path = request.uri().path();
        if path.starts_with("/grpc.") {
            let (request, _) = self.shared.admission.watch(Kind::Free, request);
            return Box::pin(self.inner.call(request));
        }
        let method = self.shared.known.get(path).unwrap_or(&self.shared.other);
        let wait = self.shared.wait(self.arrived, self.arrival);
        if !self.shared.admission.has_room(wait) {
            // No span: it would be most of what this costs.
            tell(&method.name, Code::ResourceExhausted, Duration::ZERO);
            return Box::pin(ready(Ok(busy_answer())));
        }
        let method = Arc::clone(method);
        let trace = TraceContext::from_headers(request.headers());
        // At the level of errors, so that whatever is logged of a call is joined to it.
        let span = tracing::error_span!(
            "rpc",
            rpc = &*method.name,
            request_id = request_id(&request),
            trace_id = call_span::logged_trace_id(&trace),
            caller = tracing::field::Empty,
            otel.kind = call_span::kind(),
        );
        call_span::attach(&span, &trace, &method.name);
        let slow_call = self.shared.slow_call.filter(|_| !method.is_unlimited);
        let watched = Watched { method, slow_call, began: Instant::now(), has_ended: false };
        // The one that was asked whether it is ready is the one to call.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        let (shared, arrived, arrival) = (Arc::clone(&self.shared), self.arrived, self.arrival);
        let answered = async move {
            let turn = shared.admission.turn(wait, || shared.wait(arrived, arrival)).await;
            let Some(turn) = turn else { return Ok(watched.refused()) };
            answer(&shared, inner, request, watched, turn).await
        };
        Box::pin(call_context::scope(answered).instrument(span))
    }
}

/// Serves a call whose turn it is.
async fn answer<S>(
    shared: &Shared,
    mut inner: S,
    request: Request<Body>,
    mut watched: Watched,
    mut turn: Turn,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    let (request, held) = shared.admission.watch(watched.method.kind, request);
    metrics::gauge!("tactful_rpcs_in_flight").increment(1.0);
    let _leaving = Leaving;
    let mut called = pin!(inner.call(request));
    let called = poll_fn(|cx| {
        let polled = called.as_mut().poll(cx);
        turn.give_back();
        polled
    });
    let answer = if watched.method.is_unlimited {
        called.await?
    } else {
        match tokio::time::timeout(shared.request_timeout, called).await {
            Ok(answer) => answer?,
            Err(_) => Status::deadline_exceeded("the server's time limit for a call passed").into_http(),
        }
    };
    watched.ended(code(&answer));
    drop(held);
    Ok(answer)
}

/// A call, told of however it ends. Works inside the call's span.
struct Watched {
    method: Arc<Method>,
    slow_call: Option<Duration>,
    began: Instant,
    has_ended: bool,
}

impl Watched {
    fn refused(mut self) -> Response<Body> {
        self.ended(Code::ResourceExhausted);
        busy_answer()
    }

    fn ended(&mut self, code: Code) {
        self.has_ended = true;
        let took = self.began.elapsed();
        tell(&self.method.name, code, took);
        let code = code_name(code);
        let is_slow = self.slow_call.is_some_and(|slow| took >= slow);
        if !is_slow && !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let times = call_context::stages();
        macro_rules! tell_stages {
            ($tell:ident, $message:literal) => {
                tracing::$tell!(
                    code,
                    took_ms = took.as_secs_f64() * 1e3,
                    convert_ms = times.ms(CallStage::Convert),
                    load_ms = times.ms(CallStage::Load),
                    rank_ms = times.ms(CallStage::Rank),
                    decide_ms = times.ms(CallStage::Decide),
                    apply_ms = times.ms(CallStage::Apply),
                    commit_ms = times.ms(CallStage::Commit),
                    durable_ms = times.ms(CallStage::Durable),
                    $message
                )
            };
        }
        if is_slow {
            tell_stages!(warn, "a slow call");
        } else {
            tell_stages!(debug, "answered");
        }
    }
}

impl Drop for Watched {
    /// The future of a call is dropped when its caller has gone, or its deadline has passed.
    fn drop(&mut self) {
        if !self.has_ended {
            self.ended(Code::Cancelled);
        }
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

/// By the names of the OpenTelemetry conventions for RPC servers: `rpc.server.call.duration`.
fn tell(method: &Arc<str>, code: Code, took: Duration) {
    let name = code_name(code);
    let mut labels = vec![
        Label::from_static_parts("rpc_system_name", "grpc"),
        Label::new("rpc_method", Arc::clone(method)),
        Label::from_static_parts("rpc_response_status_code", name),
    ];
    if is_fault(code) {
        labels.push(Label::from_static_parts("error_type", name));
    }
    metrics::histogram!("rpc_server_call_duration_seconds", labels).record(took.as_secs_f64());
    call_span::record_status(&tracing::Span::current(), name, is_fault(code));
}

/// As the specification of gRPC writes them.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Whether the server is at fault and not the caller (OpenTelemetry, "Semantic conventions for gRPC").
fn is_fault(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::AtomicUsize;

    use metrics_exporter_prometheus::PrometheusBuilder;
    use tower::service_fn;

    use super::*;
    use crate::config::Limits;
    use crate::server::limits::of_calls;

    const METHOD: &str = "tactful.v1.OfferService/CrossSell";

    fn request(method: &str) -> Request<Body> {
        Request::post(format!("/{method}")).body(Body::empty()).expect("a request")
    }

    async fn calls() {
        let layer = ObserveLayer::new(&of_calls(&Limits::default()), None);
        let answers =
            |answer: fn() -> Response<Body>| service_fn(move |_| std::future::ready(Ok::<_, Infallible>(answer())));
        let mut good = layer.layer(answers(|| Response::new(Body::empty())));
        let mut bad = layer.layer(answers(|| Status::internal("").into_http()));
        let mut hangs = layer.layer(service_fn(|_| std::future::pending::<Result<_, Infallible>>()));
        good.call(request(METHOD)).await.expect("answers");
        good.call(request("made.up/Method")).await.expect("answers");
        bad.call(request(METHOD)).await.expect("answers");
        let hanging = hangs.call(request(METHOD));
        tokio::time::timeout(Duration::ZERO, hanging).await.expect_err("its caller goes");
        good.call(request(METHOD)).await.expect("answers");
    }

    /// Broken by: a call that is told of only when it is answered.
    #[test]
    fn calls_are_measured_by_method_and_status_however_they_end() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        metrics::with_local_recorder(&recorder, || runtime.block_on(calls()));
        let told = recorder.handle().render();
        let mut counts: Vec<&str> =
            told.lines().filter_map(|line| line.strip_prefix("rpc_server_call_duration_seconds_count")).collect();
        counts.sort_unstable();
        let of = |method: &str, status: &str, count: u32| {
            format!(
                "{{rpc_system_name=\"grpc\",rpc_method=\"{method}\",rpc_response_status_code=\"{status}\"}} {count}"
            )
        };
        let fault = of(METHOD, "INTERNAL", 1).replace('}', ",error_type=\"INTERNAL\"}");
        let expected = [of("_OTHER", "OK", 1), of(METHOD, "CANCELLED", 1), fault, of(METHOD, "OK", 2)];
        assert_eq!(counts, expected);
        assert!(told.contains("tactful_rpcs_in_flight 0"), "{told}");
    }

    /// Broken by: a call that is served as soon as it is its task's turn; then all of them before what else the runtime has to do.
    #[test]
    fn others_have_their_turn_between_calls_that_queue_up() {
        const CALLS: usize = 1_000;
        let limits = Limits { queue_delay_max: Duration::from_secs(3_600), ..Limits::default() };
        let layer = ObserveLayer::new(&of_calls(&limits), None);
        let served = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&served);
        let service = layer.layer(service_fn(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty())))
        }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let before_others = runtime.block_on(async {
            let arrived: Vec<_> = (0..CALLS).map(|_| service.clone()).collect();
            let calls: Vec<_> = arrived
                .into_iter()
                .map(|mut call| tokio::spawn(async move { call.call(request(METHOD)).await }))
                .collect();
            let seen = Arc::clone(&served);
            let other = tokio::spawn(async move { seen.load(Ordering::Relaxed) });
            for call in calls {
                let answer = call.await.expect("no call panics").expect("answers");
                assert_eq!(code(&answer), Code::Ok);
            }
            other.await.expect("does not panic")
        });
        assert!(before_others < 64, "{before_others} calls were served before others had their turn");
        assert_eq!(served.load(Ordering::Relaxed), CALLS);
    }
}
