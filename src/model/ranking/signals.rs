//! The signals of a candidate: everything that a forest may look at, in one fixed order.
//!
//! What is learned is what is asked: the same function makes the rows of a training and those of an answer. A signal
//! that is unknown has a value of its own, outside of what it could otherwise be; nothing here is NaN.

use super::super::offer_model::{LearnedProduct, POPULARITY_HALF_LIVES};
use super::asked::Asked;
use super::lanes::{LONG_HALF_LIFE_DAYS, Lanes};
use super::likeness::Likeness;
use super::tables::{DAY, Tables, fading};

/// Keeps the logarithm of a share finite.
const SHARE_FLOOR: f32 = 1e-5;
/// The logarithm of a share that is not known.
const UNKNOWN_SHARE: f32 = -20.0;
/// Days since something that never happened.
const NEVER_DAYS: f32 = 9999.0;
/// How near two products stand in the order of their ids to be neighbours: ids are often given in rows of like things.
const NEAR: usize = 3;
/// Keeps a spread of prices from being nothing.
const PRICE_SPREAD_FLOOR: f32 = 0.2;

macro_rules! signals {
    ($(#[$doc:meta])+ $signals:ident { $($name:ident: $meaning:literal,)+ }) => {
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Default)]
        pub struct $signals {
            $(#[doc = $meaning] pub $name: f32,)+
        }

        impl $signals {
            /// The names, in order.
            pub const NAMES: &[&str] = &[$(stringify!($name),)+];

            /// The values, in order.
            pub fn values(&self) -> [f32; Self::NAMES.len()] {
                [$(self.$name,)+]
            }
        }
    };
}
pub(super) use signals;

signals! {
    /// The signals of one candidate, in their order.
    Signals {
        lately_short: "[`Lanes::lately_short`].",
        lately_long: "[`Lanes::lately_long`].",
        lately_flat: "[`Lanes::lately_flat`].",
        lately_max: "[`Lanes::lately_max`].",
        ever_long: "[`Lanes::ever_long`].",
        ever_flat: "[`Lanes::ever_flat`].",
        baskets_short: "[`Lanes::baskets_short`].",
        basket: "[`Lanes::basket`].",
        basket_max: "[`Lanes::basket_max`].",
        basket_lately: "[`Lanes::basket_lately`].",
        confidence: "[`Lanes::confidence`].",
        profile_lately: "[`Lanes::profile_lately`].",
        profile_ever: "[`Lanes::profile_ever`].",
        profile_flat: "What holdings and profile say together, without fading.",
        popularity_0: "Logarithm of the share of buyers lately, by the shortest half-life.",
        popularity_1: "The same by the second.",
        popularity_2: "The same by the third.",
        popularity_3: "The same by the fourth.",
        popularity_4: "The same by the longest.",
        new_buyers: "Logarithm of the share of those who bought it for the first time lately.",
        new_buyers_short: "The same of the last days.",
        trend: "How much more popular it is lately than over half a year, as a difference of logarithms.",
        age_days: "Days since it was first sold.",
        unsold_days: "Days since it was last sold.",
        last_year: "Logarithm of the share of baskets that held it in the same weeks of last year.",
        price: "Logarithm of its price.",
        price_step: "How much dearer it is than what the basket holds, or than what the customer usually buys.",
        price_distance: "The same in deviations of the customer's prices.",
        holdings: "How many things the customer has.",
        quiet_days: "Days since the customer last bought.",
        known_days: "Days since the customer first bought.",
        basket_size: "How many things the customer buys at a time.",
        visits: "On how many days the customer bought.",
        words_held: "How much its title is like those of what the customer has.",
        words_in_basket: "How much its title is like those in the basket.",
        category_held: "How much the customer has of its category, fading; -1 when it has no category.",
        category_in_basket: "How much of the basket is of its category; -1 when it has no category.",
        attributes_held: "How much of what the customer has is of the same make, fading.",
        attributes_in_basket: "How much of the basket is of the same make.",
        neighbours_held: "How many of its neighbours by id the customer has, fading.",
        neighbours_in_basket: "How many of its neighbours by id are in the basket.",
        given_up: "The share of it that is brought back or cancelled.",
        buyers: "Logarithm of how many ever bought it.",
        repeats: "How often its buyers buy it.",
        asked: "How many things are in the basket.",
        blend: "The score that picked the candidates.",
        place: "Its place by that score.",
        place_lately: "Its place among the candidates by `lately_long`.",
        place_basket: "Its place by `basket`.",
        place_popularity: "Its place by `popularity_1`.",
        place_confidence: "Its place by `confidence`.",
    }
}

/// What is the same for all candidates of a question.
struct Customer {
    price_mean: f32,
    price_spread: f32,
    holdings: f32,
    quiet_days: f32,
    known_days: f32,
    basket_size: f32,
    visits: f32,
}

/// How much of what is asked about is like something: a weight for each word, category, value and product.
struct Profile {
    words: Vec<f32>,
    categories: Vec<f32>,
    attributes: Vec<f32>,
    near: Vec<f32>,
}

impl Profile {
    fn of_nothing(likeness: &Likeness) -> Self {
        let [words, categories, attributes] = likeness.counts.map(|count| vec![0.0; count]);
        Self { words, categories, attributes, near: vec![0.0; likeness.words.len()] }
    }

    fn add(&mut self, likeness: &Likeness, product: u32, weight: f32) {
        let number = product as usize;
        for &(word, share) in &likeness.words[number] {
            self.words[word as usize] += weight * share;
        }
        if let Some(category) = likeness.category[number] {
            self.categories[category as usize] += weight;
        }
        for &value in &likeness.attributes[number] {
            self.attributes[value as usize] += weight;
        }
        for distance in 1..=NEAR {
            for neighbour in [number.checked_sub(distance), number.checked_add(distance)].into_iter().flatten() {
                if let Some(near) = self.near.get_mut(neighbour) {
                    *near += weight / distance as f32;
                }
            }
        }
    }

    fn words(&self, likeness: &Likeness, number: usize) -> f32 {
        likeness.words[number].iter().map(|&(word, share)| share * self.words[word as usize]).sum()
    }

    fn category(&self, likeness: &Likeness, number: usize) -> f32 {
        likeness.category[number].map_or(-1.0, |category| self.categories[category as usize])
    }

    fn attributes(&self, likeness: &Likeness, number: usize) -> f32 {
        likeness.attributes[number].iter().map(|&value| self.attributes[value as usize]).sum()
    }
}

/// Who asks, looked at once for all candidates.
pub struct Asker<'a> {
    tables: &'a Tables,
    likeness: &'a Likeness,
    asked: &'a Asked,
    customer: Customer,
    held: Profile,
}

impl<'a> Asker<'a> {
    /// Looks at what the customer has.
    pub fn new(tables: &'a Tables, likeness: &'a Likeness, asked: &'a Asked) -> Self {
        let mut held = Profile::of_nothing(likeness);
        for had in &asked.had {
            held.add(likeness, had.product, fading(asked.now - had.last, LONG_HALF_LIFE_DAYS));
        }
        Self { tables, likeness, asked, customer: customer(likeness, asked), held }
    }

    /// The signals of every candidate, in the order of the candidates, when asked with what is in the question's basket. A
    /// candidate is a number and the score that picked it.
    pub fn signals(&self, lanes: impl Fn(u32) -> Lanes, candidates: &[(u32, f32)]) -> Vec<Signals> {
        self.signals_beside(&self.asked.basket, self.asked.is_basket, lanes, candidates)
    }

    /// The same beside other products than those of the question; `is_asked` when they are what is asked about.
    pub fn signals_beside(
        &self,
        basket: &[u32],
        is_asked: bool,
        lanes: impl Fn(u32) -> Lanes,
        candidates: &[(u32, f32)],
    ) -> Vec<Signals> {
        let Self { tables, likeness, asked, customer, held } = self;
        let mut in_basket = Profile::of_nothing(likeness);
        let mut basket_prices = Mean::default();
        for &product in basket {
            in_basket.add(likeness, product, 1.0);
            likeness.log_price[product as usize].iter().for_each(|&price| basket_prices.add(price));
        }
        let basket_price = basket_prices.mean().filter(|_| is_asked);
        let usual_price = basket_price.unwrap_or(customer.price_mean);
        let signals_of = |(&(number, blend), place): (&(u32, f32), u16)| {
            let product = number as usize;
            let price = likeness.log_price[product];
            let price_step = price.map_or(0.0, |price| price - usual_price);
            Signals {
                price: price.unwrap_or(UNKNOWN_SHARE),
                price_step,
                price_distance: price_step / (customer.price_spread + PRICE_SPREAD_FLOOR),
                holdings: customer.holdings,
                quiet_days: customer.quiet_days,
                known_days: customer.known_days,
                basket_size: customer.basket_size,
                visits: customer.visits,
                words_held: held.words(likeness, product),
                words_in_basket: in_basket.words(likeness, product),
                category_held: held.category(likeness, product),
                category_in_basket: in_basket.category(likeness, product),
                attributes_held: held.attributes(likeness, product),
                attributes_in_basket: in_basket.attributes(likeness, product),
                neighbours_held: held.near[product],
                neighbours_in_basket: in_basket.near[product],
                asked: basket.len() as f32,
                blend,
                place: f32::from(place),
                ..of_product(&tables.products[product], &lanes(number), asked.now)
            }
        };
        let mut rows: Vec<Signals> = candidates.iter().zip(0_u16..).map(signals_of).collect();
        rank_by(&mut rows, |row| row.lately_long, |row, place| row.place_lately = place);
        rank_by(&mut rows, |row| row.basket, |row, place| row.place_basket = place);
        rank_by(&mut rows, |row| row.popularity_1, |row, place| row.place_popularity = place);
        rank_by(&mut rows, |row| row.confidence, |row, place| row.place_confidence = place);
        rows
    }
}

fn of_product(product: &LearnedProduct, lanes: &Lanes, now: i64) -> Signals {
    let days = |second: Option<i64>| second.map_or(NEVER_DAYS, |second| (now - second) as f32 / DAY as f32);
    let share = |share: f32| (share + SHARE_FLOOR).ln();
    let popularity: [f32; POPULARITY_HALF_LIVES.len()] = product.popularity.map(share);
    Signals {
        lately_short: lanes.lately_short,
        lately_long: lanes.lately_long,
        lately_flat: lanes.lately_flat,
        lately_max: lanes.lately_max,
        ever_long: lanes.ever_long,
        ever_flat: lanes.ever_flat,
        baskets_short: lanes.baskets_short,
        basket: lanes.basket,
        basket_max: lanes.basket_max,
        basket_lately: lanes.basket_lately,
        confidence: lanes.confidence,
        profile_lately: lanes.profile_lately,
        profile_ever: lanes.profile_ever,
        profile_flat: lanes.profile_ever + lanes.ever_flat,
        popularity_0: popularity[0],
        popularity_1: popularity[1],
        popularity_2: popularity[2],
        popularity_3: popularity[3],
        popularity_4: popularity[4],
        new_buyers: share(product.new_buyers[0]),
        new_buyers_short: share(product.new_buyers[1]),
        trend: popularity[1] - popularity[3],
        age_days: days(product.first_sold),
        unsold_days: days(product.last_sold),
        last_year: product.last_year.map_or(UNKNOWN_SHARE, share),
        given_up: 1.0 - product.keep_probability() as f32,
        buyers: (product.buyers as f32).ln_1p(),
        repeats: product.bought as f32 / product.buyers.max(1) as f32,
        ..Signals::default()
    }
}

fn customer(likeness: &Likeness, asked: &Asked) -> Customer {
    let mut prices = Mean::default();
    let mut days: Vec<i64> = Vec::with_capacity(2 * asked.had.len());
    for had in &asked.had {
        likeness.log_price[had.product as usize].iter().for_each(|&price| prices.add(price));
        days.extend([had.first.div_euclid(DAY), had.last.div_euclid(DAY)]);
    }
    days.sort_unstable();
    days.dedup();
    let since = |second: Option<i64>| second.map_or(NEVER_DAYS, |second| (asked.now - second) as f32 / DAY as f32);
    Customer {
        price_mean: prices.mean().unwrap_or(0.0),
        price_spread: prices.deviation(),
        holdings: asked.had.len() as f32,
        quiet_days: since(asked.had.iter().map(|had| had.last).max()),
        known_days: since(asked.had.iter().map(|had| had.first).min()),
        basket_size: asked.had.len() as f32 / days.len().max(1) as f32,
        visits: days.len() as f32,
    }
}

#[derive(Default)]
struct Mean {
    count: f32,
    sum: f32,
    squares: f32,
}

impl Mean {
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

/// Sets each row's place by falling value, from 0.
pub fn rank_by<T>(rows: &mut [T], value: impl Fn(&T) -> f32, mut set: impl FnMut(&mut T, f32)) {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_unstable_by(|&a, &b| value(&rows[b]).total_cmp(&value(&rows[a])).then(a.cmp(&b)));
    for (place, row) in order.into_iter().enumerate() {
        set(&mut rows[row], place as f32);
    }
}
