//! One suite for every backend of the store: a backend is done when it passes.
//!
//! Each guarantee failed against a deliberately broken store; the comment on the test says which break.

use std::sync::Arc;

use crate::support::shop::*;
use crate::support::stored_records::*;
use tactful::domain::cached_ranking::CachedRanking;
use tactful::domain::customer::Customer;
use tactful::domain::customer_export::ExportedRecord;
use tactful::domain::decision::Decision;
use tactful::domain::event::Event;
use tactful::domain::ids::{CustomerId, DecisionId, EventId, OfferId};
use tactful::store::contract::change::{APPENDED_MAX, CUSTOMER_BYTES_MAX, Change, CommitOutcome};
use tactful::store::contract::counts::{ExpiredRecords, StoreCounts};
use tactful::store::contract::customer_export::CustomerExportPosition;
use tactful::store::contract::erasure::{ErasedRecords, Erasure, ErasureResult};
use tactful::store::contract::error::StoreError;
use tactful::store::contract::loaded_customer::LoadedCustomer;
use tactful::store::contract::store::Store;
use tactful::store::contract::stored_model::{StoredModel, TrainingMarker};
use tactful::store::contract::stored_policy::{Activation, StoredPolicy};
use tactful::store::memory::store::MemoryStore;
use tactful::store::sled::store::SledStore;

/// A backend under test, and what must outlive it.
struct Backend {
    store: Arc<dyn Store>,
    _directory: Option<tempfile::TempDir>,
}

fn memory() -> Backend {
    Backend { store: Arc::new(MemoryStore::new()), _directory: None }
}

async fn sled() -> Backend {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = SledStore::open(directory.path()).await.expect("an empty directory opens");
    Backend { store: Arc::new(store), _directory: Some(directory) }
}

/// A schema of its own in the database of the tests.
#[cfg(feature = "postgres")]
async fn postgres() -> Backend {
    let settings = crate::support::postgres::new_store().await;
    let store = tactful::store::postgres::store::PostgresStore::open(settings).await.expect("a new schema opens");
    Backend { store: Arc::new(store), _directory: None }
}

macro_rules! for_every_backend {
    ($($test:ident)+) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::memory().store).await;
            })+
        }
        mod in_sled {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let backend = super::sled().await;
                super::$test(backend.store.clone()).await;
            })+
        }
        #[cfg(feature = "postgres")]
        mod in_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::postgres().await.store).await;
            })+
        }
    };
}

for_every_backend! {
    an_unknown_customer_is_none
    a_commit_against_an_old_version_is_a_conflict
    a_conflict_changes_nothing
    versions_grow_by_one
    concurrent_increments_lose_nothing
    appended_records_are_visible_after_the_commit
    recorded_ids_are_reported_in_request_order_and_per_customer
    recorded_knows_events_long_after_their_commit
    a_customer_too_large_is_refused_and_unchanged
    too_many_appended_records_are_refused
    records_of_another_customer_are_refused
    events_of_other_ids_are_stored_under_them
    numbers_that_are_not_finite_are_refused
    many_waiters_become_durable
    products_are_put_replaced_and_deleted
    products_are_ordered_by_id
    explicit_offers_are_put_replaced_and_deleted
    a_commit_takes_and_releases_volume
    a_commit_that_does_not_take_place_leaves_volumes_untouched
    the_cap_of_a_volume_is_that_of_the_stored_offer
    a_volume_is_never_exceeded_by_concurrent_commits
    an_expired_reservation_is_settled_when_its_decision_was_recorded
    volume_without_a_grant_is_refused
    the_latest_model_is_the_current_one
    policies_are_created_once_and_activations_keep_their_order
    a_commit_under_another_policy_does_not_take_place
    a_large_model_comes_back_whole
    the_marker_of_a_training_is_replaced_and_removed
    history_is_visited_whole_and_in_pages
    customers_are_visited_whole_and_in_pages
    decisions_are_visited_whole_and_customer_by_customer
    rankings_are_cached_for_stored_customers_only
    an_erased_customer_is_gone_and_blocked
    an_erasure_and_commits_that_meet_leave_nothing
    customer_export_returns_every_record_once
    expired_records_are_deleted
    the_sweep_records_the_time_before_which_events_were_removed
    idle_customers_are_removed_with_their_decisions
    anonymous_events_count_once
    counts_follow_every_change
    an_outbox_that_fills_up_loses_nothing
}

async fn commit(store: &dyn Store, expected: u64, customer: &Customer, appended: Appended) -> CommitOutcome {
    store.commit(appended.change(expected, customer)).await.expect("the store works")
}

fn committed(outcome: CommitOutcome) -> u64 {
    match outcome {
        CommitOutcome::Committed { version } => version,
        CommitOutcome::Conflict
        | CommitOutcome::Erased
        | CommitOutcome::OtherPolicy
        | CommitOutcome::TooLarge { .. }
        | CommitOutcome::AppendedTooLarge { .. }
        | CommitOutcome::VolumeExhausted(_) => {
            panic!("not committed: {outcome:?}")
        }
    }
}

async fn load(store: &dyn Store, customer: &Customer) -> (u64, Customer) {
    let stored = store.load_customer(&customer.id).await.expect("the store works");
    let stored = stored.stored().expect("the customer is stored");
    (stored.version, stored.value)
}

async fn cached_ranking(store: &dyn Store, customer: &CustomerId) -> Option<CachedRanking> {
    store.load_cached_ranking(customer).await.expect("the store works")
}

async fn used_volume(store: &dyn Store, offer: &str) -> u64 {
    store.used_volume(&offer_id(offer)).await.expect("the store works")
}

/// Commits a decision that grants these offers, for a customer who is not stored yet.
async fn take(store: &dyn Store, name: &str, id: u128, offers: &[&str]) -> CommitOutcome {
    let (customer, decision) = (customer(name), grant(name, id, offers));
    let takes: Vec<OfferId> = offers.iter().map(|offer| offer_id(*offer)).collect();
    let change = Change { decision: Some(&decision), takes: &takes, ..Change::new(0, &customer, at(0)) };
    store.commit(change).await.expect("the store works")
}

async fn history(store: &dyn Store) -> Vec<Event> {
    let mut events = Vec::new();
    store.visit_events(7, &mut |page| events.extend(page)).await.expect("the store works");
    events.sort_by(|a, b| (&a.customer, &a.id).cmp(&(&b.customer, &b.id)));
    events
}

async fn an_unknown_customer_is_none(store: Arc<dyn Store>) {
    let loaded = store.load_customer(&customer_id("nobody")).await.expect("the store works");
    assert_eq!(loaded, LoadedCustomer::Unknown);
    let decision = store.load_decision(&customer_id("nobody"), DecisionId::from_bits(1)).await;
    assert_eq!(decision.expect("the store works"), None);
}

/// Broken by: not comparing versions before the write.
async fn a_commit_against_an_old_version_is_a_conflict(store: Arc<dyn Store>) {
    let ada = customer("ada");
    assert_eq!(commit(&*store, 1, &ada, Appended::default()).await, CommitOutcome::Conflict);
    assert_eq!(commit(&*store, 0, &ada, Appended::default()).await, CommitOutcome::Committed { version: 1 });
    assert_eq!(commit(&*store, 0, &ada, Appended::default()).await, CommitOutcome::Conflict);
    assert_eq!(commit(&*store, 2, &ada, Appended::default()).await, CommitOutcome::Conflict);
}

async fn are_recorded(store: &dyn Store, customer: Option<&CustomerId>, ids: &[EventId]) -> Vec<bool> {
    let loaded = store.load_events(customer, ids).await.expect("the store works");
    loaded.iter().map(Option::is_some).collect()
}

/// Broken by: writing history before the swap.
async fn a_conflict_changes_nothing(store: Arc<dyn Store>) {
    let ada = customer("ada");
    commit(&*store, 0, &ada, Appended::default()).await;
    let before = (store.digest().await.expect("the store works"), store.counts().await.expect("the store works"));
    let appended = Appended { events: vec![visit("ada", "e1")], decision: Some(decision("ada", 1)) };
    assert_eq!(commit(&*store, 0, &full_customer("ada"), appended).await, CommitOutcome::Conflict);
    let after = (store.digest().await.expect("the store works"), store.counts().await.expect("the store works"));
    assert_eq!(after, before);
    assert_eq!(are_recorded(&*store, Some(&ada.id), &[event_id("e1")]).await, [false]);
}

async fn versions_grow_by_one(store: Arc<dyn Store>) {
    for expected in 0..5 {
        let mut ada = customer("ada");
        ada.attributes.insert("round".to_owned(), expected.to_string());
        assert_eq!(committed(commit(&*store, expected, &ada, Appended::default()).await), expected + 1);
        assert_eq!(load(&*store, &ada).await, (expected + 1, ada));
    }
}

/// Broken by: an insert in place of the compare-and-swap.
async fn concurrent_increments_lose_nothing(store: Arc<dyn Store>) {
    const TASKS: u64 = 64;
    const ROUNDS: u64 = 5;
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                let event = visit("ada", &format!("e{task}-{round}"));
                loop {
                    let stored = store.load_customer(&customer_id("ada")).await.expect("the store works").stored();
                    let (version, mut ada) =
                        stored.map_or((0, customer("ada")), |stored| (stored.version, stored.value));
                    let count: u64 = ada.attributes.get("count").map_or(0, |count| count.parse().expect("a number"));
                    ada.attributes.insert("count".to_owned(), (count + 1).to_string());
                    let appended = Appended { events: vec![event.clone()], decision: None };
                    tokio::task::yield_now().await;
                    match commit(&*store, version, &ada, appended).await {
                        CommitOutcome::Committed { .. } => break,
                        CommitOutcome::Conflict => {}
                        CommitOutcome::TooLarge { bytes } | CommitOutcome::AppendedTooLarge { bytes } => {
                            panic!("{bytes} bytes")
                        }
                        outcome @ (CommitOutcome::Erased
                        | CommitOutcome::OtherPolicy
                        | CommitOutcome::VolumeExhausted(_)) => panic!("{outcome:?}"),
                    }
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect("no task panics");
    }
    let (version, ada) = load(&*store, &customer("ada")).await;
    assert_eq!((version, ada.attributes["count"].as_str()), (TASKS * ROUNDS, "320"));
    assert_eq!(history(&*store).await.len() as u64, TASKS * ROUNDS);
}

async fn appended_records_are_visible_after_the_commit(store: Arc<dyn Store>) {
    let appended = Appended { events: events_of_every_kind("ada"), decision: Some(full_decision("ada", 7)) };
    let ada = full_customer("ada");
    commit(&*store, 0, &ada, appended.clone()).await;
    assert_eq!(load(&*store, &ada).await, (1, ada.clone()));
    let ids: Vec<_> = appended.events.iter().map(|event| event.id.clone()).collect();
    assert!(are_recorded(&*store, Some(&ada.id), &ids).await.into_iter().all(|known| known));
    let found = store.load_decision(&ada.id, DecisionId::from_bits(7)).await.expect("the store works");
    assert_eq!(found, appended.decision);
    let mut expected = appended.events;
    expected.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(history(&*store).await, expected);
}

async fn recorded_ids_are_reported_in_request_order_and_per_customer(store: Arc<dyn Store>) {
    let appended = Appended { events: vec![visit("ada", "e1"), visit("ada", "e2")], decision: None };
    commit(&*store, 0, &customer("ada"), appended).await;
    let ids = ["e2", "e3", "e1", "e2"].map(event_id);
    let ada = are_recorded(&*store, Some(&customer_id("ada")), &ids).await;
    assert_eq!(ada, [true, false, true, true]);
    // Ids that are the beginning of one another must not be mixed up.
    for other in [Some(customer_id("ad")), Some(customer_id("adae")), None] {
        assert_eq!(are_recorded(&*store, other.as_ref(), &ids).await, [false; 4]);
    }
}

/// The first event is in the outbox at first and gone from it after many durable commits.
/// Broken by: looking in the outbox only.
async fn recorded_knows_events_long_after_their_commit(store: Arc<dyn Store>) {
    for expected in 0..20 {
        let appended = Appended {
            events: vec![visit("ada", &format!("e{expected}"))],
            decision: Some(decision("ada", u128::from(expected))),
        };
        committed(commit(&*store, expected, &customer("ada"), appended).await);
        store.durable().await.expect("the store works");
        let ids: Vec<_> = (0..=expected).map(|number| event_id(format!("e{number}"))).collect();
        let known = are_recorded(&*store, Some(&customer_id("ada")), &ids).await;
        assert_eq!(known, vec![true; ids.len()]);
        for number in 0..=expected {
            let found = store.load_decision(&customer_id("ada"), DecisionId::from_bits(u128::from(number))).await;
            assert!(found.expect("the store works").is_some());
        }
    }
}

/// Broken by: not comparing the size with the limit.
async fn a_customer_too_large_is_refused_and_unchanged(store: Arc<dyn Store>) {
    let mut large = customer("ada");
    for number in 0..400 {
        large.attributes.insert(format!("attribute {number}"), "x".repeat(40));
    }
    commit(&*store, 0, &customer("ada"), Appended::default()).await;
    match commit(&*store, 1, &large, Appended::default()).await {
        CommitOutcome::TooLarge { bytes } => assert!(bytes > CUSTOMER_BYTES_MAX, "{bytes}"),
        outcome @ (CommitOutcome::Committed { .. }
        | CommitOutcome::Conflict
        | CommitOutcome::Erased
        | CommitOutcome::OtherPolicy
        | CommitOutcome::AppendedTooLarge { .. }
        | CommitOutcome::VolumeExhausted(_)) => {
            panic!("not refused: {outcome:?}")
        }
    }
    assert_eq!(load(&*store, &large).await, (1, customer("ada")));
}

async fn too_many_appended_records_are_refused(store: Arc<dyn Store>) {
    let events = |count: usize| (0..count).map(|number| visit("ada", &format!("e{number}"))).collect::<Vec<_>>();
    let beyond = Appended { events: events(APPENDED_MAX), decision: Some(decision("ada", 1)) };
    assert!(matches!(commit(&*store, 0, &customer("ada"), beyond).await, CommitOutcome::AppendedTooLarge { .. }));
    let just = Appended { events: events(APPENDED_MAX), decision: None };
    assert_eq!(committed(commit(&*store, 0, &customer("ada"), just).await), 1);
}

async fn records_of_another_customer_are_refused(store: Arc<dyn Store>) {
    let of_bob = [
        Appended { events: vec![visit("bob", "e1")], decision: None },
        Appended { events: Vec::new(), decision: Some(decision("bob", 1)) },
    ];
    for appended in of_bob {
        let refused = store.commit(appended.change(0, &customer("ada"))).await;
        assert!(matches!(refused, Err(StoreError::Damaged { .. })));
    }
    assert!(matches!(store.append_anonymous(&[visit("bob", "e1")]).await, Err(StoreError::Damaged { .. })));
    assert_eq!(store.counts().await.expect("the store works"), StoreCounts::default());
}

/// Broken by: copies under the key of the customer that commits them; an alias that is not followed to the outbox.
async fn events_of_other_ids_are_stored_under_them(store: Arc<dyn Store>) {
    let (ada, guest) = merged_pair();
    committed(commit(&*store, 0, &guest, Appended { events: vec![visit("guest", "before")], decision: None }).await);
    let events = vec![visit("ada", "e1"), visit("guest", "e1"), visit("guest", "e2")];
    committed(commit(&*store, 0, &ada, Appended { events, decision: None }).await);
    let ids = ["before", "e1", "e2"].map(event_id);
    assert_eq!(are_recorded(&*store, Some(&guest.id), &ids).await, [true, true, true]);
    assert_eq!(are_recorded(&*store, Some(&ada.id), &ids).await, [false, true, false]);
    assert_eq!(history(&*store).await.len(), 4);
    let refused = Appended { events: vec![visit("bob", "e1")], decision: None };
    assert!(matches!(store.commit(refused.change(1, &ada)).await, Err(StoreError::Damaged { .. })));
    let erased = store.erase_customer(&guest.id, at(1)).await.expect("the store works");
    assert_eq!(erased.removed.events, 3);
    assert_eq!(are_recorded(&*store, Some(&ada.id), &ids).await, [false, true, false]);
}

/// Values that could not be read back are not written. Broken by: writing floats as they are.
async fn numbers_that_are_not_finite_are_refused(store: Arc<dyn Store>) {
    let mut ada = customer("ada");
    ada.relationship.sentiment.add(at(0), f64::NAN);
    let refused = store.commit(Appended::default().change(0, &ada)).await;
    assert!(matches!(refused, Err(StoreError::Damaged { .. })));
    assert_eq!(store.load_customer(&ada.id).await.expect("the store works"), LoadedCustomer::Unknown);
}

/// Broken by: waking no waiter after a flush, which hangs. sled's own `flush_async` hangs here for good.
async fn many_waiters_become_durable(store: Arc<dyn Store>) {
    for round in 0..200 {
        let mut tasks = Vec::new();
        for task in 0..64 {
            let store = Arc::clone(&store);
            tasks.push(tokio::spawn(async move {
                let customer = customer(&format!("c{task}"));
                committed(commit(&*store, round, &customer, Appended::default()).await);
                store.durable().await.expect("the store works");
            }));
        }
        for task in tasks {
            task.await.expect("no task panics");
        }
    }
}

async fn products_are_put_replaced_and_deleted(store: Arc<dyn Store>) {
    let toaster = full_product("toaster");
    assert_eq!(store.put_products(std::slice::from_ref(&toaster)).await.expect("the store works"), [true]);
    assert_eq!(store.load_products().await.expect("the store works"), [toaster]);
    let renamed = product("toaster", "Toaster, red");
    let both = [renamed.clone(), product("kettle", "Kettle"), renamed.clone()];
    assert_eq!(store.put_products(&both).await.expect("the store works"), [true, true, false], "the last is a repeat");
    assert_eq!(store.load_products().await.expect("the store works"), [product("kettle", "Kettle"), renamed]);
    assert!(store.delete_product(&product_id("kettle")).await.expect("the store works"));
    assert!(!store.delete_product(&product_id("kettle")).await.expect("the store works"));
    assert_eq!(store.counts().await.expect("the store works").products, 1);
}

async fn products_are_ordered_by_id(store: Arc<dyn Store>) {
    let mut ids: Vec<String> = (0..600).map(|number| format!("p{}", number * 7919 % 600)).collect();
    let products: Vec<_> = ids.iter().map(|id| product(id, "A thing")).collect();
    store.put_products(&products).await.expect("the store works");
    let loaded = store.load_products().await.expect("the store works");
    ids.sort();
    assert_eq!(loaded.iter().map(|product| product.id.to_string()).collect::<Vec<_>>(), ids);
}

/// Broken by: keeping the first pointer; a writer that was overtaken and writes all the same.
async fn the_latest_model_is_the_current_one(store: Arc<dyn Store>) {
    assert_eq!(store.load_model().await.expect("the store works"), None);
    for version in 1..=4 {
        let model = StoredModel { version, bytes: artifact(100_000 / usize::try_from(version).expect("small")) };
        assert!(store.put_model(&model).await.expect("the store works"));
        assert_eq!(store.load_model().await.expect("the store works"), Some(model));
    }
    let latest = store.load_model().await.expect("the store works");
    for version in [4, 2] {
        let overtaken = StoredModel { version, bytes: Vec::new() };
        assert!(!store.put_model(&overtaken).await.expect("the store works"));
        assert_eq!(store.load_model().await.expect("the store works"), latest);
    }
}

/// Broken by: one key for all chunks.
async fn the_marker_of_a_training_is_replaced_and_removed(store: Arc<dyn Store>) {
    assert_eq!(store.load_training_marker().await.expect("the store works"), None);
    for marker in [1_u32, 2].map(|attempts| Some(TrainingMarker { started_at: at(attempts.into()), attempts })) {
        store.put_training_marker(marker).await.expect("the store works");
        assert_eq!(store.load_training_marker().await.expect("the store works"), marker);
    }
    store.put_training_marker(None).await.expect("the store works");
    assert_eq!(store.load_training_marker().await.expect("the store works"), None);
}

async fn a_large_model_comes_back_whole(store: Arc<dyn Store>) {
    let model = StoredModel { version: 1, bytes: artifact(3 * 1024 * 1024 + 17) };
    store.put_model(&model).await.expect("the store works");
    assert_eq!(store.load_model().await.expect("the store works"), Some(model));
}

/// Broken by: an insert in place of a create.
async fn policies_are_created_once_and_activations_keep_their_order(store: Arc<dyn Store>) {
    assert_eq!(store.load_policies().await.expect("the store works"), []);
    assert_eq!(store.load_activations().await.expect("the store works"), []);
    let policy = |version: &str, text: &str| StoredPolicy {
        version: version.to_owned(),
        text: text.to_owned(),
        created_at: at(1),
    };
    let (calm, bold) = (policy("calm", "version = 'calm'"), policy("bold", "version = 'bold'"));
    assert!(store.put_policy(&calm).await.expect("the store works"));
    assert!(store.put_policy(&bold).await.expect("the store works"));
    assert!(!store.put_policy(&policy("calm", "another")).await.expect("the store works"));
    assert_eq!(store.load_policies().await.expect("the store works"), [bold, calm]);
    // More than ten: an order of texts would not do.
    let activation =
        |number: u32| Activation { policy: format!("p{number}"), at: at(number.into()), is_roll_back: number % 3 == 2 };
    for number in 0..12 {
        assert!(store.append_activation(&activation(number), number.into()).await.expect("the store works"));
        // Another process read the activations before this one.
        assert!(!store.append_activation(&activation(99), number.into()).await.expect("the store works"));
    }
    let expected: Vec<Activation> = (0..12).map(activation).collect();
    assert_eq!(store.load_activations().await.expect("the store works"), expected);
    store.durable().await.expect("the store works");
}

/// Broken by: a commit that does not compare the number of its policy; one that compares it and has changed something.
async fn a_commit_under_another_policy_does_not_take_place(store: Arc<dyn Store>) {
    store.put_offers(&[sale("spring", Some(5))]).await.expect("the store works");
    let activation = Activation { policy: "calm".to_owned(), at: at(1), is_roll_back: false };
    let under = async |policy: Option<u64>, name: &str| {
        let (customer, decision, takes) = (customer(name), grant(name, 1, &["spring"]), [offer_id("spring")]);
        let change = Change { policy, decision: Some(&decision), takes: &takes, ..Change::new(0, &customer, at(0)) };
        store.commit(change).await.expect("the store works")
    };
    assert_eq!(under(Some(0), "ada").await, CommitOutcome::Committed { version: 1 });
    assert!(store.append_activation(&activation, 0).await.expect("the store works"));
    let before = store.digest().await.expect("the store works");
    assert_eq!(under(Some(0), "bob").await, CommitOutcome::OtherPolicy);
    assert_eq!(under(Some(2), "bob").await, CommitOutcome::OtherPolicy);
    assert_eq!(store.digest().await.expect("the store works"), before);
    assert_eq!(under(Some(1), "bob").await, CommitOutcome::Committed { version: 1 });
    assert_eq!(under(None, "cy").await, CommitOutcome::Committed { version: 1 });
    assert_eq!(used_volume(&*store, "spring").await, 3);
}

/// Broken by: beginning a page at the last customer in place of after it (it hangs).
async fn customers_are_visited_whole_and_in_pages(store: Arc<dyn Store>) {
    let mut expected = Vec::new();
    for number in 0..9 {
        let customer = customer(&format!("c{number}"));
        commit(&*store, 0, &customer, Appended::default()).await;
        expected.push(customer.id);
    }
    for page_len in [1, 4, 9, 100] {
        let mut visited = Vec::new();
        let mut longest = 0;
        let mut visit = |page: Vec<Customer>| {
            longest = longest.max(page.len());
            visited.extend(page.into_iter().map(|customer| customer.id));
        };
        store.visit_customers(page_len, &mut visit).await.expect("the store works");
        visited.sort();
        assert_eq!(visited, expected);
        assert_eq!(longest, page_len.min(9));
    }
}

/// Broken by: pages of another length than requested. (Beginning a page at the last event in place of after it hangs.)
async fn history_is_visited_whole_and_in_pages(store: Arc<dyn Store>) {
    let mut expected = Vec::new();
    for number in 0..9 {
        let name = format!("c{number}");
        let events: Vec<_> = (0..number).map(|event| visit(&name, &format!("e{event}"))).collect();
        commit(&*store, 0, &customer(&name), Appended { events: events.clone(), decision: None }).await;
        expected.extend(events);
    }
    let anonymous: Vec<_> = (0..10).map(|number| anonymous_visit(&format!("a{number}"))).collect();
    store.append_anonymous(&anonymous).await.expect("the store works");
    expected.extend(anonymous);
    expected.sort_by(|a, b| (&a.customer, &a.id).cmp(&(&b.customer, &b.id)));
    for page_len in [1, 4, 46, 1000] {
        let (mut events, mut longest) = (Vec::new(), 0);
        let mut visit = |page: Vec<Event>| {
            longest = longest.max(page.len());
            events.extend(page);
        };
        store.visit_events(page_len, &mut visit).await.expect("the store works");
        events.sort_by(|a: &Event, b: &Event| (&a.customer, &a.id).cmp(&(&b.customer, &b.id)));
        assert_eq!(events, expected);
        assert!(longest <= page_len);
    }
}

/// Broken by: an insert that does not look first.
async fn anonymous_events_count_once(store: Arc<dyn Store>) {
    let events = ["a1", "a2", "a1"].map(anonymous_visit);
    assert_eq!(store.append_anonymous(&events).await.expect("the store works"), [true, true, false]);
    let events = ["a3", "a2"].map(anonymous_visit);
    assert_eq!(store.append_anonymous(&events).await.expect("the store works"), [true, false]);
    let ids = ["a1", "a4"].map(event_id);
    assert_eq!(are_recorded(&*store, None, &ids).await, [true, false]);
    assert_eq!(store.counts().await.expect("the store works").events, 3);
}

async fn counts_follow_every_change(store: Arc<dyn Store>) {
    for version in 0..3 {
        let appended = Appended {
            events: vec![visit("ada", &format!("e{version}"))],
            decision: Some(decision("ada", u128::from(version))),
        };
        commit(&*store, version, &customer("ada"), appended).await;
    }
    commit(&*store, 0, &customer("bob"), Appended::default()).await;
    store.append_anonymous(&[anonymous_visit("a1")]).await.expect("the store works");
    store.put_products(&[product("p1", "One"), product("p2", "Two")]).await.expect("the store works");
    let expected = StoreCounts { customers: 2, products: 2, events: 4, decisions: 3 };
    assert_eq!(store.counts().await.expect("the store works"), expected);
}

/// No caller waits for durability here, so a backend with an outbox must make room by itself.
/// Broken by: refusing a commit when the outbox is full; never dropping what is in it.
async fn an_outbox_that_fills_up_loses_nothing(store: Arc<dyn Store>) {
    let mut ids = Vec::new();
    for expected in 0..40 {
        let events: Vec<_> = (0..30).map(|number| visit("ada", &format!("{expected}-{number}"))).collect();
        ids.extend(events.iter().map(|event| event.id.clone()));
        let appended = Appended { events, decision: Some(full_decision("ada", u128::from(expected))) };
        assert_eq!(committed(commit(&*store, expected, &full_customer("ada"), appended).await), expected + 1);
    }
    let known = are_recorded(&*store, Some(&customer_id("ada")), &ids).await;
    assert_eq!(known, vec![true; 1200]);
    let counts = store.counts().await.expect("the store works");
    assert_eq!((counts.events, counts.decisions), (1200, 40));
    assert_eq!(history(&*store).await.len(), 1200);
}

/// Broken by: letting the outbox or the version count.
#[tokio::test]
async fn equal_stores_have_equal_digests_whatever_waits_in_outboxes() {
    let (memory, eager, lazy) = (memory(), sled().await, sled().await);
    for expected in 0..6 {
        let appended = Appended {
            events: vec![visit("ada", &format!("e{expected}"))],
            decision: Some(decision("ada", u128::from(expected))),
        };
        for backend in [&memory, &eager, &lazy] {
            committed(commit(&*backend.store, expected, &full_customer("ada"), appended.clone()).await);
        }
        // This one drops the entries of earlier commits, the other keeps them waiting.
        eager.store.durable().await.expect("the store works");
        let digest = memory.store.digest().await.expect("the store works");
        assert_eq!(eager.store.digest().await.expect("the store works"), digest);
        assert_eq!(lazy.store.digest().await.expect("the store works"), digest);
    }
    for backend in [&memory, &eager, &lazy] {
        let before = backend.store.digest().await.expect("the store works");
        backend.store.append_anonymous(&[anonymous_visit("a1")]).await.expect("the store works");
        let with_event = backend.store.digest().await.expect("the store works");
        backend.store.put_products(&[full_product("p1")]).await.expect("the store works");
        let with_product = backend.store.digest().await.expect("the store works");
        assert!(before != with_event && with_event != with_product);
    }
    let digest = memory.store.digest().await.expect("the store works");
    assert_eq!(eager.store.digest().await.expect("the store works"), digest);
}

async fn explicit_offers_are_put_replaced_and_deleted(store: Arc<dyn Store>) {
    let (spring, autumn) = (full_explicit_offer("spring"), full_explicit_offer("autumn"));
    let put = store.put_offers(&[spring.clone(), autumn.clone()]).await.expect("the store works");
    assert_eq!(put, [true, true]);
    assert_eq!(store.put_offers(std::slice::from_ref(&spring)).await.expect("the store works"), [false]);
    assert_eq!(store.load_offers().await.expect("the store works"), [autumn.clone(), spring.clone()]);
    let before = store.digest().await.expect("the store works");
    assert!(store.delete_offer(&spring.id).await.expect("the store works"));
    assert!(!store.delete_offer(&spring.id).await.expect("the store works"));
    assert_eq!(store.load_offers().await.expect("the store works"), [autumn]);
    assert_ne!(store.digest().await.expect("the store works"), before);
}

/// Broken by: a unit not taken; a unit not returned; a decision recorded although a volume is exhausted.
async fn a_commit_takes_and_releases_volume(store: Arc<dyn Store>) {
    store.put_offers(&[sale("spring", Some(2))]).await.expect("the store works");
    committed(take(&*store, "ada", 1, &["spring"]).await);
    committed(take(&*store, "bob", 2, &["spring"]).await);
    assert_eq!(used_volume(&*store, "spring").await, 2);
    let (digest, counts) = (store.digest().await.expect("reads"), store.counts().await.expect("counts"));
    assert_eq!(take(&*store, "cy", 3, &["spring"]).await, CommitOutcome::VolumeExhausted(offer_id("spring")));
    assert_eq!(store.load_customer(&customer_id("cy")).await.expect("the store works"), LoadedCustomer::Unknown);
    assert_eq!((store.digest().await.expect("reads"), store.counts().await.expect("counts")), (digest, counts));

    let (ada, releases) = (customer("ada"), [volume_unit("spring", 1)]);
    let change = Change { releases: &releases, ..Change::new(1, &ada, at(1)) };
    committed(store.commit(change).await.expect("the store works"));
    assert_eq!(used_volume(&*store, "spring").await, 1);
    committed(take(&*store, "cy", 3, &["spring"]).await);
    assert_eq!(used_volume(&*store, "spring").await, 2);
    assert_eq!(store.recover_expired_reservations(at(1_000_000)).await.expect("the store works"), 0);
}

/// Broken by: volume taken or released before the commit is known to succeed, and left so.
async fn a_commit_that_does_not_take_place_leaves_volumes_untouched(store: Arc<dyn Store>) {
    store.put_offers(&[sale("spring", Some(5)), sale("autumn", Some(0))]).await.expect("the store works");
    committed(take(&*store, "ada", 1, &["spring"]).await);
    store.erase_customer(&customer_id("newt"), at(1)).await.expect("the store works");
    let mut large = customer("bob");
    large.attributes.extend((0..400).map(|number| (format!("attribute {number}"), "x".repeat(40))));
    let releases = [volume_unit("spring", 1)];
    for customer in [customer("ada"), customer("newt"), large] {
        let (decision, takes) = (grant(customer.id.as_str(), 2, &["spring"]), [offer_id("spring")]);
        let change = Change {
            decision: Some(&decision),
            takes: &takes,
            releases: &releases,
            ..Change::new(0, &customer, at(0))
        };
        let outcome = store.commit(change).await.expect("the store works");
        assert!(
            matches!(outcome, CommitOutcome::Conflict | CommitOutcome::Erased | CommitOutcome::TooLarge { .. }),
            "{outcome:?}"
        );
        assert_eq!(used_volume(&*store, "spring").await, 1, "after {outcome:?}");
    }
    // All units of a decision, or none.
    let outcome = take(&*store, "cy", 3, &["spring", "autumn"]).await;
    assert_eq!(outcome, CommitOutcome::VolumeExhausted(offer_id("autumn")));
    assert_eq!(used_volume(&*store, "spring").await, 1);
}

/// Broken by: a cap that the caller brings along; grants without a cap not counted.
async fn the_cap_of_a_volume_is_that_of_the_stored_offer(store: Arc<dyn Store>) {
    assert_eq!(take(&*store, "ada", 1, &["spring"]).await, CommitOutcome::VolumeExhausted(offer_id("spring")));
    store.put_offers(&[sale("spring", None)]).await.expect("the store works");
    committed(take(&*store, "ada", 1, &["spring"]).await);
    store.put_offers(&[sale("spring", Some(1))]).await.expect("the store works");
    assert_eq!(take(&*store, "bob", 2, &["spring"]).await, CommitOutcome::VolumeExhausted(offer_id("spring")));
    store.put_offers(&[sale("spring", Some(2))]).await.expect("the store works");
    committed(take(&*store, "bob", 2, &["spring"]).await);
    store.delete_offer(&offer_id("spring")).await.expect("the store works");
    assert_eq!(take(&*store, "cy", 3, &["spring"]).await, CommitOutcome::VolumeExhausted(offer_id("spring")));
    assert_eq!(used_volume(&*store, "spring").await, 2, "known although the offer is gone");
}

/// Broken by: a volume written without comparing with what was read.
async fn a_volume_is_never_exceeded_by_concurrent_commits(store: Arc<dyn Store>) {
    store.put_offers(&[sale("spring", Some(10))]).await.expect("the store works");
    let takers = (0..64).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { take(&*store, &format!("customer-{number}"), number, &["spring"]).await })
    });
    let mut taken = 0;
    for taker in takers.collect::<Vec<_>>() {
        let outcome = taker.await.expect("no panic");
        if let CommitOutcome::Committed { .. } = outcome {
            taken += 1;
        } else {
            assert_eq!(outcome, CommitOutcome::VolumeExhausted(offer_id("spring")));
        }
    }
    assert_eq!((taken, used_volume(&*store, "spring").await), (10, 10));
}

/// Broken by: a recovery that abandons the unit of a recorded decision, or settles that of one that is not.
async fn an_expired_reservation_is_settled_when_its_decision_was_recorded(store: Arc<dyn Store>) {
    store.restore(vec![volume_record(3, reservation("spring", 1))]).await.expect("the store works");
    store.restore(vec![volume_record(3, reservation("autumn", 2))]).await.expect("the store works");
    let appended = Appended { events: Vec::new(), decision: Some(grant("ada", 1, &["spring"])) };
    committed(commit(&*store, 0, &customer("ada"), appended).await);
    let used = async || (used_volume(&*store, "spring").await, used_volume(&*store, "autumn").await);
    assert_eq!(store.recover_expired_reservations(at(59)).await.expect("the store works"), 0);
    assert_eq!(used().await, (4, 4));
    assert_eq!(store.recover_expired_reservations(at(60)).await.expect("the store works"), 2);
    assert_eq!(used().await, (4, 3));
    assert_eq!(store.recover_expired_reservations(at(60)).await.expect("the store works"), 0);
}

/// Nothing would tell after a crash that the unit is in use.
async fn volume_without_a_grant_is_refused(store: Arc<dyn Store>) {
    store.put_offers(&[sale("spring", Some(2))]).await.expect("the store works");
    let (ada, decision, takes) = (customer("ada"), grant("ada", 1, &["autumn"]), [offer_id("spring")]);
    for decision in [None, Some(&decision)] {
        let change = Change { decision, takes: &takes, ..Change::new(0, &ada, at(0)) };
        assert!(matches!(store.commit(change).await, Err(StoreError::Damaged { .. })));
    }
    assert_eq!(used_volume(&*store, "spring").await, 0);
}

/// Broken by: the decisions left, a customer of the same prefix erased too, the block looked for by no commit.
async fn an_erased_customer_is_gone_and_blocked(store: Arc<dyn Store>) {
    for (name, visits) in [("ada", 3), ("adam", 2)] {
        let events = (0..visits).map(|number| visit(name, &format!("e{number}"))).collect();
        let appended = Appended { events, decision: Some(decision(name, 7)) };
        committed(commit(&*store, 0, &customer(name), appended).await);
    }
    let mut opted_out = customer("ada");
    opted_out.consents.is_opted_out = true;
    committed(commit(&*store, 1, &opted_out, Appended::default()).await);
    let ada = customer_id("ada");
    store.restore(vec![volume_record(0, reservation("spring", 1))]).await.expect("the store works");

    let erasure = Erasure { at: at(9), was_opted_out: true };
    let erased = store.erase_customer(&ada, at(9)).await.expect("the store works");
    let removed = ErasedRecords { was_stored: true, events: 3, decisions: 1 };
    assert_eq!(erased, ErasureResult { removed, erasure });
    assert_eq!(store.load_customer(&ada).await.expect("the store works"), LoadedCustomer::Erased(erasure));
    assert_eq!(store.load_decision(&ada, DecisionId::from_bits(7)).await.expect("the store works"), None);
    assert!(history(&*store).await.iter().all(|event| event.customer == Some(customer_id("adam"))));
    assert_eq!(store.recover_expired_reservations(at(60)).await.expect("the store works"), 0);
    let used = store.used_volume(&offer_id("spring")).await.expect("the store works");
    assert_eq!(used, 1, "it is no longer known whether it was granted");
    assert_eq!(commit(&*store, 0, &customer("ada"), Appended::default()).await, CommitOutcome::Erased);
    assert_eq!(commit(&*store, 2, &opted_out, Appended::default()).await, CommitOutcome::Conflict);

    let again = store.erase_customer(&ada, at(10)).await.expect("the store works");
    assert_eq!(again, ErasureResult { removed: ErasedRecords::default(), erasure });
    store.erase_customer(&customer_id("nobody"), at(11)).await.expect("the store works");
    assert_eq!(commit(&*store, 0, &customer("nobody"), Appended::default()).await, CommitOutcome::Erased);
    let counts = store.counts().await.expect("the store works");
    assert_eq!((counts.customers, counts.events, counts.decisions), (1, 2, 1));
}

/// Broken by: an outbox copied after the erasure.
async fn an_erasure_and_commits_that_meet_leave_nothing(store: Arc<dyn Store>) {
    for round in 0..20 {
        let name = format!("customer-{round}");
        let committing = {
            let (store, name) = (Arc::clone(&store), name.clone());
            tokio::spawn(async move {
                for number in 0..50_u64 {
                    let events = (0..8).map(|event| visit(&name, &format!("e{number}-{event}"))).collect();
                    let appended = Appended { events, decision: Some(decision(&name, u128::from(number))) };
                    let outcome = commit(&*store, number, &customer(&name), appended).await;
                    if !matches!(outcome, CommitOutcome::Committed { .. }) {
                        return;
                    }
                }
            })
        };
        while store.load_customer(&customer_id(&name)).await.expect("the store works") == LoadedCustomer::Unknown {
            tokio::task::yield_now().await;
        }
        store.erase_customer(&customer_id(&name), at(1)).await.expect("the store works");
        committing.await.expect("no panic");
    }
    let counts = store.counts().await.expect("the store works");
    assert_eq!((counts, history(&*store).await), (StoreCounts::default(), Vec::new()));
}

/// Broken by: rankings cached for unknown customers; rankings that survive an erasure.
async fn rankings_are_cached_for_stored_customers_only(store: Arc<dyn Store>) {
    let ada = customer_id("ada");
    store.put_cached_ranking(&ada, &full_cached_ranking(1)).await.expect("the store works");
    assert_eq!(cached_ranking(&*store, &ada).await, None);
    committed(commit(&*store, 0, &customer("ada"), Appended::default()).await);
    committed(commit(&*store, 0, &customer("adam"), Appended::default()).await);
    let before = (store.digest().await.expect("reads"), store.counts().await.expect("the store works"));
    for model_version in [1, 2] {
        store.put_cached_ranking(&ada, &full_cached_ranking(model_version)).await.expect("the store works");
        assert_eq!(cached_ranking(&*store, &ada).await, Some(full_cached_ranking(model_version)));
    }
    store.put_cached_ranking(&customer_id("adam"), &full_cached_ranking(3)).await.expect("the store works");
    assert_eq!((store.digest().await.expect("reads"), store.counts().await.expect("the store works")), before);
    store.erase_customer(&ada, at(1)).await.expect("the store works");
    store.put_cached_ranking(&ada, &full_cached_ranking(4)).await.expect("the store works");
    assert_eq!(cached_ranking(&*store, &ada).await, None);
    assert_eq!(cached_ranking(&*store, &customer_id("adam")).await, Some(full_cached_ranking(3)));
    store.delete_cached_ranking(&customer_id("adam")).await.expect("the store works");
    assert_eq!(cached_ranking(&*store, &customer_id("adam")).await, None);
}

/// Broken by: a page that repeats or skips a record, or has another customer's.
async fn customer_export_returns_every_record_once(store: Arc<dyn Store>) {
    let events: Vec<Event> = (0..9).map(|number| visit("ada", &format!("e{number}"))).collect();
    let appended = Appended { events: events.clone(), decision: Some(full_decision("ada", 7)) };
    committed(commit(&*store, 0, &full_customer("ada"), appended).await);
    committed(
        commit(&*store, 0, &customer("adam"), Appended { events: vec![visit("adam", "e")], decision: None }).await,
    );
    store.put_cached_ranking(&customer_id("ada"), &full_cached_ranking(1)).await.expect("the store works");
    let mut exported = Vec::new();
    let mut position = Some(CustomerExportPosition::Customer);
    while let Some(next) = position.take() {
        let page = store.load_customer_export(&customer_id("ada"), next, 4).await.expect("the store works");
        exported.extend(page.records);
        position = page.next;
    }
    let mut expected = vec![
        ExportedRecord::Customer(Box::new(full_customer("ada"))),
        ExportedRecord::CachedRanking(full_cached_ranking(1)),
    ];
    expected.extend(events.into_iter().map(ExportedRecord::Event));
    expected.push(ExportedRecord::Decision(Box::new(full_decision("ada", 7))));
    assert_eq!(exported, expected);
    let first = CustomerExportPosition::Customer;
    let unknown = store.load_customer_export(&customer_id("nobody"), first, 4).await.expect("the store works");
    assert!(unknown.records.is_empty());
}

/// Broken by: expiring records exactly as old as the limit.
async fn expired_records_are_deleted(store: Arc<dyn Store>) {
    let dated = |id: &str, seconds| Event { at: at(seconds), ..visit("ada", id) };
    let events = vec![dated("old", 99), dated("edge", 100), dated("new", 101)];
    committed(commit(&*store, 0, &customer("ada"), Appended { events, decision: Some(decision("ada", 1)) }).await);
    store.append_anonymous(&[Event { customer: None, ..dated("nobody", 99) }]).await.expect("the store works");
    let forgotten = store.expire_records(Some(at(100)), None).await.expect("the store works");
    assert_eq!(forgotten, ExpiredRecords { events: 2, decisions: 0 });
    let left: Vec<String> = history(&*store).await.iter().map(|event| event.id.to_string()).collect();
    assert_eq!(left, ["edge", "new"]);
    let forgotten = store.expire_records(None, Some(at(2))).await.expect("the store works");
    assert_eq!(forgotten, ExpiredRecords { events: 0, decisions: 1 });
    let counts = store.counts().await.expect("the store works");
    assert_eq!((counts.customers, counts.events, counts.decisions), (1, 2, 0));
}

/// Broken by: removing customers with events, or leaving the decisions of removed ones; versions that start again, so that a
/// call that read the removed customer replaces the one stored since.
async fn idle_customers_are_removed_with_their_decisions(store: Arc<dyn Store>) {
    for name in ["ada", "bob", "cy"] {
        let events = if name == "bob" { vec![visit(name, "e1")] } else { Vec::new() };
        let appended = Appended { events, decision: Some(decision(name, 1)) };
        assert_eq!(committed(commit(&*store, 0, &customer(name), appended).await), 1);
        // From now on, the event may be in the history alone.
        store.durable().await.expect("the store works");
        let appended = Appended { events: Vec::new(), decision: Some(decision(name, 2)) };
        assert_eq!(committed(commit(&*store, 1, &customer(name), appended).await), 2);
    }
    store.put_cached_ranking(&customer_id("ada"), &full_cached_ranking(1)).await.expect("the store works");
    let is_idle = || Arc::new(|customer: &Customer| customer.id != customer_id("cy"));
    assert_eq!(store.expire_customers(is_idle()).await.expect("the store works"), 1);
    assert_eq!(store.expire_customers(is_idle()).await.expect("the store works"), 0);
    let counts = store.counts().await.expect("the store works");
    assert_eq!((counts.customers, counts.events, counts.decisions), (2, 1, 4));
    let ada = customer("ada");
    assert_eq!(store.load_customer(&ada.id).await.expect("the store works"), LoadedCustomer::Unknown);
    assert_eq!(store.load_cached_ranking(&ada.id).await.expect("the store works"), None);
    let decision = store.load_decision(&ada.id, DecisionId::from_bits(1)).await.expect("the store works");
    assert_eq!(decision, None);
    assert_eq!(commit(&*store, 2, &ada, Appended::default()).await, CommitOutcome::Conflict);
    for expected in [0, 3] {
        assert_eq!(committed(commit(&*store, expected, &ada, Appended::default()).await), expected.max(2) + 1);
        assert_eq!(commit(&*store, 2, &ada, Appended::default()).await, CommitOutcome::Conflict);
    }
}

/// Broken by: a sweep that removes events without recording it; a later sweep with an earlier time that moves the time back.
async fn the_sweep_records_the_time_before_which_events_were_removed(store: Arc<dyn Store>) {
    let dated = |id: &str, seconds| Event { at: at(seconds), ..visit("ada", id) };
    let events = vec![dated("old", 99), dated("new", 201)];
    committed(commit(&*store, 0, &customer("ada"), Appended { events, decision: None }).await);
    for (before, swept_before) in [(50, None), (100, Some(at(100))), (150, Some(at(100))), (60, Some(at(100)))] {
        store.expire_records(Some(at(before)), None).await.expect("the store works");
        assert_eq!(store.events_swept_before(), swept_before, "after a sweep of events before {before}");
    }
    store.append_anonymous(&[Event { customer: None, ..dated("nobody", 99) }]).await.expect("the store works");
    store.expire_records(Some(at(200)), None).await.expect("the store works");
    assert_eq!(store.events_swept_before(), Some(at(200)));
}

async fn decisions_are_visited_whole_and_customer_by_customer(store: Arc<dyn Store>) {
    for (place, name) in ["ada", "bob", "cy"].into_iter().enumerate() {
        for number in 0..3_u64 {
            let id = u128::from(number) * 10 + place as u128;
            let appended = Appended { events: Vec::new(), decision: Some(decision(name, id)) };
            committed(commit(&*store, number, &customer(name), appended).await);
        }
    }
    for page_len in [1, 2, 100] {
        let mut whose = Vec::new();
        let mut visit = |page: Vec<Decision>| whose.extend(page.into_iter().map(|it| it.customer.to_string()));
        store.visit_decisions(page_len, &mut visit).await.expect("the store works");
        assert_eq!(whose.len(), 9);
        whose.dedup();
        assert_eq!(whose.len(), 3, "those of one customer come together");
    }
}
