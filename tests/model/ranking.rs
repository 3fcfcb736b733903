//! Training and explanations of the offer model: independent of the order of the history, with counts that can be recomputed
//! from the events, and valid for any history.
//!
//! Broken by: numbering products in the order they are pushed; rows counted twice in `together`; an unchecked checksum.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use tactful::domain::cached_ranking::{CacheKey, RankedProduct};
use tactful::domain::candidate::{Candidate, Proposal, SUPPORT_MIN, Support};
use tactful::domain::catalog::Catalog;
use tactful::domain::event::{Event, EventKind};
use tactful::domain::evidence::{CountBasis, Evidence};
use tactful::domain::ids::ProductId;
use tactful::domain::offer::PropensityBasis;
use tactful::domain::product::Product;
use tactful::domain::time::DAY;
use tactful::model::artifact::ArtifactError;
use tactful::model::bound_model::BoundModel;
use tactful::model::held_product::HeldProduct;
use tactful::model::history::TrainingHistory;
use tactful::model::learned_product::RECENT_DAYS;
use tactful::model::offer_model::OfferModel;
use tactful::model::offer_queries::{CrossSellQuery, CustomerContext, UpSellQuery};
use tactful::model::profile::{AttributeEncoding, ProfileAttribute, ProfileEncoder};
use tactful::model::ranking::features::Features;
use tactful::model::ranking::forest::{Forest, Node};
use tactful::model::ridge::Neighbour;
use tactful::model::train::{TrainingError, TrainingReport, train};
use tactful::model::training_settings::TrainingSettings;

use crate::support::shop::{customer_id, event_id, now, numbered_product_id, order_id, order_line, product, purchase};

const PRODUCTS: usize = 8;
const SETTINGS: TrainingSettings = TrainingSettings::new(1, 1 << 30);

/// One purchase: customer (9 stands for none), product, order, days ago.
type Bought = (usize, usize, usize, u32);

fn purchase_event(number: usize, &(customer, bought, order, days_ago): &Bought) -> Event {
    let mut line = order_line(numbered_product_id(bought));
    line.order = Some(order_id(format!("order{order}")));
    Event {
        id: event_id(format!("e{number}")),
        customer: (customer < 9).then(|| customer_id(format!("c{customer}"))),
        at: now() - DAY * days_ago,
        kind: EventKind::Purchase(line),
    }
}

fn catalog() -> Catalog {
    let sold = |number| Product { category: vec!["all".into()], ..product(format!("p{number}"), format!("{number}")) };
    Catalog::new((0..PRODUCTS).map(sold).collect())
}

fn learn<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<(OfferModel, TrainingReport), TrainingError> {
    let mut history = TrainingHistory::new();
    events.into_iter().for_each(|event| history.push(event));
    train(&history, &catalog(), now(), &SETTINGS, &|_| {})
}

fn cross_sell(model: OfferModel, holdings: &BTreeSet<usize>, context: &[usize]) -> Vec<(Candidate, Support)> {
    let held = |&number: &usize| HeldProduct {
        product: numbered_product_id(number),
        first_at: now() - DAY,
        last_at: now() - DAY,
        usage: Vec::new(),
    };
    let query = CrossSellQuery {
        customer: CustomerContext { holdings: holdings.iter().map(held).collect(), ..CustomerContext::default() },
        context: context.iter().map(|&number| numbered_product_id(number)).collect(),
        now: now(),
    };
    let bound = BoundModel::new(Arc::new(model), Arc::new(catalog()));
    let proposal = bound.cross_sell(&query);
    let candidates = proposal.candidates();
    candidates.map(|candidate| (candidate.clone(), proposal.support(&candidate))).collect()
}

fn histories() -> impl Strategy<Value = Vec<Bought>> {
    prop::collection::vec((0..10_usize, 0..PRODUCTS, 0..12_usize, 0..400_u32), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn the_order_of_the_history_does_not_matter(
        (bought, shuffled) in histories().prop_flat_map(|bought| {
            let numbers: Vec<usize> = (0..bought.len()).collect();
            (Just(bought), Just(numbers).prop_shuffle())
        })
    ) {
        let events: Vec<Event> = bought.iter().enumerate().map(|(number, line)| purchase_event(number, line)).collect();
        let (model, report) = learn(&events).expect("a history with purchases");
        let (again, report_again) = learn(shuffled.iter().map(|&number| &events[number])).expect("the same");
        prop_assert_eq!(model.encode(), again.encode());
        prop_assert_eq!(report, report_again);
    }

    #[test]
    fn a_model_round_trips(bought in histories()) {
        let events: Vec<Event> = bought.iter().enumerate().map(|(number, line)| purchase_event(number, line)).collect();
        let (model, _) = learn(&events).expect("a history with purchases");
        prop_assert_eq!(OfferModel::decode(&model.encode()).expect("reads"), model);
    }

    #[test]
    fn every_count_can_be_recomputed(bought in histories(), holdings in prop::collection::btree_set(0..PRODUCTS, 0..5)) {
        let events: Vec<Event> = bought.iter().enumerate().map(|(number, line)| purchase_event(number, line)).collect();
        let (model, _) = learn(&events).expect("a history with purchases");
        let context: Vec<usize> = holdings.iter().copied().collect();
        let for_customer = cross_sell(model.clone(), &holdings, &[]);
        let for_basket = cross_sell(model, &BTreeSet::new(), &context);
        for proposed in [&for_customer, &for_basket] {
            prop_assert!(proposed.is_sorted_by(|(a, _), (b, _)| a.propensity >= b.propensity));
        }
        for (candidate, support) in for_customer.iter().chain(&for_basket) {
            prop_assert!(candidate.propensity > 0.0 && candidate.propensity <= 1.0, "{candidate:?}");
            for evidence in &support.evidence {
                prop_assert!(is_true(evidence, &candidate.product, &bought), "{evidence:?} of {:?}", candidate.product);
            }
        }
        prop_assert_eq!(for_customer.len(), PRODUCTS, "eligibility is not checked here");
    }

    /// Stored bytes decode or return an error, and never panic. A valid checksum lets the decoder read what follows it.
    #[test]
    fn no_bytes_make_decoding_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), is_sealed: bool) {
        if is_sealed {
            bytes.insert(0, 1);
            bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        }
        let _error_or_model = OfferModel::decode(&bytes);
    }

    #[test]
    fn a_changed_byte_is_rejected(at in 0..1_000_000_usize, change in 1..=255_u8) {
        let (model, _) = learn(&[purchase_event(0, &(0, 0, 0, 1)), purchase_event(1, &(0, 1, 0, 1))]).expect("something was bought");
        let mut bytes = model.encode();
        let at = at % bytes.len();
        bytes[at] ^= change;
        prop_assert!(OfferModel::decode(&bytes).is_err());
    }
}

/// Recomputes the counts of a piece of evidence from sets. Fewer than five are no evidence: "1 of 1" says nothing.
fn is_true(evidence: &Evidence, candidate: &ProductId, bought: &[Bought]) -> bool {
    // Products by basket, and by customer.
    let mut baskets: BTreeMap<(usize, usize), BTreeSet<ProductId>> = BTreeMap::new();
    let mut customers: BTreeMap<usize, BTreeSet<ProductId>> = BTreeMap::new();
    for &(customer, number, order, _) in bought {
        baskets.entry((customer, order)).or_default().insert(numbered_product_id(number));
        if customer < 9 {
            customers.entry(customer).or_default().insert(numbered_product_id(number));
        }
    }
    baskets.retain(|_, products| products.len() > 1);
    let recent_buyers = |of: &ProductId| {
        let recent = bought.iter().filter(|line| line.3 <= RECENT_DAYS && numbered_product_id(line.1) == *of);
        let distinct: BTreeSet<(usize, usize)> =
            recent.map(|&(customer, _, order, _)| (customer, if customer < 9 { 0 } else { order })).collect();
        distinct.len()
    };
    match evidence {
        Evidence::BoughtTogether { with, together, with_total, counted } => {
            let groups: Vec<&BTreeSet<ProductId>> = match counted {
                CountBasis::Baskets => baskets.values().collect(),
                CountBasis::Customers => customers.values().collect(),
            };
            let having_with = groups.iter().filter(|group| group.contains(with));
            let both = having_with.clone().filter(|group| group.contains(candidate)).count();
            *together >= SUPPORT_MIN && *together as usize == both && *with_total as usize == having_with.count()
        }
        Evidence::Popular { buyers, days } => {
            *buyers >= SUPPORT_MIN && *days == RECENT_DAYS && *buyers as usize == recent_buyers(candidate)
        }
        // All products are of one category.
        Evidence::NewInCategory { like, buyers, days } => {
            let is_new = bought.iter().all(|line| numbered_product_id(line.1) != *candidate);
            let most = (0..PRODUCTS).map(|number| recent_buyers(&numbered_product_id(number))).max();
            let claimed = *buyers as usize;
            is_new
                && *days == RECENT_DAYS
                && *buyers >= SUPPORT_MIN
                && claimed == recent_buyers(like)
                && Some(claimed) == most
        }
        Evidence::BetterFeatures
        | Evidence::Compatible { .. }
        | Evidence::HigherTier { .. }
        | Evidence::MovedUp { .. }
        | Evidence::Accepted { .. }
        | Evidence::InRange { .. }
        | Evidence::UsageNearAllowance { .. } => false,
    }
}

#[test]
fn training_without_purchases_is_rejected() {
    assert_eq!(learn(&[]).expect_err("nothing to learn"), TrainingError::NoPurchases);
    let later = Event { at: now() + DAY, ..purchase_event(0, &(0, 0, 0, 0)) };
    assert_eq!(learn(&[later]).expect_err("future events are ignored"), TrainingError::NoPurchases);
}

#[test]
fn thin_and_one_sided_histories_give_a_model() {
    let one = vec![(0, 0, 0, 0)];
    let the_same_again = vec![(0, 0, 0, 5); 50];
    let all_customers_alike: Vec<Bought> = (0..9).map(|customer| (customer, 0, 0, 1)).collect();
    let anonymous: Vec<Bought> = (0..PRODUCTS).map(|number| (9, number, number / 2, 1)).collect();
    for bought in [one, the_same_again, all_customers_alike, anonymous] {
        let events: Vec<Event> = bought.iter().enumerate().map(|(number, line)| purchase_event(number, line)).collect();
        let (model, _) = learn(&events).expect("a model");
        let candidates = cross_sell(model, &BTreeSet::from([0, 1]), &[]);
        assert!(candidates.iter().all(|(candidate, _)| candidate.propensity > 0.0 && candidate.propensity <= 1.0));
    }
}

#[test]
fn an_unknown_customer_is_proposed_the_best_sellers() {
    let bought: Vec<Bought> =
        (0..9).flat_map(|customer| (0..=customer / 3).map(move |number| (customer, number, 0, 2))).collect();
    let events: Vec<Event> = bought.iter().enumerate().map(|(number, line)| purchase_event(number, line)).collect();
    let (model, _) = learn(&events).expect("a model");
    let candidates = cross_sell(model, &BTreeSet::new(), &[]);
    let first: Vec<&ProductId> = candidates.iter().map(|(candidate, _)| &candidate.product).take(3).collect();
    assert_eq!(first, [&numbered_product_id(0), &numbered_product_id(1), &numbered_product_id(2)]);
}

#[test]
fn a_model_of_another_format_is_not_reported_as_damaged() {
    let (model, _) = learn(&[purchase_event(0, &(0, 0, 0, 1))]).expect("a model");
    let mut bytes = model.encode();
    bytes.truncate(bytes.len() - 4);
    bytes[0] = 9;
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    assert_eq!(OfferModel::decode(&bytes), Err(ArtifactError::OtherFormat { found: 9 }));
}

const SMALL_HISTORY: [Bought; 7] =
    [(0, 0, 0, 40), (0, 1, 0, 40), (1, 0, 1, 30), (1, 2, 1, 30), (2, 0, 2, 9), (2, 1, 3, 3), (9, 1, 4, 2)];

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored_formats").join(file)
}

/// A model with a small forest. Made anew with `TACTFUL_WRITE_GOLDEN_FILES=1`, after `offer-model-v1.bin` was deleted.
#[test]
fn offer_model_v1_round_trips() {
    let events: Vec<Event> =
        SMALL_HISTORY.iter().enumerate().map(|(number, line)| purchase_event(number, line)).collect();
    let (mut model, _) = learn(&events).expect("a model");
    let nodes = vec![Node { feature: 3, value: 0.25, left: 1, right: 2 }, leaf(1, -1.5), leaf(2, 0.5)];
    model.customer_ranker.forest = Forest::new(-2.0, nodes, vec![0]);
    model.upgrade_ranker.forest.clone_from(&model.customer_ranker.forest);
    let words = AttributeEncoding::Categories(vec!["monthly".to_owned(), "yearly".to_owned()]);
    let attribute = |name: &str, encoding| ProfileAttribute { name: name.to_owned(), encoding };
    let attributes =
        vec![attribute("contract", words), attribute("tenure", AttributeEncoding::BinEdges(vec![1.5, 20.0]))];
    model.item_model.profile_encoder = ProfileEncoder { attributes };
    model.item_model.profile_recency_weighted = vec![vec![Neighbour { item: 1, weight: 0.25, co_occurrences: 3 }]; 5];
    model.item_model.profile_all_time.clone_from(&model.item_model.profile_recency_weighted);
    // The last bits of a regression depend on the machine's arithmetic.
    let weight = |row: &mut Vec<Neighbour>| row.iter_mut().for_each(|it| it.weight = (it.weight * 8.0).round() / 8.0);
    for table in
        [&mut model.item_model.recency_weighted, &mut model.item_model.all_time, &mut model.item_model.within_basket]
    {
        table.iter_mut().for_each(weight);
    }
    let path = golden("offer-model-v1.bin");
    if std::env::var_os("TACTFUL_WRITE_GOLDEN_FILES").is_some() && !path.exists() {
        std::fs::write(&path, model.encode()).expect("the file can be written");
    }
    let written = std::fs::read(&path).expect("the golden file is there");
    let read = OfferModel::decode(&written).expect("a stored model");
    assert_eq!(read.encode(), written);
    assert_eq!(read, model);
}

fn leaf(index: u32, value: f32) -> Node {
    Node { feature: 0, value, left: index, right: index }
}

/// Chain of splits, each the left child of the previous one.
fn chain(splits: u32) -> Vec<Node> {
    let split = |number: u32| {
        [Node { feature: 0, value: 0.0, left: 2 * number + 2, right: 2 * number + 1 }, leaf(2 * number + 1, 1.0)]
    };
    (0..splits).flat_map(split).chain([leaf(2 * splits, 2.0)]).collect()
}

/// A forest with a valid checksum can neither loop nor index out of bounds.
#[test]
fn a_forest_without_an_end_is_rejected() {
    let inner = Node { feature: 0, value: 1.0, left: 1, right: 2 };
    let leaves = [leaf(1, 1.0), leaf(2, 1.0)];
    let broken = [
        (vec![Node { left: 0, ..inner }, leaves[0], leaves[1]], vec![0]),
        (vec![inner, leaves[0]], vec![0]),
        (vec![inner, Node { left: 1, right: 2, ..inner }, leaves[1]], vec![0]),
        (vec![Node { value: f32::NAN, ..inner }, leaves[0], leaves[1]], vec![0]),
        (vec![leaf(0, 1.0)], vec![1]),
        (chain(100_000), vec![0]),
    ];
    assert!(Forest::new(0.0, chain(15), vec![0]).is_some());
    for (nodes, roots) in broken {
        assert_eq!(Forest::new(0.0, nodes.clone(), roots), None, "{:?}", nodes.first());
    }
    let feature_count = u16::try_from(Features::NAMES.len()).expect("few");
    for (feature, is_valid) in [(feature_count - 1, true), (feature_count, false)] {
        let mut model = OfferModel::untrained();
        model.basket_ranker.forest = Forest::new(0.0, vec![Node { feature, ..inner }, leaves[0], leaves[1]], vec![0]);
        assert_eq!(OfferModel::decode(&model.encode()).is_ok(), is_valid);
    }
}

/// Broken by: walking every tree to the depth of the first; a row that moves on from its leaf.
#[test]
fn a_forest_sums_the_leaves_of_a_row() {
    let split = |feature: u16, value: f32, left: u32, right: u32| Node { feature, value, left, right };
    let nodes =
        vec![leaf(0, 0.5), split(0, 1.0, 2, 3), leaf(2, 10.0), split(1, 0.0, 4, 5), leaf(4, 20.0), leaf(5, 40.0)];
    let forest = Forest::new(-1.0, nodes, vec![0, 1]).expect("sound");
    let rows: Vec<[f32; 2]> =
        (0..40_u8).map(|row| [f32::from(row % 3), if row % 2 == 0 { -1.0 } else { 1.0 }]).collect();
    for (row, logit) in rows.iter().zip(forest.logits(&rows)) {
        let expected = match row {
            [first, _] if *first < 1.0 => 10.0,
            [_, second] if *second < 0.0 => 20.0,
            _ => 40.0,
        };
        assert_eq!(logit.to_bits(), (expected - 0.5_f32).to_bits(), "{row:?}");
    }
}

/// Purchase of one of many customers.
fn bought(customer: usize, number: usize, days_ago: usize) -> Event {
    let at = now() - DAY * u32::try_from(days_ago).expect("few days");
    purchase(format!("{customer}-{number}-{days_ago}"), format!("c{customer}"), format!("p{number}"), at)
}

#[test]
fn a_profile_determines_proposals_for_an_unknown_customer() {
    let mut history = TrainingHistory::new();
    let plan = |customer: usize| BTreeMap::from([("plan".to_owned(), format!("plan {}", customer % 2))]);
    for customer in 0..200 {
        history.push(&bought(customer, 1 + customer % 2, 5));
        history.set_profile(&customer_id(format!("c{customer}")), plan(customer));
    }
    let (model, _) = train(&history, &catalog(), now(), &SETTINGS, &|_| {}).expect("a model");
    let bound = BoundModel::new(Arc::new(model), Arc::new(catalog()));
    for customer in [0, 1] {
        let customer_context = CustomerContext { profile: plan(customer), ..CustomerContext::default() };
        let query = CrossSellQuery { customer: customer_context, context: Vec::new(), now: now() };
        let first = bound.cross_sell(&query).candidates().next().expect("there are products");
        assert_eq!(first.product, numbered_product_id(1 + customer));
    }
}

/// Owners of product 0 upgrade to 3, and owners of 4 to 1; neither is the best seller.
#[test]
fn upgrades_are_learned_from_past_upgrades() {
    let mut history = TrainingHistory::new();
    for customer in 0..400_usize {
        let (owned, next) = if customer % 2 == 0 { (0, 3) } else { (4, 1) };
        let upgraded = 1 + (customer * 37) % 140;
        history.push(&bought(customer, owned, upgraded + 60));
        history.push(&bought(customer, next, upgraded));
    }
    for customer in 400..900_usize {
        history.push(&bought(customer, 2, 1 + customer % 150));
    }
    let (model, report) = train(&history, &catalog(), now(), &SETTINGS, &|_| {}).expect("a model");
    assert!(model.upgrade_ranker.forest.is_some(), "{:?}", report.notes);
    let bound = BoundModel::new(Arc::new(model), Arc::new(catalog()));
    for (owned, next) in [(0, 3), (4, 1)] {
        let bought_at = now() - DAY * 90;
        let held = HeldProduct {
            product: numbered_product_id(owned),
            first_at: bought_at,
            last_at: bought_at,
            usage: Vec::new(),
        };
        let customer = CustomerContext { holdings: vec![held], ..CustomerContext::default() };
        let query = UpSellQuery { customer, owned: Vec::new(), low_usage_share: 0.5, now: now() };
        let ranked = bound.rank_alternatives(
            &query,
            &numbered_product_id(owned),
            &[numbered_product_id(1), numbered_product_id(2), numbered_product_id(3)],
        );
        assert_eq!(ranked[0], numbered_product_id(next), "{:?}", report.notes);
    }
}

/// Kettles p0 and p1 with purchases, and p3 to p9 without; a spoon p2; lamps p10 and p11 without purchases. Of the kettles
/// without purchases, p8 is announced and p9 unavailable; p7 is the newest of the rest, then p6.
fn shop_with_new_products() -> (OfferModel, Arc<Catalog>) {
    let of = |number: usize| {
        let category = match number {
            2 => "spoons",
            10 | 11 => "lamps",
            _ => "kettles",
        };
        let from = match number {
            8 => Some(now() + DAY),
            9 => Some(now()),
            // Ids are no help: p5 came before p4.
            3..8 => Some(now() - DAY * [9, 5, 6, 2, 1][number - 3]),
            _ => None,
        };
        let known = product(format!("p{number}"), format!("{number}"));
        Product { category: vec![category.to_owned()], available: number != 9, available_from: from, ..known }
    };
    let catalog = Arc::new(Catalog::new((0..12).map(of).collect()));
    let mut history = TrainingHistory::new();
    // Most buyers of p0 were long ago.
    (0..40).for_each(|customer| history.push(&bought(customer, 0, if customer < 6 { 5 } else { 200 })));
    (40..50).for_each(|customer| history.push(&bought(customer, 1, 5)));
    history.push(&bought(50, 2, 5));
    let (model, _) = train(&history, &catalog, now(), &SETTINGS, &|_| {}).expect("a model");
    (model, catalog)
}

/// Broken by: a share of 2; unlimited new products; the oldest first, or by id; announced or unavailable products among them; new
/// products of categories without purchases; new products behind all ranked ones; one proposed twice; one that is in the basket.
#[test]
fn new_products_rank_between_the_best_of_their_category_and_the_unlikely() {
    let (model, catalog) = shop_with_new_products();
    let bound = BoundModel::new(Arc::new(model), catalog);
    let order = |context: &[usize]| {
        let context = context.iter().map(|&number| numbered_product_id(number)).collect();
        let query = CrossSellQuery { customer: CustomerContext::default(), context, now: now() };
        let candidates: Vec<Candidate> = bound.cross_sell(&query).candidates().collect();
        assert!(candidates.is_sorted_by(|a, b| a.propensity >= b.propensity), "{candidates:?}");
        candidates
    };
    let ids = |candidates: &[Candidate]| candidates.iter().map(|it| it.product.clone()).collect::<Vec<_>>();

    let whole = order(&[]);
    let expected: Vec<ProductId> = [1, 0, 7, 6, 4, 2].map(numbered_product_id).into();
    assert_eq!(ids(&whole)[..6], expected, "{whole:?}");
    assert_eq!(ids(&whole).into_iter().collect::<BTreeSet<_>>().len(), whole.len());
    assert_eq!(whole.len(), 12);
    let (best, second, new) = (&whole[0], &whole[1], &whole[2]);
    assert!((new.propensity - (best.propensity + second.propensity) / 4.0).abs() < 1e-6);
    assert_eq!((best.propensity_basis, new.propensity_basis), (PropensityBasis::Purchases, PropensityBasis::Catalog));

    let beside_a_basket = order(&[2, 7]);
    assert!(!ids(&beside_a_basket).contains(&numbered_product_id(7)), "{beside_a_basket:?}");
}

/// Broken by: new products only in rankings without a forest.
#[test]
fn new_products_join_a_ranking_by_forest() {
    let (mut model, catalog) = shop_with_new_products();
    model.customer_ranker.forest = Forest::new(0.0, vec![leaf(0, 0.0)], vec![0]);
    let bound = BoundModel::new(Arc::new(model), Arc::clone(&catalog));
    // A buyer of a spoon, which is not offered again.
    let held = HeldProduct { product: numbered_product_id(2), first_at: now(), last_at: now(), usage: Vec::new() };
    let customer = CustomerContext { holdings: vec![held], ..CustomerContext::default() };
    let query = CrossSellQuery { customer, context: Vec::new(), now: now() };
    let cache_key = CacheKey { model_version: 1, catalog: bound.catalog_digest(), customer: 0 };
    let first = bound.cross_sell(&query).cached_ranking(cache_key, now()).ranked;
    let ids: Vec<&ProductId> = first.iter().map(|it| &catalog.products()[it.catalog_index as usize].id).collect();
    assert_eq!(ids, [1, 0, 7, 6, 4].map(numbered_product_id).iter().collect::<Vec<_>>(), "{first:?}");
}

/// Broken by: a digest of compatible products alone.
#[test]
fn a_new_product_on_sale_invalidates_cached_rankings() {
    let (model, catalog) = shop_with_new_products();
    let model = Arc::new(model);
    let on_sale = catalog.products().iter().map(|known| Product { available: true, ..known.clone() });
    let later = Arc::new(Catalog::new(on_sale.collect()));
    let digest_of = |catalog| BoundModel::new(Arc::clone(&model), catalog).catalog_digest();
    assert_eq!(digest_of(Arc::clone(&catalog)), digest_of(Arc::clone(&catalog)));
    assert_ne!(digest_of(catalog), digest_of(later));
}

/// Broken by: the sibling with the most purchases of all time; the sum of the buyers of all siblings.
#[test]
fn a_new_product_is_explained_by_the_current_best_seller_of_its_category() {
    let (model, catalog) = shop_with_new_products();
    let bound = BoundModel::new(Arc::new(model), catalog);
    let query = CrossSellQuery { customer: CustomerContext::default(), context: Vec::new(), now: now() };
    let proposal = bound.cross_sell(&query);
    for candidate in proposal.candidates() {
        let like = Evidence::NewInCategory { like: numbered_product_id(1), buyers: 10, days: RECENT_DAYS };
        let is_new_kettle = (3..9).any(|number| candidate.product == numbered_product_id(number));
        let expected = if is_new_kettle { vec![like] } else { Vec::new() };
        let evidence = proposal.support(&candidate).evidence;
        let evidence: Vec<Evidence> =
            evidence.into_iter().filter(|it| matches!(it, Evidence::NewInCategory { .. })).collect();
        assert_eq!(evidence, expected, "{:?}", candidate.product);
    }
}

/// Broken by: a rest that contains cached products; a rest likelier than the cached products.
#[test]
fn cached_products_come_first_and_the_rest_after_them() {
    let events: Vec<Event> = (0..60).map(|number| bought(number % 20, number % PRODUCTS, 1 + number)).collect();
    let (model, _) = learn(&events).expect("a history with purchases");
    let bound = BoundModel::new(Arc::new(model), Arc::new(catalog()));
    let query = CrossSellQuery { customer: CustomerContext::default(), context: Vec::new(), now: now() };
    let cache_key = CacheKey { model_version: 1, catalog: bound.catalog_digest(), customer: 0 };
    let complements = bound.cross_sell(&query);
    let fresh: Vec<Candidate> = complements.candidates().collect();
    let mut cached = complements.cached_ranking(cache_key, now() - DAY);
    cached.ranked.truncate(2);
    let again = bound.cross_sell_from_cache(&query, cached.clone());
    assert_eq!(again.ranked_at(), Some(now() - DAY));
    assert_eq!(again.candidates().collect::<Vec<_>>(), fresh);

    cached.ranked.swap(0, 1);
    cached.ranked[1].propensity = f32::MIN_POSITIVE;
    // An index of another catalogue is skipped without a panic.
    cached.ranked.push(RankedProduct { catalog_index: u32::MAX, propensity: f32::MIN_POSITIVE });
    let again: Vec<Candidate> = bound.cross_sell_from_cache(&query, cached).candidates().collect();
    assert_eq!(again.len(), fresh.len());
    assert_eq!([&again[0].product, &again[1].product], [&fresh[1].product, &fresh[0].product]);
    assert!(again.is_sorted_by(|a, b| a.propensity >= b.propensity));
}
