//! Runs calls that change state to their end, whatever the client does.
//!
//! The future of a call is dropped when its client disconnects, its client's deadline passes, or the request timeout passes.
//! An operation of several steps would stop between two of them: a product deleted in the store and still served, an erasure
//! that was begun. So a call that was dropped before its end continues in a task of its own, with the permits that it holds.
//!
//! The call runs in the task of its connection until then, so that it costs nothing and the admission queue still orders it.
//! Reads are dropped, and so are requests for offers: nothing is reserved for a client that has gone, and a decision is one
//! commit.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::Instrument;

use super::admission::arrival::method_of;
use super::admission::permits::CallPermits;
use crate::telemetry::call_context;

/// Number of calls that continue without their client.
#[derive(Debug, Clone)]
pub(crate) struct DetachedCalls(Arc<watch::Sender<usize>>);

impl Default for DetachedCalls {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl DetachedCalls {
    /// Waits until every detached call has ended, for at most this long. Returns false when some have not.
    pub(crate) async fn finish(&self, wait_max: Duration) -> bool {
        let mut running = self.0.subscribe();
        let finished = running.wait_for(|running| *running == 0);
        tokio::time::timeout(wait_max, finished).await.is_ok()
    }

    fn start(&self) -> DetachedCall {
        self.0.send_modify(|running| *running += 1);
        DetachedCall(self.clone())
    }
}

/// Guard that counts a call as detached.
struct DetachedCall(DetachedCalls);

impl Drop for DetachedCall {
    fn drop(&mut self) {
        self.0.0.send_modify(|running| *running -= 1);
    }
}

/// Layer that runs calls that change state to their end.
#[derive(Clone, Default)]
pub(crate) struct CompletionLayer {
    detached: DetachedCalls,
}

impl CompletionLayer {
    pub(crate) fn new(detached: DetachedCalls) -> Self {
        Self { detached }
    }
}

impl<S> Layer<S> for CompletionLayer {
    type Service = Completion<S>;

    fn layer(&self, inner: S) -> Completion<S> {
        Completion { inner, detached: self.detached.clone() }
    }
}

/// Service whose calls that change state run to their end.
#[derive(Clone)]
pub(crate) struct Completion<S> {
    inner: S,
    detached: DetachedCalls,
}

impl<S> Service<Request<Body>> for Completion<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = CompletionFuture<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_interruptible = method_of(&request).is_interruptible;
        let permits = request.extensions().get::<CallPermits>().cloned();
        let call = Box::pin(self.inner.call(request));
        let detached = (!is_interruptible).then(|| (self.detached.clone(), permits));
        CompletionFuture { call: Some(call), is_started: false, detached }
    }
}

type Call<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

/// Call that continues in a task of its own when it is dropped before its end.
pub(crate) struct CompletionFuture<E: Send + 'static> {
    /// The call; `None` after its end.
    call: Option<Call<E>>,
    /// Whether the call was polled; before that it has done nothing.
    is_started: bool,
    /// Counter of detached calls, and the permits to hold on to; `None` when the call may be dropped.
    detached: Option<(DetachedCalls, Option<CallPermits>)>,
}

impl<E: Send + 'static> Future for CompletionFuture<E> {
    type Output = Result<Response<Body>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.is_started = true;
        let call = self.call.as_mut().expect("not polled after its end");
        let polled = call.as_mut().poll(cx);
        if polled.is_ready() {
            self.call = None;
        }
        polled
    }
}

impl<E: Send + 'static> Drop for CompletionFuture<E> {
    fn drop(&mut self) {
        let (Some(call), Some((detached, permits))) = (self.call.take(), self.detached.take()) else { return };
        // There is no runtime when the process exits, and nothing runs to its end any more.
        let (true, Ok(runtime)) = (self.is_started, Handle::try_current()) else { return };
        let running = detached.start();
        let customer = call_context::customer();
        let rest = call_context::scope(async move {
            call_context::set_loggable_customer(customer);
            // The response has no receiver.
            let _response = call.await;
            drop((permits, running));
        });
        metrics::counter!("tactful_rpcs_detached_total").increment(1);
        tracing::debug!("the client has gone; the call continues to its end");
        runtime.spawn(rest.in_current_span());
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use prost::Message;
    use prost::bytes::Bytes;
    use tonic::service::Routes;
    use tonic::{Code, Status};
    use tower::service_fn;

    use super::*;
    use crate::domain::event::{Event, EventKind};
    use crate::domain::explicit_offer::ExplicitOffer;
    use crate::domain::ids::{CustomerId, EventId, OfferId, ProductId};
    use crate::domain::policy::Policy;
    use crate::domain::product::Product;
    use crate::domain::time::Timestamp;
    use crate::grpc::generated::tactful::v1 as wire;
    use crate::grpc::services::Services;
    use crate::grpc::status_code::response_code;
    use crate::model::training_settings::TrainingSettings;
    use crate::policy_document::format_policy::format_policy;
    use crate::store::contract::loaded_customer::LoadedCustomer;
    use crate::store::sled::store::SledStore;
    use crate::use_cases::app::{App, Clock};
    use crate::use_cases::record_events::record_events;
    use crate::use_cases::{catalog, explicit_offers, policies};

    async fn steps(done: Arc<AtomicUsize>) -> Result<Response<Body>, Infallible> {
        for _ in 0..3 {
            tokio::task::yield_now().await;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Response::new(Body::empty()))
    }

    /// Calls a method, drops the call after its first poll, and returns the number of steps that are done in the end.
    async fn steps_after_a_drop(method: &str) -> usize {
        let done = Arc::new(AtomicUsize::new(0));
        let detached = DetachedCalls::default();
        let inner = service_fn(|_: Request<Body>| steps(Arc::clone(&done)));
        let mut service = CompletionLayer::new(detached.clone()).layer(inner);
        let request = Request::post(format!("/tactful.v1.{method}")).body(Body::empty()).expect("a request");
        let mut call = Box::pin(service.call(request));
        let is_pending = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await;
        assert!(is_pending);
        drop(call);
        assert!(detached.finish(Duration::from_secs(60)).await);
        done.load(Ordering::Relaxed)
    }

    /// Broken by: dropping the rest of the call; detaching reads as well.
    #[tokio::test]
    async fn dropped_calls_run_to_their_end_unless_they_only_read() {
        assert_eq!(steps_after_a_drop("CustomerService/EraseCustomer").await, 3);
        assert_eq!(steps_after_a_drop("CatalogService/ListProducts").await, 0);
        assert_eq!(steps_after_a_drop("OfferService/CrossSell").await, 0);
    }

    /// Broken by: a task that is spawned for a call that was never polled.
    #[tokio::test]
    async fn calls_that_were_never_polled_do_nothing() {
        let done = Arc::new(AtomicUsize::new(0));
        let detached = DetachedCalls::default();
        let inner = service_fn(|_: Request<Body>| steps(Arc::clone(&done)));
        let mut service = CompletionLayer::new(detached.clone()).layer(inner);
        let request = Request::post("/tactful.v1.CustomerService/EraseCustomer").body(Body::empty());
        drop(service.call(request.expect("a request")));
        assert!(detached.finish(Duration::from_secs(60)).await);
        tokio::task::yield_now().await;
        assert_eq!(done.load(Ordering::Relaxed), 0);
    }

    /// Request body of one message.
    struct OneMessage(Option<Bytes>);

    impl http_body::Body for OneMessage {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.take().map(|bytes| Ok(http_body::Frame::data(bytes))))
        }
    }

    struct Operation {
        /// Service and method.
        method: &'static str,
        message: Vec<u8>,
    }

    fn operation(method: &'static str, message: impl Message) -> Operation {
        Operation { method, message: message.encode_to_vec() }
    }

    fn operations() -> Vec<Operation> {
        let id = |name: &str| name.to_owned();
        let events = ["ada", "bob", "cleo"].map(|customer| wire::CustomerEvent {
            event_id: id("e2"),
            customer_id: id(customer),
            kind: wire::EventKind::Purchase.into(),
            event_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            product_id: id("mug"),
            ..wire::CustomerEvent::default()
        });
        let product = |name: &str| wire::Product { product_id: id(name), title: id(name), ..wire::Product::default() };
        let offer =
            wire::ExplicitOffer { offer_id: id("summer"), product_id: id("tea"), ..wire::ExplicitOffer::default() };
        let attributes = [(id("segment"), id("new"))].into_iter().collect();
        let profile = wire::CustomerProfile { customer_id: id("dan"), attributes, ..wire::CustomerProfile::default() };
        vec![
            operation("CustomerService/EraseCustomer", wire::EraseCustomerRequest { customer_id: id("ada") }),
            operation("PolicyService/ActivatePolicy", wire::ActivatePolicyRequest { version: id("calm") }),
            operation("CatalogService/DeleteProduct", wire::DeleteProductRequest { product_id: id("mug") }),
            operation(
                "CatalogService/BatchUpsertProducts",
                wire::BatchUpsertProductsRequest { products: vec![product("pot"), product("cup")] },
            ),
            operation("CatalogService/BatchUpsertOffers", wire::BatchUpsertOffersRequest { offers: vec![offer] }),
            operation("CatalogService/DeleteOffer", wire::DeleteOfferRequest { offer_id: id("spring") }),
            operation("FeedbackService/RecordEvents", wire::RecordEventsRequest { events: events.to_vec() }),
            operation(
                "CustomerService/BatchUpsertCustomers",
                wire::BatchUpsertCustomersRequest { customers: vec![profile] },
            ),
        ]
    }

    struct FixedClock;

    impl Clock for FixedClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_ms(1_700_000_000_000).expect("in range")
        }
    }

    /// A shop with two products, an explicit offer, two customers and a second policy, in a store whose writes take their time.
    async fn open_shop(directory: &std::path::Path) -> Arc<App> {
        let store = Arc::new(SledStore::open(directory).await.expect("opens"));
        let limits = TrainingSettings::new(1, 1 << 20);
        let app = App::open(store, Arc::new(FixedClock), Policy::default(), limits).await.expect("opens");
        let product = |name: &str| Product::new(ProductId::new(name).expect("valid"), name.to_owned());
        catalog::upsert_products(&app, &[product("tea"), product("mug")]).await.expect("stored");
        catalog::publish_catalog(&app).await.expect("published");
        let tea = ProductId::new("tea").expect("valid");
        let spring = ExplicitOffer::new(OfferId::new("spring").expect("valid"), tea);
        explicit_offers::upsert_offers(&app, &[spring]).await.expect("stored");
        let visit = |customer: &str| Event {
            id: EventId::new("e1").expect("valid"),
            customer: Some(CustomerId::new(customer).expect("valid")),
            at: FixedClock.now(),
            kind: EventKind::Visit { product: None },
        };
        record_events(&app, &[visit("ada"), visit("bob")]).await.expect("recorded");
        let calm = Policy { version: "calm".to_owned(), ..Policy::default() };
        let text = format_policy(&calm);
        policies::create_policy(&app, calm, text).await.expect("stored");
        Arc::new(app)
    }

    /// All that the operations change, in the store and in what is served from it.
    async fn state(app: &App) -> String {
        let store = app.store();
        let works = "the store works";
        let ada = store.load_customer(&CustomerId::new("ada").expect("valid")).await.expect(works);
        let is_erased = matches!(ada, LoadedCustomer::Erased(_));
        let products = app.catalog().products().iter().map(|product| product.id.to_string()).collect::<Vec<_>>();
        let (offers, _) = explicit_offers::list_offers(app, None, 100).await.expect(works);
        let offers: Vec<String> = offers.into_iter().map(|offer| offer.offer.id.to_string()).collect();
        let activations = store.load_activations().await.expect(works).len();
        let (counts, digest) = (store.counts().await.expect(works), store.digest().await.expect(works));
        let policy = app.policy_in_force().version.clone();
        format!("{counts:?} {digest:x} {is_erased} {products:?} {offers:?} {activations} {policy}")
    }

    /// Sends the operation, drops it after this many polls, and waits for what continues. Returns the state of the shop in the
    /// end, and whether the operation ended before.
    async fn state_after(operation: &Operation, polls: usize) -> (String, bool) {
        let directory = tempfile::tempdir().expect("a directory");
        let app = open_shop(directory.path()).await;
        let detached = DetachedCalls::default();
        let Services { feedback, catalog, customers, policies, .. } = Services::new(&app, 1 << 20);
        let routes = Routes::new(feedback).add_service(catalog).add_service(customers).add_service(policies);
        let mut service = CompletionLayer::new(detached.clone()).layer(routes);
        let length = u32::try_from(operation.message.len()).expect("short").to_be_bytes();
        let bytes = [&[0], &length[..], &operation.message].concat();
        let request = Request::post(format!("/tactful.v1.{}", operation.method))
            .header("content-type", "application/grpc")
            .body(Body::new(OneMessage(Some(bytes.into()))))
            .expect("a request");
        let mut call = Box::pin(service.call(request));
        let mut polls_left = polls;
        let ended = std::future::poll_fn(|cx| {
            if polls_left == 0 {
                return Poll::Ready(None);
            }
            polls_left -= 1;
            let polled = call.as_mut().poll(cx).map(Some);
            if polls_left == 0 && polled.is_pending() { Poll::Ready(None) } else { polled }
        });
        let response = ended.await;
        let has_ended = response.is_some();
        if let Some(response) = response {
            assert_eq!(response_code(&response.expect("infallible")), Code::Ok, "{}", operation.method);
        }
        drop(call);
        assert!(detached.finish(Duration::from_secs(60)).await);
        let state = state(&app).await;
        app.store().close().await.expect("closes");
        (state, has_ended)
    }

    /// The client goes at every await of every operation, and the operation is done completely in the end.
    ///
    /// Broken by: dropping the rest of the call, after which products are deleted in the store and still served, or an
    /// activation is stored and not in force.
    #[tokio::test]
    async fn operations_are_complete_wherever_their_client_goes() {
        let mut awaits = 0;
        for operation in operations() {
            let (complete, has_ended) = state_after(&operation, usize::MAX).await;
            let (before, _) = state_after(&operation, 0).await;
            assert!(has_ended && complete != before, "{} changes nothing", operation.method);
            for polls in 1.. {
                let (after, has_ended) = state_after(&operation, polls).await;
                assert_eq!(after, complete, "{} dropped after {polls} polls", operation.method);
                if has_ended {
                    break;
                }
                awaits += 1;
            }
        }
        // Whether a single operation waits depends on the disk.
        assert!(awaits > 0, "no operation waits, so the test tests nothing");
    }
}
