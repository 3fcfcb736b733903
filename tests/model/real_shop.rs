//! Two years of a real shop (Online Retail II, doi 10.24432/C5CG6D): import, training, and an offer request for every customer.
//!
//! Skipped, with a notice, unless the data set is in `../shared/data/online_retail_ii` or in the directory that `TACTFUL_DATA`
//! names. The memory store and a model of the 1,500 best-selling products keep it short; `docs/real-data.md` has the figures of
//! the whole data set.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tactful::domain::customer::HoldReason;
use tactful::domain::decision::{CapKind, DecisionMessage};
use tactful::domain::event::{CaseReport, EventKind, Severity};
use tactful::domain::ids::CustomerId;
use tactful::domain::offer::OfferKind;
use tactful::domain::policy::Policy;
use tactful::domain::relationship::Band;
use tactful::domain::time::{DAY, Timestamp};
use tactful::ingest::mapping::Mapping;
use tactful::ingest::row_outcome::RowOutcome;
use tactful::ingest::row_reader::{self, RowReader};
use tactful::ingest::source::RowSource;
use tactful::model::training_settings::TrainingSettings;
use tactful::store::memory::store::MemoryStore;
use tactful::use_cases::app::{App, Clock};
use tactful::use_cases::catalog::{publish_catalog, upsert_products};
use tactful::use_cases::get_relationship_health::get_relationship_health;
use tactful::use_cases::holds::{HoldRequest, create_hold};
use tactful::use_cases::offer_request::{OfferRequest, ServingMode};
use tactful::use_cases::record_events::record_events;
use tactful::use_cases::serve_offers::{ServedOffers, serve_offers};
use tactful::use_cases::train_model::train_model;

use crate::support::shop::{case_id, event};

/// Memory planned for a regression over 1,500 products.
pub const TRAINING_BYTES: u64 = 28 * 1500 * 1500;

pub struct JuneTenth;

impl Clock for JuneTenth {
    fn now(&self) -> Timestamp {
        // 2011-06-10T00:00:00Z.
        Timestamp::from_unix_ms(1_307_664_000_000).expect("in range")
    }
}

#[tokio::test]
async fn healthy_customers_get_offers_and_customers_on_hold_get_none() {
    let Some(data) = data_directory() else {
        eprintln!("skipped: there is no online_retail_ii beside the project, and TACTFUL_DATA names none");
        return;
    };
    let limits = TrainingSettings::new(2, TRAINING_BYTES);
    let store = Arc::new(MemoryStore::new());
    let app = App::open(store, Arc::new(JuneTenth), Policy::default(), limits).await.expect("opens");
    let app = Arc::new(app);
    let customers = import(&app, &data).await;
    train_model(&app).await.expect("there are two years of sales");
    let held = hold_some(&app, &customers).await;

    let (mut healthy, mut offered) = (0_u32, 0_u32);
    for customer in &customers {
        let view = get_relationship_health(&app, customer).await.expect("reads");
        let served = preview(&app, customer).await;
        let is_offered = !served.decision.slate.is_empty();
        if held.contains(customer) {
            assert!(!is_offered, "{customer} is on hold and got an offer");
            assert_eq!(served.decision.message, DecisionMessage::Capped);
        } else if view.health.band != Band::Strained
            && view.caps.iter().all(|cap| cap.kind == CapKind::UpSell || cap.remaining > 0)
        {
            healthy += 1;
            offered += u32::from(is_offered);
        }
    }
    eprintln!("{offered} of {healthy} healthy, uncapped customers got offers; {} on hold", held.len());
    assert!(healthy > 2000, "{healthy} healthy customers: something else is wrong");
    assert!(f64::from(offered) >= 0.95 * f64::from(healthy));
}

pub fn data_directory() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let sets = std::env::var_os("TACTFUL_DATA").map_or_else(beside, PathBuf::from);
    Some(sets.join("online_retail_ii")).filter(|data| data.is_dir())
}

/// Imports all products and transactions. Returns the customers with purchases.
pub async fn import(app: &App, data: &Path) -> BTreeSet<CustomerId> {
    let now = app.now();
    let source = |name: &str| RowSource::open(&data.join(name)).expect("the data set has this file");
    let products =
        row_reader::read_products(source("products.csv"), &mapping("products"), now).expect("has the columns");
    let products = accepted(products).collect::<Vec<_>>();
    assert_eq!(products.len(), 4498);
    upsert_products(app, &products).await.expect("upserts");
    publish_catalog(app).await.expect("publishes");

    let events =
        row_reader::read_events(source("transactions.csv.gz"), &mapping("events"), now).expect("has the columns");
    let events = accepted(events).collect::<Vec<_>>();
    assert_eq!(events.len(), 715_634);
    for batch in events.chunks(10_000) {
        record_events(app, batch).await.expect("records");
    }
    assert_eq!(app.store().counts().await.expect("counts").events, 715_634, "rows that repeat are real");
    events.into_iter().filter_map(|event| event.customer).collect()
}

fn mapping(of: &str) -> Mapping {
    let path = format!("{}/examples/mappings/online_retail_ii_{of}.toml", env!("CARGO_MANIFEST_DIR"));
    Mapping::from_toml(&std::fs::read_to_string(path).expect("the mapping is there")).expect("the mapping is right")
}

fn accepted<T>(rows: RowReader<T>) -> impl Iterator<Item = T> {
    rows.filter_map(|row| match row.expect("the file reads") {
        RowOutcome::Accepted { line: _, value } => Some(value),
        RowOutcome::Filtered { line: _ } => None,
        RowOutcome::Rejected(rejection) => panic!("{rejection}"),
    })
}

/// Lets every 20th customer complain, or puts the customer on hold.
async fn hold_some(app: &App, customers: &BTreeSet<CustomerId>) -> HashSet<CustomerId> {
    let mut held = HashSet::new();
    for (number, customer) in customers.iter().step_by(20).enumerate() {
        if number % 2 == 0 {
            let kind = EventKind::Complaint(CaseReport { case: Some(case_id("case")), severity: Severity::DEFAULT });
            let complaint = event("complaint", customer.as_str(), app.now() - DAY, kind);
            record_events(app, &[complaint]).await.expect("records");
        } else {
            let request =
                HoldRequest { id: None, reason: HoldReason::AgentHold, note: String::new(), expires_at: None };
            create_hold(app, customer, request).await.expect("holds");
        }
        held.insert(customer.clone());
    }
    held
}

pub async fn preview(app: &App, customer: &CustomerId) -> ServedOffers {
    let request = OfferRequest {
        customer: customer.clone(),
        kind: OfferKind::CrossSell,
        mode: ServingMode::Preview,
        retry_key: None,
        products: Vec::new(),
        excluded: BTreeSet::new(),
        offers_max: 3,
        channel: None,
        placement: None,
        currency: None,
    };
    serve_offers(app, &request, None).await.expect("an answer")
}
