//! Bits that flip in the files of a store: what was stored is read as it was, or the store is refused. Nothing else is served,
//! also not less.
//!
//! 60 flips in each file; `TACTFUL_FLIPS=10000` for more, `TACTFUL_FLIPS_SEED` for others.

use std::path::Path;

use crate::support::shop::*;
use crate::support::stored_records::*;
use tactful::store::contract::catalog::CatalogStore;
use tactful::store::contract::change::CommitOutcome;
use tactful::store::contract::customers::CustomerStore;
use tactful::store::contract::error::StoreError;
use tactful::store::contract::maintenance::MaintenanceStore;
use tactful::store::contract::store::Store;
use tactful::store::sled::store::SledStore;

const CUSTOMERS: u64 = 60;

fn id(number: u64) -> String {
    format!("customer-{number:03}")
}

fn number_from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

async fn commit_all(store: &SledStore, expected: u64) {
    for number in 0..CUSTOMERS {
        let id = id(number);
        let events = vec![visit(&id, &format!("e{expected}"))];
        let appended = Appended { events, decision: Some(full_decision(&id, u128::from(expected))) };
        let committed = store.commit(appended.change(expected, &full_customer(&id))).await;
        assert_eq!(committed.expect("the store works"), CommitOutcome::Committed { version: expected + 1 });
    }
    store.durable().await.expect("the disk works");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("blobs")).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copies");
        }
    }
}

/// Everything in a store, and the version of each customer.
async fn read(directory: &Path) -> Result<(u64, Vec<u64>), StoreError> {
    let store = SledStore::open(directory).await?;
    let mut versions = Vec::new();
    for number in 0..CUSTOMERS {
        let stored = store.load_customer(&customer_id(id(number))).await?.stored();
        versions.push(stored.map_or(0, |stored| stored.version));
    }
    let digest = store.digest().await?;
    store.close().await?;
    Ok((digest, versions))
}

/// Numbers as random as they need to be (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("below a usize")
    }
}

/// Flips bits in each file of a store, one at a time.
async fn assert_no_flip_is_served(whole: &Path, scratch: &Path) {
    let flips = number_from_env("TACTFUL_FLIPS").unwrap_or(60);
    let mut random = Random(number_from_env("TACTFUL_FLIPS_SEED").unwrap_or(88_172_645_463_325_252));
    let sound = scratch.join("sound");
    copy(whole, &sound);
    let expected = read(&sound).await.expect("is whole");
    let (mut refused, mut equal) = (0, 0);
    for entry in std::fs::read_dir(whole).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        if !entry.path().is_file() || name == "lock" {
            continue;
        }
        let bytes = std::fs::read(entry.path()).expect("reads");
        let written: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] != 0).collect();
        for _ in 0..flips {
            let damaged = scratch.join("damaged");
            copy(whole, &damaged);
            let (at, bit) = (written[random.below(written.len())], random.below(8));
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            std::fs::write(damaged.join(&name), flipped).expect("writes");
            match read(&damaged).await {
                Ok(found) => {
                    assert_eq!(found, expected, "bit {bit} of byte {at} of {}", name.display());
                    equal += 1;
                }
                Err(_) => refused += 1,
            }
            std::fs::remove_dir_all(&damaged).expect("removes");
        }
    }
    eprintln!("{refused} flips refused, {equal} in places that nothing is read from any more");
    assert!(refused > 0);
}

#[tokio::test]
async fn a_flipped_bit_in_a_store_that_was_stopped_is_never_served() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    for expected in 0..4 {
        let store = SledStore::open(&data).await.expect("opens");
        commit_all(&store, expected).await;
        store.put_products(&[full_product(&format!("p{expected}"))]).await.expect("the store works");
        store.close().await.expect("closes");
    }
    assert_no_flip_is_served(&data, directory.path()).await;
}

/// The end of the log is where sled takes a flipped bit for a write that the crash cut off.
///
/// Broken by: no number of the last flush beside the log; one stored after the flush, or noted before it.
#[tokio::test]
async fn a_flipped_bit_in_a_store_that_crashed_is_never_served() {
    let directory = tempfile::tempdir().expect("a directory");
    let (data, crashed) = (directory.path().join("data"), directory.path().join("crashed"));
    let store = SledStore::open(&data).await.expect("opens");
    for expected in 0..4 {
        commit_all(&store, expected).await;
    }
    // As kill -9 would leave it.
    copy(&data, &crashed);
    drop(store);
    assert_no_flip_is_served(&crashed, directory.path()).await;
}

/// Broken by: the number of the last flush lost when the files are rewritten after an erasure.
#[tokio::test]
async fn a_log_older_than_the_last_flush_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let (data, older) = (directory.path().join("data"), directory.path().join("older"));
    let store = SledStore::open(&data).await.expect("opens");
    commit_all(&store, 0).await;
    copy(&data, &older);
    store.erase_customer(&customer_id("newt"), at(1)).await.expect("the store works");
    commit_all(&store, 1).await;
    store.close().await.expect("closes");
    drop(store);
    // The start rewrites the files.
    drop(SledStore::open(&data).await.expect("opens"));
    drop(SledStore::open(&data).await.expect("opens again"));
    std::fs::copy(data.join("durable"), older.join("durable")).expect("copies");
    let refused = SledStore::open(&older).await.err().expect("is refused").to_string();
    assert!(refused.contains("restore a backup"), "{refused}");
    // An earlier version of tactful wrote no such file.
    std::fs::remove_file(older.join("durable")).expect("removes");
    SledStore::open(&older).await.expect("opens");
}
