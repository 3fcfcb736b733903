//! Span, metrics and slow-call log line of every call except health checks and reflection.
//!
//! The span joins whatever is logged of a call to its `request_id` and to the client's trace. A server stream is measured until its
//! first message; an error that ends it later is in the log only.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tonic::Code;
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::Instrument;
use tracing::instrument::Instrumented;

use super::admission::arrival::method_of;
use super::call_metrics::record_call;
use super::method::Method;
use super::status_code::{code_name, is_server_error, response_code};
use crate::telemetry::call_context::{self, CallStage, ScopedCall};
use crate::telemetry::call_span;
use crate::telemetry::trace_context::TraceContext;

/// Longest `x-request-id` of a client that is taken over.
const REQUEST_ID_LEN_MAX: usize = 64;

/// Layer that measures and traces every call.
#[derive(Clone)]
pub(crate) struct CallTelemetryLayer {
    slow_call: Option<Duration>,
}

impl CallTelemetryLayer {
    /// Logs calls that take `slow_call` or longer.
    pub(crate) fn new(slow_call: Option<Duration>) -> Self {
        Self { slow_call }
    }
}

impl<S> Layer<S> for CallTelemetryLayer {
    type Service = CallTelemetry<S>;

    fn layer(&self, inner: S) -> CallTelemetry<S> {
        CallTelemetry { inner, slow_call: self.slow_call }
    }
}

/// Service whose calls are measured and traced.
#[derive(Clone)]
pub(crate) struct CallTelemetry<S> {
    inner: S,
    slow_call: Option<Duration>,
}

impl<S> Service<Request<Body>> for CallTelemetry<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = CallTelemetryFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = method_of(&request);
        if method.is_exempt() {
            return CallTelemetryFuture::Exempt { future: self.inner.call(request) };
        }
        let trace = TraceContext::from_headers(request.headers());
        // At error level, so that the span is there whatever the log filter.
        let span = tracing::error_span!(
            "rpc",
            rpc = method.name,
            request_id = request_id(&request),
            trace_id = call_span::logged_trace_id(&trace),
            caller = tracing::field::Empty,
            otel.kind = call_span::kind(),
        );
        call_span::attach(&span, &trace, method.name);
        let slow_call = self.slow_call.filter(|_| !method.is_unlimited);
        let measurement = CallMeasurement { method, slow_call, started: Instant::now(), is_recorded: false };
        let call = MeasuredCall { future: self.inner.call(request), measurement };
        CallTelemetryFuture::Measured { call: call_context::scope(call).instrument(span) }
    }
}

/// Returns the client's id for this call when it sent a short one of printable characters, else a new one.
fn request_id(request: &Request<Body>) -> String {
    let sent = request.headers().get("x-request-id").and_then(|value| value.to_str().ok());
    let is_valid =
        |id: &&str| !id.is_empty() && id.len() <= REQUEST_ID_LEN_MAX && id.bytes().all(|byte| byte.is_ascii_graphic());
    sent.filter(is_valid).map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

pin_project! {
    /// Call with its span, or an exempt one without.
    #[project = CallTelemetryProjection]
    pub(crate) enum CallTelemetryFuture<F> {
        Exempt { #[pin] future: F },
        Measured { #[pin] call: Instrumented<ScopedCall<MeasuredCall<F>>> },
    }
}

impl<F, E> Future for CallTelemetryFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            CallTelemetryProjection::Exempt { future } => future.poll(cx),
            CallTelemetryProjection::Measured { call } => call.poll(cx),
        }
    }
}

pin_project! {
    /// Call that records its end. Runs inside the call's span and context.
    pub(crate) struct MeasuredCall<F> {
        #[pin]
        future: F,
        measurement: CallMeasurement,
    }
}

impl<F, E> Future for MeasuredCall<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = self.project();
        let response = ready!(call.future.poll(cx))?;
        call.measurement.record(response_code(&response));
        Poll::Ready(Ok(response))
    }
}

/// Measurement of one call; dropped without a status, it records `CANCELLED`.
struct CallMeasurement {
    method: &'static Method,
    slow_call: Option<Duration>,
    started: Instant,
    is_recorded: bool,
}

impl CallMeasurement {
    fn record(&mut self, code: Code) {
        self.is_recorded = true;
        let duration = self.started.elapsed();
        record_call(self.method, code, duration);
        call_span::record_status(&tracing::Span::current(), code_name(code), is_server_error(code));
        let is_slow = self.slow_call.is_some_and(|slow_call| duration >= slow_call);
        if !is_slow && !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let stages = call_context::stages();
        macro_rules! log_with_stages {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    code = code_name(code),
                    took_ms = duration.as_secs_f64() * 1e3,
                    convert_ms = stages.ms(CallStage::Convert),
                    load_ms = stages.ms(CallStage::Load),
                    rank_ms = stages.ms(CallStage::Rank),
                    decide_ms = stages.ms(CallStage::Decide),
                    apply_ms = stages.ms(CallStage::Apply),
                    commit_ms = stages.ms(CallStage::Commit),
                    durable_ms = stages.ms(CallStage::Durable),
                    $message
                )
            };
        }
        if is_slow {
            log_with_stages!(warn, "slow call");
        } else {
            log_with_stages!(debug, "call completed");
        }
    }
}

impl Drop for CallMeasurement {
    /// The future of a call is dropped when its client disconnects or its client's deadline passes.
    fn drop(&mut self) {
        if !self.is_recorded {
            self.record(Code::Cancelled);
        }
    }
}
