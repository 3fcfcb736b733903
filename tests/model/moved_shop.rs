//! The real shop moves from a directory into a database and back: it has the same records, gives the same answers, and learns the
//! same model. Only in the long form (`TACTFUL_LONG=1`), which takes minutes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tactful::domain::decision::Decision;
use tactful::domain::ids::{CustomerId, DecisionId, GrantId};
use tactful::domain::policy::Policy;
use tactful::model::training_settings::TrainingSettings;
use tactful::server::restore::{restore_backup, restore_into_database};
use tactful::store::backup::writer::BackupWriter;
use tactful::store::contract::store::Store;
use tactful::store::postgres::store::PostgresStore;
use tactful::store::sled::store::SledStore;
use tactful::use_cases::app::{App, Clock};
use tactful::use_cases::train_model::train_model;
use tokio::sync::mpsc;

use super::real_shop::{JuneTenth, TRAINING_BYTES, data_directory, import, preview};
use crate::support::long_form::short_or_long;
use crate::support::postgres::{database, new_store};

/// Number of customers whose answers are compared.
const ASKED: usize = 500;

async fn open(store: Arc<dyn Store>) -> Arc<App> {
    let limits = TrainingSettings::new(2, TRAINING_BYTES);
    Arc::new(App::open(store, Arc::new(JuneTenth), Policy::default(), limits).await.expect("opens"))
}

/// Answers to some of the customers. Each preview draws ids of its own.
async fn answers(app: &App, customers: &BTreeSet<CustomerId>) -> Vec<Decision> {
    let mut answers = Vec::new();
    for customer in customers.iter().step_by(customers.len() / ASKED).take(ASKED) {
        let mut decision = Decision { id: DecisionId::from_bits(0), ..preview(app, customer).await.decision };
        for offer in decision.slate.iter_mut().chain(&mut decision.would_be_slate) {
            offer.grant = GrantId::from_bits(0);
        }
        answers.push(decision);
    }
    answers
}

async fn back_up(store: &dyn Store, file: &Path) {
    let (sender, mut pages) = mpsc::channel(4);
    let write = async {
        let (mut writer, mut bytes) = BackupWriter::start(JuneTenth.now()).expect("writes");
        while let Some(page) = pages.recv().await {
            bytes.extend(writer.page(page).expect("writes"));
        }
        bytes.extend(writer.finish().expect("writes"));
        std::fs::write(file, bytes).expect("a file");
    };
    let (sent, ()) = tokio::join!(store.back_up(sender), write);
    sent.expect("the store works");
}

/// Trains anew, and returns the stored model without its version.
async fn learned(app: &Arc<App>) -> Vec<u8> {
    train_model(app).await.expect("trains");
    app.store().load_model().await.expect("reads").expect("just trained").bytes
}

/// Broken by: a record that is lost, or kept in another form; a training that depends on the order in which a store is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_moves_answers_and_learns_as_before() {
    let Some(data) = data_directory().filter(|_| short_or_long(false, true)) else {
        eprintln!("skipped: TACTFUL_LONG is not set, or there is no online_retail_ii");
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let [there, back] = ["there.backup", "back.backup"].map(|name| directory.path().join(name));
    let sled = async |name: &str| Arc::new(SledStore::open(directory.path().join(name)).await.expect("opens"));

    let app = open(sled("data").await).await;
    let customers = import(&app, &data).await;
    let model = learned(&app).await;
    let (digest, asked) = (app.store().digest().await.expect("reads"), answers(&app, &customers).await);
    assert_eq!(asked.len(), ASKED);
    assert!(asked.iter().any(|decision| !decision.slate.is_empty()));
    back_up(app.store().as_ref(), &there).await;

    let settings = new_store().await;
    restore_into_database(&there, &[], &database(&settings), &mut |_| {}).await.expect("restores");
    let moved = open(Arc::new(PostgresStore::open(settings).await.expect("opens"))).await;
    assert_eq!(moved.store().digest().await.expect("reads"), digest);
    for (answer, before) in answers(&moved, &customers).await.iter().zip(&asked) {
        assert_eq!(answer, before);
    }
    assert_eq!(learned(&moved).await, model);
    back_up(moved.store().as_ref(), &back).await;

    restore_backup(&back, &[], &directory.path().join("back"), &mut |_| {}).await.expect("restores");
    let returned = open(sled("back").await).await;
    assert_eq!(returned.store().digest().await.expect("reads"), digest);
    assert_eq!(answers(&returned, &customers).await, asked);
}
