//! The run that is recorded: workers with customers of their own, and one that changes catalogue and policies. Each writes a
//! line before it starts a change and one once the change is acknowledged.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tactful::domain::event::OutcomeKind;
use tactful::domain::explicit_offer::ExplicitOffer;
use tactful::domain::offer::OfferKind;
use tactful::domain::policy::Policy;
use tactful::policy_document::format_policy::format_policy;
use tactful::store::contract::store::Store;
use tactful::use_cases::app::App;
use tactful::use_cases::catalog::{delete_product, publish_catalog, upsert_products};
use tactful::use_cases::erase_customer::erase_customer;
use tactful::use_cases::explicit_offers::{delete_offer, upsert_offers};
use tactful::use_cases::policies::{activate_policy, create_policy};
use tactful::use_cases::record_events::record_events;
use tactful::use_cases::record_outcomes::{OutcomeReport, record_outcomes};
use tactful::use_cases::serve_offers::serve_offers;

use super::super::shop;
use crate::support::long_form::short_or_long;
use crate::support::shop::{customer_id, event_id, offer_id, product, product_id, purchase};

/// Environment variable with the directory of the run.
pub const DIRECTORY: &str = "TACTFUL_POWER_LOSS_DIRECTORY";
/// Name of the store's directory in it.
pub const DATA: &str = "data";
/// Name of the file with the marks.
pub const MARKS: &str = "marks";
/// Explicit offer with a volume cap, which runs out.
pub const LIMITED: &str = "limited";
pub const VOLUME_CAP: u64 = 12;

const WORKERS: usize = 4;
const CUSTOMERS_PER_WORKER: usize = 5;

/// Writes the marks, each in one system call.
struct Marks(Mutex<File>);

impl Marks {
    fn write(&self, fields: &[&str]) {
        let line = format!("{}\n", fields.join("\t"));
        self.0.lock().expect("not poisoned").write_all(line.as_bytes()).expect("writable");
    }
}

/// Runs in a process of its own, started by the test.
#[test]
#[ignore = "started under strace by a_power_loss_loses_nothing_that_was_acknowledged"]
fn run() {
    let directory = PathBuf::from(std::env::var_os(DIRECTORY).expect("set by the test"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(run_in(&directory));
}

async fn run_in(directory: &Path) {
    let marks = Arc::new(Marks(Mutex::new(File::create(directory.join(MARKS)).expect("a file"))));
    let store: Arc<dyn Store> = shop::open_sled(&directory.join(DATA)).await;
    let app = shop::open_shop(store, shop::ManualClock::new()).await;
    let limited = ExplicitOffer {
        lever: 10.0,
        volume_cap: Some(VOLUME_CAP),
        ..ExplicitOffer::new(offer_id(LIMITED), product_id("c0"))
    };
    marks.write(&["start", "offer", LIMITED]);
    upsert_offers(&app, &[limited]).await.expect("stored");
    marks.write(&["done", "offer", LIMITED]);
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let (app, marks) = (Arc::clone(&app), Arc::clone(&marks));
        tasks.spawn(async move { serve_customers(&app, &marks, worker).await });
    }
    tasks.spawn(async move { change_catalog_and_policies(&app, &marks).await });
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no worker panics");
    }
    // The process ends here without closing the store, as in a power loss.
}

fn rounds() -> usize {
    short_or_long(12, 60)
}

async fn serve_customers(app: &App, marks: &Marks, worker: usize) {
    for round in 0..rounds() {
        // Nothing may be stored under an erased id again, so each erasure has a customer of its own.
        let is_erased = round % 4 == 3;
        let customer = if is_erased {
            format!("w{worker}e{round}")
        } else {
            format!("w{worker}c{}", round % CUSTOMERS_PER_WORKER)
        };
        let key = (worker * 1_000_000 + round) as u128;
        let request = shop::with_key(shop::request(&customer, OfferKind::CrossSell), key);
        let served = serve_offers(app, &request, None).await.expect("served").decision;
        for offer in &served.slate {
            marks.write(&["done", "grant", &customer, &served.id.to_string(), offer.id.as_str()]);
        }
        let events: Vec<_> = (0..3)
            .map(|number| purchase(format!("e{round}-{number}"), &customer, format!("c{}", 100 + number), app.now()))
            .collect();
        record_events(app, &events).await.expect("recorded");
        for event in &events {
            marks.write(&["done", "event", &customer, event.id.as_str()]);
        }
        if let Some(offer) = served.slate.first() {
            let report = OutcomeReport {
                customer: customer_id(&customer),
                decision: served.id,
                offer: offer.id.clone(),
                kind: OutcomeKind::Clicked,
                at: None,
                case: None,
            };
            record_outcomes(app, &[report]).await.expect("recorded");
            let id = event_id(format!("outcome/{}/{}/clicked", served.id, offer.rank));
            marks.write(&["done", "event", &customer, id.as_str()]);
        }
        let anonymous = tactful::domain::event::Event {
            customer: None,
            ..purchase(format!("a{worker}-{round}"), "nobody", "c1", app.now())
        };
        record_events(app, std::slice::from_ref(&anonymous)).await.expect("recorded");
        marks.write(&["done", "event", "", anonymous.id.as_str()]);
        if is_erased {
            marks.write(&["start", "erasure", &customer]);
            erase_customer(app, &customer_id(&customer)).await.expect("erased");
            marks.write(&["done", "erasure", &customer]);
        }
    }
}

async fn change_catalog_and_policies(app: &App, marks: &Marks) {
    for round in 0..rounds() {
        let version = format!("v{round}");
        let policy = Policy { version: version.clone(), ..Policy::default() };
        let text = format_policy(&policy);
        create_policy(app, policy, text).await.expect("stored");
        marks.write(&["start", "activation", &version]);
        activate_policy(app, &version).await.expect("activated");
        marks.write(&["done", "activation", &version]);
        let (offer, product_name) = (format!("offer{round}"), format!("new{round}"));
        marks.write(&["start", "product", &product_name]);
        upsert_products(app, &[product(product_name.as_str(), "New")]).await.expect("stored");
        publish_catalog(app).await.expect("published");
        marks.write(&["done", "product", &product_name]);
        marks.write(&["start", "offer", &offer]);
        let of_new = ExplicitOffer::new(offer_id(offer.as_str()), product_id(product_name.as_str()));
        upsert_offers(app, &[of_new]).await.expect("stored");
        marks.write(&["done", "offer", &offer]);
        if round % 2 == 1 {
            marks.write(&["start", "no offer", &offer]);
            delete_offer(app, &offer_id(offer.as_str())).await.expect("deleted");
            marks.write(&["done", "no offer", &offer]);
            marks.write(&["start", "no product", &product_name]);
            delete_product(app, &product_id(product_name.as_str())).await.expect("deleted");
            marks.write(&["done", "no product", &product_name]);
        }
    }
}
