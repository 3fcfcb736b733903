//! The promises with three replicas over one database: each call goes to any of them.
//!
//! Each replica has its own store, caches and turns. Broken by: an update of a customer that does not compare versions, or a
//! replay that is not found by the replica that did not make the decision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tactful::domain::decision::Decision;
use tactful::domain::event::OutcomeKind;
use tactful::domain::ids::{DecisionId, ProductId};
use tactful::domain::offer::{Factors, Offer, OfferKind, PropensityBasis};
use tactful::domain::policy::Policy;
use tactful::domain::product::Product;
use tactful::domain::time::DAY;
use tactful::policy_document::format_policy::format_policy;
use tactful::store::contract::store::Store;
use tactful::store::postgres::settings::PostgresSettings;
use tactful::store::postgres::store::PostgresStore;
use tactful::use_cases::app::App;
use tactful::use_cases::batch_entry::EntryOutcome;
use tactful::use_cases::catalog::upsert_products;
use tactful::use_cases::customers::get_customer;
use tactful::use_cases::explicit_offers::upsert_offers;
use tactful::use_cases::follow_store::{follow_store, report_replica};
use tactful::use_cases::learn_acceptances::learn_acceptances;
use tactful::use_cases::offer_request::{OfferRequest, ServingMode};
use tactful::use_cases::policies::{activate_policy, create_policy, roll_back_policy};
use tactful::use_cases::record_events::record_events;
use tactful::use_cases::record_outcomes::{OutcomeReport, record_outcomes};
use tactful::use_cases::serve_offers::serve_offers;
use tactful::use_cases::train_model::{current_model, train_model};
use tokio::task::JoinSet;

use super::shop;
use super::volumes::{CAP, sale, sale_request};
use crate::support::postgres::{new_store, shared_client};
use crate::support::shop::{customer_id, product_id, purchase};

const REPLICAS: usize = 3;
/// Caps of a new customer: 3 offers.
const OFFERS_MAX: usize = 3;

async fn open(settings: &PostgresSettings) -> Arc<dyn Store> {
    Arc::new(PostgresStore::open(settings.clone()).await.expect("opens"))
}

/// Opens the shop with an offer of limited volume, then the replicas that share it.
async fn replicas() -> Vec<Arc<App>> {
    replicas_of(&new_store().await).await
}

async fn replicas_of(settings: &PostgresSettings) -> Vec<Arc<App>> {
    let clock = shop::ManualClock::new();
    let first = shop::open_shop(open(settings).await, Arc::clone(&clock)).await;
    upsert_offers(&first, &[sale(0)]).await.expect("stored");
    let mut replicas = vec![first];
    for _ in 1..REPLICAS {
        replicas.push(Arc::new(shop::open_app(open(settings).await, Arc::clone(&clock)).await));
    }
    replicas
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_for_one_customer_never_exceed_a_cap() {
    let replicas = replicas().await;
    for round in 0..5 {
        let customer_name = format!("customer{round}");
        let calls = (0..64).map(|number| {
            let (one, other) = (&replicas[number % REPLICAS], &replicas[(number + 1) % REPLICAS]);
            let (one, other, customer_name) = (Arc::clone(one), Arc::clone(other), customer_name.clone());
            tokio::spawn(async move {
                let request = shop::with_key(shop::disjoint_request(&customer_name, number), number as u128);
                let served = serve_offers(&one, &request, None).await.expect("served");
                if number % 8 == 0 {
                    let again = serve_offers(&other, &request, None).await.expect("a replay");
                    assert!(again.is_replayed);
                    assert_eq!(again.decision, served.decision);
                }
                served
            })
        });
        let mut granted = BTreeSet::new();
        for call in calls.collect::<Vec<_>>() {
            for offer in call.await.expect("no panic").decision.slate {
                granted.insert((offer.kind, offer.id));
            }
        }
        assert_eq!(granted.len(), OFFERS_MAX, "the cap is used up, and not exceeded");
        let view = get_customer(&replicas[0], &customer_id(&customer_name)).await.expect("reads").expect("is stored");
        assert_eq!(view.customer.ledger.grants.len(), OFFERS_MAX);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attempts_at_several_replicas_are_one_decision() {
    let replicas = replicas().await;
    for round in 0..20_u128 {
        let attempts = replicas.iter().map(|replica| {
            let replica = Arc::clone(replica);
            let request = shop::with_key(shop::request(&format!("c{round}"), OfferKind::CrossSell), round);
            tokio::spawn(async move { serve_offers(&replica, &request, None).await.expect("served") })
        });
        let mut decisions = Vec::new();
        for attempt in attempts.collect::<Vec<_>>() {
            decisions.push(attempt.await.expect("no panic").decision);
        }
        assert!(decisions.iter().all(|decision| *decision == decisions[0]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_of_several_replicas_never_exceed_a_volume() {
    let replicas = replicas().await;
    let callers = (0..3 * CAP).map(|number| {
        let replica = Arc::clone(&replicas[usize::try_from(number).expect("few") % REPLICAS]);
        tokio::spawn(async move {
            let request = sale_request(&format!("customer{number}"), 0);
            serve_offers(&replica, &request, None).await.expect("served").decision
        })
    });
    let mut granted = 0;
    for caller in callers.collect::<Vec<_>>() {
        let decision = caller.await.expect("no panic");
        granted += decision.slate.iter().filter(|offer| offer.id == sale(0).id).count() as u64;
    }
    let used = replicas[0].store().used_volume(&sale(0).id).await.expect("reads");
    assert_eq!((granted, used), (CAP, CAP), "the volume is used up, and not exceeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_sent_to_several_replicas_count_once() {
    let replicas = replicas().await;
    let writers = replicas.iter().map(|replica| {
        let replica = Arc::clone(replica);
        tokio::spawn(async move {
            let mut new = 0;
            for number in 0..20 {
                let event = purchase(format!("e{number}"), "busy", "c1", replica.now() - DAY);
                let outcomes = record_events(&replica, &[event]).await.expect("recorded");
                new += outcomes.iter().filter(|outcome| **outcome == EntryOutcome::New).count();
            }
            new
        })
    });
    let mut new = 0;
    for writer in writers.collect::<Vec<_>>() {
        new += writer.await.expect("no panic");
    }
    let view = get_customer(&replicas[0], &customer_id("busy")).await.expect("reads").expect("is stored");
    assert_eq!((new, view.customer.holdings.latest[&product_id("c1")].items.quantity()), (20, 20));
}

/// Follows the store once, as the server does at an interval.
async fn follow(replica: &App) {
    let shared = replica.store().shared().expect("the store is shared");
    let numbers = shared.published().await.expect("reads").numbers;
    follow_store(replica, &numbers).await.expect("follows");
    report_replica(replica).await.expect("reports");
}

async fn create_calm(replica: &App) {
    let calm = Policy { version: "calm".to_owned(), ..Policy::default() };
    create_policy(replica, calm.clone(), format_policy(&calm)).await.expect("stored");
}

async fn decisions_by_id(store: &dyn Store) -> BTreeMap<DecisionId, String> {
    let mut decisions = BTreeMap::new();
    let mut add = |page: Vec<Decision>| decisions.extend(page.into_iter().map(|it| (it.id, it.policy_version)));
    store.visit_decisions(1024, &mut add).await.expect("reads");
    decisions
}

/// Broken by: replicas that do not follow; a commit that does not name its policy; an answer before replicas have drained.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_an_activation_no_decision_under_the_policy_before_is_committed() {
    let replicas = replicas().await;
    create_calm(&replicas[0]).await;
    let following = Following::start(&replicas).await;
    let mut callers = JoinSet::new();
    for (index, replica) in replicas.iter().enumerate() {
        for caller in 0..4 {
            let (replica, is_stopped) = (Arc::clone(replica), Arc::clone(&following.is_stopped));
            callers.spawn(async move {
                for number in 0.. {
                    if is_stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let request = shop::request(&format!("c{index}-{caller}-{number}"), OfferKind::CrossSell);
                    serve_offers(&replica, &request, None).await.expect("served");
                }
            });
        }
    }
    let store = replicas[0].store();
    while decisions_by_id(store.as_ref()).await.len() < 50 {}
    let activation = activate_policy(&replicas[1], "calm").await.expect("activates");
    assert!(activation.is_drained);
    let drained = decisions_by_id(store.as_ref()).await;
    while decisions_by_id(store.as_ref()).await.len() < drained.len() + 50 {}
    drop(following);
    while let Some(ended) = callers.join_next().await {
        ended.expect("no panic");
    }
    let all = decisions_by_id(store.as_ref()).await;
    let later: Vec<&String> =
        all.iter().filter(|(id, _)| !drained.contains_key(id)).map(|(_, policy)| policy).collect();
    assert!(later.len() >= 50 && later.iter().all(|policy| *policy == "calm"), "{} decisions", later.len());
    assert!(drained.values().any(|policy| policy == "default-1"), "there were decisions before");
}

/// The decision is under the policy before, and its commit has checked that. Broken by: an activation that does not wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_activation_waits_for_a_commit_that_stalls_after_its_check() {
    // On one connection, which the first call prepares: preparing statements would wait for the lock, too.
    let settings = PostgresSettings { connections_max: 1, ..new_store().await };
    let replicas = replicas_of(&settings).await;
    create_calm(&replicas[0]).await;
    serve_offers(&replicas[2], &shop::request("first", OfferKind::CrossSell), None).await.expect("served");
    let schema = settings.url.rsplit_once('=').expect("the search path").1.trim_end_matches('\'');
    let (lock, observer) = (shared_client().await, shared_client().await);
    lock.batch_execute(&format!("BEGIN; LOCK TABLE {schema}.decision IN SHARE MODE")).await.expect("locks");
    let stalled = {
        let replica = Arc::clone(&replicas[2]);
        let request = shop::request("stalled", OfferKind::CrossSell);
        tokio::spawn(async move { serve_offers(&replica, &request, None).await.expect("served").decision })
    };
    let waiting =
        format!("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '{schema}.decision'::regclass");
    while observer.query_one(&waiting, &[]).await.expect("reads").get::<_, i64>(0) == 0 {
        tokio::task::yield_now().await;
    }
    let activating = {
        let replica = Arc::clone(&replicas[0]);
        tokio::spawn(async move { activate_policy(&replica, "calm").await.expect("activates") })
    };
    let shared = replicas[0].store().shared().expect("the store is shared");
    while shared.published().await.expect("reads").numbers.policy == 0 {
        tokio::task::yield_now().await;
    }
    // The replica of the call is not known, so only the commit itself holds the activation up.
    for _ in 0..20 {
        assert!(!activating.is_finished());
        shared.published().await.expect("reads");
    }
    lock.batch_execute("ROLLBACK").await.expect("unlocks");
    assert_eq!(stalled.await.expect("no panic").policy_version, "default-1");
    assert!(activating.await.expect("no panic").is_drained);
    // The replica did not follow, and learns of the policy from its commit.
    let request = shop::request("later", OfferKind::CrossSell);
    let served = serve_offers(&replicas[2], &request, None).await.expect("served");
    assert_eq!(served.decision.policy_version, "calm");
}

/// Broken by: two activations that both take place after the same policy.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn activations_at_several_replicas_follow_each_other() {
    let replicas = replicas().await;
    create_calm(&replicas[0]).await;
    let bold = Policy { version: "bold".to_owned(), ..Policy::default() };
    create_policy(&replicas[0], bold.clone(), format_policy(&bold)).await.expect("stored");
    let _following = Following::start(&replicas).await;
    let (one, other) = tokio::join!(activate_policy(&replicas[1], "calm"), activate_policy(&replicas[2], "bold"));
    let (one, other) = (one.expect("activates"), other.expect("activates"));
    let (first, second) = if one.previous == "default-1" { (&one, &other) } else { (&other, &one) };
    assert_eq!((first.previous.as_str(), &second.previous), ("default-1", &first.version));
    let rolled_back = roll_back_policy(&replicas[0], &second.version).await.expect("rolls back");
    assert_eq!(rolled_back.version, first.version);
}

/// Makes offers to customers, each at another replica; all accept the first product, and reject the others.
async fn accept_one_product(replicas: &[Arc<App>]) {
    let mut liked = None;
    for number in 0..20 {
        let request = shop::request(&format!("asked{number}"), OfferKind::CrossSell);
        let served = serve_offers(&replicas[number % REPLICAS], &request, None).await.expect("served").decision;
        let liked = liked.get_or_insert_with(|| served.slate[0].product.clone());
        let report = |offer: &Offer| OutcomeReport {
            customer: served.customer.clone(),
            decision: served.id,
            offer: offer.id.clone(),
            kind: if offer.product == *liked { OutcomeKind::Accepted } else { OutcomeKind::Rejected },
            at: None,
            case: None,
        };
        let reports: Vec<OutcomeReport> = served.slate.iter().map(report).collect();
        let recorded = record_outcomes(&replicas[0], &reports).await.expect("recorded");
        assert!(recorded.iter().all(|outcome| *outcome == EntryOutcome::New));
    }
}

/// Offers that a replica would make to new customers.
async fn previewed(replica: &App) -> Vec<(ProductId, Factors)> {
    let mut offers = Vec::new();
    for number in 0..7 {
        let request = shop::request(&format!("visitor{number}"), OfferKind::CrossSell);
        let preview = OfferRequest { mode: ServingMode::Preview, ..request };
        let slate = serve_offers(replica, &preview, None).await.expect("served").decision.slate;
        offers.extend(slate.into_iter().map(|offer| (offer.product, offer.factors)));
    }
    offers
}

/// Broken by: a number that is noted before what it stands for is loaded; counts that only the replica has that made them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_follow_what_others_publish_and_answer_alike() {
    let replicas = replicas().await;
    let yesterday = replicas[0].now() - DAY;
    for number in 0..60 {
        let (buyer, product) = (format!("buyer{}", number % 7), format!("c{}", number % 5));
        let bought = purchase(format!("e{number}"), &buyer, &product, yesterday);
        record_events(&replicas[0], &[bought]).await.expect("recorded");
    }
    train_model(&replicas[1]).await.expect("trains");
    let renamed = Product { title: "Brand new".to_owned(), ..replicas[0].catalog().products()[0].clone() };
    upsert_products(&replicas[2], std::slice::from_ref(&renamed)).await.expect("stored");
    accept_one_product(&replicas).await;
    learn_acceptances(&replicas[0]).await.expect("counts");
    create_calm(&replicas[0]).await;
    activate_policy(&replicas[0], "calm").await.expect("activates");
    let mut answers = Vec::new();
    for replica in &replicas {
        follow(replica).await;
        assert_eq!(replica.policy_in_force().version, "calm");
        assert_eq!(current_model(replica).map(|model| model.version), Some(1));
        assert_eq!(replica.catalog().get(&renamed.id).map(|product| &product.title), Some(&renamed.title));
        answers.push(previewed(replica).await);
    }
    let is_counted = |(_, factors): &(ProductId, Factors)| factors.propensity_basis == PropensityBasis::Outcomes;
    assert!(answers[0].iter().any(is_counted), "the counts are used");
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

/// Replicas that follow the store without a pause, until it is dropped. Callers look at whether it was.
struct Following {
    is_stopped: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Following {
    async fn start(replicas: &[Arc<App>]) -> Self {
        let (is_stopped, mut tasks) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for replica in replicas {
            // Before any activation, so that it is waited for.
            follow(replica).await;
            let replica = Arc::clone(replica);
            tasks.spawn(async move {
                loop {
                    follow(&replica).await;
                }
            });
        }
        Self { is_stopped, _tasks: tasks }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }
}
