//! Small shop on either store, with a clock that tests set by hand.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tactful::domain::event::{Event, EventKind, OrderLine};
use tactful::domain::ids::{CustomerId, EventId, LadderId, ProductId, RequestId};
use tactful::domain::offer::OfferKind;
use tactful::domain::policy::Policy;
use tactful::domain::product::{FeatureValue, LadderPosition, Product};
use tactful::domain::time::{DAY, Timestamp};
use tactful::model::training_settings::TrainingSettings;
use tactful::store::contract::store::Store;
use tactful::store::memory::store::MemoryStore;
use tactful::store::sled::store::SledStore;
use tactful::use_cases::app::{App, Clock};
use tactful::use_cases::catalog::{publish_catalog, upsert_products};
use tactful::use_cases::offer_request::{OfferRequest, RetryKey, ServingMode};

pub const COMPLEMENTS: usize = 200;
pub const LADDERS: usize = 20;

pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_700_000_000_000)))
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

/// Opens the shop and fills its catalogue: complements `c0..`, and ladders of two products, `l0..` below `u0..`.
pub async fn open_shop(store: Arc<dyn Store>, clock: Arc<ManualClock>) -> Arc<App> {
    let limits = TrainingSettings::new(1, 1 << 30);
    let app = App::open(store, clock, Policy::default(), limits).await.expect("opens");
    let ladder_position = |number: usize, tier: u32| {
        let ladder = LadderId::new(format!("ladder{number}")).expect("a valid id");
        let slots = f64::from(tier) * 2.0;
        Product {
            ladder_position: Some(LadderPosition { ladder, tier }),
            features: [("slots".to_owned(), FeatureValue::Number(slots))].into(),
            ..Product::new(product(&format!("{}{number}", if tier == 1 { 'l' } else { 'u' })), format!("Rung {tier}"))
        }
    };
    let lowest = product("l0");
    let complements = (0..COMPLEMENTS).map(|number| Product {
        compatible_with: BTreeSet::from([lowest.clone()]),
        ..Product::new(product(&format!("c{number}")), format!("Complement {number}"))
    });
    let ladders = (0..LADDERS).flat_map(|number| [ladder_position(number, 1), ladder_position(number, 2)]);
    let products: Vec<Product> = complements.chain(ladders).collect();
    upsert_products(&app, &products).await.expect("upserts");
    publish_catalog(&app).await.expect("publishes");
    Arc::new(app)
}

pub fn product(name: &str) -> ProductId {
    ProductId::new(name).expect("a valid id")
}

pub fn customer(name: &str) -> CustomerId {
    CustomerId::new(name).expect("a valid id")
}

pub fn purchase(id: &str, customer_name: &str, product_name: &str, app: &App, days_ago: u32) -> Event {
    Event {
        id: EventId::new(id).expect("a valid id"),
        customer: Some(customer(customer_name)),
        at: app.now() - DAY * days_ago,
        kind: EventKind::Purchase(OrderLine {
            product: product(product_name),
            order: None,
            quantity: 1,
            unit_price: None,
        }),
    }
}

pub fn request(customer_name: &str, kind: OfferKind) -> OfferRequest {
    OfferRequest {
        customer: customer(customer_name),
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
        let owned = vec![product(&format!("l{}", number % LADDERS))];
        return OfferRequest { products: owned, ..request(customer_name, OfferKind::UpSell) };
    }
    let wanted = |other: usize| (number * 3..number * 3 + 3).contains(&other);
    let others = (0..COMPLEMENTS).filter(|&other| !wanted(other)).map(|other| product(&format!("c{other}")));
    let rungs = (0..LADDERS).flat_map(|other| [product(&format!("l{other}")), product(&format!("u{other}"))]);
    OfferRequest { excluded: others.chain(rungs).collect(), ..request(customer_name, OfferKind::CrossSell) }
}

pub fn with_key(request: OfferRequest, number: u128) -> OfferRequest {
    // The digest covers everything else in the request, for which the number stands here.
    let digest = u64::try_from(number & u128::from(u64::MAX)).expect("masked");
    OfferRequest { retry_key: Some(RetryKey { id: RequestId::from_bits(number + 1), digest }), ..request }
}
