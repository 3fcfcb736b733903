//! `ModelService`: `TrainModel` and `GetModel`.

use std::path::Path;
use std::sync::Arc;

use tactful::domain::event::{Event, EventKind, Line};
use tactful::domain::ids::{CustomerId, EventId, ProductId};
use tactful::domain::policy::Policy;
use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1::{GetModelRequest, OfferModel, TrainModelRequest};
use tactful::model::train::TrainingSettings;
use tactful::store::sled::store::SledStore;
use tactful::use_cases::record_events::record_events;
use tactful::use_cases::tactful::Tactful;
use tonic::Code;

use super::faults::{kind, refusal};
use super::harness::{HandClock, Running, until, within_patience};
use super::shop::{ago, cross_sell, now, open_shop, purchase, record, stock};

async fn train(server: &Running) -> OfferModel {
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
    let served = shop.models().get_model(GetModelRequest {}).await.expect("answers").into_inner();
    assert_eq!(served.model, Some(first));
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
    assert_eq!(reason.text, "bought by 40 of 41 customers with The kettle");
}

/// Leaves a store with history and without a model, which no server has seen.
async fn leave_a_purchase(directory: &Path, clock: Arc<HandClock>) {
    let store = Arc::new(SledStore::open(directory).await.expect("opens"));
    let limits = TrainingSettings { threads: 1, memory_bytes_max: 1 << 30 };
    let tactful = Tactful::open(store.clone(), clock, Policy::default(), limits).await.expect("opens");
    let product = ProductId::new("kettle").expect("a valid id");
    let purchase = Event {
        id: EventId::new("e1").expect("a valid id"),
        customer: Some(CustomerId::new("ada").expect("a valid id")),
        at: tactful.now() - DAY,
        kind: EventKind::Purchase(Line { product, order: None, quantity: 1, unit_price: None }),
    };
    record_events(&tactful, &[purchase]).await.expect("records");
    drop(tactful);
    store.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_second_training_at_the_same_time_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let clock = HandClock::new();
    leave_a_purchase(directory.path(), clock.clone()).await;

    // A server that starts with history and no model trains by itself.
    let shut = clock.shut();
    let server = Running::on_disk(directory.path(), clock.clone()).await;
    until(async || clock.somebody_waits()).await;
    let status = refusal(within_patience(server.models().train_model(TrainModelRequest {})).await);
    assert_eq!(kind(&status), (Code::FailedPrecondition, "TRAINING_RUNNING".into()));
    drop(shut);
    until(async || server.models().get_model(GetModelRequest {}).await.is_ok()).await;
    server.stop().await;
}

#[tokio::test]
async fn a_model_is_served_again_after_a_restart() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let clock = HandClock::new();
    let server = Running::on_disk(directory.path(), clock.clone()).await;
    stock(&server).await;
    let trained = train(&server).await;
    server.stop().await;
    let server = Running::on_disk(directory.path(), clock).await;
    let known = server.models().get_model(GetModelRequest {}).await.expect("answers").into_inner();
    // How long it took is not kept.
    assert_eq!(known.model, Some(OfferModel { training_duration: None, ..trained }));
    server.stop().await;
}

#[tokio::test]
async fn a_training_that_is_not_possible_says_why_and_leaves_the_model() {
    let server = Running::in_memory().await;
    let status = refusal(server.models().train_model(TrainModelRequest {}).await);
    assert_eq!(kind(&status), (Code::FailedPrecondition, "TRAINING_NOT_POSSIBLE".into()));
    assert_eq!(status.message(), "training is not possible: there are no purchases to learn from");
    let status = refusal(server.models().get_model(GetModelRequest {}).await);
    assert_eq!(kind(&status), (Code::NotFound, "MODEL_NOT_FOUND".into()));
}
