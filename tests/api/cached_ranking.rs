//! Cached rankings: responses report their age, and a change of their inputs invalidates them.
//!
//! Broken by, each seen: cached rankings that never expire; a digest without the holdings, the profile, the model or the
//! catalogue; cached eligibility.

use std::time::Duration;

use tactful::domain::ids::CustomerId;
use tactful::grpc::generated::tactful::v1::explain_decision_request::About;
use tactful::grpc::generated::tactful::v1::{
    BatchUpsertCustomersRequest, BatchUpsertProductsRequest, Consents, CustomerProfile, ExplainDecisionRequest,
    ExplainDecisionResponse, OfferKind, Product, TrainModelRequest, WhatIf,
};

use super::harness::TestServer;
use super::shop::{ago, now, open_shop, record};
use crate::support::wire_shop::{cross_sell, preview, product, purchase};

const HOUR: Duration = Duration::from_secs(3600);

/// Previews the offers to Ada, with the time of ranking.
async fn ask(shop: &TestServer, product_ids: &[&str]) -> ExplainDecisionResponse {
    let product_ids = product_ids.iter().map(|&id| id.to_owned()).collect();
    let question = WhatIf { kind: OfferKind::CrossSell.into(), product_ids, ..WhatIf::default() };
    let request = ExplainDecisionRequest { customer_id: "ada".into(), about: Some(About::WhatIf(question)) };
    shop.offers().explain_decision(request).await.expect("answers").into_inner()
}

async fn is_ranked_now(shop: &TestServer) -> bool {
    ask(shop, &[]).await.ranking_time == Some(now(&shop.clock))
}

async fn put(shop: &TestServer, product: Product) {
    let request = BatchUpsertProductsRequest { products: vec![product] };
    shop.catalog().batch_upsert_products(request).await.expect("upserts");
}

#[tokio::test]
async fn a_ranking_is_cached_for_a_day_and_its_age_reported() {
    let shop = open_shop().await;
    let ranked_at = now(&shop.clock);
    let first = ask(&shop, &[]).await;
    shop.clock.advance(HOUR * 3);
    let again = ask(&shop, &[]).await;
    assert_eq!((again.decision_time, again.ranking_time), (Some(now(&shop.clock)), Some(ranked_at)));
    let ranking = |answer: &ExplainDecisionResponse| -> Vec<(String, f64)> {
        answer.candidates.iter().map(|it| (it.product_id.clone(), it.propensity)).collect()
    };
    assert_eq!(ranking(&again), ranking(&first));

    let served = shop.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner();
    let about = Some(About::DecisionId(served.decision_id));
    let request = ExplainDecisionRequest { customer_id: "ada".into(), about };
    let recorded = shop.offers().explain_decision(request).await.expect("answers").into_inner();
    assert_eq!(recorded.ranking_time, Some(ranked_at));

    assert_eq!(ask(&shop, &["kettle"]).await.ranking_time, Some(now(&shop.clock)), "a basket is ranked on the spot");
    shop.clock.advance(HOUR * 21);
    assert!(is_ranked_now(&shop).await);
}

#[tokio::test]
async fn whatever_a_ranking_looks_at_makes_it_anew() {
    let shop = open_shop().await;
    assert!(is_ranked_now(&shop).await);
    let stays = async |change: &str| {
        assert!(is_ranked_now(&shop).await, "after {change}");
        shop.clock.advance(HOUR);
        assert!(!is_ranked_now(&shop).await, "still cached after {change}");
    };
    shop.clock.advance(HOUR);
    record(&shop, vec![purchase("ada-3", "ada", "mug", ago(&shop.clock, HOUR))]).await;
    stays("a purchase").await;
    let attributes = [("plan".to_owned(), "gold".to_owned())].into();
    let customer = CustomerProfile { customer_id: "ada".into(), attributes, ..CustomerProfile::default() };
    let request = BatchUpsertCustomersRequest { customers: vec![customer] };
    shop.customers().batch_upsert_customers(request).await.expect("upserts");
    stays("another profile").await;
    put(&shop, product("coaster")).await;
    stays("a new product").await;
    put(&shop, Product { compatible_with: vec!["kettle".into()], ..product("coaster") }).await;
    stays("a hint of the catalogue").await;
    shop.models().train_model(TrainModelRequest {}).await.expect("trains");
    stays("a training").await;
}

/// Broken by: a cached ranking that remains when its customer objects.
#[tokio::test]
async fn nothing_is_cached_for_customers_who_object_to_profiling() {
    let shop = open_shop().await;
    let ada = CustomerId::new("ada").expect("a valid id");
    let cached = async || shop.app.store().load_cached_ranking(&ada).await.expect("the store works");
    ask(&shop, &[]).await;
    assert!(cached().await.is_some());
    let consents = Some(Consents { objects_to_profiling: true, ..Consents::default() });
    let customer = CustomerProfile { customer_id: "ada".into(), consents, ..CustomerProfile::default() };
    let request = BatchUpsertCustomersRequest { customers: vec![customer] };
    shop.customers().batch_upsert_customers(request).await.expect("upserts");
    assert_eq!(cached().await, None);
    ask(&shop, &[]).await;
    assert_eq!(cached().await, None);
}

#[tokio::test]
async fn rules_are_checked_again_for_a_cached_ranking() {
    let shop = open_shop().await;
    let before = shop.offers().cross_sell(preview("ada")).await.expect("answers").into_inner();
    let best = before.offers[0].product_id.clone();
    let ranked_at = ask(&shop, &[]).await.ranking_time;
    let refused = tactful::grpc::generated::tactful::v1::CrossSellRequest {
        exclude_product_ids: vec![best.clone()],
        ..preview("ada")
    };
    let after = shop.offers().cross_sell(refused).await.expect("answers").into_inner();
    assert!(after.offers.iter().all(|offer| offer.product_id != best));
    assert_eq!(ask(&shop, &[]).await.ranking_time, ranked_at);
}
