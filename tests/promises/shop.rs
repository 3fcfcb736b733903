//! Small shop on either store, with a clock that tests set by hand.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tactful::domain::ids::RequestId;
use tactful::domain::offer::OfferKind;
use tactful::domain::policy::Policy;
use tactful::domain::product::{FeatureValue, Product};
use tactful::domain::time::Timestamp;
use tactful::model::training_settings::TrainingSettings;
use tactful::store::contract::store::Store;
use tactful::store::memory::store::MemoryStore;
use tactful::store::sled::store::SledStore;
use tactful::use_cases::app::{App, Clock};
use tactful::use_cases::catalog::{publish_catalog, upsert_products};
use tactful::use_cases::offer_request::{OfferRequest, RetryKey, ServingMode};

use crate::support::shop::{customer_id, now, on_ladder, product, product_id, with_feature};

pub const COMPLEMENTS: usize = 200;
pub const LADDERS: usize = 20;

pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(now().unix_ms())))
    }

    pub fn advance(&self, span: std::time::Duration) {
        let ms = i64::try_from(span.as_millis()).expect("a short span");
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::SeqCst)).expect("in range")
    }
}

pub async fn open_sled(directory: &Path) -> Arc<dyn Store> {
    Arc::new(SledStore::open(directory).await.expect("opens"))
}

pub fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

/// Opens the store as it is.
pub async fn open_app(store: Arc<dyn Store>, clock: Arc<ManualClock>) -> App {
    App::open(store, clock, Policy::default(), TrainingSettings::new(1, 1 << 30)).await.expect("opens")
}

/// Opens the shop and fills its catalogue: complements `c0..`, and ladders of two products, `l0..` below `u0..`.
pub async fn open_shop(store: Arc<dyn Store>, clock: Arc<ManualClock>) -> Arc<App> {
    let app = open_app(store, clock).await;
    let ladder_product = |name: char, number: usize, tier: u32| {
        let slots = FeatureValue::Number(f64::from(tier) * 2.0);
        let product = with_feature("slots", slots, product(format!("{name}{number}"), format!("Tier {tier}")));
        on_ladder(format!("ladder{number}"), tier, product)
    };
    let lowest = product_id("l0");
    let complements = (0..COMPLEMENTS).map(|number| Product {
        compatible_with: BTreeSet::from([lowest.clone()]),
        ..product(format!("c{number}"), format!("Complement {number}"))
    });
    let ladders = (0..LADDERS).flat_map(|number| [ladder_product('l', number, 1), ladder_product('u', number, 2)]);
    let products: Vec<Product> = complements.chain(ladders).collect();
    upsert_products(&app, &products).await.expect("upserts");
    publish_catalog(&app).await.expect("publishes");
    Arc::new(app)
}

pub fn request(customer_name: &str, kind: OfferKind) -> OfferRequest {
    OfferRequest {
        customer: customer_id(customer_name),
        kind,
        mode: ServingMode::Reserve,
        retry_key: None,
        products: Vec::new(),
        excluded: BTreeSet::new(),
        offers_max: 3,
        channel: None,
        placement: None,
        currency: None,
    }
}

/// Returns a request with candidates of its own: every other complement or ladder is excluded.
pub fn disjoint_request(customer_name: &str, number: usize) -> OfferRequest {
    if number % 4 == 3 {
        let owned = vec![product_id(format!("l{}", number % LADDERS))];
        return OfferRequest { products: owned, ..request(customer_name, OfferKind::UpSell) };
    }
    let wanted = |other: usize| (number * 3..number * 3 + 3).contains(&other);
    let others = (0..COMPLEMENTS).filter(|&other| !wanted(other)).map(|other| product_id(format!("c{other}")));
    let ladders = (0..LADDERS).flat_map(|other| [product_id(format!("l{other}")), product_id(format!("u{other}"))]);
    OfferRequest { excluded: others.chain(ladders).collect(), ..request(customer_name, OfferKind::CrossSell) }
}

pub fn with_key(request: OfferRequest, number: u128) -> OfferRequest {
    // The digest covers everything else in the request, for which the number stands here.
    let digest = u64::try_from(number & u128::from(u64::MAX)).expect("masked");
    OfferRequest { retry_key: Some(RetryKey { id: RequestId::from_bits(number + 1), digest }), ..request }
}
