//! Limits the duration of calls, except client streams, health checks and long-running methods.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::admission::arrival::method_of;

/// Layer that ends a call with `DEADLINE_EXCEEDED` when it exceeds the request timeout.
#[derive(Clone)]
pub(crate) struct TimeoutLayer {
    request_timeout: Duration,
}

impl TimeoutLayer {
    pub(crate) fn new(request_timeout: Duration) -> Self {
        Self { request_timeout }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout { inner, request_timeout: self.request_timeout }
    }
}

/// Service with a time limit.
#[derive(Clone)]
pub(crate) struct Timeout<S> {
    inner: S,
    request_timeout: Duration,
}

impl<S> Service<Request<Body>> for Timeout<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = TimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_unlimited = method_of(&request).is_unlimited;
        let future = self.inner.call(request);
        if is_unlimited {
            TimeoutFuture::Unlimited { future }
        } else {
            TimeoutFuture::Limited { future: tokio::time::timeout(self.request_timeout, future) }
        }
    }
}

pin_project! {
    /// Call with or without a time limit.
    #[project = TimeoutFutureProjection]
    pub(crate) enum TimeoutFuture<F> {
        Limited { #[pin] future: tokio::time::Timeout<F> },
        Unlimited { #[pin] future: F },
    }
}

impl<F, E> Future for TimeoutFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            TimeoutFutureProjection::Unlimited { future } => future.poll(cx),
            TimeoutFutureProjection::Limited { future } => Poll::Ready(match ready!(future.poll(cx)) {
                Ok(response) => response,
                Err(_elapsed) => {
                    Ok(Status::deadline_exceeded("the call exceeded the server's request timeout").into_http())
                }
            }),
        }
    }
}
