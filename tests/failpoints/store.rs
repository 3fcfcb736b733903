//! Crashes between the steps of a commit: a customer and its history agree again once the store is reopened.

use std::path::Path;
use std::sync::Arc;

use crate::support::shop::*;
use crate::support::stored_records::*;
use fail::FailScenario;
use tactful::domain::customer::Customer;
use tactful::domain::ids::{DecisionId, EventId};
use tactful::store::contract::catalog::CatalogStore;
use tactful::store::contract::change::{Change, CommitOutcome};
use tactful::store::contract::customers::CustomerStore;
use tactful::store::contract::error::StoreError;
use tactful::store::contract::maintenance::MaintenanceStore;
use tactful::store::contract::store::Store;
use tactful::store::memory::store::MemoryStore;
use tactful::store::sled::store::SledStore;

const COMMIT_FAILPOINTS: [&str; 5] =
    ["store::before_apply", "store::before_drop", "store::after_apply", "store::between_copies", "store::after_copy"];

const EVENTS_PER_COMMIT: u64 = 3;
const COMMITS: u64 = 24;

fn appended(commit: u64) -> Appended {
    let events = (0..EVENTS_PER_COMMIT).map(|number| visit("ada", &format!("e{commit}-{number}"))).collect();
    Appended { events, decision: Some(decision("ada", u128::from(commit))) }
}

/// Ada after this number of commits.
fn ada(commits: u64) -> Customer {
    let mut ada = customer("ada");
    ada.attributes.insert("commits".to_owned(), commits.to_string());
    ada
}

/// Returns the number of commits applied to the customer, and checks that history and decision log agree with it.
async fn agreed_commits(store: &SledStore) -> u64 {
    let stored = store.load_customer(&customer_id("ada")).await.expect("the store works").stored();
    let (version, commits) =
        stored.map_or((0, 0), |stored| (stored.version, stored.value.attributes["commits"].parse().expect("a number")));
    assert_eq!(version, commits);
    let mut visited = Vec::new();
    store.visit_events(5, &mut |page| visited.extend(page)).await.expect("the store works");
    for commit in 0..COMMITS {
        let expected = commit < commits;
        let ids: Vec<EventId> = appended(commit).events.into_iter().map(|event| event.id).collect();
        let loaded = store.load_events(Some(&customer_id("ada")), &ids).await.expect("the store works");
        let recorded: Vec<bool> = loaded.iter().map(Option::is_some).collect();
        assert_eq!(recorded, [expected; 3], "events of commit {commit} of {commits}");
        let in_history = visited.iter().filter(|event| ids.contains(&event.id)).count();
        assert_eq!(in_history, if expected { 3 } else { 0 }, "events of commit {commit} of {commits} in history");
        let decision = store.load_decision(&customer_id("ada"), DecisionId::from_bits(u128::from(commit))).await;
        assert_eq!(decision.expect("the store works").is_some(), expected, "decision of commit {commit} of {commits}");
    }
    let counts = store.counts().await.expect("the store works");
    assert_eq!((counts.events, counts.decisions), (commits * EVENTS_PER_COMMIT, commits));
    commits
}

/// Commits until all are done or the store fails. Returns the number of durable commits, and whether the store failed.
async fn commit_until_stopped(store: &SledStore, from: u64, durable_every: u64) -> (u64, bool) {
    let mut durable = from;
    for commit in from..COMMITS {
        match store.commit(appended(commit).change(commit, &ada(commit + 1))).await {
            Ok(CommitOutcome::Committed { version }) => assert_eq!(version, commit + 1),
            Ok(outcome) => panic!("{outcome:?}"),
            Err(StoreError::Failed { .. }) => return (durable, true),
            Err(error) => panic!("{error}"),
        }
        if commit % durable_every == 0 {
            match store.durable().await {
                Ok(()) => durable = commit + 1,
                Err(StoreError::Failed { .. }) => return (durable, true),
                Err(error) => panic!("{error}"),
            }
        }
    }
    (durable, false)
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("writable");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("readable").is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("writable");
        }
    }
}

/// Runs all commits with one failpoint that is hit once, and reopens the store after it. Returns whether it was hit.
///
/// `is_killed`: what sled buffered in memory is lost, as with a killed process. Otherwise everything written survives.
async fn crash_once(failpoint: &str, hits_before: u64, durable_every: u64, is_killed: bool) -> bool {
    let context = format!("{failpoint} after {hits_before} hits, durable every {durable_every}, killed: {is_killed}");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (path, killed) = (directory.path().join("data"), directory.path().join("killed"));
    let store = SledStore::open(&path).await.expect("an empty directory opens");
    fail::cfg(failpoint, &format!("{hits_before}*off->1*return->off")).expect("a valid action");
    let (durable, was_hit) = commit_until_stopped(&store, 0, durable_every).await;
    fail::remove(failpoint);
    if is_killed {
        copy_directory(&path, &killed);
    }
    drop(store);
    let store = SledStore::open(if is_killed { &killed } else { &path }).await.expect("a crashed store opens");
    let commits = agreed_commits(&store).await;
    assert!(commits >= durable, "{context}: {durable} were durable, {commits} remain");
    // The remaining commits succeed, and the result is the same.
    assert!(!commit_until_stopped(&store, commits, durable_every).await.1, "{context}");
    assert_eq!(agreed_commits(&store).await, COMMITS, "{context}");
    drop(store);
    let store = SledStore::open(if is_killed { &killed } else { &path }).await.expect("a closed store opens");
    assert_eq!(agreed_commits(&store).await, COMMITS, "{context}");
    was_hit
}

/// Broken by: copying to history before the swap; a sweep that drops without copying; reporting everything as durable.
#[tokio::test]
async fn a_crash_anywhere_in_a_commit_leaves_customer_and_history_in_agreement() {
    let scenario = FailScenario::setup();
    let mut seed = 7_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for failpoint in COMMIT_FAILPOINTS {
        let mut hits = 0;
        for round in 0..8 {
            let hits_before = random(COMMITS);
            let durable_every = 1 + random(4);
            hits += u64::from(crash_once(failpoint, hits_before, durable_every, round % 2 == 0).await);
        }
        assert!(hits > 0, "{failpoint} was never reached");
    }
    scenario.teardown();
}

/// Broken by: acknowledging the waiters of a failed flush; continuing after it, which hangs.
#[tokio::test]
async fn a_failed_flush_fails_the_waiters_and_the_store() {
    let scenario = FailScenario::setup();
    for hits_before in [0, 1, 5] {
        assert!(crash_once("store::after_flush", hits_before, 2, hits_before % 2 == 0).await);
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Arc::new(SledStore::open(directory.path().join("data")).await.expect("an empty directory opens"));
    store.commit(appended(0).change(0, &ada(1))).await.expect("the store works");
    fail::cfg("store::after_flush", "return").expect("a valid action");
    let waits: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let store = Arc::clone(&store);
                async move { store.durable().await }
            })
        })
        .collect();
    for wait in waits {
        assert!(matches!(wait.await.expect("no task panics"), Err(StoreError::Failed { .. })));
    }
    fail::remove("store::after_flush");
    assert!(matches!(store.failed().await, StoreError::Failed { .. }));
    assert!(matches!(store.load_customer(&customer_id("ada")).await, Err(StoreError::Failed { .. })));
    assert!(matches!(store.commit(appended(1).change(1, &ada(2))).await, Err(StoreError::Failed { .. })));
    assert!(matches!(store.counts().await, Err(StoreError::Failed { .. })));
    scenario.teardown();
}

/// A commit that was interrupted in a process that continues loses nothing either.
/// Broken by: treating entries of an earlier commit as copied; dropping entries that were never copied; looking for duplicates
/// in history only; a digest without the outboxes.
#[tokio::test]
async fn an_interrupted_commit_is_finished_by_the_next() {
    let scenario = FailScenario::setup();
    for failpoint in ["store::after_apply", "store::between_copies", "store::after_copy"] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = SledStore::open(directory.path()).await.expect("an empty directory opens");
        fail::cfg(failpoint, "1*return->off").expect("a valid action");
        assert!(store.commit(appended(0).change(0, &ada(1))).await.is_err());
        fail::remove(failpoint);
        let ids: Vec<EventId> = appended(0).events.into_iter().map(|event| event.id).collect();
        let loaded = store.load_events(Some(&customer_id("ada")), &ids).await.expect("the store works");
        let recorded: Vec<bool> = loaded.iter().map(Option::is_some).collect();
        assert_eq!(recorded, [true; 3], "applied, so it counts");
        let decision = store.load_decision(&customer_id("ada"), DecisionId::from_bits(0)).await;
        assert!(decision.expect("the store works").is_some());
        let memory = MemoryStore::new();
        memory.commit(appended(0).change(0, &ada(1))).await.expect("the store works");
        let digest = store.digest().await.expect("the store works");
        assert_eq!(digest, memory.digest().await.expect("the store works"), "{failpoint}");
        assert!(!commit_until_stopped(&store, 1, 1).await.1);
        assert_eq!(agreed_commits(&store).await, COMMITS);
    }
    scenario.teardown();
}

/// Broken by: a start that does not look for interrupted erasures.
#[tokio::test]
async fn an_interrupted_erasure_is_finished_at_the_next_start() {
    let scenario = FailScenario::setup();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("data");
    let store = SledStore::open(&path).await.expect("an empty directory opens");
    assert!(!commit_until_stopped(&store, 0, 1).await.1);
    fail::cfg("store::erasure_marked", "1*return->off").expect("a valid action");
    assert!(store.erase_customer(&customer_id("ada"), at(5)).await.is_err());
    fail::remove("store::erasure_marked");
    drop(store);
    let store = SledStore::open(&path).await.expect("a crashed store opens");
    assert_eq!(store.load_customer(&customer_id("ada")).await.expect("the store works").stored(), None);
    let counts = store.counts().await.expect("the store works");
    assert_eq!((counts.customers, counts.events, counts.decisions), (0, 0, 0));
    let blocked = store.commit(appended(0).change(0, &ada(1))).await.expect("the store works");
    assert_eq!(blocked, CommitOutcome::Erased);
    scenario.teardown();
}

/// Broken by: removing the customer first, after which nothing finds its decisions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_removal_of_an_idle_customer_is_finished_by_the_next_sweep() {
    let scenario = FailScenario::setup();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let is_idle = || Arc::new(|_: &Customer| true);
    let store = SledStore::open(directory.path()).await.expect("an empty directory opens");
    let appended = Appended { events: Vec::new(), decision: Some(decision("ada", 1)) };
    store.commit(appended.change(0, &customer("ada"))).await.expect("the store works");
    store.durable().await.expect("the store works");
    fail::cfg("store::idle_decisions_removed", "return").expect("a failpoint");
    assert!(store.expire_customers(is_idle()).await.is_err());
    fail::remove("store::idle_decisions_removed");
    store.close().await.expect("the store closes");
    drop(store);
    let store = SledStore::open(directory.path()).await.expect("the directory opens");
    assert_eq!(store.expire_customers(is_idle()).await.expect("the store works"), 1);
    let counts = store.counts().await.expect("the store works");
    assert_eq!((counts.customers, counts.decisions), (0, 0));
    scenario.teardown();
}

/// The recovery is fenced from a commit that has reserved a unit and has not swapped the customer yet.
/// Broken by: a recovery that does not wait for the lock of the customer; it abandons the unit, which then is granted and not
/// counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_of_a_commit_in_progress_is_not_abandoned() {
    let scenario = FailScenario::setup();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Arc::new(SledStore::open(directory.path()).await.expect("an empty directory opens"));
    store.put_offers(&[sale("spring", Some(1))]).await.expect("the store works");
    fail::cfg("store::before_apply", "pause").expect("a valid action");
    let committing = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let (ada, decision, takes) = (customer("ada"), grant("ada", 1, &["spring"]), [offer_id("spring")]);
            let change = Change { decision: Some(&decision), takes: &takes, ..Change::new(0, &ada, at(0)) };
            store.commit(change).await
        }
    });
    while store.used_volume(&offer_id("spring")).await.expect("the store works") == 0 {
        tokio::task::yield_now().await;
    }
    let recovering = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.recover_expired_reservations(at(60)).await }
    });
    for _ in 0..100_000 {
        if recovering.is_finished() {
            break;
        }
        tokio::task::yield_now().await;
    }
    fail::remove("store::before_apply");
    let committed = committing.await.expect("no panic").expect("the store works");
    assert_eq!(committed, CommitOutcome::Committed { version: 1 });
    recovering.await.expect("no panic").expect("the store works");
    assert_eq!(store.used_volume(&offer_id("spring")).await.expect("the store works"), 1);
    scenario.teardown();
}
