//! A model bound to a catalogue: asks and answers in the catalogue's products.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::domain::cached_ranking::{CACHED_RANKING_LEN_MAX, CacheKey, CachedRanking, RankedProduct};
use crate::domain::candidate::{Candidate, CountBasis, Evidence, GOES_WITH_MAX, Proposal, Support, Upgrade};
use crate::domain::catalog::Catalog;
use crate::domain::customer::fingerprint;
use crate::domain::ids::ProductId;
use crate::domain::offer::PropensityBasis;
use crate::domain::product::Product;
use crate::domain::time::Timestamp;

use super::held_product::HeldProduct;
use super::newcomers::{BestSeller, Newcomers};
use super::offer_model::{LearnedProduct, OfferModel, RECENT_DAYS};
use super::propensity::positive;
use super::ranking::asked::{Asked, Had, UNDATED};
use super::ranking::forest::Forest;
use super::ranking::lanes::{AllLanes, LONG_HALF_LIFE_DAYS, lanes};
use super::ranking::likeness::Likeness;
use super::ranking::ranker::{Ranker, WEIGHED_MAX, best, current, pick};
use super::ranking::steps::{Known, Stepper};
use super::ranking::tables::fading;
use super::ridge::{Neighbour, Neighbours};
use super::upgrades::{Seen, Step, step};

/// What is known of who asks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KnownCustomer {
    /// What the customer has.
    pub holdings: Vec<HeldProduct>,
    /// Fingerprints of what the customer has had for longer than anything in `holdings`
    /// ([`Holdings::fingerprints`](crate::domain::customer::Holdings)).
    pub forgotten: BTreeSet<u32>,
    /// The customer's attributes that models may know.
    pub profile: BTreeMap<String, String>,
}

/// What goes with what a customer has, or with a basket?
#[derive(Debug, Clone, PartialEq)]
pub struct CrossSellQuery {
    /// Who asks.
    pub customer: KnownCustomer,
    /// The basket or page; when not empty it alone is asked about.
    pub context: Vec<ProductId>,
    /// Now.
    pub now: Timestamp,
}

/// What is better than what a customer has?
#[derive(Debug, Clone, PartialEq)]
pub struct UpSellQuery {
    /// Who asks.
    pub customer: KnownCustomer,
    /// What something better is asked for.
    pub owned: Vec<HeldProduct>,
    /// Now.
    pub now: Timestamp,
}

/// What a hint of the catalogue adds to a score, so that a product nobody bought yet can be proposed.
const HINT_SCORE: f32 = 0.05;
/// The probability of a product of which nothing at all is known.
const UNKNOWN_PROPENSITY: f64 = 0.002;
/// The popularity that counts where nothing else is known: by the second shortest half-life.
const RECENT_POPULARITY: usize = 1;
/// Owners that weigh as much as the prior in the rate of a move up.
const MOVE_PRIOR_OWNERS: f64 = 20.0;
/// The rate at which owners take the next step up when nothing was seen.
const MOVE_PRIOR_RATE: f64 = 0.05;

/// A model and a catalogue that know each other's places.
#[derive(Debug)]
pub struct BoundModel {
    model: Arc<OfferModel>,
    catalog: Arc<Catalog>,
    /// For each product of the catalogue its number in the model.
    learned: Vec<Option<u32>>,
    /// For each product of the model its place in the catalogue.
    places: Vec<Option<u32>>,
    /// How alike the products of the model are.
    likeness: Likeness,
    /// For each product of the catalogue those that the catalogue says go with it.
    hints: HashMap<usize, Vec<usize>>,
    /// What nobody bought yet, in categories of which something was.
    newcomers: Newcomers,
    /// The product of the model behind each fingerprint.
    fingerprints: HashMap<u32, u32>,
    /// See [`CacheKey::catalog`].
    catalog_digest: u64,
}

impl BoundModel {
    /// Binds a model to a catalogue.
    pub fn new(model: Arc<OfferModel>, catalog: Arc<Catalog>) -> Self {
        let mut learned = vec![None; catalog.products().len()];
        let mut places = vec![None; model.products().len()];
        for (number, product) in model.products().iter().enumerate() {
            if let Some(place) = catalog.index_of(&product.id) {
                learned[place] = Some(number as u32);
                places[number] = Some(place as u32);
            }
        }
        let mut hints: HashMap<usize, Vec<usize>> = HashMap::new();
        for (place, product) in catalog.products().iter().enumerate() {
            for other in product.compatible_with.iter().chain(&product.requires) {
                if let Some(other) = catalog.index_of(other) {
                    hints.entry(other).or_default().push(place);
                }
            }
        }
        let likeness = Likeness::of(model.products(), &catalog);
        let numbered = (0..).zip(model.products());
        let fingerprints = numbered.map(|(number, product)| (fingerprint(&product.id), number)).collect();
        let newcomers =
            Newcomers::new(&catalog, |place| learned[place].map(|number| &model.products()[number as usize]));
        let catalog_digest = digest_of(&catalog, &newcomers);
        Self { model, catalog, learned, places, likeness, hints, newcomers, fingerprints, catalog_digest }
    }

    /// The catalogue.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// A digest of what rankings look at in the catalogue, but for prices and texts.
    pub fn catalog_digest(&self) -> u64 {
        self.catalog_digest
    }

    /// Complements. What the customer has is among them: whether it may be offered again is not asked here.
    pub fn cross_sell(&self, query: &CrossSellQuery) -> Complements<'_> {
        let about = About::new(self, query);
        let (ranked, _) = self.rank(&about);
        Complements { model: self, about, ranked, ranked_at: None }
    }

    /// The same from candidates that were prepared from this model and catalogue. Only when these do not suffice the rest
    /// is ranked, and follows them.
    pub fn cross_sell_prepared(&self, query: &CrossSellQuery, prepared: CachedRanking) -> Complements<'_> {
        let CachedRanking { cache_key: _, ranked_at, mut ranked } = prepared;
        ranked.retain(|ranked| (ranked.place as usize) < self.catalog.products().len());
        Complements { model: self, about: About::new(self, query), ranked, ranked_at: Some(ranked_at) }
    }

    /// The likeliest products, at most [`WEIGHED_MAX`] and the newcomers beside them, with what speaks for every other.
    fn rank(&self, about: &About) -> (Vec<RankedProduct>, Scores) {
        let lanes = lanes(&self.model.tables, &about.asked);
        let mut scores: Vec<f32> = self.learned.iter().map(|number| about.score(self, &lanes, *number)).collect();
        for &(place, weight) in &about.places {
            for &hinted in self.hints.get(&place).into_iter().flatten() {
                scores[hinted] += HINT_SCORE * weight;
            }
        }
        let scores = Scores(scores);
        let weighed = about.ranker(self).forest.is_some() && about.is_known();
        let first = if weighed { self.weigh(about, &lanes, &scores) } else { self.best(about, &scores, WEIGHED_MAX) };
        let may_join = |place: u32| !about.context.contains(&(place as usize));
        (self.newcomers.join(first, about.now, may_join), scores)
    }

    /// What the forest makes of the likeliest.
    fn weigh(&self, about: &About, lanes: &AllLanes, scores: &Scores) -> Vec<RankedProduct> {
        let by = about.ranker(self);
        let score_of = |number: u32| self.places[number as usize].map_or(0.0, |place| scores.of(place));
        let basket = if about.asked.is_basket { about.asked.basket.as_slice() } else { &[] };
        let may_be_offered = |&number: &u32| {
            !basket.contains(&number)
                && self.places[number as usize]
                    .is_some_and(|place| !about.owns(number) || self.catalog.products()[place as usize].repeatable)
        };
        let picked = pick(current(&self.model.tables, about.asked.now).filter(may_be_offered), score_of);
        let strengths = by.strengths(&self.model.tables, &self.likeness, &about.asked, lanes, &picked);
        let place_of = |number: u32| self.places[number as usize].expect("only what is in the catalogue is picked");
        let of_one =
            |(&(number, _), strength): (&(u32, f32), f64)| ranked(place_of(number), by.curve.probability(strength));
        let mut weighed: Vec<RankedProduct> = picked.iter().zip(strengths).map(of_one).collect();
        weighed.sort_by(|a, b| b.propensity.total_cmp(&a.propensity));
        weighed
    }

    /// So many of the highest scores.
    fn best(&self, about: &About, scores: &Scores, count: usize) -> Vec<RankedProduct> {
        let places = (0..scores.0.len() as u32).filter(|place| !about.context.contains(&(*place as usize)));
        let best = best(places, |place| scores.of(place), count);
        best.into_iter().map(|(place, score)| ranked(place, self.propensity(about, score))).collect()
    }

    fn propensity(&self, about: &About, score: f32) -> f64 {
        let score = f64::from(score);
        let ranker = about.ranker(self);
        let probability = if about.is_stranger() || (about.asked.is_basket && ranker.forest.is_none()) {
            positive(score) + UNKNOWN_PROPENSITY
        } else {
            ranker.curve.probability(score)
        };
        probability.clamp(f64::MIN_POSITIVE, 1.0)
    }

    /// Steps up from what the customer has; each product once, from the thing it improves most likely.
    pub fn up_sell(&self, query: &UpSellQuery) -> Upgrades {
        let asked = self.asked(&query.customer, Vec::new(), query.now);
        let weigher = self.step_weigher(&asked);
        let mut best: HashMap<usize, (Candidate, Support)> = HashMap::new();
        for held in &query.owned {
            let Some(owned) = self.catalog.get(&held.product) else { continue };
            let steps = self.steps_up(owned);
            let offered: Vec<&ProductId> = steps.iter().map(|(offered, _)| &offered.id).collect();
            let propensities = self.step_propensities(weigher.as_ref(), owned, &offered);
            for ((offered, step), learned) in steps.into_iter().zip(propensities) {
                let Some(place) = self.catalog.index_of(&offered.id) else { continue };
                let propensity = learned.unwrap_or_else(|| self.step_rate(owned, offered, step.closeness));
                let is_better = best.get(&place).is_none_or(|known| known.0.propensity < propensity);
                if is_better {
                    best.insert(place, self.upgrade(held, owned, offered, step, propensity));
                }
            }
        }
        let mut ranked: Vec<(Candidate, Support)> = best.into_values().collect();
        ranked.sort_by(|(a, _), (b, _)| b.propensity.total_cmp(&a.propensity).then_with(|| a.product.cmp(&b.product)));
        Upgrades { ranked }
    }

    /// What is a step up from a product, on its ladder or in its category.
    fn steps_up(&self, owned: &Product) -> Vec<(&Product, Step)> {
        let on_ladder =
            owned.ladder_position.iter().flat_map(|ladder_position| self.catalog.on_ladder(&ladder_position.ladder));
        let in_category = self.catalog.in_category(&owned.category).filter(|offered| {
            // What is on the ladder, too, was told already.
            owned.ladder_position.as_ref().is_none_or(|ladder_position| {
                offered.ladder_position.as_ref().is_none_or(|other| other.ladder != ladder_position.ladder)
            })
        });
        let others = on_ladder.chain(in_category).filter(|offered| offered.id != owned.id);
        others.filter_map(|offered| Some((offered, step(owned, offered, self.seen(owned, offered))?))).collect()
    }

    fn seen(&self, owned: &Product, offered: &Product) -> Seen {
        let (from, to) = (self.learned_number(&owned.id), self.learned_number(&offered.id));
        let count = |from, to| self.model.moves.get(&(from, to)).map_or(0, |seen| seen.later);
        let (moves, moves_back) = from.zip(to).map_or((0, 0), |(from, to)| (count(from, to), count(to, from)));
        Seen {
            moves,
            moves_back,
            recent_buyers: self.learned_of(&offered.id).map_or(0, |learned| learned.recent_buyers),
        }
    }

    fn step_weigher<'a>(&'a self, asked: &'a Asked) -> Option<StepWeigher<'a>> {
        let forest = self.model.steps.forest.as_ref()?;
        let OfferModel { tables, moves, customers, .. } = &*self.model;
        let known = Known { tables, likeness: &self.likeness, moves, catalog: &self.catalog, blend: customers.blend };
        Some(StepWeigher { forest, stepper: Stepper::new(known, asked) })
    }

    /// The learned propensity of each step; `None` where none was learned. A product that nobody bought yet is as likely
    /// as those that were weighed beside it.
    fn step_propensities(
        &self,
        weigher: Option<&StepWeigher<'_>>,
        owned: &Product,
        offered: &[&ProductId],
    ) -> Vec<Option<f64>> {
        let unlearned = vec![None; offered.len()];
        let Some((weigher, owned)) = weigher.zip(self.learned_number(&owned.id)) else { return unlearned };
        let numbers: Vec<u32> = offered.iter().filter_map(|id| self.learned_number(id)).collect();
        if numbers.is_empty() {
            return unlearned;
        }
        let logits = weigher.forest.logits(&weigher.stepper.signals(owned, &numbers));
        let odds = logits.into_iter().map(|logit| f64::from(logit).exp());
        let learned: Vec<f64> = odds.map(|odds| self.model.steps.curve.probability(odds)).collect();
        let mean = learned.iter().sum::<f64>() / learned.len() as f64;
        let mut learned = learned.into_iter();
        let of_one = |id: &&ProductId| if self.learned_number(id).is_some() { learned.next() } else { Some(mean) };
        offered.iter().map(of_one).collect()
    }

    /// How often owners take a step, by moves and popularity; where nothing better was learned.
    fn step_rate(&self, owned: &Product, offered: &Product, closeness: f64) -> f64 {
        let owners = self.learned_of(&owned.id).map_or(0.0, |learned| f64::from(learned.customers));
        let to = self.learned_of(&offered.id);
        let popularity = to.map_or(0.0, |learned| f64::from(learned.popularity[RECENT_POPULARITY]));
        let prior = MOVE_PRIOR_RATE * closeness * (0.5 + popularity.min(0.5));
        let moves = f64::from(self.seen(owned, offered).moves);
        let rate = (moves + MOVE_PRIOR_OWNERS * prior) / (owners + MOVE_PRIOR_OWNERS);
        rate.clamp(1e-6, 1.0)
    }

    fn upgrade(
        &self,
        held: &HeldProduct,
        owned: &Product,
        offered: &Product,
        step: Step,
        propensity: f64,
    ) -> (Candidate, Support) {
        let mut evidence = step.evidence;
        let near_allowance = held.usage_share.filter(|&share| share >= NEAR_ALLOWANCE);
        if let Some(share) = near_allowance {
            evidence.insert(0, Evidence::UsageNearAllowance { share });
        }
        let learned = self.learned_of(&offered.id);
        let is_seen = self.model.steps.forest.is_some() || self.seen(owned, offered).moves > 0;
        let candidate = Candidate {
            product: offered.id.clone(),
            propensity,
            propensity_basis: if is_seen { PropensityBasis::Purchases } else { basis(learned) },
            acceptance_lift: 1.0,
            need: need(held.usage_share),
            keep_probability: learned.map_or(1.0, LearnedProduct::keep_probability),
            upgrade: Some(Upgrade { replaces: owned.id.clone(), gains: step.gains }),
        };
        (candidate, Support { goes_with: Vec::new(), evidence })
    }

    /// The given products by how likely the customer steps to them from `owned`. Whether each is a step up at all is not
    /// asked here.
    pub fn rank_steps(&self, query: &UpSellQuery, owned: &ProductId, offered: &[ProductId]) -> Vec<ProductId> {
        let asked = self.asked(&query.customer, Vec::new(), query.now);
        let Some(owned) = self.catalog.get(owned) else { return offered.to_vec() };
        let ids: Vec<&ProductId> = offered.iter().collect();
        let learned = self.step_propensities(self.step_weigher(&asked).as_ref(), owned, &ids);
        let rate = |id: &ProductId| self.catalog.get(id).map_or(0.0, |offered| self.step_rate(owned, offered, 1.0));
        let mut ranked: Vec<(f64, &ProductId)> =
            learned.into_iter().zip(offered).map(|(learned, id)| (learned.unwrap_or_else(|| rate(id)), id)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        ranked.into_iter().map(|(_, id)| id.clone()).collect()
    }

    /// The question in numbers of the model.
    fn asked(&self, customer: &KnownCustomer, basket: Vec<u32>, now: Timestamp) -> Asked {
        let had = customer.holdings.iter().filter_map(|held| {
            let product = self.learned_number(&held.product)?;
            Some(Had { product, first: seconds(held.first_at), last: seconds(held.last_at) })
        });
        let mut had: Vec<Had> = had.collect();
        let forgotten = customer.forgotten.iter().filter_map(|fingerprint| self.fingerprints.get(fingerprint));
        had.extend(forgotten.map(|&product| Had { product, first: UNDATED, last: UNDATED }));
        // What was forgotten and bought again is known by what was bought again.
        had.sort_unstable_by_key(|had| (had.product, std::cmp::Reverse(had.last)));
        had.dedup_by_key(|had| had.product);
        let profile = self.model.tables.attributes.of_profile(&customer.profile);
        Asked::new(seconds(now), had, basket, profile)
    }

    fn learned_of(&self, product: &ProductId) -> Option<&LearnedProduct> {
        self.learned(self.catalog.index_of(product)?)
    }

    fn learned(&self, place: usize) -> Option<&LearnedProduct> {
        self.learned[place].map(|number| &self.model.products()[number as usize])
    }

    fn learned_number(&self, product: &ProductId) -> Option<u32> {
        self.learned[self.catalog.index_of(product)?]
    }

    fn weights(&self, about: &About) -> &Neighbours {
        if about.asked.is_basket { &self.model.tables.in_baskets } else { &self.model.tables.lately }
    }

    fn neighbours(&self, about: &About, place: usize) -> &[Neighbour] {
        let number = self.learned[place].map(|number| number as usize);
        number.and_then(|number| self.weights(about).get(number)).map_or(&[], Vec::as_slice)
    }

    fn neighbour(&self, about: &About, from: usize, to: usize) -> Option<Neighbour> {
        let neighbours = self.neighbours(about, from);
        let wanted = self.learned[to]?;
        let found = neighbours.binary_search_by_key(&wanted, |neighbour| neighbour.product).ok()?;
        Some(neighbours[found])
    }

    fn hints_at(&self, from: usize, to: usize) -> bool {
        self.hints.get(&from).is_some_and(|hinted| hinted.contains(&to))
    }
}

/// Complements for one customer or basket.
pub struct Complements<'a> {
    model: &'a BoundModel,
    about: About,
    /// The likeliest, best first.
    ranked: Vec<RankedProduct>,
    /// When they were prepared; `None` when they were not.
    ranked_at: Option<Timestamp>,
}

impl Proposal for Complements<'_> {
    fn candidates(&self) -> impl Iterator<Item = Candidate> {
        let rest = std::iter::once_with(|| self.rest()).flatten();
        self.ranked.iter().copied().chain(rest).map(|ranked| self.candidate(ranked))
    }

    fn ranked_at(&self) -> Option<Timestamp> {
        self.ranked_at
    }

    fn support(&self, candidate: &Candidate) -> Support {
        let Some(place) = self.model.catalog.index_of(&candidate.product) else { return Support::default() };
        let pulls = self.pulls(place);
        let id_of = |place: usize| self.model.catalog.products()[place].id.clone();
        let mut evidence: Vec<Evidence> = pulls
            .iter()
            .filter_map(|&(_, asked, neighbour)| {
                let (together, with) = (neighbour?.together, self.model.learned(asked)?);
                let (with_total, counted) = if self.about.asked.is_basket {
                    (with.baskets, CountBasis::Baskets)
                } else {
                    (with.customers, CountBasis::Customers)
                };
                (together > 0).then(|| Evidence::BoughtTogether { with: id_of(asked), together, with_total, counted })
            })
            .collect();
        let hinted = pulls.iter().find(|(_, asked, _)| self.model.hints_at(*asked, place));
        evidence.extend(hinted.map(|&(_, asked, _)| Evidence::Compatible { with: id_of(asked) }));
        let recent_buyers = self.model.learned(place).map_or(0, |learned| learned.recent_buyers);
        if recent_buyers > 0 {
            evidence.push(Evidence::Popular { buyers: recent_buyers, days: RECENT_DAYS });
        }
        let best_seller = self.model.newcomers.best_seller_beside(place);
        evidence.extend(best_seller.map(|BestSeller { place, buyers }| Evidence::NewInCategory {
            like: id_of(place),
            buyers,
            days: RECENT_DAYS,
        }));
        Support { goes_with: pulls.iter().map(|&(_, asked, _)| id_of(asked)).collect(), evidence }
    }
}

impl Complements<'_> {
    /// The likeliest, to be kept for the next questions about the same customer.
    pub fn prepare(&self, cache_key: CacheKey, now: Timestamp) -> CachedRanking {
        CachedRanking {
            cache_key,
            ranked_at: now,
            ranked: self.ranked.iter().copied().take(CACHED_RANKING_LEN_MAX).collect(),
        }
    }

    /// Everything else, best first: what was weighed and is not among the likeliest, then the rest by score. Few ask for it, so
    /// it is ranked when they do. The likeliest of the rest is no likelier than the least likely of those before.
    fn rest(&self) -> Vec<RankedProduct> {
        let (weighed, scores) = self.model.rank(&self.about);
        let unweighed = self.model.best(&self.about, &scores, usize::MAX);
        let mut told: HashSet<u32> = self.ranked.iter().map(|ranked| ranked.place).collect();
        let mut ceiling = self.ranked.last().map_or(1.0, |last| last.propensity);
        let mut rest = Vec::with_capacity(scores.0.len());
        for those in [weighed, unweighed] {
            let mut those: Vec<RankedProduct> = those.into_iter().filter(|ranked| told.insert(ranked.place)).collect();
            let highest = those.first().map_or(1.0, |first| first.propensity);
            let scale = (ceiling / highest).min(1.0);
            for ranked in &mut those {
                ranked.propensity = (ranked.propensity * scale).clamp(f32::MIN_POSITIVE, ceiling);
            }
            ceiling = those.last().map_or(ceiling, |last| last.propensity);
            rest.extend(those);
        }
        rest
    }

    fn candidate(&self, RankedProduct { place, propensity }: RankedProduct) -> Candidate {
        let place = place as usize;
        let learned = self.model.learned(place);
        Candidate {
            product: self.model.catalog.products()[place].id.clone(),
            propensity: f64::from(propensity),
            propensity_basis: basis(learned),
            acceptance_lift: 1.0,
            need: 1.0,
            keep_probability: learned.map_or(1.0, LearnedProduct::keep_probability),
            upgrade: None,
        }
    }

    /// What was asked about that adds most to the score of a product: how much, which, and by what weight.
    fn pulls(&self, place: usize) -> Vec<(f32, usize, Option<Neighbour>)> {
        let pull = |&(asked, weight): &(usize, f32)| {
            let neighbour = self.model.neighbour(&self.about, asked, place);
            let hint = if self.model.hints_at(asked, place) { HINT_SCORE } else { 0.0 };
            let pull = weight * (neighbour.map_or(0.0, |neighbour| neighbour.weight) + hint);
            (pull > 0.0 && asked != place).then_some((pull, asked, neighbour))
        };
        let mut pulls: Vec<(f32, usize, Option<Neighbour>)> = self.about.places.iter().filter_map(pull).collect();
        pulls.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        pulls.truncate(GOES_WITH_MAX);
        pulls
    }
}

/// A forest and the customer whose steps it weighs.
struct StepWeigher<'a> {
    forest: &'a Forest,
    stepper: Stepper<'a>,
}

/// Steps up for one customer.
pub struct Upgrades {
    ranked: Vec<(Candidate, Support)>,
}

impl Proposal for Upgrades {
    fn candidates(&self) -> impl Iterator<Item = Candidate> {
        self.ranked.iter().map(|(candidate, _)| candidate.clone())
    }

    fn support(&self, candidate: &Candidate) -> Support {
        let found = self.ranked.iter().find(|(known, _)| known.product == candidate.product);
        found.map(|(_, support)| support.clone()).unwrap_or_default()
    }
}

/// Usage from here on counts as near the allowance.
const NEAR_ALLOWANCE: f64 = 0.8;

/// Need: 1 when nothing is known, up to 2 as usage passes its allowance.
fn need(usage_share: Option<f64>) -> f64 {
    usage_share.map_or(1.0, |share| 1.0 + ((share - NEAR_ALLOWANCE) / (1.0 - NEAR_ALLOWANCE)).clamp(0.0, 1.0))
}

/// What speaks for each product of the catalogue, by place.
struct Scores(Vec<f32>);

impl Scores {
    fn of(&self, place: u32) -> f32 {
        self.0[place as usize]
    }
}

fn ranked(place: u32, propensity: f64) -> RankedProduct {
    RankedProduct { place, propensity: (propensity as f32).clamp(f32::MIN_POSITIVE, 1.0) }
}

fn digest_of(catalog: &Catalog, newcomers: &Newcomers) -> u64 {
    let mut hasher = DefaultHasher::new();
    for Product { id, category, requires, compatible_with, repeatable, .. } in catalog.products() {
        (id, category, requires, compatible_with, repeatable).hash(&mut hasher);
    }
    // Whether and since when they are sold.
    newcomers.hash(&mut hasher);
    hasher.finish()
}

fn basis(learned: Option<&LearnedProduct>) -> PropensityBasis {
    if learned.is_some() { PropensityBasis::Purchases } else { PropensityBasis::Catalog }
}

/// What a query asks about, in numbers of the model and places of the catalogue.
struct About {
    asked: Asked,
    now: Timestamp,
    /// The basket, by place.
    context: HashSet<usize>,
    /// What candidates are said to go with, by place, with its weight.
    places: Vec<(usize, f32)>,
}

impl About {
    fn new(bound: &BoundModel, query: &CrossSellQuery) -> Self {
        let catalog = bound.catalog();
        let context: Vec<usize> = query.context.iter().filter_map(|product| catalog.index_of(product)).collect();
        let numbers = context.iter().filter_map(|&place| bound.learned[place]).collect();
        let holdings = &query.customer.holdings;
        let mut asked = bound.asked(&query.customer, numbers, query.now);
        // A basket of things that nobody ever bought is a basket all the same.
        if !query.context.is_empty() && !asked.is_basket {
            asked.is_basket = true;
            asked.basket.clear();
        }
        let held = |held: &HeldProduct| {
            let age = seconds(query.now) - seconds(held.last_at);
            Some((catalog.index_of(&held.product)?, fading(age, LONG_HALF_LIFE_DAYS)))
        };
        let places = if asked.is_basket {
            context.iter().map(|&place| (place, 1.0)).collect()
        } else {
            holdings.iter().filter_map(held).collect()
        };
        Self { asked, now: query.now, context: context.into_iter().collect(), places }
    }

    /// Of whom nothing is known at all.
    fn is_stranger(&self) -> bool {
        self.places.is_empty() && self.asked.profile.is_empty()
    }

    /// True when the model knows something of what is asked about; else there is nothing that a forest could weigh.
    fn is_known(&self) -> bool {
        !self.asked.had.is_empty() || !self.asked.basket.is_empty() || !self.asked.profile.is_empty()
    }

    fn ranker<'a>(&self, bound: &'a BoundModel) -> &'a Ranker {
        if self.asked.is_basket { &bound.model.baskets } else { &bound.model.customers }
    }

    /// True for what the customer has, by number.
    fn owns(&self, number: u32) -> bool {
        self.asked.had.binary_search_by_key(&number, |had| had.product).is_ok()
    }

    fn score(&self, bound: &BoundModel, lanes: &AllLanes, number: Option<u32>) -> f32 {
        let Some(number) = number else { return 0.0 };
        if self.is_stranger() {
            return bound.model.products()[number as usize].popularity[RECENT_POPULARITY];
        }
        self.ranker(bound).blend.score_of(&bound.model.tables, lanes.of(number), number)
    }
}

fn seconds(at: Timestamp) -> i64 {
    at.unix_ms().div_euclid(1000)
}
