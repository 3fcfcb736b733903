//! Several processes over one store: published numbers, leases, and the end of what rests on an earlier policy.

use std::sync::Arc;
use std::time::Duration;

use crate::support::postgres::{TestServer, new_store};
use crate::support::shop::*;
use crate::support::stored_records::*;
use tactful::domain::ids::ProductId;
use tactful::store::contract::catalog::CatalogStore;
use tactful::store::contract::customers::CustomerStore;
use tactful::store::contract::maintenance::MaintenanceStore;
use tactful::store::contract::policies_and_models::PolicyAndModelStore;
use tactful::store::contract::shared::{Job, PublishedNumbers, ReplicaId, SharedStore};
use tactful::store::contract::stored_model::StoredModel;
use tactful::store::contract::stored_policy::Activation;
use tactful::store::postgres::store::PostgresStore;

const WORKS: &str = "the store works";

async fn open_two() -> (PostgresStore, PostgresStore) {
    let settings = new_store().await;
    let open = async || PostgresStore::open(settings.clone()).await.expect("opens");
    (open().await, open().await)
}

fn activation() -> Activation {
    Activation { policy: "calm".to_owned(), at: at(1), is_roll_back: false }
}

/// Broken by: a number that does not change with what it stands for, or changes without it.
#[tokio::test]
async fn numbers_change_with_what_they_stand_for() {
    let (one, other) = open_two().await;
    let mut numbers = other.published().await.expect(WORKS).numbers;
    let mut changed = async || {
        let before = std::mem::replace(&mut numbers, other.published().await.expect(WORKS).numbers);
        let PublishedNumbers { policy, catalog, offers, model, acceptances } = numbers;
        [
            policy != before.policy,
            catalog != before.catalog,
            offers != before.offers,
            model != before.model,
            acceptances != before.acceptances,
        ]
    };
    let [nothing, catalog, offers] =
        [[false; 5], [false, true, false, false, false], [false, false, true, false, false]];
    one.put_products(&[full_product("p1")]).await.expect(WORKS);
    assert_eq!(changed().await, catalog);
    one.put_products(&[full_product("p1")]).await.expect(WORKS);
    assert_eq!(changed().await, nothing);
    one.delete_product(&product_id("p1")).await.expect(WORKS);
    assert_eq!(changed().await, catalog);
    one.delete_product(&ProductId::new("p1").expect("valid")).await.expect(WORKS);
    assert_eq!(changed().await, nothing);
    one.put_offers(&[sale("spring", Some(5))]).await.expect(WORKS);
    assert_eq!(changed().await, offers);
    one.put_offers(&[sale("spring", Some(5))]).await.expect(WORKS);
    assert_eq!(changed().await, nothing);
    one.delete_offer(&offer_id("spring")).await.expect(WORKS);
    assert_eq!(changed().await, offers);
    assert!(one.put_model(&StoredModel { version: 1, bytes: artifact(10) }).await.expect(WORKS));
    assert_eq!(changed().await, [false, false, false, true, false]);
    assert!(!other.put_model(&StoredModel { version: 1, bytes: artifact(20) }).await.expect(WORKS));
    assert_eq!(changed().await, nothing);
    assert!(one.append_activation(&activation(), 0).await.expect(WORKS));
    assert_eq!(changed().await, [true, false, false, false, false]);
    assert!(!other.append_activation(&activation(), 0).await.expect(WORKS));
    assert_eq!(changed().await, nothing);
}

/// Broken by: counts written by a process that was overtaken.
#[tokio::test]
async fn acceptances_are_written_once_for_each_number() {
    let (one, other) = open_two().await;
    assert_eq!(one.load_acceptances().await.expect(WORKS), None);
    let number = async || one.published().await.expect(WORKS).numbers.acceptances;
    let first = number().await;
    assert!(one.put_acceptances(b"first", first).await.expect(WORKS));
    assert!(!other.put_acceptances(b"overtaken", first).await.expect(WORKS));
    assert_eq!(other.load_acceptances().await.expect(WORKS), Some(b"first".to_vec()));
    assert!(other.put_acceptances(b"second", number().await).await.expect(WORKS));
    assert_eq!(one.load_acceptances().await.expect(WORKS), Some(b"second".to_vec()));
}

/// Broken by: a lease that another process may take while it lasts, or nobody after it; one lease for all jobs.
#[tokio::test]
async fn a_lease_has_one_holder_until_it_ends() {
    let (one, other) = open_two().await;
    let [a, b] = [ReplicaId::random(), ReplicaId::random()];
    let hour = Duration::from_secs(3600);
    let lease = async |store: &PostgresStore, job, holder, span| store.lease(job, holder, span).await.expect(WORKS);
    assert!(lease(&one, Job::Training, a, hour).await);
    assert!(lease(&one, Job::Training, a, hour).await, "it is extended");
    assert!(!lease(&other, Job::Training, b, hour).await);
    assert!(lease(&other, Job::Retention, b, hour).await);
    other.end_lease(Job::Training, b).await.expect(WORKS);
    assert!(!lease(&other, Job::Training, b, hour).await, "only its holder ends it");
    one.end_lease(Job::Training, a).await.expect(WORKS);
    assert!(lease(&other, Job::Training, b, Duration::ZERO).await);
    assert!(lease(&one, Job::Training, a, hour).await, "it had run out");
}

/// Broken by: a replica that is not asked; one that is gone and waited for.
#[tokio::test]
async fn a_policy_is_drained_when_no_replica_uses_an_earlier_one() {
    let settings = new_store().await;
    let store = PostgresStore::open(settings.clone()).await.expect("opens");
    let [a, b] = [ReplicaId::random(), ReplicaId::random()];
    let is_drained = async |policy| {
        // A transaction of another test may have the id before: it ends soon.
        let position = store.commit_position().await.expect(WORKS);
        while !store.is_drained(0, position).await.expect(WORKS) {
            tokio::task::yield_now().await;
        }
        store.is_drained(policy, position).await.expect(WORKS)
    };
    assert!(is_drained(7).await, "no replica is known");
    store.report_replica(a, 7).await.expect(WORKS);
    store.report_replica(b, 6).await.expect(WORKS);
    assert_eq!([is_drained(6).await, is_drained(7).await], [true, false]);
    store.report_replica(b, 7).await.expect(WORKS);
    assert_eq!([is_drained(7).await, is_drained(8).await], [true, false]);
    store.remove_replica(a).await.expect(WORKS);
    assert!(!is_drained(8).await);
    let client = crate::support::postgres::shared_client().await;
    let schema = settings.url.rsplit_once('=').expect("the search path").1.trim_end_matches('\'');
    let silent = format!("UPDATE {schema}.replica SET seen = seen - interval '20 seconds'");
    client.batch_execute(&silent).await.expect("updates");
    assert!(is_drained(8).await, "it was not seen for long");
}

/// A commit that read the number of the policy before the activation, and ends after it. Its transaction id may be higher than
/// that of the activation. Broken by: a position taken from the end of a snapshot, beyond which such a commit may lie; a position
/// that nothing is compared with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_between_its_check_and_its_end_holds_an_activation_up() {
    let server = TestServer::start();
    let settings = server.new_store().await;
    let store = Arc::new(PostgresStore::open(settings.clone()).await.expect("opens"));
    let schema = settings.url.rsplit_once('=').expect("the search path").1.trim_end_matches('\'');
    let (activating, committing) = (server.client().await, server.client().await);
    for client in [&activating, &committing] {
        client.batch_execute(&format!("SET search_path = {schema}")).await.expect("sets");
    }
    activating.batch_execute("BEGIN; UPDATE published SET number = 1 WHERE kind = 'policy'").await.expect("begins");
    let stalled =
        "BEGIN; INSERT INTO meta (name) VALUES ('written'); SELECT number FROM published WHERE kind = 'policy'";
    committing.batch_execute(stalled).await.expect("reads the old number");
    activating.batch_execute("COMMIT").await.expect("ends");
    let position = store.commit_position().await.expect(WORKS);
    for _ in 0..3 {
        assert!(!store.is_drained(1, position).await.expect(WORKS));
        // Later commits change nothing about it.
        store.put_products(&[full_product("p1")]).await.expect(WORKS);
        store.delete_product(&product_id("p1")).await.expect(WORKS);
    }
    committing.batch_execute("COMMIT").await.expect("ends");
    assert!(store.is_drained(1, position).await.expect(WORKS));
}

/// Broken by: a time of another process's sweep that is learned only at the start.
#[tokio::test]
async fn a_sweep_is_known_to_other_processes_with_the_numbers() {
    let (one, other) = open_two().await;
    one.append_anonymous(&[anonymous_visit("a1")]).await.expect(WORKS);
    one.expire_records(Some(at(100)), None).await.expect(WORKS);
    assert_eq!(other.events_swept_before(), None);
    other.published().await.expect(WORKS);
    assert_eq!(other.events_swept_before(), Some(at(100)));
}
