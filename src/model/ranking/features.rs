//! Features of a candidate: all inputs of a forest, in one fixed order.
//!
//! Training and serving share this code, so that both see the same features. An unknown feature has a value of its own,
//! outside the range of known ones; none is NaN.

use super::super::learned_product::{LearnedProduct, POPULARITY_HALF_LIVES};
use super::association_scores::AssociationScores;
use super::content_similarity::ContentSimilarity;
use super::decay::{DAY, LONG_HALF_LIFE_DAYS, decay_weight};
use super::item_model::ItemModel;
use super::ranking_query::RankingQuery;

/// Added to a share before its logarithm is taken.
const SHARE_FLOOR: f32 = 1e-5;
/// Logarithm of an unknown share or price.
const UNKNOWN_LOG: f32 = -20.0;
/// Days since something that never happened.
const NEVER_DAYS: f32 = 9999.0;
/// Maximum distance of neighbours in the order of product ids, which are often assigned in series of similar products.
const ID_DISTANCE_MAX: usize = 3;
/// Added to the spread of a customer's prices before it divides.
const PRICE_SPREAD_FLOOR: f32 = 0.2;

macro_rules! features {
    ($(#[$doc:meta])+ $features:ident { $($name:ident: $meaning:literal,)+ }) => {
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Default)]
        pub struct $features {
            $(#[doc = $meaning] pub $name: f32,)+
        }

        impl $features {
            /// The names, in order.
            pub const NAMES: &[&str] = &[$(stringify!($name),)+];

            /// The values, in order.
            pub fn values(&self) -> [f32; Self::NAMES.len()] {
                [$(self.$name,)+]
            }
        }
    };
}
pub(super) use features;

features! {
    /// Features of one candidate, in their order.
    Features {
        recency_weighted_short: "[`AssociationScores::recency_weighted_short`].",
        recency_weighted_long: "[`AssociationScores::recency_weighted_long`].",
        recency_weighted_undecayed: "[`AssociationScores::recency_weighted_undecayed`].",
        recency_weighted_max: "[`AssociationScores::recency_weighted_max`].",
        all_time_long: "[`AssociationScores::all_time_long`].",
        all_time_undecayed: "[`AssociationScores::all_time_undecayed`].",
        within_basket_short: "[`AssociationScores::within_basket_short`].",
        basket: "[`AssociationScores::basket`].",
        basket_max: "[`AssociationScores::basket_max`].",
        basket_recency_weighted: "[`AssociationScores::basket_recency_weighted`].",
        confidence: "[`AssociationScores::confidence`].",
        profile_recency_weighted: "[`AssociationScores::profile_recency_weighted`].",
        profile_all_time: "[`AssociationScores::profile_all_time`].",
        profile_undecayed: "Sum of `profile_all_time` and `all_time_undecayed`.",
        popularity_0: "Logarithm of the share of recent buyers, by the shortest half-life.",
        popularity_1: "The same by the second half-life.",
        popularity_2: "The same by the third half-life.",
        popularity_3: "The same by the fourth half-life.",
        popularity_4: "The same by the longest half-life.",
        new_buyers: "Logarithm of the share of recent first-time buyers.",
        new_buyers_short: "The same over the last days.",
        trend: "Popularity of late over that of half a year, as a difference of logarithms.",
        age_days: "Days since the first sale.",
        unsold_days: "Days since the last sale.",
        last_year: "Logarithm of the share of baskets that held it in the same weeks of last year.",
        price: "Logarithm of the price.",
        price_step: "Logarithm of the price over that of the basket, or over the customer's usual price.",
        price_distance: "`price_step` in standard deviations of the customer's prices.",
        holdings: "Number of items that the customer has.",
        quiet_days: "Days since the customer's last purchase.",
        known_days: "Days since the customer's first purchase.",
        basket_size: "Mean number of items that the customer buys in a day with a purchase.",
        visits: "Number of days with a purchase of the customer.",
        words_held: "Similarity of the title to those of the held items, decayed.",
        words_in_basket: "Similarity of the title to those of the basket.",
        category_held: "Held items of the same category, decayed; -1 without a category.",
        category_in_basket: "Items of the basket of the same category; -1 without a category.",
        attributes_held: "Attribute values shared with held items, decayed.",
        attributes_in_basket: "Attribute values shared with items of the basket.",
        neighbours_held: "Neighbours by id among the held items, decayed.",
        neighbours_in_basket: "Neighbours by id in the basket.",
        reversal_rate: "Share of purchases that are returned, cancelled or downgraded.",
        buyers: "Logarithm of the number of buyers.",
        repeats: "Mean number of purchases of a buyer.",
        basket_len: "Number of items in the basket.",
        blend: "Score by which candidates are retrieved.",
        rank: "Rank by that score.",
        rank_recency_weighted: "Rank among the candidates by `recency_weighted_long`.",
        rank_basket: "Rank by `basket`.",
        rank_popularity: "Rank by `popularity_1`.",
        rank_confidence: "Rank by `confidence`.",
    }
}

/// Features that all candidates of a query share.
struct CustomerFeatures {
    price_mean: f32,
    price_spread: f32,
    holdings: f32,
    quiet_days: f32,
    known_days: f32,
    basket_size: f32,
    visits: f32,
}

/// Content of a set of items: a weight for each word, category, attribute value and neighbour by id.
struct ContentProfile {
    words: Vec<f32>,
    categories: Vec<f32>,
    attributes: Vec<f32>,
    neighbours: Vec<f32>,
}

impl ContentProfile {
    fn empty(content: &ContentSimilarity) -> Self {
        let [words, categories, attributes] = content.counts.map(|count| vec![0.0; count]);
        Self { words, categories, attributes, neighbours: vec![0.0; content.words.len()] }
    }

    fn add(&mut self, content: &ContentSimilarity, item: u32, weight: f32) {
        let item = item as usize;
        for &(word, share) in &content.words[item] {
            self.words[word as usize] += weight * share;
        }
        if let Some(category) = content.category[item] {
            self.categories[category as usize] += weight;
        }
        for &value in &content.attributes[item] {
            self.attributes[value as usize] += weight;
        }
        for distance in 1..=ID_DISTANCE_MAX {
            for neighbour in [item.checked_sub(distance), item.checked_add(distance)].into_iter().flatten() {
                if let Some(sum) = self.neighbours.get_mut(neighbour) {
                    *sum += weight / distance as f32;
                }
            }
        }
    }

    fn words(&self, content: &ContentSimilarity, item: usize) -> f32 {
        content.words[item].iter().map(|&(word, share)| share * self.words[word as usize]).sum()
    }

    fn category(&self, content: &ContentSimilarity, item: usize) -> f32 {
        content.category[item].map_or(-1.0, |category| self.categories[category as usize])
    }

    fn attributes(&self, content: &ContentSimilarity, item: usize) -> f32 {
        content.attributes[item].iter().map(|&value| self.attributes[value as usize]).sum()
    }
}

/// Extractor of the features of candidates for one query.
pub struct FeatureExtractor<'a> {
    model: &'a ItemModel,
    content: &'a ContentSimilarity,
    query: &'a RankingQuery,
    customer: CustomerFeatures,
    held: ContentProfile,
}

impl<'a> FeatureExtractor<'a> {
    /// Computes what all candidates share.
    pub fn new(model: &'a ItemModel, content: &'a ContentSimilarity, query: &'a RankingQuery) -> Self {
        let mut profile = ContentProfile::empty(content);
        for held in &query.held {
            profile.add(content, held.item, decay_weight(query.now - held.last_bought, LONG_HALF_LIFE_DAYS));
        }
        Self { model, content, query, customer: customer_features(content, query), held: profile }
    }

    /// Features of every candidate with the basket of the query, in the order of the candidates. A candidate is an item and
    /// its retrieval score.
    pub fn features(&self, scores: impl Fn(u32) -> AssociationScores, candidates: &[(u32, f32)]) -> Vec<Features> {
        self.features_with_basket(&self.query.basket, self.query.is_basket, scores, candidates)
    }

    /// Features of every candidate with another basket; `is_basket` when the query is about that basket.
    pub fn features_with_basket(
        &self,
        basket: &[u32],
        is_basket: bool,
        scores: impl Fn(u32) -> AssociationScores,
        candidates: &[(u32, f32)],
    ) -> Vec<Features> {
        let Self { model, content, query, customer, held } = self;
        let mut in_basket = ContentProfile::empty(content);
        let mut basket_prices = RunningMoments::default();
        for &item in basket {
            in_basket.add(content, item, 1.0);
            content.log_price[item as usize].iter().for_each(|&price| basket_prices.add(price));
        }
        let basket_price = basket_prices.mean().filter(|_| is_basket);
        let usual_price = basket_price.unwrap_or(customer.price_mean);
        let features_of = |(&(item, blend), rank): (&(u32, f32), u16)| {
            let index = item as usize;
            let price = content.log_price[index];
            let price_step = price.map_or(0.0, |price| price - usual_price);
            Features {
                price: price.unwrap_or(UNKNOWN_LOG),
                price_step,
                price_distance: price_step / (customer.price_spread + PRICE_SPREAD_FLOOR),
                holdings: customer.holdings,
                quiet_days: customer.quiet_days,
                known_days: customer.known_days,
                basket_size: customer.basket_size,
                visits: customer.visits,
                words_held: held.words(content, index),
                words_in_basket: in_basket.words(content, index),
                category_held: held.category(content, index),
                category_in_basket: in_basket.category(content, index),
                attributes_held: held.attributes(content, index),
                attributes_in_basket: in_basket.attributes(content, index),
                neighbours_held: held.neighbours[index],
                neighbours_in_basket: in_basket.neighbours[index],
                basket_len: basket.len() as f32,
                blend,
                rank: f32::from(rank),
                ..item_features(&model.products[index], &scores(item), query.now)
            }
        };
        let mut rows: Vec<Features> = candidates.iter().zip(0_u16..).map(features_of).collect();
        rank_by(&mut rows, |row| row.recency_weighted_long, |row, rank| row.rank_recency_weighted = rank);
        rank_by(&mut rows, |row| row.basket, |row, rank| row.rank_basket = rank);
        rank_by(&mut rows, |row| row.popularity_1, |row, rank| row.rank_popularity = rank);
        rank_by(&mut rows, |row| row.confidence, |row, rank| row.rank_confidence = rank);
        rows
    }
}

fn item_features(product: &LearnedProduct, scores: &AssociationScores, now: i64) -> Features {
    let days = |second: Option<i64>| second.map_or(NEVER_DAYS, |second| (now - second) as f32 / DAY as f32);
    let log_share = |share: f32| (share + SHARE_FLOOR).ln();
    let popularity: [f32; POPULARITY_HALF_LIVES.len()] = product.popularity.map(log_share);
    Features {
        recency_weighted_short: scores.recency_weighted_short,
        recency_weighted_long: scores.recency_weighted_long,
        recency_weighted_undecayed: scores.recency_weighted_undecayed,
        recency_weighted_max: scores.recency_weighted_max,
        all_time_long: scores.all_time_long,
        all_time_undecayed: scores.all_time_undecayed,
        within_basket_short: scores.within_basket_short,
        basket: scores.basket,
        basket_max: scores.basket_max,
        basket_recency_weighted: scores.basket_recency_weighted,
        confidence: scores.confidence,
        profile_recency_weighted: scores.profile_recency_weighted,
        profile_all_time: scores.profile_all_time,
        profile_undecayed: scores.profile_all_time + scores.all_time_undecayed,
        popularity_0: popularity[0],
        popularity_1: popularity[1],
        popularity_2: popularity[2],
        popularity_3: popularity[3],
        popularity_4: popularity[4],
        new_buyers: log_share(product.new_buyers[0]),
        new_buyers_short: log_share(product.new_buyers[1]),
        trend: popularity[1] - popularity[3],
        age_days: days(product.first_sold),
        unsold_days: days(product.last_sold),
        last_year: product.last_year.map_or(UNKNOWN_LOG, log_share),
        reversal_rate: 1.0 - product.keep_probability() as f32,
        buyers: (product.buyers as f32).ln_1p(),
        repeats: product.bought as f32 / product.buyers.max(1) as f32,
        ..Features::default()
    }
}

fn customer_features(content: &ContentSimilarity, query: &RankingQuery) -> CustomerFeatures {
    let mut prices = RunningMoments::default();
    let mut days: Vec<i64> = Vec::with_capacity(2 * query.held.len());
    for held in &query.held {
        content.log_price[held.item as usize].iter().for_each(|&price| prices.add(price));
        days.extend([held.first_bought.div_euclid(DAY), held.last_bought.div_euclid(DAY)]);
    }
    days.sort_unstable();
    days.dedup();
    let since = |second: Option<i64>| second.map_or(NEVER_DAYS, |second| (query.now - second) as f32 / DAY as f32);
    CustomerFeatures {
        price_mean: prices.mean().unwrap_or(0.0),
        price_spread: prices.deviation(),
        holdings: query.held.len() as f32,
        quiet_days: since(query.held.iter().map(|held| held.last_bought).max()),
        known_days: since(query.held.iter().map(|held| held.first_bought).min()),
        basket_size: query.held.len() as f32 / days.len().max(1) as f32,
        visits: days.len() as f32,
    }
}

/// Mean and standard deviation of values that are added one by one.
#[derive(Default)]
struct RunningMoments {
    count: f32,
    sum: f32,
    squares: f32,
}

impl RunningMoments {
    fn add(&mut self, value: f32) {
        self.count += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    fn mean(&self) -> Option<f32> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    fn deviation(&self) -> f32 {
        let mean = self.mean().unwrap_or(0.0);
        (self.squares / self.count.max(1.0) - mean * mean).max(0.0).sqrt()
    }
}

/// Sets the rank of each row by falling value, from 0.
pub fn rank_by<T>(rows: &mut [T], value: impl Fn(&T) -> f32, mut set: impl FnMut(&mut T, f32)) {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_unstable_by(|&a, &b| value(&rows[b]).total_cmp(&value(&rows[a])).then(a.cmp(&b)));
    for (rank, row) in order.into_iter().enumerate() {
        set(&mut rows[row], rank as f32);
    }
}
