//! The tower layers around all services, from the outside in.
//!
//! 1. [`SheddingLayer`] rejects a request on arrival while the queue is too long.
//! 2. [`CallTelemetryLayer`] gives the call a span, its metrics and, when it was slow, a log line.
//! 3. [`ConcurrencyLayer`] queues the request, and limits the calls executing at once and the memory of their messages.
//! 4. [`TimeoutLayer`] limits the duration of the call.
//! 5. [`CompletionLayer`] runs a call that changes state to its end when its client has gone.
//!
//! `server` adds [`super::access::AccessLayer`] inside them: checking a token costs a hundred microseconds of processor time, so
//! it has to be admitted, too.

use std::sync::Arc;
use std::time::Duration;

use tower::layer::util::Stack;

use super::admission::concurrency::ConcurrencyLayer;
use super::admission::permits::PermitPool;
use super::admission::queue::AdmissionQueue;
use super::admission::shedding::SheddingLayer;
use super::call_telemetry::CallTelemetryLayer;
use super::completion::{CompletionLayer, DetachedCalls};
use super::timeout::TimeoutLayer;
use crate::config::settings::CallLimits;

/// All layers but access control.
pub(crate) type CallLayers =
    Stack<CompletionLayer, Stack<TimeoutLayer, Stack<ConcurrencyLayer, Stack<CallTelemetryLayer, SheddingLayer>>>>;

/// Returns the layers with these limits; calls that take `slow_call` or longer are logged.
pub(crate) fn call_layers(limits: &CallLimits, slow_call: Option<Duration>, detached: DetachedCalls) -> CallLayers {
    let queue = Arc::new(AdmissionQueue::new(limits));
    let permits = Arc::new(PermitPool::new(limits));
    let shedding = SheddingLayer::new(Arc::clone(&queue), Arc::clone(&permits));
    let telemetry = CallTelemetryLayer::new(slow_call);
    let concurrency = ConcurrencyLayer::new(queue, permits, limits);
    let timeout = TimeoutLayer::new(limits.request_timeout);
    let limited = Stack::new(timeout, Stack::new(concurrency, Stack::new(telemetry, shedding)));
    Stack::new(CompletionLayer::new(detached), limited)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::{Request, Response};
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tonic::body::Body;
    use tonic::{Code, Status};
    use tower::{Layer, Service, service_fn};

    use super::*;
    use crate::grpc::status_code::response_code;

    const METHOD: &str = "tactful.v1.OfferService/CrossSell";

    fn request(method: &str) -> Request<Body> {
        Request::post(format!("/{method}")).body(Body::empty()).expect("a request")
    }

    async fn call_in_every_way() {
        let layers = call_layers(&CallLimits::default(), None, DetachedCalls::default());
        let responding =
            |response: fn() -> Response<Body>| service_fn(move |_| std::future::ready(Ok::<_, Infallible>(response())));
        let mut succeeding = layers.layer(responding(|| Response::new(Body::empty())));
        let mut failing = layers.layer(responding(|| Status::internal("").into_http()));
        let mut hanging = layers.layer(service_fn(|_| std::future::pending::<Result<_, Infallible>>()));
        succeeding.call(request(METHOD)).await.expect("responds");
        succeeding.call(request("made.up/Method")).await.expect("responds");
        failing.call(request(METHOD)).await.expect("responds");
        let call = hanging.call(request(METHOD));
        tokio::time::timeout(Duration::ZERO, call).await.expect_err("the client disconnects");
        succeeding.call(request(METHOD)).await.expect("responds");
    }

    /// Broken by: a call that is recorded only when it is answered.
    #[test]
    fn calls_are_measured_by_method_and_status_however_they_end() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        metrics::with_local_recorder(&recorder, || runtime.block_on(call_in_every_way()));
        let rendered = recorder.handle().render();
        let mut counts: Vec<&str> =
            rendered.lines().filter_map(|line| line.strip_prefix("rpc_server_call_duration_seconds_count")).collect();
        counts.sort_unstable();
        let count_of = |method: &str, status: &str, count: u32| {
            format!(
                "{{rpc_system_name=\"grpc\",rpc_method=\"{method}\",rpc_response_status_code=\"{status}\"}} {count}"
            )
        };
        let failed = count_of(METHOD, "INTERNAL", 1).replace('}', ",error_type=\"INTERNAL\"}");
        let expected =
            [count_of("_OTHER", "OK", 1), count_of(METHOD, "CANCELLED", 1), failed, count_of(METHOD, "OK", 2)];
        assert_eq!(counts, expected);
        assert!(rendered.contains("tactful_rpcs_in_flight 0"), "{rendered}");
    }

    /// Broken by: a call that is executed as soon as its task is polled; then all of them run before the runtime's other tasks.
    #[test]
    fn other_tasks_run_between_queued_calls() {
        const CALLS: usize = 1_000;
        let limits = CallLimits { queue_delay_max: Duration::from_secs(3_600), ..CallLimits::default() };
        let executed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&executed);
        let service = call_layers(&limits, None, DetachedCalls::default()).layer(service_fn(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty())))
        }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let executed_before = runtime.block_on(async {
            let arrived: Vec<_> = (0..CALLS).map(|_| service.clone()).collect();
            let calls: Vec<_> = arrived
                .into_iter()
                .map(|mut service| tokio::spawn(async move { service.call(request(METHOD)).await }))
                .collect();
            let so_far = Arc::clone(&executed);
            let other_task = tokio::spawn(async move { so_far.load(Ordering::Relaxed) });
            for call in calls {
                let response = call.await.expect("no call panics").expect("responds");
                assert_eq!(response_code(&response), Code::Ok);
            }
            other_task.await.expect("does not panic")
        });
        assert!(executed_before < 64, "{executed_before} calls were executed before another task could run");
        assert_eq!(executed.load(Ordering::Relaxed), CALLS);
    }
}
