//! Data directories of earlier store formats.

use std::collections::BTreeMap;
use std::path::Path;

use tactful::server::serve::{Server, StartError};
use tactful::store::contract::error::StoreError;

use super::harness::{ManualClock, TestServer, on_disk, until};
use super::shop::{ago, record};
use crate::support::wire_shop::purchase;

fn open(directory: &Path) -> sled::Result<sled::Db> {
    sled::Config::new().path(directory).segment_size(2 << 20).open()
}

fn records(db: &sled::Db) -> BTreeMap<(Vec<u8>, Vec<u8>), Vec<u8>> {
    let mut records = BTreeMap::new();
    for name in db.tree_names() {
        for record in &db.open_tree(&name).expect("opens") {
            let (key, value) = record.expect("reads");
            records.insert((name.to_vec(), key.to_vec()), value.to_vec());
        }
    }
    records
}

/// Broken by: decoding a value before the format is compared, or starting an empty store beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_directory_is_refused_with_one_sentence_and_left_untouched() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let server = TestServer::on_disk(path, ManualClock::new()).await;
    record(&server, vec![purchase("e1", "ada", "kettle", ago(&server.clock, std::time::Duration::from_secs(60)))])
        .await;
    server.stop().await;
    let mut before = BTreeMap::new();
    // A process that another test starts at this moment holds the lock until it runs a program of its own.
    until(async || {
        let Ok(db) = open(path) else { return false };
        db.open_tree("meta").and_then(|meta| meta.insert("format", b"1")).expect("writes");
        before = records(&db);
        true
    })
    .await;

    for _attempt in 0..2 {
        let Err(error) = Server::build(on_disk(path), Some(ManualClock::new())).await else { panic!("must not start") };
        let StartError::Store(refused) = &error else { panic!("{error}") };
        assert!(matches!(refused, StoreError::OtherFormat { .. }), "{refused}");
        assert_eq!(
            refused.to_string(),
            format!(
                "data directory {} has format 1, but this version of tactful reads format 4 only: run the version that \
                 wrote it, or import the data into an empty directory",
                path.display()
            )
        );
    }
    let mut after = BTreeMap::new();
    until(async || {
        let Ok(db) = open(path) else { return false };
        after = records(&db);
        true
    })
    .await;
    assert!(after.len() > 3, "{} records", after.len());
    assert_eq!(after, before);
}
