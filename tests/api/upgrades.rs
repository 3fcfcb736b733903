//! Stores that earlier versions of tactful left: values of every format ever shipped, side by side with those of today, served,
//! changed, backed up and restored.

use std::path::{Path, PathBuf};

use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1::explain_decision_request::About;
use tactful::grpc::generated::tactful::v1::{
    ExplainDecisionRequest, ExportCustomerRequest, GetModelRequest, GetRelationshipHealthRequest, ListOffersRequest,
    ListProductsRequest,
};
use tactful::server::restore::restore_backup;
use tactful::store::backup::writer::BackupWriter;
use tactful::store::codec::customer::decode_customer;
use tactful::store::codec::decision::decode_decision;
use tactful::store::codec::event::decode_event;
use tactful::store::codec::explicit_offer::decode_explicit_offer;
use tactful::store::codec::product::decode_product;
use tactful::store::contract::{Store, StoredModel};
use tactful::store::sled::store::SledStore;
use tokio::sync::mpsc;

use super::harness::{HandClock, Running};
use super::shop::{cross_sell, kept, now, purchase, record, stock};

fn golden_files() -> Vec<(String, Vec<u8>)> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "stored_formats"].iter().collect();
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .expect("the folder of golden files")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("reads"))
        })
        .collect();
    files.sort();
    files
}

/// A model as earlier versions stored it: the report, the model, and, since the second format, the outlook.
fn trained_model(round: u32) -> Vec<u8> {
    let part = |name: &str| golden_files().into_iter().find(|(file, _)| file == name).expect("a golden file").1;
    let report = (1_u64, 1_u64, 1_u64, 1_u64, Vec::<(String, String, f64, u64)>::new(), Vec::<String>::new());
    let stored = if round == 1 {
        postcard::to_extend(&(report, part("offer-model-v1.bin")), vec![1])
    } else {
        postcard::to_extend(&(report, part("offer-model-v2.bin"), part("outlook-v1.bin")), vec![2])
    };
    stored.expect("a Vec takes any number of bytes")
}

fn key(customer: &str, rest: &[u8]) -> Vec<u8> {
    [&[u8::try_from(customer.len()).expect("short")][..], customer.as_bytes(), rest].concat()
}

/// Puts a value of every format where it belongs; of two formats of one value the one that this round is about.
fn leave_values(directory: &Path, round: u32) {
    let db = sled::Config::new().path(directory).segment_size(2 * 1024 * 1024).open().expect("opens");
    let put = |tree: &str, key: &[u8], value: &[u8]| {
        db.open_tree(tree).expect("opens").insert(key, value).expect("writes");
    };
    for (name, bytes) in golden_files() {
        let (what, version) = name.split_once("-v").expect("a name with a version");
        let version: u32 =
            version.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number");
        if version > round {
            continue;
        }
        match what {
            "customer" => {
                let customer = decode_customer(&bytes).expect("reads").value;
                put("customers", &key(customer.id.as_str(), b""), &bytes);
            }
            "event" => {
                let event = decode_event(&bytes).expect("reads");
                match &event.customer {
                    Some(customer) => put("history", &key(customer.as_str(), event.id.as_str().as_bytes()), &bytes),
                    None => put("anonymous", event.id.as_str().as_bytes(), &bytes),
                }
            }
            "decision" => {
                let decision = decode_decision(&bytes).expect("reads");
                put("decisions", &key(decision.customer.as_str(), &decision.id.bits().to_be_bytes()), &bytes);
            }
            "product" => put("products", decode_product(&bytes).expect("reads").id.as_str().as_bytes(), &bytes),
            "explicit-offer" => {
                put("offers", decode_explicit_offer(&bytes).expect("reads").id.as_str().as_bytes(), &bytes);
            }
            "volume" => put("volumes", b"spring", &bytes),
            // Made again; documents that are none; parts of the model put before; whole files.
            "prepared" | "activation" | "policy" | "model-chunk" | "model-pointer" | "offer-model" | "outlook"
            | "trained-model" | "backup" => {}
            other => panic!("a format that this test does not know: {other}"),
        }
    }
}

/// Broken by: a format that is no longer read; a lookup that takes the latest for granted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_any_earlier_version_is_served_changed_and_backed_up() {
    let versions = |name: &str| golden_files().iter().filter(|(file, _)| file.starts_with(name)).count();
    let rounds = u32::try_from(versions("customer-v").max(versions("decision-v"))).expect("few");
    assert!(rounds >= 5, "{rounds} formats of a decision");
    for round in 1..=rounds {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        // A store of today, then values of earlier days in it.
        let store = SledStore::open(&path("data")).await.expect("opens");
        store.put_model(&StoredModel { version: 3, bytes: trained_model(round) }).await.expect("the store works");
        store.close().await.expect("closes");
        drop(store);
        leave_values(&path("data"), round);

        let clock = HandClock::new();
        clock.advance(DAY * 30);
        let server = Running::on_disk(&path("data"), clock.clone()).await;
        let model = server.models().get_model(GetModelRequest {}).await.expect("answers").into_inner().model;
        assert_eq!(model.map(|model| model.version), Some(3), "round {round}");
        stock(&server).await;
        let before = kept(&server, "ada").await.expect("known");
        assert!(!before.holdings.is_empty(), "round {round}: {before:?}");
        let health = GetRelationshipHealthRequest { customer_id: "ada".into() };
        server.relationships().get_relationship_health(health).await.expect("answers");
        let decision = golden_files().into_iter().find(|(name, _)| *name == format!("decision-v{round}.bin"));
        if let Some((_, bytes)) = decision {
            let decision = decode_decision(&bytes).expect("reads");
            let asked = ExplainDecisionRequest {
                customer_id: decision.customer.to_string(),
                about: Some(About::DecisionId(decision.id.to_string())),
            };
            server.offers().explain_decision(asked).await.expect("answers");
        }
        let mut held = server
            .customers()
            .export_customer(ExportCustomerRequest { customer_id: "ada".into() })
            .await
            .expect("answers")
            .into_inner();
        let mut lines = 0;
        while let Some(part) = held.message().await.expect("goes on") {
            lines += part.json_lines.lines().count();
        }
        assert!(lines > 20, "round {round}: {lines} records of ada");
        let catalog =
            server.catalog().list_products(ListProductsRequest::default()).await.expect("answers").into_inner();
        assert!(catalog.products.iter().any(|product| product.product_id == "toaster-4"));
        let offers = server.catalog().list_offers(ListOffersRequest::default()).await.expect("answers").into_inner();
        assert_eq!(offers.offers.len(), 1);

        // Changed: from here on the customer is of today's format.
        record(&server, vec![purchase("new", "ada", "kettle", now(&clock))]).await;
        let answer = server.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner();
        server.stop().await;

        let store = SledStore::open(&path("data")).await.expect("opens");
        let (sender, mut receiver) = mpsc::channel(4);
        let (mut writer, mut bytes) = BackupWriter::begin(clock_time(&clock)).expect("writes");
        let (sent, ()) = tokio::join!(store.back_up(sender), async {
            while let Some(page) = receiver.recv().await {
                bytes.extend(writer.page(page).expect("every record reads"));
            }
        });
        sent.expect("the store works");
        bytes.extend(writer.end().expect("writes"));
        drop(store);
        std::fs::write(path("a.backup"), bytes).expect("a file");
        restore_backup(&path("a.backup"), &[], &path("copy"), &mut |_| {}).await.expect("restores");
        let server = Running::on_disk(&path("copy"), clock).await;
        if !answer.decision_id.is_empty() {
            let asked = ExplainDecisionRequest {
                customer_id: "ada".into(),
                about: Some(About::DecisionId(answer.decision_id)),
            };
            server.offers().explain_decision(asked).await.expect("answers");
        }
        server.stop().await;
    }
}

fn clock_time(clock: &HandClock) -> tactful::domain::time::Timestamp {
    tactful::use_cases::app::Clock::now(clock)
}
