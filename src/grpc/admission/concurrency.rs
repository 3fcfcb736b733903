//! Queueing of admitted requests, and permits for what each call holds while it executes.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

use super::arrival::{Arrival, ArrivalStamp};
use super::metered_body::{BodyLimits, MeteredBody};
use super::permits::{CallPermits, PermitPool};
use super::queue::AdmissionQueue;
use crate::config::settings::CallLimits;
use crate::grpc::method::{CallKind, Method};
use crate::grpc::status::busy_response;

/// Layer that executes calls in order of arrival, within their permits.
#[derive(Clone)]
pub(crate) struct ConcurrencyLayer {
    queue: Arc<AdmissionQueue>,
    permits: Arc<PermitPool>,
    body_limits: BodyLimits,
}

impl ConcurrencyLayer {
    pub(crate) fn new(queue: Arc<AdmissionQueue>, permits: Arc<PermitPool>, limits: &CallLimits) -> Self {
        Self { queue, permits, body_limits: BodyLimits::new(limits) }
    }
}

impl<S> Layer<S> for ConcurrencyLayer {
    type Service = Concurrency<S>;

    fn layer(&self, inner: S) -> Concurrency<S> {
        let Self { queue, permits, body_limits } = self.clone();
        Concurrency { inner, queue, permits, body_limits }
    }
}

/// Service with limited concurrency.
#[derive(Clone)]
pub(crate) struct Concurrency<S> {
    inner: S,
    queue: Arc<AdmissionQueue>,
    permits: Arc<PermitPool>,
    body_limits: BodyLimits,
}

impl<S> Service<Request<Body>> for Concurrency<S>
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
        let Arrival { method, stamp } = match request.extensions().get::<Arrival>() {
            Some(arrival) => *arrival,
            None => Arrival { method: Method::by_path(request.uri().path()), stamp: self.queue.stamp() },
        };
        if method.is_exempt() {
            let (request, _permits) = meter(request, method.call_kind, &self.permits, self.body_limits);
            return Box::pin(self.inner.call(request));
        }
        // The clone that was polled ready is the one to call.
        let next = self.inner.clone();
        let service = Self {
            inner: std::mem::replace(&mut self.inner, next),
            queue: Arc::clone(&self.queue),
            permits: Arc::clone(&self.permits),
            body_limits: self.body_limits,
        };
        Box::pin(service.execute(request, method.call_kind, stamp))
    }
}

impl<S> Concurrency<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    /// Queues a request, then executes the call; its permits are released when it ends.
    async fn execute(
        self,
        request: Request<Body>,
        call_kind: CallKind,
        stamp: ArrivalStamp,
    ) -> Result<Response<Body>, S::Error> {
        let Self { mut inner, queue, permits, body_limits } = self;
        let execution = queue.acquire(stamp).await;
        let Some(mut execution) = execution.filter(|_| permits.has_request_permit()) else {
            return Ok(busy_response());
        };
        let (request, _permits) = meter(request, call_kind, &permits, body_limits);
        let _in_flight = InFlightGuard::new();
        let mut call = pin!(inner.call(request));
        // The execution permit is released once the call waits for something.
        poll_fn(|cx| {
            let polled = call.as_mut().poll(cx);
            execution.release();
            polled
        })
        .await
    }
}

/// Wraps the body of a request so that it acquires the permits of the call.
fn meter(
    request: Request<Body>,
    call_kind: CallKind,
    pool: &Arc<PermitPool>,
    limits: BodyLimits,
) -> (Request<Body>, CallPermits) {
    let permits = CallPermits::default();
    let mut metered =
        request.map(|body| Body::new(MeteredBody::new(body, call_kind, Arc::clone(pool), permits.clone(), limits)));
    // For a call that continues without its client.
    metered.extensions_mut().insert(permits.clone());
    (metered, permits)
}

/// Guard that counts a call as in flight.
struct InFlightGuard;

impl InFlightGuard {
    fn new() -> Self {
        metrics::gauge!("tactful_rpcs_in_flight").increment(1.0);
        Self
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        metrics::gauge!("tactful_rpcs_in_flight").decrement(1.0);
    }
}
