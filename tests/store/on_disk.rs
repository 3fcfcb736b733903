//! Tests of the store on disk alone: reopening, damaged values, and directories of other programs.

use std::path::Path;
use std::sync::Arc;

use crate::support::shop::*;
use crate::support::stored_records::*;
use tactful::domain::event::Event;
use tactful::domain::explicit_offer::VolumeToken;
use tactful::domain::ids::DecisionId;
use tactful::domain::merge::MergeStep;
use tactful::store::codec::store_format::STORE_FORMAT;
use tactful::store::contract::catalog::CatalogStore;
use tactful::store::contract::change::{APPENDED_BYTES_MAX, CUSTOMER_BYTES_MAX, CommitOutcome};
use tactful::store::contract::counts::StoreCounts;
use tactful::store::contract::customers::CustomerStore;
use tactful::store::contract::error::StoreError;
use tactful::store::contract::maintenance::MaintenanceStore;
use tactful::store::contract::policies_and_models::PolicyAndModelStore;
use tactful::store::contract::store::Store;
use tactful::store::contract::stored_model::StoredModel;
use tactful::store::sled::store::SledStore;

async fn open(directory: &Path) -> SledStore {
    SledStore::open(directory).await.expect("the directory opens")
}

async fn refusal(directory: &Path) -> StoreError {
    match SledStore::open(directory).await {
        Ok(_) => panic!("{} opened", directory.display()),
        Err(error) => error,
    }
}

async fn commit_visits(store: &SledStore, name: &str, commits: u64) {
    for expected in 0..commits {
        let events = (0..3).map(|number| visit(name, &format!("e{expected}-{number}"))).collect();
        let appended = Appended { events, decision: Some(full_decision(name, u128::from(expected))) };
        let outcome = store.commit(appended.change(expected, &full_customer(name))).await.expect("the store works");
        assert_eq!(outcome, CommitOutcome::Committed { version: expected + 1 });
    }
}

/// Broken by: a recovery that does not look at the marks.
#[tokio::test]
async fn merges_that_were_interrupted_are_found_at_the_next_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut ada, guest) = merged_pair();
    ada.merge.step = MergeStep::Absorbing { from: guest.id.clone() };
    let store = open(directory.path()).await;
    for customer in [&ada, &guest, &customer("bob")] {
        store.commit(Appended::default().change(0, customer)).await.expect("the store works");
    }
    assert!(store.unfinished_merges().await.expect("the store works").is_empty(), "as of the start");
    store.close().await.expect("closes");
    drop(store);
    let store = open(directory.path()).await;
    assert_eq!(store.unfinished_merges().await.expect("the store works"), [ada.id]);
}

/// The values of a tree as they lie on disk, changed by `change`. The store must be closed.
fn change_stored(directory: &Path, tree: &str, mut change: impl FnMut(&mut Vec<u8>)) {
    // A lock just released can be held for some milliseconds longer.
    let db = (0..1000).find_map(|_| {
        let db = sled::Config::new().path(directory).segment_size(2 * 1024 * 1024).open().ok();
        if db.is_none() {
            std::thread::yield_now();
        }
        db
    });
    let tree = db.expect("the store is closed").open_tree(tree).expect("the tree opens");
    let records: Vec<_> = tree.iter().map(|record| record.expect("readable")).collect();
    for (key, value) in records {
        let mut value = value.to_vec();
        change(&mut value);
        tree.insert(key, value).expect("writable");
    }
    tree.flush().expect("writable");
}

/// Broken by: not counting at open.
#[tokio::test]
async fn reopening_keeps_everything() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("data");
    let model = StoredModel { version: 2, bytes: artifact(100_000) };
    let store = open(&path).await;
    commit_visits(&store, "ada", 5).await;
    commit_visits(&store, "bob", 1).await;
    store.append_anonymous(&[anonymous_visit("a1")]).await.expect("the store works");
    store.put_products(&[full_product("p1"), product("p2", "Two")]).await.expect("the store works");
    store.put_model(&model).await.expect("the store works");
    let expired = Event { at: at(0) - std::time::Duration::from_secs(1), ..anonymous_visit("expired") };
    store.append_anonymous(&[expired]).await.expect("the store works");
    store.expire_records(Some(at(0)), None).await.expect("the store works");
    store.durable().await.expect("the store works");
    let before = (store.digest().await.expect("it works"), store.counts().await.expect("it works"));
    assert_eq!(before.1, StoreCounts { customers: 2, products: 2, events: 19, decisions: 6 });
    store.close().await.expect("the store closes");
    drop(store);
    for _ in 0..2 {
        let store = open(&path).await;
        let after = (store.digest().await.expect("it works"), store.counts().await.expect("it works"));
        assert_eq!(after, before);
        assert_eq!(store.load_model().await.expect("it works"), Some(model.clone()));
        assert_eq!(store.events_swept_before(), Some(at(0)));
        let ada = store.load_customer(&customer_id("ada")).await.expect("it works").stored().expect("stored");
        assert_eq!((ada.version, ada.value), (5, full_customer("ada")));
        let decision = store.load_decision(&customer_id("ada"), DecisionId::from_bits(4)).await.expect("it works");
        assert_eq!(decision, Some(full_decision("ada", 4)));
    }
}

#[tokio::test]
async fn a_closed_store_promises_nothing_any_more() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = open(directory.path()).await;
    store.close().await.expect("the store closes");
    commit_visits(&store, "ada", 1).await;
    assert!(matches!(store.durable().await, Err(StoreError::Failed { .. })));
    store.counts().await.expect("closing is no failure");
}

/// Many commits on one customer, several at a time, quicker than flushes.
/// Broken by: no limit on the size of the whole value; refusing when the outbox is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_quicker_than_flushes_stay_bounded_and_lose_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Arc::new(open(directory.path()).await);
    // So large that the bytes fill up before the entries are too many.
    let mut ada = full_customer("ada");
    ada.attributes.extend((0..40).map(|number| (format!("attribute {number}"), "x".repeat(128))));
    let mut tasks = Vec::new();
    for task in 0..8 {
        let (store, ada) = (Arc::clone(&store), ada.clone());
        tasks.push(tokio::spawn(async move {
            for round in 0..40 {
                let events: Vec<_> = (0..10).map(|number| visit("ada", &format!("{task}-{round}-{number}"))).collect();
                let appended = Appended { events, decision: Some(full_decision("ada", task * 1000 + round)) };
                loop {
                    let stored = store.load_customer(&customer_id("ada")).await.expect("the store works").stored();
                    let version = stored.map_or(0, |stored| stored.version);
                    let outcome = store.commit(appended.change(version, &ada)).await;
                    match outcome.expect("the store works") {
                        CommitOutcome::Committed { .. } => break,
                        CommitOutcome::Conflict => tokio::task::yield_now().await,
                        CommitOutcome::TooLarge { bytes } | CommitOutcome::AppendedTooLarge { bytes } => {
                            panic!("{bytes} bytes")
                        }
                        outcome @ (CommitOutcome::Erased
                        | CommitOutcome::OtherPolicy
                        | CommitOutcome::VolumeExhausted(_)) => panic!("{outcome:?}"),
                    }
                }
                if round % 7 == 0 {
                    store.durable().await.expect("the store works");
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect("no task panics");
    }
    // No caller waits for these, so all would be in the outbox at the end: few enough entries, but too many bytes.
    store.durable().await.expect("the store works");
    for round in 0..11_u64 {
        let events = (0..10).map(|number| visit("ada", &format!("last-{round}-{number}"))).collect();
        let appended = Appended { events, decision: Some(full_decision("ada", 1_000_000 + u128::from(round))) };
        let outcome = store.commit(appended.change(320 + round, &ada)).await.expect("the store works");
        assert_eq!(outcome, CommitOutcome::Committed { version: 321 + round });
    }
    let counts = StoreCounts { customers: 1, products: 0, events: 3310, decisions: 331 };
    assert_eq!(store.counts().await.expect("it works"), counts);
    let digest = store.digest().await.expect("it works");
    drop(store);
    change_stored(directory.path(), "customers", |value| {
        assert!(value.len() <= CUSTOMER_BYTES_MAX + APPENDED_BYTES_MAX + 256, "{} bytes", value.len());
    });
    let store = open(directory.path()).await;
    assert_eq!(store.counts().await.expect("it works"), counts);
    assert_eq!(store.digest().await.expect("it works"), digest);
}

/// More customers than may wait with something in their outbox.
/// Broken by: never emptying the outboxes of customers who stay away.
#[tokio::test]
async fn inactive_customers_do_not_retain_their_outboxes() {
    const CUSTOMERS: u64 = 5000;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = open(directory.path()).await;
    for number in 0..CUSTOMERS {
        let name = format!("c{number}");
        let appended = Appended { events: vec![visit(&name, "e")], decision: None };
        store.commit(appended.change(0, &customer(&name))).await.expect("the store works");
        if number % 100 == 0 {
            store.durable().await.expect("the store works");
        }
    }
    assert_eq!(store.counts().await.expect("it works").events, CUSTOMERS);
    drop(store);
    let mut waiting = 0_u64;
    change_stored(directory.path(), "customers", |value| {
        let value = tactful::store::codec::customer::CustomerValue::parse(value).expect("whole");
        waiting += u64::from(!value.outbox.0.is_empty());
    });
    assert!(waiting < CUSTOMERS - 500, "{waiting} outboxes");
    assert_eq!(open(directory.path()).await.counts().await.expect("it works").events, CUSTOMERS);
}

/// Broken by: leaving the checksum unchecked.
#[tokio::test]
async fn a_flipped_bit_in_a_stored_value_is_an_error() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (tree, position) in [("customers", 3), ("customers", 200), ("history", 5), ("decisions", 40), ("products", 9)] {
        let path = directory.path().join(format!("{tree}-{position}"));
        let store = open(&path).await;
        commit_visits(&store, "ada", 1).await;
        store.put_products(&[full_product("p1")]).await.expect("the store works");
        drop(store);
        // The sweep of this opening empties the outbox, so that records are read from where they belong.
        drop(open(&path).await);
        change_stored(&path, tree, |value| value[position] ^= 0x10);
        let store = open(&path).await;
        let results = [
            ("customers", store.load_customer(&customer_id("ada")).await.map(drop)),
            ("history", store.visit_events(10, &mut |_| {}).await),
            ("decisions", store.load_decision(&customer_id("ada"), DecisionId::from_bits(0)).await.map(drop)),
            ("products", store.load_products().await.map(drop)),
        ];
        for (read, result) in results {
            let is_damaged = matches!(result, Err(StoreError::Damaged { .. }));
            // A decision is looked for in the customer's value first.
            let is_expected = read == tree || (tree == "customers" && read == "decisions");
            assert_eq!(is_damaged, is_expected, "{tree}: reading {read}: {result:?}");
        }
        store.counts().await.expect("one damaged value does not stop the others");
    }
}

#[tokio::test]
async fn a_damaged_model_is_an_error() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = open(directory.path()).await;
    store.put_model(&StoredModel { version: 1, bytes: artifact(60_000) }).await.expect("the store works");
    drop(store);
    change_stored(directory.path(), "models", |value| value[1000] ^= 1);
    let read = open(directory.path()).await.load_model().await;
    assert!(matches!(read, Err(StoreError::Damaged { what: "model", .. })), "{read:?}");
}

/// Broken by: dropping nothing.
#[tokio::test]
async fn the_last_two_models_are_retained() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = open(directory.path()).await;
    for version in 1..=5 {
        store.put_model(&StoredModel { version, bytes: artifact(10_000) }).await.expect("the store works");
    }
    drop(store);
    let mut chunks = 0;
    change_stored(directory.path(), "models", |_| chunks += 1);
    assert_eq!(chunks, 2);
}

/// Broken by: passing sled's error on.
#[tokio::test]
async fn a_directory_in_use_is_locked() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let first = open(directory.path()).await;
    let error = refusal(directory.path()).await;
    assert!(
        matches!(&error, StoreError::Locked { path } if *path == directory.path().display().to_string()),
        "{error}"
    );
    drop(first);
    open(directory.path()).await;
}

/// Broken by: not reading the format.
#[tokio::test]
async fn another_format_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    drop(open(directory.path()).await);
    let next = (STORE_FORMAT + 1).to_string();
    change_stored(directory.path(), "meta", |value| *value = next.as_bytes().to_vec());
    let error = refusal(directory.path()).await;
    assert!(
        matches!(&error, StoreError::OtherFormat { found, supported: STORE_FORMAT, .. } if *found == next),
        "{error}"
    );
}

/// Broken by: leaving the look at the directory to sled, which writes into any.
#[tokio::test]
async fn a_directory_of_another_program_is_rejected_and_left_unchanged() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let letters = directory.path().join("letters");
    std::fs::create_dir(&letters).expect("writable");
    std::fs::write(letters.join("dear.txt"), "Dear Ada").expect("writable");
    let error = refusal(&letters).await.to_string();
    assert!(error.contains("dear.txt") && error.contains("letters"), "{error}");
    assert_eq!(std::fs::read_dir(&letters).expect("readable").count(), 1);

    let berkeley = directory.path().join("berkeley");
    std::fs::create_dir(&berkeley).expect("writable");
    std::fs::write(berkeley.join("db"), "another database").expect("writable");
    let error = refusal(&berkeley).await.to_string();
    assert!(error.contains("not a tactful store"), "{error}");
    assert_eq!(std::fs::read(berkeley.join("db")).expect("readable"), b"another database");

    let sled = directory.path().join("sled");
    let db = sled::Config::new().path(&sled).segment_size(2 * 1024 * 1024).open().expect("opens");
    db.insert("theirs", "kept").expect("writable");
    drop(db);
    let error = refusal(&sled).await.to_string();
    assert!(error.contains("not tactful's"), "{error}");
    let db = sled::Config::new().path(&sled).segment_size(2 * 1024 * 1024).open().expect("opens");
    assert_eq!(db.get("theirs").expect("readable").as_deref(), Some(&b"kept"[..]));
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_a_clear_error() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let error = refusal(&directory.path().join("missing").join("data")).await;
    assert!(matches!(&error, StoreError::Failed { detail } if detail.contains("missing/data")), "{error}");
    let file = directory.path().join("file");
    std::fs::write(&file, "x").expect("writable");
    let error = refusal(&file).await;
    assert!(matches!(&error, StoreError::Failed { detail } if detail.contains("file")), "{error}");
}

/// A fresh volume is not quite empty.
#[tokio::test]
async fn a_fresh_volume_is_an_empty_directory() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(directory.path().join("lost+found")).expect("writable");
    open(directory.path()).await;
}

/// Where a text occurs in the files of a directory.
fn files_with(directory: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            if bytes.windows(text.len()).any(|part| part == text.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

const NAME: &str = "customer-who-wants-to-be-forgotten";

/// sled's log keeps what was removed until it happens to reuse the place. Broken by: no rewriting, or one that leaves the
/// old files.
#[tokio::test]
async fn nothing_of_an_erased_customer_is_left_in_any_file_after_the_next_start() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("data");
    let store = open(&path).await;
    commit_visits(&store, NAME, 20).await;
    commit_visits(&store, "another-customer", 20).await;
    let of_the_customer = VolumeToken { customer: customer_id(NAME), ..reservation("spring", 3) };
    store.restore(vec![volume_record(0, of_the_customer)]).await.expect("the store works");
    store.durable().await.expect("the disk works");
    assert!(!files_with(&path, NAME).is_empty());
    store.erase_customer(&customer_id(NAME), at(5)).await.expect("the store works");
    store.durable().await.expect("the disk works");
    let (digest, counts) = (store.digest().await.expect("reads"), store.counts().await.expect("counts"));
    store.close().await.expect("closes");
    drop(store);
    assert!(!files_with(&path, NAME).is_empty(), "what is removed stays in sled's log; when not, say so in the docs");

    let store = open(&path).await;
    assert_eq!(files_with(&path, NAME), Vec::<String>::new());
    assert_eq!(store.digest().await.expect("reads"), digest);
    assert_eq!(store.counts().await.expect("counts"), counts);
    assert_eq!((counts.customers, counts.events, counts.decisions), (1, 60, 20));
    let blocked = store.commit(Appended::default().change(0, &full_customer(NAME))).await;
    assert_eq!(blocked.expect("the store works"), CommitOutcome::Erased);
    commit_visits(&store, "a-third-customer", 3).await;
    store.durable().await.expect("the disk works");
    store.close().await.expect("closes");
    drop(store);
    // Nothing was erased since, so nothing is rewritten; the names of the files say so.
    let log = |path: &Path| std::fs::metadata(path.join("db")).expect("the log").created().ok();
    let before = log(&path);
    let store = open(&path).await;
    assert_eq!(log(&path), before);
    assert_eq!(store.counts().await.expect("counts").customers, 2);
}
