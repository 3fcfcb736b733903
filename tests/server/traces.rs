//! Traces that the real server exports to a collector of this test. With the feature `otlp`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use serde_json::Value;
use tactful::grpc::generated::tactful::v1::CrossSellRequest;
use tactful::grpc::generated::tactful::v1::offer_service_client::OfferServiceClient;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::support::running_server::RunningServer;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENT_SPAN: &str = "b7ad6b7169203331";
const METHOD: &str = "tactful.v1.OfferService/CrossSell";
/// Span kind of a call on its server.
const KIND_SERVER: i32 = 2;

/// Request of `opentelemetry/proto/collector/trace/v1/trace_service.proto`, as far as it is checked here.
#[derive(Clone, PartialEq, prost::Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    parent_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Text>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Taken {}

/// Collector that forwards the exported spans to the test.
#[derive(Clone)]
struct Collector(mpsc::UnboundedSender<Export>);

impl Collector {
    async fn start() -> (SocketAddr, mpsc::UnboundedReceiver<Export>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (arrived, arriving) = mpsc::unbounded_channel();
        let router = tonic::transport::Server::builder().add_service(Self(arrived));
        tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        (address, arriving)
    }
}

impl NamedService for Collector {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl UnaryService<Export> for Collector {
    type Response = Taken;
    type Future = std::future::Ready<Result<Response<Taken>, Status>>;

    fn call(&mut self, request: Request<Export>) -> Self::Future {
        // An error means that the test has ended.
        let _gone = self.0.send(request.into_inner());
        std::future::ready(Ok(Response::new(Taken {})))
    }
}

impl tower::Service<http::Request<Body>> for Collector {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let collector = self.clone();
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(collector, request).await) })
    }
}

fn start(data_dir: &std::path::Path, collector: SocketAddr) -> RunningServer {
    RunningServer::start_with(data_dir, |command| {
        // Spans are sent at shutdown only, unless the queue is full.
        command.env("OTEL_BSP_SCHEDULE_DELAY", "600000").env("OTEL_SERVICE_NAME", "shop");
        let endpoint = format!("http://{collector}");
        command.args([
            "--log",
            "warn,tactful::server=info",
            "--slow-call-threshold",
            "1ns",
            "--otlp-sample-ratio",
            "1",
        ]);
        command.args(["--otlp-endpoint", &endpoint])
    })
}

async fn cross_sell(channel: &Channel, request_id: &str, traceparent: Option<String>) {
    let mut request = Request::new(CrossSellRequest { customer_id: "ada".to_owned(), ..Default::default() });
    request.metadata_mut().insert("x-request-id", request_id.parse().expect("a header"));
    if let Some(traceparent) = traceparent {
        request.metadata_mut().insert("traceparent", traceparent.parse().expect("a header"));
        request.metadata_mut().insert("tracestate", "shop=7".parse().expect("a header"));
    }
    OfferServiceClient::new(channel.clone()).cross_sell(request).await.expect("answers");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn texts(attributes: &[Attribute]) -> BTreeMap<&str, &str> {
    let text = |attribute: &'_ Attribute| attribute.value.as_ref().map_or("", |Text { text }| text.as_str()).to_owned();
    attributes.iter().map(|attribute| (attribute.key.as_str(), &*text(attribute).leak())).collect()
}

/// Broken by: ignoring the sampling decision of the client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_join_the_trace_of_the_client() {
    let directory = tempfile::tempdir().expect("a directory");
    let (address, mut arriving) = Collector::start().await;
    let server = start(&directory.path().join("data"), address);
    let channel = server.connect().await;
    cross_sell(&channel, "sampled", Some(format!("00-{TRACE}-{CLIENT_SPAN}-01"))).await;
    cross_sell(&channel, "unsampled", Some(format!("00-{}-{CLIENT_SPAN}-00", TRACE.replace('0', "1")))).await;
    cross_sell(&channel, "own", None).await;
    let lines = server.stop_and_read();

    let mut resources = Vec::new();
    let mut spans = Vec::new();
    while let Ok(export) = arriving.try_recv() {
        for ResourceSpans { resource, scopes } in export.resources {
            resources.extend(resource);
            spans.extend(scopes.into_iter().flat_map(|scope| scope.spans));
        }
    }
    assert_eq!(texts(&resources[0].attributes)["service.name"], "shop");
    let calls: Vec<&Span> = spans.iter().filter(|span| span.name == METHOD).collect();
    assert_eq!(calls.len(), 2, "the unsampled call is not exported: {spans:#?}");
    let (in_callers, own) = (calls[0], calls[1]);
    assert_eq!((hex(&in_callers.trace_id).as_str(), hex(&in_callers.parent_id).as_str()), (TRACE, CLIENT_SPAN));
    assert_eq!((in_callers.kind, in_callers.trace_state.as_str()), (KIND_SERVER, "shop=7"));
    let attributes = texts(&in_callers.attributes);
    assert_eq!(attributes["rpc.response.status_code"], "OK");
    assert_eq!((attributes["rpc.system.name"], attributes["rpc.method"]), ("grpc", METHOD));
    let of = |call: &Span| {
        let children = spans.iter().filter(|span| span.parent_id == call.id && span.trace_id == call.trace_id);
        children.map(|span| span.name.clone()).collect::<Vec<_>>()
    };
    let stages = ["convert", "load", "rank", "decide", "commit", "durable", "convert"];
    assert_eq!(of(in_callers), stages);
    assert_eq!(of(own), stages);
    assert!(own.parent_id.is_empty() && own.trace_id != in_callers.trace_id);

    let logged: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let trace_of = |request_id: &str| {
        let line = logged.iter().find(|line| line["span"]["request_id"] == request_id).expect("logged");
        line["span"]["trace_id"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(trace_of("sampled"), TRACE);
    assert_eq!(trace_of("unsampled"), TRACE.replace('0', "1"));
    assert_eq!(trace_of("own"), hex(&own.trace_id), "the log leads to the trace");
}

/// Broken by: a shutdown that waits as long as the exporter would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unavailable_collector_delays_neither_calls_nor_shutdown() {
    let unresponsive = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let down = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    for collector in [down, unresponsive.local_addr().expect("bound")] {
        let directory = tempfile::tempdir().expect("a directory");
        let server = start(&directory.path().join("data"), collector);
        let channel = server.connect().await;
        let began = Instant::now();
        // Some 4,000 spans: more than the queue holds.
        for _ in 0..400 {
            cross_sell(&channel, "r", None).await;
        }
        let took = began.elapsed();
        let began = Instant::now();
        let lines = server.stop_and_read();
        let stopped = began.elapsed();
        assert!(
            lines.iter().any(|line| line.contains("\"target\":\"opentelemetry")),
            "lost spans are logged: {lines:#?}"
        );
        assert!(took < Duration::from_secs(30) && stopped < Duration::from_secs(8), "{took:?}, {stopped:?}");
    }
}

/// Broken by: an endpoint that is not validated.
#[test]
fn invalid_endpoints_are_reported() {
    // The port is in use, so that the program also ends with a valid endpoint.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let error_for = |endpoint: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tactful"));
        command.args(["serve", "--store", "memory", "--metrics-listen", "off", "--listen", &address]);
        command.args(["--otlp-endpoint", endpoint]);
        let ended = command.env_remove("OTEL_EXPORTER_OTLP_CERTIFICATE").output().expect("runs");
        assert!(!ended.status.success());
        String::from_utf8(ended.stderr).expect("text")
    };
    assert!(error_for("collector:4317").contains("otlp-endpoint: must be a URL"), "{}", error_for("collector:4317"));
    assert!(error_for("https://collector:4317").contains("OTEL_EXPORTER_OTLP_CERTIFICATE"));
}
