//! Servers and their database: one that goes away, and a training beside them.

use std::time::Duration;

use tactful::grpc::generated::tactful::v1::RecordEventsRequest;
use tactful::server::train::{TrainInDatabaseError, train_in_database};
use tactful::store::contract::shared::{Job, ReplicaId};
use tactful::use_cases::train_model::TrainError;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;

use super::faults::{refusal, retry_after};
use super::harness::{ManualClock, TestServer, in_database, until, without_store};
use super::shop::{ago, record, stock};
use crate::support::postgres::TestServer as Database;
use crate::support::wire_shop::{cross_sell, preview, purchase};

/// Broken by: a server that ends, or says that it is ready; an error that tells nobody to come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_a_server_is_not_ready_and_goes_on() {
    let database = Database::start();
    let url = database.new_store().await.url;
    let settings = without_store().with("store", "postgres").with("store-url", url).with("store-confirms", "engine");
    let server = TestServer::one(settings.check().expect("valid settings"), ManualClock::new()).await;
    let events = vec![purchase("e1", "ada", "kettle", ago(&server.clock, Duration::from_secs(60)))];
    server.feedback().record_events(RecordEventsRequest { events: events.clone() }).await.expect("records");
    server.offers().cross_sell(cross_sell("ada")).await.expect("answers");
    let status = async || {
        let request = HealthCheckRequest { service: String::new() };
        server.readiness().check(request).await.expect("answers").into_inner().status()
    };
    assert_eq!(status().await, ServingStatus::Serving);

    drop(database);
    for refused in [
        refusal(server.offers().cross_sell(cross_sell("ada")).await),
        refusal(server.feedback().record_events(RecordEventsRequest { events }).await),
    ] {
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        assert!(retry_after(&refused).is_some(), "{refused:?}");
    }
    until(async || status().await == ServingStatus::NotServing).await;
    server.stop().await;
}

/// Broken by: a model that only its trainer has; two trainings at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_of_its_own_trains_for_the_servers() {
    let settings = in_database().check().expect("valid settings");
    let database = settings.storage.database().expect("a database");
    let server = TestServer::with(settings, ManualClock::new()).await;
    stock(&server).await;
    let bought = |number: u32| {
        let customer = format!("customer-{}", number % 5);
        let product = if number.is_multiple_of(2) { "kettle" } else { "mug" };
        purchase(&format!("e{number}"), &customer, product, ago(&server.clock, Duration::from_secs(86_400)))
    };
    record(&server, (0..20).map(bought).collect()).await;

    let another = ReplicaId::random();
    let shared = server.app.store().shared().expect("the store is shared");
    assert!(shared.lease(Job::Training, another, Duration::from_secs(60)).await.expect("the store works"));
    let refused = train_in_database(&database, 1, 1 << 28).await;
    assert!(matches!(refused, Err(TrainInDatabaseError::Train(TrainError::AlreadyRunning))), "{refused:?}");
    shared.end_lease(Job::Training, another).await.expect("the store works");

    let trained = train_in_database(&database, 1, 1 << 28).await.expect("trains");
    assert_eq!((trained.version, trained.purchases), (1, 22));
    // At each of the three servers.
    for _ in 0..3 {
        let answer = server.offers().cross_sell(preview("newcomer")).await.expect("answers").into_inner();
        assert_eq!(answer.model_version, 1);
    }
}
