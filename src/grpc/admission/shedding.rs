//! Load shedding on arrival: the outermost layer.
//!
//! Under overload there are many rejections, so one has to be cheap: it has neither a span nor a log line, only a metric.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use pin_project_lite::pin_project;
use tonic::Code;
use tonic::body::Body;
use tower::{Layer, Service};

use super::arrival::{Arrival, ArrivalStamp};
use super::permits::PermitPool;
use super::queue::AdmissionQueue;
use crate::grpc::call_metrics::record_call;
use crate::grpc::method::Method;
use crate::grpc::status::busy_response;

/// Layer that sheds requests that would wait too long, or for which no request permit is left.
#[derive(Clone)]
pub(crate) struct SheddingLayer {
    queue: Arc<AdmissionQueue>,
    permits: Arc<PermitPool>,
}

impl SheddingLayer {
    pub(crate) fn new(queue: Arc<AdmissionQueue>, permits: Arc<PermitPool>) -> Self {
        Self { queue, permits }
    }
}

impl<S> Layer<S> for SheddingLayer {
    type Service = Shedding<S>;

    fn layer(&self, inner: S) -> Shedding<S> {
        let (queue, permits) = (Arc::clone(&self.queue), Arc::clone(&self.permits));
        let stamp = queue.stamp();
        Shedding { inner, queue, permits, stamp }
    }
}

/// Service that sheds load.
pub(crate) struct Shedding<S> {
    inner: S,
    queue: Arc<AdmissionQueue>,
    permits: Arc<PermitPool>,
    /// Time and sequence number of this clone.
    stamp: ArrivalStamp,
}

/// The transport clones the service for each request once it has read the headers, and calls the clone when the runtime gets to the
/// request's task. The time between is the delay in the runtime's run queue, which is where requests wait when there are more than
/// the processor can serve.
impl<S: Clone> Clone for Shedding<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            queue: Arc::clone(&self.queue),
            permits: Arc::clone(&self.permits),
            stamp: self.queue.stamp(),
        }
    }
}

impl<S> Service<Request<Body>> for Shedding<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = SheddingFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let method = Method::by_path(request.uri().path());
        let is_admitted =
            method.is_exempt() || (!self.queue.is_too_long_for(self.stamp) && self.permits.has_request_permit());
        if is_admitted {
            request.extensions_mut().insert(Arrival { method, stamp: self.stamp });
            SheddingFuture::Admitted { future: self.inner.call(request) }
        } else {
            record_call(method, Code::ResourceExhausted, Duration::ZERO);
            SheddingFuture::Shed { response: Some(busy_response()) }
        }
    }
}

pin_project! {
    /// Admitted call, or the response to a shed request.
    #[project = SheddingProjection]
    pub(crate) enum SheddingFuture<F> {
        Admitted { #[pin] future: F },
        Shed { response: Option<Response<Body>> },
    }
}

impl<F, E> Future for SheddingFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            SheddingProjection::Admitted { future } => future.poll(cx),
            SheddingProjection::Shed { response } => {
                Poll::Ready(Ok(response.take().expect("a future is not polled after it completed")))
            }
        }
    }
}
