//! Kill -9 during changes of the catalogue, explicit offers, policies, and erasures: what was acknowledged is there after the
//! restart, a change without a response is done or not done, and the cap of a volume holds.
//!
//! 8 rounds; `TACTFUL_KILL_ROUNDS=100` for more, `TACTFUL_KILL_SEED` to repeat a run.
//!
//! Broken by: answering before the flush.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tactful::grpc::generated::tactful::v1 as wire;
use tokio::sync::Notify;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use wire::catalog_service_client::CatalogServiceClient;
use wire::customer_service_client::CustomerServiceClient;
use wire::feedback_service_client::FeedbackServiceClient;
use wire::offer_service_client::OfferServiceClient;
use wire::policy_service_client::PolicyServiceClient;

use crate::kill::{Random, answered, number_from_env};
use crate::support::running_server::{RunningServer, stock};
use crate::support::wire_shop::{cross_sell, product, purchase};

const ROUNDS: u64 = 8;
const VOLUME_CAP: u64 = 30;
/// Explicit offer with a volume cap.
const LIMITED: &str = "limited";

/// Acknowledged state: whether each thing exists, or `None` while a change of it was not answered.
#[derive(Debug, Default)]
struct Expected {
    products: BTreeMap<String, Option<bool>>,
    offers: BTreeMap<String, Option<bool>>,
    /// Customers with an acknowledged event: false once erased.
    customers: BTreeMap<String, Option<bool>>,
    /// Policy whose activation was acknowledged last, and one whose activation was not answered since.
    activated: Option<String>,
    perhaps_activated: Option<String>,
    /// Acknowledged grants of the limited offer.
    granted: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_loses_acknowledged_changes() {
    let rounds = number_from_env("TACTFUL_KILL_ROUNDS").unwrap_or(ROUNDS);
    let seed = number_from_env("TACTFUL_KILL_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("{rounds} rounds, seed {seed}");
    let directory = tempfile::tempdir().expect("a directory");
    let mut random = Random(seed);
    let mut expected = Expected::default();
    let mut server = RunningServer::start(directory.path());
    let channel = server.connect().await;
    stock(&channel).await;
    let limited =
        wire::ExplicitOffer { volume_cap: Some(VOLUME_CAP), lever: Some(10.0), ..offer(LIMITED, "complement0") };
    assert!(upsert_offer(&channel, limited).await);
    drop(channel);
    for round in 0..rounds {
        expected = change_until_killed(&mut server, round, 5 + random.below(60), expected).await;
        server = RunningServer::start(directory.path());
        check(&server.connect().await, &expected).await;
    }
    assert!(server.stop().success(), "it stops cleanly:\n{}", server.log());
}

/// Makes one change after the other, and kills the server after this many.
async fn change_until_killed(server: &mut RunningServer, round: u64, changes: u64, expected: Expected) -> Expected {
    let channel = server.connect().await;
    let made = Arc::new((AtomicU64::new(changes), Notify::new()));
    let counter = Arc::clone(&made);
    let changing = tokio::spawn(async move {
        let mut expected = expected;
        let mut step = 0;
        while change(&channel, round, step, &mut expected).await {
            step += 1;
            if counter.0.fetch_sub(1, Ordering::SeqCst) == 1 {
                counter.1.notify_one();
            }
        }
        expected
    });
    made.1.notified().await;
    server.kill();
    changing.await.expect("no change fails before the kill")
}

/// Makes the next change. Returns false when it was not answered.
async fn change(channel: &Channel, round: u64, step: u64, expected: &mut Expected) -> bool {
    let name = format!("{round}-{}", step / 8);
    let mut catalog = CatalogServiceClient::new(channel.clone());
    match step % 8 {
        0 => {
            expected.products.insert(name.clone(), None);
            let products = vec![product(&name)];
            let done = answered(catalog.batch_upsert_products(wire::BatchUpsertProductsRequest { products }).await);
            note(&mut expected.products, &name, done.is_some().then_some(true))
        }
        1 => {
            expected.offers.insert(name.clone(), None);
            let done = upsert_offer(channel, offer(&name, &name)).await;
            note(&mut expected.offers, &name, done.then_some(true))
        }
        2 => {
            let customer = format!("customer{name}");
            let at = prost_types::Timestamp { seconds: 1_760_000_000, nanos: 0 };
            let events = vec![purchase("e1", &customer, "kettle", at)];
            let request = wire::RecordEventsRequest { events };
            let done = answered(FeedbackServiceClient::new(channel.clone()).record_events(request).await);
            note(&mut expected.customers, &customer, done.is_some().then_some(true))
        }
        3 => {
            let answer = answered(OfferServiceClient::new(channel.clone()).cross_sell(cross_sell(&name)).await);
            let offers = answer.as_ref().map(|answer| answer.offers.as_slice()).unwrap_or_default();
            expected.granted += offers.iter().filter(|offer| offer.offer_id == LIMITED).count() as u64;
            answer.is_some()
        }
        4 => {
            expected.perhaps_activated = Some(name.clone());
            let mut policies = PolicyServiceClient::new(channel.clone());
            let source = wire::create_policy_request::Source::Toml(format!("version = \"{name}\"\n"));
            let request = wire::CreatePolicyRequest { source: Some(source), validate_only: false };
            if answered(policies.create_policy(request).await).is_none() {
                return false;
            }
            let request = wire::ActivatePolicyRequest { version: name.clone() };
            let done = answered(policies.activate_policy(request).await).is_some();
            if done {
                expected.activated = expected.perhaps_activated.take();
            }
            done
        }
        5 if step / 8 % 2 == 1 => {
            expected.offers.insert(name.clone(), None);
            let done = answered(catalog.delete_offer(wire::DeleteOfferRequest { offer_id: name.clone() }).await);
            note(&mut expected.offers, &name, done.is_some().then_some(false))
        }
        6 if step / 8 % 2 == 1 => {
            expected.products.insert(name.clone(), None);
            let request = wire::DeleteProductRequest { product_id: name.clone() };
            let done = answered(catalog.delete_product(request).await);
            note(&mut expected.products, &name, done.is_some().then_some(false))
        }
        7 => {
            let customer = format!("customer{name}");
            expected.customers.insert(customer.clone(), None);
            let request = wire::EraseCustomerRequest { customer_id: customer.clone() };
            let done = answered(CustomerServiceClient::new(channel.clone()).erase_customer(request).await);
            note(&mut expected.customers, &customer, done.is_some().then_some(false))
        }
        _ => true,
    }
}

/// Enters the result of a change; `None` for one without a response. Returns whether there was a response.
fn note(things: &mut BTreeMap<String, Option<bool>>, name: &str, exists: Option<bool>) -> bool {
    things.insert(name.to_owned(), exists);
    exists.is_some()
}

fn offer(id: &str, product: &str) -> wire::ExplicitOffer {
    wire::ExplicitOffer { offer_id: id.to_owned(), product_id: product.to_owned(), ..wire::ExplicitOffer::default() }
}

async fn upsert_offer(channel: &Channel, offer: wire::ExplicitOffer) -> bool {
    let request = wire::BatchUpsertOffersRequest { offers: vec![offer] };
    answered(CatalogServiceClient::new(channel.clone()).batch_upsert_offers(request).await).is_some()
}

/// Whether something is found.
fn exists<T>(answer: Result<Response<T>, Status>) -> bool {
    match answer {
        Ok(_) => true,
        Err(status) if status.code() == Code::NotFound => false,
        Err(status) => panic!("{status}"),
    }
}

/// Checks that everything acknowledged is in the restarted server.
async fn check(channel: &Channel, expected: &Expected) {
    let known = |things: &BTreeMap<String, Option<bool>>| {
        let known = things.iter().filter_map(|(name, exists)| Some((name.clone(), (*exists)?)));
        known.collect::<Vec<(String, bool)>>()
    };
    let mut catalog = CatalogServiceClient::new(channel.clone());
    for (name, is_there) in known(&expected.products) {
        let found = catalog.get_product(wire::GetProductRequest { product_id: name.clone() }).await;
        assert_eq!(exists(found), is_there, "product {name}");
    }
    for (name, is_there) in known(&expected.offers) {
        let found = catalog.get_offer(wire::GetOfferRequest { offer_id: name.clone() }).await;
        assert_eq!(exists(found), is_there, "explicit offer {name}");
    }
    for (name, is_there) in known(&expected.customers) {
        let request = wire::GetCustomerRequest { customer_id: name.clone() };
        let found = CustomerServiceClient::new(channel.clone()).get_customer(request).await;
        assert_eq!(exists(found), is_there, "customer {name}");
        if !is_there {
            let at = prost_types::Timestamp { seconds: 1_760_000_000, nanos: 0 };
            let request = wire::RecordEventsRequest { events: vec![purchase("e2", &name, "kettle", at)] };
            let answer = FeedbackServiceClient::new(channel.clone()).record_events(request).await.expect("answers");
            let status = answer.into_inner().results[0].status.clone().expect("set");
            assert_eq!(status.code, i32::from(Code::FailedPrecondition), "{name} was erased");
        }
    }
    let active = PolicyServiceClient::new(channel.clone()).get_policy(wire::GetPolicyRequest::default()).await;
    let active = active.expect("one is active").into_inner().policy_version.and_then(|active| active.policy);
    let active = active.expect("set").version;
    let possible = expected.activated.iter().chain(&expected.perhaps_activated);
    assert!(
        expected.activated.is_none() || possible.clone().any(|version| *version == active),
        "{active} is active, not one of {:?}",
        possible.collect::<Vec<_>>()
    );
    let limited = catalog.get_offer(wire::GetOfferRequest { offer_id: LIMITED.to_owned() }).await.expect("is there");
    let used = limited.into_inner().offer.expect("set").volume_used;
    assert!((expected.granted..=VOLUME_CAP).contains(&used), "{used} units for {} grants", expected.granted);
}
