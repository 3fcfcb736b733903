//! Restarts under load: SIGTERM, then the same port and directory again, while clients keep calling.
//!
//! A client whose call fails waits until the health service reports SERVING and retries once, with the same `request_id`. No retry
//! may fail, no cap may be exceeded, no decision may change, and each shutdown must complete within the drain.
//! 10 restarts; 100 in the long form (`TACTFUL_LONG=1`).
//!
//! Broken by: a retry at once, before the server is back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tactful::grpc::generated::tactful::v1 as wire;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use wire::offer_service_client::OfferServiceClient;
use wire::relationship_service_client::RelationshipServiceClient;

use crate::support::long_form::short_or_long;
use crate::support::running_server::{COMPLEMENTS, RunningServer, stock};

const CALLERS: u64 = 8;
/// Enough that no customer reaches the daily number of decisions.
const CUSTOMERS: u64 = 2_000;
const DRAIN: Duration = Duration::from_secs(5);
/// A shutdown flushes after the drain, and a busy machine is slow.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Number of responses between two restarts.
const ANSWERS_BETWEEN: u64 = 200;
/// Far longer than a restart takes.
const SERVING_TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_across_restarts_if_it_is_retried_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let drain = format!("{}s", DRAIN.as_secs());
    let arguments = ["--drain-timeout", drain.as_str()];
    let mut server = RunningServer::start_on(directory.path(), "127.0.0.1:0", &arguments);
    let address = server.address().to_owned();
    stock(&server.connect().await).await;

    let load = Arc::new(Load { answers: AtomicU64::new(0), repeated: AtomicU64::new(0), ends: AtomicBool::new(false) });
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        callers.spawn(Caller { number, channel: lazy(&address), load: Arc::clone(&load) }.call());
    }
    let restarts = short_or_long(10, 100);
    let mut slowest = Duration::ZERO;
    for _ in 0..restarts {
        load.wait_for(ANSWERS_BETWEEN, &mut callers).await;
        let began = Instant::now();
        let stopped = tokio::task::block_in_place(|| server.stop());
        slowest = slowest.max(began.elapsed());
        assert!(stopped.success(), "{}", server.log());
        server = tokio::task::block_in_place(|| RunningServer::start_on(directory.path(), &address, &arguments));
    }
    load.wait_for(ANSWERS_BETWEEN, &mut callers).await;
    load.ends.store(true, Ordering::SeqCst);
    let mut decisions = BTreeMap::new();
    while let Some(of_caller) = callers.join_next().await {
        decisions.extend(of_caller.expect("no call fails"));
    }
    eprintln!(
        "{restarts} restarts, {} decisions, {} repeated, slowest stop {slowest:?}",
        decisions.len(),
        load.repeated.load(Ordering::SeqCst)
    );
    assert!(slowest < STOP_TIMEOUT, "{slowest:?}");
    assert_consistent(&server.connect().await, &decisions).await;
}

/// Decisions by customer and request id.
type Decisions = BTreeMap<(String, String), String>;

struct Load {
    answers: AtomicU64,
    repeated: AtomicU64,
    ends: AtomicBool,
}

impl Load {
    /// Waits for more responses.
    async fn wait_for(&self, answers: u64, callers: &mut JoinSet<Decisions>) {
        let enough = self.answers.load(Ordering::SeqCst) + answers;
        let ended = async {
            while self.answers.load(Ordering::SeqCst) < enough {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = ended => {}
            failed = callers.join_next() => panic!("a call failed: {failed:?}"),
        }
    }
}

struct Caller {
    number: u64,
    channel: Channel,
    load: Arc<Load>,
}

impl Caller {
    async fn call(self) -> Decisions {
        let mut decisions = Decisions::new();
        for sequence in 0.. {
            if self.load.ends.load(Ordering::SeqCst) {
                break;
            }
            let query =
                (format!("customer{}", (self.number * 17 + sequence) % CUSTOMERS), request_id(self.number, sequence));
            let answer = match reserve(&self.channel, &query).await {
                Err(status) if is_unreachable(&status) => {
                    wait_until_serving(&self.channel).await;
                    self.load.repeated.fetch_add(1, Ordering::SeqCst);
                    reserve(&self.channel, &query).await
                }
                answer => answer,
            };
            let answer = answer.unwrap_or_else(|status| panic!("a retry failed: {status:?}"));
            decisions.insert(query, answer);
            self.load.answers.fetch_add(1, Ordering::SeqCst);
        }
        decisions
    }
}

/// Whether there was no server, or it stopped before it responded.
fn is_unreachable(status: &Status) -> bool {
    status.code() == Code::Unavailable || std::error::Error::source(status).is_some()
}

/// Waits until the server reports SERVING.
async fn wait_until_serving(channel: &Channel) {
    let serving = async {
        loop {
            let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
            if answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SERVING_TIMEOUT, serving).await.expect("the server comes back");
}

async fn reserve(channel: &Channel, (customer, request_id): &(String, String)) -> Result<String, Status> {
    // Calls exclude different products, so that each reserves another part of the remaining cap.
    let wanted = request_id.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte)) % COMPLEMENTS;
    let others = (0..COMPLEMENTS).filter(|other| other.abs_diff(wanted) > 1);
    let request = wire::CrossSellRequest {
        customer_id: customer.clone(),
        request_id: request_id.clone(),
        context_product_ids: vec!["kettle".to_owned()],
        exclude_product_ids: others.map(|other| format!("complement{other}")).collect(),
        ..wire::CrossSellRequest::default()
    };
    Ok(OfferServiceClient::new(channel.clone()).cross_sell(request).await?.into_inner().decision_id)
}

/// Checks that no cap is exceeded, and that a repeated call returns the earlier decision.
async fn assert_consistent(channel: &Channel, decisions: &Decisions) {
    for customer in 0..CUSTOMERS {
        let request = wire::GetRelationshipHealthRequest { customer_id: format!("customer{customer}") };
        let view = RelationshipServiceClient::new(channel.clone()).get_relationship_health(request).await;
        for cap in view.expect("an answer").into_inner().caps {
            assert!(cap.used <= cap.limit, "customer{customer}: {cap:?}");
        }
    }
    for (query, decision) in decisions {
        assert_eq!(reserve(channel, query).await.expect("an answer"), *decision, "{query:?}: a second decision");
    }
}

fn lazy(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).expect("a URI").tcp_nodelay(true).connect_lazy()
}

fn request_id(caller: u64, sequence: u64) -> String {
    uuid::Uuid::from_u64_pair(0x4000 | caller << 32, (1 << 63) | sequence).to_string()
}
