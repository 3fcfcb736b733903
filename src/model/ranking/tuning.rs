//! Chooses everything that can be chosen by what it would have done on the newest past, and learns the rankers.
//!
//! One procedure for every history: the regularisers and the half-life of the tables, one after the other; the blend that
//! picks candidates; and whether a forest, grown on the older pasts, orders them better than the blend does. What is
//! chosen, and what it did, is told.

use rayon::prelude::*;

use crate::domain::catalog::Catalog;

use super::super::history::OrderedHistory;
use super::super::metric::Metric;
use super::super::propensity::Curve;
use super::forest::{Forest, Lessons};
use super::lanes::{Lanes, lanes};
use super::lessons::{PastQuestion, scattered};
use super::likeness::Likeness;
use super::pasts::{Past, pasts};
use super::ranker::{Blend, Fading, Ranker, pick};
use super::signals::signals;
use super::tables::{Means, NotSolvable, Regularity, Rows, Tables, learn_tables};

/// What is tried; the middle is where a search begins.
const LAMBDAS: [f64; 3] = [100.0, 300.0, 1000.0];
const BASKET_LAMBDAS: [f64; 3] = [10.0, 30.0, 100.0];
const HALF_LIVES_DAYS: [f64; 3] = [90.0, 180.0, 360.0];
const DEFAULT: Regularity = Regularity { customer_lambda: 300.0, basket_lambda: 10.0, half_life_days: 180.0 };
const POPULARITY_WEIGHTS: [f32; 4] = [0.0, 0.02, 0.1, 0.3];
const SIDE_WEIGHTS: [f32; 3] = [0.0, 0.1, 0.3];
/// Popularity by this half-life enters a blend: the second shortest.
const BLENDED_POPULARITY: usize = 1;
/// Fewer questions with an answer than this tell nothing.
const QUESTIONS_MIN: usize = 50;
/// The most questions of one past that are judged, and that lessons are made of.
const JUDGED_MAX: usize = 1500;
const TAUGHT_MAX: usize = 2500;
/// The most observations a forest is grown from: what is left of misses stands for the rest.
const OBSERVATIONS_MAX: usize = 450_000;
/// How many candidates of a question the curve is fitted to.
const CURVE_CANDIDATES: usize = 50;
/// Figures look at so many places.
const TOP: usize = 10;

/// What was learned of ranking.
pub struct Ranking {
    /// What is known of products at the end.
    pub tables: Tables,
    /// Orders what goes with a customer.
    pub customers: Ranker,
    /// Orders what goes with a basket.
    pub baskets: Ranker,
    /// Quality on the newest past, beside popularity.
    pub metrics: Vec<Metric>,
    /// What was chosen, and why.
    pub notes: Vec<String>,
}

/// Where learning stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RankingStage {
    /// Choosing regularisers, half-life and blends.
    Choosing,
    /// Making lessons of a past.
    Lessons,
    /// Growing forests.
    Forests,
    /// The tables of the whole history.
    Tables,
}

/// Learns from everything before `end`.
pub fn learn_ranking(
    history: &OrderedHistory,
    catalog: &Catalog,
    end: i64,
    means: Means,
    progress: &dyn Fn(RankingStage),
) -> Result<Ranking, NotSolvable> {
    let pasts = pasts(history, end);
    let mut notes = Vec::new();
    progress(RankingStage::Choosing);
    let mut regularity = DEFAULT;
    let (mut customers, mut baskets) = (unlearned(Blend::CUSTOMERS), unlearned(Blend::BASKETS));
    let mut metrics = Vec::new();
    if let Some((newest, older)) = pasts.split_first() {
        let rows = Rows::before(&newest.history, newest.at, means);
        regularity = choose_regularity(newest, &rows, means, &mut notes)?;
        let kinds = [Kind::Customers, Kind::Baskets];
        let newest = Taught::of(newest, &rows, catalog, regularity, means)?;
        let blends = kinds.map(|kind| choose_blend(&newest, kind, &mut notes));
        let mut taught = Vec::new();
        for past in older {
            progress(RankingStage::Lessons);
            let rows = Rows::before(&past.history, past.at, means);
            taught.push(Taught::of(past, &rows, catalog, regularity, means)?);
        }
        progress(RankingStage::Forests);
        let [customer_blend, basket_blend] = blends;
        customers = learn_ranker(&newest, &taught, Kind::Customers, customer_blend, means, &mut notes, &mut metrics);
        baskets = learn_ranker(&newest, &taught, Kind::Baskets, basket_blend, means, &mut notes, &mut metrics);
    } else {
        notes.push("the history is too short to choose anything by; defaults are used".to_owned());
    }
    progress(RankingStage::Tables);
    let tables = learn_tables(history, &Rows::before(history, end, means), regularity, means)?;
    Ok(Ranking { tables, customers, baskets, metrics, notes })
}

fn unlearned(blend: Blend) -> Ranker {
    Ranker { blend, forest: None, curve: Curve::DEFAULT }
}

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Customers,
    Baskets,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Baskets => "baskets",
        }
    }

    fn questions<'a>(self, past: &'a Past<'_>) -> &'a [PastQuestion] {
        match self {
            Self::Customers => &past.customers,
            Self::Baskets => &past.baskets,
        }
    }
}

/// A past and what was known of products then.
struct Taught<'a> {
    past: &'a Past<'a>,
    tables: Tables,
    likeness: Likeness,
}

impl<'a> Taught<'a> {
    fn of(
        past: &'a Past<'a>,
        rows: &Rows,
        catalog: &Catalog,
        regularity: Regularity,
        means: Means,
    ) -> Result<Self, NotSolvable> {
        let tables = learn_tables(&past.history, rows, regularity, means)?;
        let likeness = Likeness::of(&tables.products, catalog);
        Ok(Self { past, tables, likeness })
    }

    /// The candidates of a question, and what speaks for every product.
    fn candidates(&self, question: &PastQuestion, blend: &Blend) -> (Vec<(u32, f32)>, Vec<Lanes>) {
        let lanes = lanes(&self.tables, &question.asked);
        let score = |number: u32| blended(blend, &self.tables, &lanes, number);
        let picked = pick(&self.tables, question.asked.now, score, |product| question.may_be_offered(product));
        (picked, lanes)
    }
}

/// The score of a product by its number.
#[must_use]
pub fn blended(blend: &Blend, tables: &Tables, lanes: &[Lanes], number: u32) -> f32 {
    let product = number as usize;
    blend.score(&lanes[product], tables.products[product].popularity[BLENDED_POPULARITY])
}

/// At most so many of the questions that have an answer, spread over all.
fn answered(questions: &[PastQuestion], count: usize) -> Vec<&PastQuestion> {
    let answered: Vec<&PastQuestion> = questions.iter().filter(|question| !question.truth.is_empty()).collect();
    spread(answered, count)
}

fn spread<T>(all: Vec<T>, count: usize) -> Vec<T> {
    let stride = all.len().div_ceil(count).max(1);
    all.into_iter().step_by(stride).collect()
}

/// The NDCG of the first ten, 0 to 1.
fn ndcg(ranked: &[u32], question: &PastQuestion) -> f64 {
    let gain = |place: usize| 1.0 / ((place + 2) as f64).log2();
    let places = ranked.iter().take(TOP).enumerate().filter(|(_, product)| question.is_right(**product));
    let best: f64 = (0..question.truth.len().min(TOP)).map(gain).sum();
    places.map(|(place, _)| gain(place)).sum::<f64>() / best.max(f64::MIN_POSITIVE)
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

/// The mean NDCG of a blend over questions whose lanes are known.
fn judge_blend(tables: &Tables, asked: &[(&PastQuestion, Vec<Lanes>)], blend: &Blend) -> f64 {
    let each: Vec<f64> = asked
        .par_iter()
        .map(|(question, lanes)| {
            let score = |number: u32| blended(blend, tables, lanes, number);
            let picked = pick(tables, question.asked.now, score, |product| question.may_be_offered(product));
            ndcg(&picked.into_iter().take(TOP).map(|it| it.0).collect::<Vec<u32>>(), question)
        })
        .collect();
    mean(each.into_iter())
}

fn with_lanes<'a>(tables: &Tables, questions: Vec<&'a PastQuestion>) -> Vec<(&'a PastQuestion, Vec<Lanes>)> {
    questions.into_par_iter().map(|question| (question, lanes(tables, &question.asked))).collect()
}

/// The regularisers and the half-life that rank best on the newest past, one after the other.
fn choose_regularity(
    past: &Past<'_>,
    rows: &Rows,
    means: Means,
    notes: &mut Vec<String>,
) -> Result<Regularity, NotSolvable> {
    let mut chosen = DEFAULT;
    let products = super::tables::standings(&past.history, past.at);
    let customers = answered(&past.customers, JUDGED_MAX / 2);
    if customers.len() >= QUESTIONS_MIN {
        let judge = |lambda: f64, half_life: f64| -> Result<f64, NotSolvable> {
            let lately = rows.by_customer(lambda, Some(half_life), means.threads)?;
            let tables = Tables { products: products.clone(), lately, ..Tables::default() };
            let asked = with_lanes(&tables, customers.clone());
            let blends = Fading::ALL.map(|fading| Blend { fading, ..Blend::CUSTOMERS });
            Ok(blends.iter().map(|blend| judge_blend(&tables, &asked, blend)).fold(0.0, f64::max))
        };
        let mut best = judge(chosen.customer_lambda, chosen.half_life_days)?;
        for lambda in LAMBDAS.into_iter().filter(|lambda| *lambda != DEFAULT.customer_lambda) {
            let figure = judge(lambda, chosen.half_life_days)?;
            if figure > best {
                (best, chosen.customer_lambda) = (figure, lambda);
            }
        }
        for half_life in HALF_LIVES_DAYS.into_iter().filter(|days| *days != DEFAULT.half_life_days) {
            let figure = judge(chosen.customer_lambda, half_life)?;
            if figure > best {
                (best, chosen.half_life_days) = (figure, half_life);
            }
        }
        notes.push(format!(
            "customers: regulariser {} of {LAMBDAS:?} and half-life {} of {HALF_LIVES_DAYS:?} days, with an ndcg@10 of \
             {best:.4} for {} questions",
            chosen.customer_lambda,
            chosen.half_life_days,
            customers.len()
        ));
    }
    let baskets = answered(&past.baskets, JUDGED_MAX);
    if baskets.len() >= QUESTIONS_MIN {
        let mut best = -1.0;
        for lambda in BASKET_LAMBDAS {
            let in_baskets = rows.by_basket(lambda, means.threads)?;
            let tables = Tables { products: products.clone(), in_baskets, ..Tables::default() };
            let figure = judge_blend(&tables, &with_lanes(&tables, baskets.clone()), &Blend::BASKETS);
            if figure > best {
                (best, chosen.basket_lambda) = (figure, lambda);
            }
        }
        notes.push(format!(
            "baskets: regulariser {} of {BASKET_LAMBDAS:?}, with an ndcg@10 of {best:.4} for {} questions",
            chosen.basket_lambda,
            baskets.len()
        ));
    }
    Ok(chosen)
}

/// The blend that ranks best on the newest past.
fn choose_blend(newest: &Taught<'_>, kind: Kind, notes: &mut Vec<String>) -> Blend {
    let default = match kind {
        Kind::Customers => Blend::CUSTOMERS,
        Kind::Baskets => Blend::BASKETS,
    };
    let questions = answered(kind.questions(newest.past), JUDGED_MAX / 2);
    if questions.len() < QUESTIONS_MIN {
        return default;
    }
    let asked = with_lanes(&newest.tables, questions);
    let mut tried = Vec::new();
    for popularity in POPULARITY_WEIGHTS {
        for side in SIDE_WEIGHTS {
            match kind {
                Kind::Customers => {
                    for fading in Fading::ALL {
                        tried.push(Blend { fading, holdings: 1.0, basket: side, popularity });
                    }
                }
                Kind::Baskets => tried.push(Blend { fading: Fading::Long, holdings: side, basket: 1.0, popularity }),
            }
        }
    }
    let judged = tried.into_iter().map(|blend| (judge_blend(&newest.tables, &asked, &blend), blend));
    let (figure, blend) = judged.fold((-1.0, default), |best, tried| if tried.0 > best.0 { tried } else { best });
    let Blend { fading, holdings, basket, popularity } = blend;
    notes.push(format!(
        "{}: candidates by {holdings} x holdings ({fading:?} memory) + {basket} x basket + {popularity} x popularity, with \
         an ndcg@10 of {figure:.4}",
        kind.name()
    ));
    blend
}

/// Observations from the past: every hit, and a share of the misses that stands for all.
fn lessons(taught: &[&Taught<'_>], kind: Kind, blend: &Blend) -> Lessons {
    let questions: Vec<(&Taught<'_>, &PastQuestion)> = taught
        .iter()
        .flat_map(|taught| {
            let questions = answered(kind.questions(taught.past), TAUGHT_MAX);
            questions.into_iter().map(|question| (*taught, question))
        })
        .collect();
    let candidates = questions.first().map_or(1, |(taught, question)| taught.candidates(question, blend).0.len());
    let kept = (OBSERVATIONS_MAX as f64 / (questions.len() * candidates.max(1)).max(1) as f64).min(1.0);
    let made: Vec<Lessons> = questions
        .par_iter()
        .enumerate()
        .map(|(number, (taught, question))| {
            let (picked, lanes) = taught.candidates(question, blend);
            let rows = signals(&taught.tables, &taught.likeness, &question.asked, &lanes, &picked);
            let mut lessons = Lessons::default();
            for (row, (product, _)) in rows.into_iter().zip(picked) {
                let hit = question.is_right(product);
                let drawn = (scattered(number as u32, product) % 1_000_000) as f64 / 1e6;
                if hit || drawn < kept {
                    lessons.rows.push(row);
                    lessons.hits.push(hit);
                    lessons.weights.push(if hit { 1.0 } else { (1.0 / kept) as f32 });
                }
            }
            lessons
        })
        .collect();
    let mut all = Lessons::default();
    for Lessons { rows, hits, weights } in made {
        all.rows.extend(rows);
        all.hits.extend(hits);
        all.weights.extend(weights);
    }
    all
}

/// A ranker for one kind of question, judged on the newest past by what the older ones taught.
fn learn_ranker(
    newest: &Taught<'_>,
    older: &[Taught<'_>],
    kind: Kind,
    blend: Blend,
    means: Means,
    notes: &mut Vec<String>,
    metrics: &mut Vec<Metric>,
) -> Ranker {
    let judged = answered(kind.questions(newest.past), JUDGED_MAX);
    if judged.len() < QUESTIONS_MIN {
        notes.push(format!("{}: too few questions to judge by; candidates are ordered by the blend", kind.name()));
        return unlearned(blend);
    }
    let older: Vec<&Taught<'_>> = older.iter().collect();
    let by_blend = unlearned(blend);
    let plain = judge_ranker(newest, &judged, &by_blend);
    let mut chosen = (plain, by_blend);
    let taught = lessons(&older, kind, &blend);
    if let Some(forest) = Forest::grow(&taught, means.threads) {
        let by_forest = Ranker { blend, forest: Some(forest), curve: Curve::DEFAULT };
        let figures = judge_ranker(newest, &judged, &by_forest);
        notes.push(format!(
            "{}: a forest grown from {} observations of {} earlier windows orders with an ndcg@10 of {:.4}, the blend with \
             {:.4} ({} questions)",
            kind.name(),
            taught.rows.len(),
            older.len(),
            figures[0],
            plain[0],
            judged.len()
        ));
        if figures[0] > plain[0] {
            chosen = (figures, by_forest);
        }
    }
    drop(taught);
    let (figures, mut ranker) = chosen;
    ranker.curve = fit_curve(newest, kind, &ranker);
    // What the newest past teaches is used, too, once it has judged.
    if ranker.forest.is_some() {
        let all: Vec<&Taught<'_>> = std::iter::once(newest).chain(older).collect();
        ranker.forest = Forest::grow(&lessons(&all, kind, &blend), means.threads);
    }
    if kind == Kind::Customers {
        let popular = Blend { fading: Fading::Flat, holdings: 0.0, basket: 0.0, popularity: 1.0 };
        let by_popularity = judge_ranker(newest, &judged, &unlearned(popular));
        for (method, figures) in [("tactful", figures), ("popularity", by_popularity)] {
            for (name, value) in ["ndcg@10", "recall@10", "hit@10"].into_iter().zip(figures) {
                metrics.push(Metric { name, method, value, queries: judged.len() });
            }
        }
    }
    ranker
}

/// NDCG, recall and hit rate of the first ten.
fn judge_ranker(newest: &Taught<'_>, questions: &[&PastQuestion], by: &Ranker) -> [f64; 3] {
    let each: Vec<[f64; 3]> = questions
        .par_iter()
        .map(|question| {
            let ranked: Vec<u32> = in_order(newest, question, by).into_iter().take(TOP).map(|it| it.0).collect();
            let hits = ranked.iter().filter(|product| question.is_right(**product)).count();
            [ndcg(&ranked, question), hits as f64 / question.truth.len() as f64, f64::from(u8::from(hits > 0))]
        })
        .collect();
    [0, 1, 2].map(|figure| mean(each.iter().map(|of_one| of_one[figure])))
}

/// The candidates of a question with their strengths, the strongest first.
fn in_order(newest: &Taught<'_>, question: &PastQuestion, by: &Ranker) -> Vec<(u32, f64)> {
    let (picked, lanes) = newest.candidates(question, &by.blend);
    let strengths = by.strengths(&newest.tables, &newest.likeness, &question.asked, &lanes, &picked);
    let mut ranked: Vec<(u32, f64)> = picked.into_iter().map(|it| it.0).zip(strengths).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

/// From strengths to probabilities, by everybody who could have been asked, also those who bought nothing.
fn fit_curve(newest: &Taught<'_>, kind: Kind, by: &Ranker) -> Curve {
    let everybody = spread(kind.questions(newest.past).iter().collect(), JUDGED_MAX);
    let observed: Vec<Vec<(f64, bool)>> = everybody
        .par_iter()
        .map(|question| {
            let ranked = in_order(newest, question, by).into_iter().take(CURVE_CANDIDATES);
            ranked.map(|(product, strength)| (strength, question.is_right(product))).collect()
        })
        .collect();
    Curve::fit(&observed.concat())
}
