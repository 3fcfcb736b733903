//! The backend on PostgreSQL alone: two processes over one store, a standby that does not answer, and databases that cannot be
//! used.

use std::sync::Arc;
use std::time::Duration;

use crate::support::postgres::{TestServer, new_store};
use crate::support::shop::*;
use crate::support::stored_records::*;
use tactful::store::contract::catalog::CatalogStore;
use tactful::store::contract::change::{Change, CommitOutcome};
use tactful::store::contract::customers::CustomerStore;
use tactful::store::contract::error::StoreError;
use tactful::store::contract::loaded_customer::LoadedCustomer;
use tactful::store::contract::maintenance::MaintenanceStore;
use tactful::store::contract::shared::SharedStore;
use tactful::store::postgres::schema::{OpenPostgresError, SCHEMA_VERSION, init, migrate};
use tactful::store::postgres::settings::{Confirmation, PostgresSettings};
use tactful::store::postgres::store::PostgresStore;

async fn open(settings: &PostgresSettings) -> PostgresStore {
    PostgresStore::open(settings.clone()).await.expect("opens")
}

/// Broken by: keys under a hash that each process draws for itself; a confirmation that does not compare versions.
#[tokio::test]
async fn two_processes_see_one_store() {
    let settings = new_store().await;
    let (one, other) = (open(&settings).await, open(&settings).await);
    let ada = customer("ada");
    let commit = async |store: &PostgresStore, expected| {
        store.commit(Appended::default().change(expected, &ada)).await.expect("the store works")
    };
    assert_eq!(commit(&one, 0).await, CommitOutcome::Committed { version: 1 });
    assert_eq!(commit(&other, 0).await, CommitOutcome::Conflict);
    assert_eq!(commit(&other, 1).await, CommitOutcome::Committed { version: 2 });
    let confirm = async |version| one.confirm(&ada.id, version).await.expect("the store works");
    assert_eq!([confirm(0).await, confirm(1).await, confirm(2).await], [true, false, true]);
    let erasure = one.erase_customer(&ada.id, at(1)).await.expect("the store works").erasure;
    assert_eq!(other.load_customer(&ada.id).await.expect("the store works"), LoadedCustomer::Erased(erasure));
    assert_eq!([confirm(0).await, confirm(2).await], [true, false]);
}

/// Broken by: a time of the sweep that only the process knows that swept.
#[tokio::test]
async fn the_time_of_a_sweep_outlives_its_process() {
    let settings = new_store().await;
    let swept = open(&settings).await;
    let appended = Appended { events: vec![visit("ada", "e1")], decision: None };
    swept.commit(appended.change(0, &customer("ada"))).await.expect("the store works");
    swept.expire_records(Some(at(100)), None).await.expect("the store works");
    assert_eq!(open(&settings).await.events_swept_before(), Some(at(100)));
}

/// Broken by: a volume that counts as exhausted while other commits have its buckets locked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_in_use_is_not_exhausted() {
    let server = TestServer::start();
    let settings = server.new_store().await;
    let store = Arc::new(open(&settings).await);
    store.put_offers(&[sale("spring", Some(2))]).await.expect("the store works");
    let (other, observer) = (server.client().await, server.client().await);
    let lock = format!("BEGIN; SELECT 1 FROM {}.volume FOR UPDATE", schema_of(&settings));
    other.batch_execute(&lock).await.expect("locks all buckets");
    let taking = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let (ada, decision, takes) = (customer("ada"), grant("ada", 1, &["spring"]), [offer_id("spring")]);
            let change = Change { decision: Some(&decision), takes: &takes, ..Change::new(0, &ada, at(0)) };
            store.commit(change).await
        })
    };
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    while observer.query_one(waiting, &[]).await.expect("reads").get::<_, i64>(0) == 0 && !taking.is_finished() {
        tokio::task::yield_now().await;
    }
    other.batch_execute("ROLLBACK").await.expect("unlocks");
    let outcome = taking.await.expect("does not panic").expect("the store works");
    assert_eq!(outcome, CommitOutcome::Committed { version: 1 });
    assert_eq!(store.used_volume(&offer_id("spring")).await.expect("the store works"), 1);
}

fn schema_of(settings: &PostgresSettings) -> &str {
    settings.url.rsplit_once('=').expect("the search path").1.trim_end_matches('\'')
}

/// A server with one customer, whose commits wait for a standby that does not exist from now on.
async fn without_its_standby() -> (TestServer, PostgresSettings) {
    let server = TestServer::start();
    let mut settings = server.new_store().await;
    let stored = open(&settings).await.commit(Appended::default().change(0, &customer("ada"))).await;
    assert_eq!(stored.expect("the store works"), CommitOutcome::Committed { version: 1 });
    let client = server.client().await;
    client.batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'missing'").await.expect("a superuser");
    client.batch_execute("SELECT pg_reload_conf()").await.expect("a superuser");
    settings.connections_max = 2;
    settings.connection_wait_max = Duration::from_millis(300);
    (server, settings)
}

/// Waits until so many commits wait for the standby.
async fn until_waiting(client: &tokio_postgres::Client, count: i64) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    while client.query_one(waiting, &[]).await.expect("reads").get::<_, i64>(0) < count {
        tokio::task::yield_now().await;
    }
}

/// The server reports success when the wait for a standby is cancelled. Broken by: notices that nothing reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_wait_is_cancelled_is_not_confirmed() {
    let (server, settings) = without_its_standby().await;
    let (store, client) = (Arc::new(open(&settings).await), server.client().await);
    let committing = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.commit(Appended::default().change(1, &customer("ada"))).await })
    };
    until_waiting(&client, 1).await;
    let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    client.query(cancel, &[]).await.expect("cancels");
    let outcome = committing.await.expect("does not panic");
    assert!(matches!(outcome, Err(StoreError::Unconfirmed { .. })), "{outcome:?}");
}

/// What is visible but not confirmed may be lost with the primary. Broken by: a confirmation that only reads; a commit that
/// frees its connection while the server waits, so that connections pile up there; reads that need a connection for commits; a
/// cached ranking that waits for the commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_standby_nothing_is_confirmed_and_connections_do_not_pile_up() {
    let (server, settings) = without_its_standby().await;
    let impatient = PostgresSettings { commit_wait_max: Duration::from_millis(300), ..settings };
    let (store, client) = (open(&impatient).await, server.client().await);
    let ada = customer("ada");
    let outcome = store.commit(Appended::default().change(1, &ada)).await;
    assert!(matches!(outcome, Err(StoreError::Unconfirmed { .. })), "{outcome:?}");
    until_waiting(&client, 1).await;
    let visible = open(&impatient).await;
    // The commit is not visible before it is confirmed, but would be after a restart of the primary.
    let version = async || visible.load_customer(&ada.id).await.expect("reads").stored().map(|stored| stored.version);
    assert_eq!(version().await, Some(1));
    let again = store.commit(Appended::default().change(0, &customer("bob"))).await;
    assert!(matches!(again, Err(StoreError::Unconfirmed { .. })), "{again:?}");
    let refused = store.commit(Appended::default().change(0, &customer("cy"))).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tactful' AND state <> 'idle'";
    assert_eq!(client.query_one(connections, &[]).await.expect("reads").get::<_, i64>(0), 2);
    // Previews are answered: they read, and cache a ranking, of a customer whose row a commit has locked, too.
    assert_eq!(store.load_customer(&customer_id("cy")).await.expect("reads"), LoadedCustomer::Unknown);
    let ranking = full_cached_ranking(1);
    let cached = tokio::time::timeout(Duration::from_secs(5), store.put_cached_ranking(&ada.id, &ranking)).await;
    cached.expect("does not wait").expect("the store works");
    client.batch_execute("ALTER SYSTEM RESET synchronous_standby_names").await.expect("a superuser");
    client.batch_execute("SELECT pg_reload_conf()").await.expect("a superuser");
    // The commits end by themselves, and return their connections.
    while version().await != Some(2) {
        tokio::task::yield_now().await;
    }
    assert!(store.confirm(&ada.id, 2).await.expect("the store works"));
}

/// Broken by: a schema that is created at the start, or in part; a check left out.
#[tokio::test]
async fn a_database_that_cannot_be_used_is_refused_with_its_reason() {
    let server = TestServer::start();
    let empty = server.empty_schema().await;
    let refusal = async |settings: &PostgresSettings| PostgresStore::open(settings.clone()).await.expect_err("refused");
    assert!(matches!(refusal(&empty).await, OpenPostgresError::NoSchema));
    let strict = PostgresSettings { confirmation: Confirmation::Standby, ..empty.clone() };
    assert!(matches!(refusal(&strict).await, OpenPostgresError::NoStandby));
    init(&empty).await.expect("an empty schema");
    assert!(matches!(init(&empty).await, Err(OpenPostgresError::SchemaExists)));
    open(&empty).await;
    let client = server.client().await;
    let newer = format!("UPDATE {}.meta SET number = 9 WHERE name = 'schema_version'", schema_of(&empty));
    client.batch_execute(&newer).await.expect("updates");
    assert!(matches!(refusal(&empty).await, OpenPostgresError::OtherSchema { found: 9 }));
    assert!(matches!(migrate(&empty).await, Err(OpenPostgresError::OtherSchema { found: 9 })));
    client.batch_execute("CREATE ROLE guest LOGIN").await.expect("a superuser");
    let guest = PostgresSettings { url: empty.url.replace("user=tactful", "user=guest"), ..empty.clone() };
    assert!(matches!(refusal(&guest).await, OpenPostgresError::NoSchema | OpenPostgresError::NoRights(_)));
    let secret = PostgresSettings { url: "host=/nowhere user=x password=geheim".to_owned(), ..empty.clone() };
    let unreachable = refusal(&secret).await;
    assert!(matches!(unreachable, OpenPostgresError::Unreachable(_)));
    assert!(!unreachable.to_string().contains("geheim") && !format!("{secret:?}").contains("geheim"));
    let nonsense = PostgresSettings { url: "nonsense://geheim".to_owned(), ..empty };
    let invalid = refusal(&nonsense).await;
    assert!(
        matches!(invalid, OpenPostgresError::InvalidUrl(_)) && !invalid.to_string().contains("geheim"),
        "{invalid}"
    );
}

/// Broken by: a migration that is not applied, or applied twice; a number of the policy that does not follow from the
/// activations that are stored.
#[tokio::test]
async fn a_schema_of_the_first_version_is_migrated_once() {
    let server = TestServer::start();
    let settings = server.empty_schema().await;
    assert!(matches!(migrate(&settings).await, Err(OpenPostgresError::NoSchema)));
    init(&settings).await.expect("an empty schema");
    let client = server.client().await;
    let schema = schema_of(&settings);
    let first = format!(
        "SET search_path = {schema}; DROP TABLE published, job, replica; \
         UPDATE meta SET number = 1 WHERE name = 'schema_version'; INSERT INTO activation (body) VALUES (''), ('')"
    );
    client.batch_execute(&first).await.expect("a schema of the first version");
    let refused = PostgresStore::open(settings.clone()).await.expect_err("refused");
    assert!(matches!(refused, OpenPostgresError::OldSchema { found: 1 }));
    assert_eq!(migrate(&settings).await.expect("migrates"), 1);
    assert_eq!(migrate(&settings).await.expect("changes nothing"), SCHEMA_VERSION);
    assert_eq!(open(&settings).await.published().await.expect("the store works").numbers.policy, 2);
}
