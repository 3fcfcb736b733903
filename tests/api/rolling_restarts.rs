//! Three servers over one database are replaced one after the other, while clients call: no call fails for a client that asks
//! once more, and each retry is the same decision.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tactful::domain::ids::{CustomerId, DecisionId};
use tactful::grpc::generated::tactful::v1::offer_service_client::OfferServiceClient;
use tactful::grpc::generated::tactful::v1::{BatchUpsertProductsRequest, CrossSellRequest, ServingMode};
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::harness::{ManualClock, Replica, TestServer, in_database};
use crate::support::long_form::short_or_long;
use crate::support::wire_shop::{complement, cross_sell, product};

const REPLICAS: usize = 3;
const CALLERS: usize = 6;

/// Addresses of the servers, as a load balancer has them: a server that stops is among them until it has stopped.
#[derive(Clone, Default)]
struct Balancer {
    channels: Arc<Mutex<Vec<Channel>>>,
    next: Arc<AtomicUsize>,
}

impl Balancer {
    fn pick(&self) -> Channel {
        let channels = self.channels.lock().expect("not poisoned");
        channels[self.next.fetch_add(1, Ordering::Relaxed) % channels.len()].clone()
    }

    fn add(&self, channel: Channel) {
        self.channels.lock().expect("not poisoned").push(channel);
    }

    fn remove_first(&self) {
        self.channels.lock().expect("not poisoned").remove(0);
    }

    /// Calls a server, and once more another one if the first was not available.
    async fn call(&self, request: &CrossSellRequest) -> Result<(String, bool), Status> {
        let once = async || OfferServiceClient::new(self.pick()).cross_sell(request.clone()).await;
        let first = once().await;
        let is_retried =
            first.as_ref().is_err_and(|status| matches!(status.code(), Code::Unavailable | Code::Cancelled));
        let answer = if is_retried { once().await } else { first };
        answer.map(|answer| (answer.into_inner().decision_id, is_retried))
    }
}

/// Broken by: a server that ends its calls when it is stopped; a replica that answers before it has loaded the catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_servers_are_replaced() {
    let settings = in_database().check().expect("valid settings");
    let clock = ManualClock::new();
    let server = TestServer::one(settings.clone(), Arc::clone(&clock)).await;
    let products =
        (0..9).map(|number| complement(&format!("c{number}"), "kettle")).chain([product("kettle")]).collect();
    server.catalog().batch_upsert_products(BatchUpsertProductsRequest { products }).await.expect("upserts");

    let balancer = Balancer::default();
    let mut replicas = std::collections::VecDeque::new();
    for _ in 0..REPLICAS {
        replicas.push_back(Replica::start(settings.clone(), &clock).await);
        balancer.add(replicas.back().expect("just added").channel.clone());
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (balancer, is_over) = (balancer.clone(), Arc::clone(&is_over));
        callers.spawn(async move {
            let (mut answers, mut retries) = (BTreeMap::new(), 0_u32);
            for number in 0_u64.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let customer = format!("customer-{caller}-{number}");
                let request_id = format!("00000000-0000-4000-8000-{caller:04x}{number:08x}");
                let request =
                    CrossSellRequest { request_id, mode: ServingMode::Reserve.into(), ..cross_sell(&customer) };
                let (decision, is_retried) =
                    balancer.call(&request).await.expect("answered, perhaps at the second attempt");
                retries += u32::from(is_retried);
                answers.insert(customer, decision);
            }
            (answers, retries)
        });
    }
    let rounds = short_or_long(2, 20);
    for _ in 0..rounds * REPLICAS {
        let replacement = Replica::start(settings.clone(), &clock).await;
        balancer.add(replacement.channel.clone());
        replicas.push_back(replacement);
        let Replica { stop, ended, .. } = replicas.pop_front().expect("there are three");
        stop.send(()).expect("it runs");
        ended.await.expect("no panic").expect("it stops in order");
        balancer.remove_first();
    }
    is_over.store(true, Ordering::Relaxed);
    let (mut calls, mut retries) = (0, 0);
    while let Some(caller) = callers.join_next().await {
        let (answers, retried) = caller.expect("no call failed");
        retries += retried;
        for (customer, decision) in answers {
            let customer = CustomerId::new(customer).expect("valid");
            let id = DecisionId::from_bits(uuid::Uuid::parse_str(&decision).expect("a UUID").as_u128());
            let recorded = server.app.store().load_decision(&customer, id).await.expect("reads");
            assert!(recorded.is_some(), "what was answered is recorded");
            let stored = server.app.store().load_customer(&customer).await.expect("reads").stored().expect("stored");
            assert_eq!(stored.version, 1, "one decision, however often the client asked");
            calls += 1;
        }
    }
    eprintln!("{rounds} rounds: {calls} calls, {retries} of them asked twice, none failed");
    assert!(calls > 100, "{calls} calls");
}
