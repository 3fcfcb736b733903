//! `ModelService`: `TrainModel` and `GetModel`.

use std::path::Path;
use std::sync::Arc;

use tactful::domain::event::{Event, EventKind as DomainEventKind, OrderLine};
use tactful::domain::ids::{CustomerId, EventId, ProductId};
use tactful::domain::policy::Policy;
use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1::{
    BatchUpsertCustomersRequest, Consents, CustomerEvent, CustomerProfile, EventKind, GetModelRequest,
    GetRelationshipHealthRequest, OfferModel, TrainModelRequest,
};
use tactful::model::training_settings::TrainingSettings;
use tactful::store::contract::store::Store;
use tactful::store::sled::store::SledStore;
use tactful::use_cases::app::App;
use tactful::use_cases::record_events::record_events;
use tonic::Code;

use super::faults::{kind, refusal};
use super::harness::{ManualClock, TestServer, until, within_timeout, written};
use super::shop::{ago, now, open_shop, record, stock};
use crate::support::wire_shop::{cross_sell, event, purchase};

async fn train(server: &TestServer) -> OfferModel {
    let answer = server.models().train_model(TrainModelRequest {}).await.expect("trains").into_inner();
    answer.model.expect("the new model")
}

#[tokio::test]
async fn there_is_no_model_until_one_is_trained_and_then_it_is_served() {
    let shop = open_shop().await;
    let status = refusal(shop.models().get_model(GetModelRequest {}).await);
    assert_eq!(kind(&status), (Code::NotFound, "MODEL_NOT_FOUND".into()));
    let untrained = shop.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner();
    assert_eq!(untrained.model_version, 0);

    let first = train(&shop).await;
    assert_eq!((first.version, first.purchases, first.products, first.customers), (1, 2, 2, 1));
    assert_eq!(first.train_time, Some(now(&shop.clock)));
    assert!(first.training_duration.is_some() && first.artifact_bytes > 0);
    let served =
        shop.models().get_model(GetModelRequest {}).await.expect("answers").into_inner().model.expect("a model");
    // Only the replica that trained knows how long it took.
    let training_duration = served.training_duration.and(first.training_duration);
    assert_eq!(served, OfferModel { training_duration, ..first });
    assert_eq!(train(&shop).await.version, 2);
    let trained = shop.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner();
    assert_eq!(trained.model_version, 2);
}

#[tokio::test]
async fn a_trained_model_says_how_many_bought_together() {
    let shop = open_shop().await;
    let at = ago(&shop.clock, DAY * 20);
    let events = (0..40).flat_map(|number| {
        let customer = format!("c{number}");
        ["kettle", "mug"].map(|product| purchase(&format!("{customer}-{product}"), &customer, product, at))
    });
    record(&shop, events.collect()).await;
    train(&shop).await;
    let answer = shop.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner();
    let best = answer.offers.first().expect("an offer");
    assert_eq!(best.product_id, "mug");
    let reason = best.reasons.iter().find(|reason| reason.code == "BOUGHT_TOGETHER").expect("the strongest reason");
    assert_eq!(reason.parameters.get("together").map(String::as_str), Some("40"));
    assert_eq!(reason.text, "40 of 41 customers with The kettle also bought it");
}

/// Leaves a store with history and without a model, which no server has seen.
async fn leave_a_purchase(directory: &Path, clock: Arc<ManualClock>) {
    let store = Arc::new(SledStore::open(directory).await.expect("opens"));
    let limits = TrainingSettings::new(1, 1 << 30);
    let tactful = App::open(store.clone(), clock, Policy::default(), limits).await.expect("opens");
    let product = ProductId::new("kettle").expect("a valid id");
    let purchase = Event {
        id: EventId::new("e1").expect("a valid id"),
        customer: Some(CustomerId::new("ada").expect("a valid id")),
        at: tactful.now() - DAY,
        kind: DomainEventKind::Purchase(OrderLine { product, order: None, quantity: 1, unit_price: None }),
    };
    record_events(&tactful, &[purchase]).await.expect("records");
    drop(tactful);
    store.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_second_training_at_the_same_time_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let clock = ManualClock::new();
    leave_a_purchase(directory.path(), clock.clone()).await;

    // A server that starts with history and no model trains by itself.
    let shut = clock.block_readers();
    let data_dir = directory.path().to_str().expect("a path in UTF-8");
    let settings = written().with("store", "sled").with("data-dir", data_dir).with("training-interval", "24h");
    let server = TestServer::with(settings.check().expect("valid settings"), clock.clone()).await;
    until(async || clock.has_blocked_reader()).await;
    let status = refusal(within_timeout(server.models().train_model(TrainModelRequest {})).await);
    assert_eq!(kind(&status), (Code::FailedPrecondition, "TRAINING_RUNNING".into()));
    drop(shut);
    until(async || server.models().get_model(GetModelRequest {}).await.is_ok()).await;
    server.stop().await;
}

#[tokio::test]
async fn a_model_is_served_again_after_a_restart() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let clock = ManualClock::new();
    let server = TestServer::on_disk(directory.path(), clock.clone()).await;
    stock(&server).await;
    let trained = train(&server).await;
    server.stop().await;
    let server = TestServer::on_disk(directory.path(), clock).await;
    let known = server.models().get_model(GetModelRequest {}).await.expect("answers").into_inner();
    // The duration is not stored.
    assert_eq!(known.model, Some(OfferModel { training_duration: None, ..trained }));
    server.stop().await;
}

#[tokio::test]
async fn a_training_that_is_not_possible_says_why_and_leaves_the_model() {
    let server = TestServer::in_memory().await;
    let train = async || refusal(server.models().train_model(TrainModelRequest {}).await);
    // At its start the server looks for a training that was interrupted, and no other begins meanwhile.
    until(async || kind(&train().await).1 != "TRAINING_RUNNING").await;
    let status = train().await;
    assert_eq!(kind(&status), (Code::FailedPrecondition, "TRAINING_NOT_POSSIBLE".into()));
    assert_eq!(status.message(), "training is not possible: there are no purchases to learn from");
    let status = refusal(server.models().get_model(GetModelRequest {}).await);
    assert_eq!(kind(&status), (Code::NotFound, "MODEL_NOT_FOUND".into()));
}

/// Broken by: a training on the history of customers who object to profiling.
#[tokio::test]
async fn who_objects_to_profiling_is_not_learned_from() {
    let shop = open_shop().await;
    assert_eq!(train(&shop).await.customers, 1);
    let consents = Consents { objects_to_profiling: true, ..Consents::default() };
    let ada = CustomerProfile { customer_id: "ada".into(), consents: Some(consents), ..CustomerProfile::default() };
    record(&shop, vec![purchase("1", "bob", "kettle", ago(&shop.clock, DAY))]).await;
    let request = BatchUpsertCustomersRequest { customers: vec![ada] };
    shop.customers().batch_upsert_customers(request).await.expect("upserts");
    let trained = train(&shop).await;
    assert_eq!((trained.customers, trained.purchases), (1, 1), "only Bob is left");
}

/// Monthly subscribers left and yearly ones stayed: new monthly and yearly subscribers are distinguished.
#[tokio::test]
async fn who_stays_is_learned_from_the_profile() {
    let shop = open_shop().await;
    let contract = |number: usize| if number.is_multiple_of(2) { "monthly" } else { "yearly" };
    let profile = |number: usize| CustomerProfile {
        customer_id: format!("c{number}"),
        attributes: [("contract".to_owned(), contract(number).to_owned())].into(),
        ..CustomerProfile::default()
    };
    let customers: Vec<CustomerProfile> = (0..302).map(profile).collect();
    shop.customers().batch_upsert_customers(BatchUpsertCustomersRequest { customers }).await.expect("upserts");
    let of = |kind, number: usize, days: u32| {
        let (id, customer) = (format!("{kind:?}"), format!("c{number}"));
        CustomerEvent { product_id: "kettle".into(), ..event(&id, &customer, kind, ago(&shop.clock, DAY * days)) }
    };
    let mut events: Vec<CustomerEvent> = (0..300).map(|number| of(EventKind::SubscriptionStart, number, 200)).collect();
    // Four in five by the month left within the last 90 days, and one in ten by the year.
    let leaves = |number: &usize| if number.is_multiple_of(2) { !number.is_multiple_of(10) } else { number % 20 == 1 };
    events.extend((0..300).filter(leaves).map(|number| of(EventKind::SubscriptionEnd, number, 50)));
    events.extend([300, 301].map(|number| of(EventKind::SubscriptionStart, number, 1)));
    for batch in events.chunks(200) {
        record(&shop, batch.to_vec()).await;
    }
    let trained = train(&shop).await;
    assert!(
        trained.notes.iter().any(|note| note.starts_with("staying outlook: learned from 300")),
        "{:?}",
        trained.notes
    );
    let mut outlooks = Vec::new();
    for number in [300, 301] {
        let request = GetRelationshipHealthRequest { customer_id: format!("c{number}") };
        let view = shop.relationships().get_relationship_health(request).await.expect("answers").into_inner();
        let components = view.relationship_health.expect("set").components;
        let outlook = components.iter().find(|component| component.name == "retention_outlook").expect("set");
        outlooks.push(outlook.input);
    }
    assert!(outlooks[0] < 0.5 && outlooks[1] > 0.7, "by the month {}, by the year {}", outlooks[0], outlooks[1]);
}
