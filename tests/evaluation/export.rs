//! `tactful export` as an analyst meets it: the real binary, and the Parquet files read back.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use crate::support::stored_records::*;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Row;
use tactful::store::backup::writer::BackupWriter;
use tactful::store::contract::customers::CustomerStore;
use tactful::store::contract::maintenance::MaintenanceStore;
use tactful::store::memory::store::MemoryStore;
use tokio::sync::mpsc;

fn rows(file: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(File::open(file).expect("opens")).expect("is Parquet");
    reader.get_row_iter(None).expect("has rows").map(|row| row.expect("reads")).collect()
}

fn text(row: &Row, column: &str) -> String {
    let value = row.get_column_iter().find(|(name, _)| *name == column).expect("a column").1.to_string();
    value.trim_matches('"').to_owned()
}

async fn backup(file: &Path) {
    let store = MemoryStore::new();
    let events = events_of_every_kind("ada");
    let appended = Appended { events, decision: Some(full_decision("ada", 7)) };
    store.commit(appended.change(0, &full_customer("ada"))).await.expect("the store works");
    store.append_anonymous(&[anonymous_visit("a1")]).await.expect("the store works");
    let (sender, mut receiver) = mpsc::channel(4);
    let (mut writer, mut bytes) = BackupWriter::start(at(10)).expect("writes");
    let (sent, ()) = tokio::join!(store.back_up(sender), async {
        while let Some(page) = receiver.recv().await {
            bytes.extend(writer.page(page).expect("writes"));
        }
    });
    sent.expect("the store works");
    bytes.extend(writer.finish().expect("writes"));
    std::fs::write(file, bytes).expect("a file");
}

/// Broken by: a column in the place of another, amounts in another scale, the slate left out.
#[tokio::test]
async fn every_event_decision_and_offer_of_a_backup_is_a_row() {
    let directory = tempfile::tempdir().expect("a directory");
    let (file, lake) = (directory.path().join("a.backup"), directory.path().join("lake"));
    backup(&file).await;
    let export = || {
        Command::new(env!("CARGO_BIN_EXE_tactful"))
            .args(["export", file.to_str().expect("text"), "--directory", lake.to_str().expect("text")])
            .output()
            .expect("the binary runs")
    };
    let exported = export();
    assert!(exported.status.success(), "{exported:?}");
    let (all, decision) = (events_of_every_kind("ada"), full_decision("ada", 7));
    let events = rows(&lake.join("events.parquet"));
    assert_eq!(events.len(), all.len() + 1);
    for event in &all {
        let row = events.iter().find(|row| text(row, "event_id") == event.id.as_str()).expect("its row");
        assert_eq!((text(row, "customer_id"), text(row, "kind")), ("ada".to_owned(), event.kind.as_str().to_owned()));
    }
    let purchase = events.iter().find(|row| text(row, "kind") == "purchase").expect("a purchase");
    assert_eq!(text(purchase, "product_id"), "toaster-2");
    let anonymous = events.iter().find(|row| text(row, "event_id") == "a1").expect("its row");
    assert_eq!(text(anonymous, "customer_id"), "null");
    let decisions = rows(&lake.join("decisions.parquet"));
    assert_eq!(decisions.len(), 1);
    assert_eq!(text(&decisions[0], "decision_id"), decision.id.to_string());
    assert_eq!(text(&decisions[0], "offers"), decision.slate.len().to_string());
    let offers = rows(&lake.join("offers.parquet"));
    assert_eq!(offers.len(), decision.slate.len() + decision.would_be_slate.len());
    assert_eq!(text(&offers[0], "product_id"), decision.slate[0].product.as_str());
    assert_eq!(text(&offers[0], "propensity"), decision.slate[0].factors.propensity.to_string());

    // Again takes the place of the first, and a damaged backup leaves it as it is.
    assert!(export().status.success());
    let mut bytes = std::fs::read(&file).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("a file");
    let failed = export();
    assert!(!failed.status.success() && String::from_utf8_lossy(&failed.stderr).contains("damaged"), "{failed:?}");
    let mut left: Vec<_> =
        std::fs::read_dir(&lake).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    left.sort();
    assert_eq!(left, ["decisions.parquet", "events.parquet", "offers.parquet"]);
    assert_eq!(rows(&lake.join("events.parquet")).len(), all.len() + 1);
}
