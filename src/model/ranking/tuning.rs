//! Chooses everything that can be chosen by what it would have done on the newest past, and learns the rankers.
//!
//! One procedure for every history: the regularisers and the half-life of the tables, one after the other; the blend that
//! picks candidates; and whether a forest, grown on the older pasts, orders them better than the blend does. What is
//! chosen, and what it did, is told.

use rayon::prelude::*;

use crate::domain::catalog::Catalog;

use super::super::history::OrderedHistory;
use super::super::metric::{Metric, Told};
use super::super::propensity::Curve;
use super::super::ridge;
use super::super::train::TrainingSettings;
use super::curves::fit_curve;
use super::forest::{Forest, Lessons};
use super::lanes::lanes;
use super::lessons::{PastQuestion, is_drawn};
use super::pasts::{Past, pasts};
use super::ranker::{Blend, Fading, Ranker, best, current_by_popularity, pool};
use super::shelves::Shelves;
use super::signals::{Asker, Signals};
use super::step_lessons::{PastSteps, learn_steps};
use super::steps::StepRanker;
use super::tables::{CustomerProblem, CustomerWeights, NotSolvable, Regularity, Rows, Tables, learn_tables, standings};
use super::taught::Taught;

/// What is tried; the middle is where a search begins.
const LAMBDAS: [f64; 4] = [30.0, 100.0, 300.0, 1000.0];
const BASKET_LAMBDAS: [f64; 3] = [10.0, 30.0, 100.0];
const HALF_LIVES_DAYS: [f64; 3] = [90.0, 180.0, 360.0];
const DEFAULT: Regularity = Regularity { customer_lambda: 300.0, basket_lambda: 10.0, half_life_days: 180.0 };
const POPULARITY_WEIGHTS: [f32; 4] = [0.0, 0.02, 0.1, 0.3];
const SIDE_WEIGHTS: [f32; 3] = [0.0, 0.1, 0.3];
/// Of more products regularisers and half-life are chosen on the most bought.
const CHOSEN_ON_MAX: usize = 4_000;
/// Fewer questions with an answer than this tell nothing.
const QUESTIONS_MIN: usize = 50;
/// The most questions of one past that are judged, and that lessons are made of.
const JUDGED_MAX: usize = 1500;
const TAUGHT_MAX: usize = 2500;
/// The most observations of one past that a forest is grown from: what is left of misses stands for the rest.
const OBSERVATIONS_MAX: usize = 112_500;
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
    /// Weighs steps up.
    pub steps: StepRanker,
    /// What was chosen, and how good it is.
    pub told: Told,
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
    /// Learning which steps up are taken.
    Steps,
    /// The tables of the whole history.
    Tables,
}

/// Learns from everything before `end`.
pub fn learn_ranking(
    history: &OrderedHistory,
    catalog: &Catalog,
    end: i64,
    settings: &TrainingSettings,
    progress: &dyn Fn(RankingStage),
) -> Result<Ranking, NotSolvable> {
    let pasts = pasts(history, end);
    let mut told = Told::default();
    progress(RankingStage::Choosing);
    let mut regularity = DEFAULT;
    let (mut customers, mut baskets) = (unlearned(Blend::CUSTOMERS), unlearned(Blend::BASKETS));
    let mut steps = StepRanker::UNLEARNED;
    let products_max = ridge::columns_within(settings.memory_bytes_max);
    if let Some((newest, older)) = pasts.split_first() {
        let most_bought = Rows::before(&newest.history, newest.at, products_max.min(CHOSEN_ON_MAX));
        regularity = choose_regularity(newest, &most_bought, settings, &mut told)?;
        drop(most_bought);
        let rows = Rows::before(&newest.history, newest.at, products_max);
        let kinds = [Kind::Customers, Kind::Baskets];
        let newest = Taught::of(newest, &rows, catalog, regularity, settings)?;
        drop(rows);
        let [customer_blend, basket_blend] = kinds.map(|kind| choose_blend(&newest, kind, &mut told));
        let shelves = Shelves::of(&history.products, catalog);
        let lessons_of = |taught: &Taught<'_>| PastLessons {
            customers: lessons(taught, Kind::Customers, &customer_blend),
            baskets: lessons(taught, Kind::Baskets, &basket_blend),
            steps: PastSteps::of(taught, &shelves, catalog, customer_blend).lessons(),
        };
        progress(RankingStage::Lessons);
        let mut taught = vec![lessons_of(&newest)];
        for past in older {
            // Of each past the lessons stay, and what they were made of goes: tables are large.
            progress(RankingStage::Lessons);
            let rows = Rows::before(&past.history, past.at, products_max);
            taught.push(lessons_of(&Taught::of(past, &rows, catalog, regularity, settings)?));
        }
        progress(RankingStage::Forests);
        let of_kind = |part: fn(&PastLessons) -> &Lessons| -> Vec<&Lessons> { taught.iter().map(part).collect() };
        let of_customers = of_kind(|taught| &taught.customers);
        customers = learn_ranker(&newest, &of_customers, Kind::Customers, customer_blend, settings, &mut told);
        let of_baskets = of_kind(|taught| &taught.baskets);
        baskets = learn_ranker(&newest, &of_baskets, Kind::Baskets, basket_blend, settings, &mut told);
        progress(RankingStage::Steps);
        let newest = PastSteps::of(&newest, &shelves, catalog, customer_blend);
        steps = learn_steps(&newest, &of_kind(|taught| &taught.steps), settings, &mut told);
    } else {
        told.notes.push("the history is too short to choose anything by; defaults are used".to_owned());
    }
    progress(RankingStage::Tables);
    let tables = learn_tables(history, &Rows::before(history, end, products_max), regularity, settings)?;
    Ok(Ranking { tables, customers, baskets, steps, told })
}

fn unlearned(blend: Blend) -> Ranker {
    Ranker { blend, forest: None, curve: Curve::DEFAULT }
}

/// What a past teaches.
struct PastLessons {
    customers: Lessons,
    baskets: Lessons,
    steps: Lessons,
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

/// The mean NDCG of each blend over the questions.
fn judge_blends(tables: &Tables, by_popularity: &[u32], questions: &[&PastQuestion], blends: &[Blend]) -> Vec<f64> {
    let of_question = |question: &&PastQuestion| -> Vec<f64> {
        let lanes = lanes(tables, &question.asked);
        let may_be_offered = |number: u32| question.may_be_offered(number);
        let pool = pool(tables, &lanes, by_popularity, question.asked.now, may_be_offered, TOP);
        let judge = |blend: &Blend| {
            let score = |number: u32| blend.score_of(tables, lanes.of(number), number);
            let ranked = best(pool.iter().copied(), score, TOP);
            ndcg(&ranked.into_iter().map(|it| it.0).collect::<Vec<u32>>(), question)
        };
        blends.iter().map(judge).collect()
    };
    let each: Vec<Vec<f64>> = questions.par_iter().map(of_question).collect();
    (0..blends.len()).map(|blend| mean(each.iter().map(|of_one| of_one[blend]))).collect()
}

/// The regularisers and the half-life that rank best on the newest past, one after the other.
fn choose_regularity(
    past: &Past<'_>,
    rows: &Rows,
    settings: &TrainingSettings,
    told: &mut Told,
) -> Result<Regularity, NotSolvable> {
    let mut chosen = DEFAULT;
    let as_sold = Tables { products: standings(&past.history, past.at), ..Tables::default() };
    let by_popularity = current_by_popularity(&as_sold, past.at);
    let products = as_sold.products;
    let customers = answered(&past.customers, JUDGED_MAX / 2);
    if customers.len() >= QUESTIONS_MIN {
        let judge = |problem: &CustomerProblem<'_>, lambda: f64| -> Result<f64, NotSolvable> {
            let CustomerWeights { products: lately, profile: profile_lately } = problem.solve_lately(lambda)?;
            let tables = Tables { products: products.clone(), lately, profile_lately, ..Tables::default() };
            let blends = Fading::ALL.map(|fading| Blend { fading, ..Blend::CUSTOMERS });
            Ok(judge_blends(&tables, &by_popularity, &customers, &blends).into_iter().fold(0.0, f64::max))
        };
        let mut best = -1.0;
        let problem = rows.by_customer(DEFAULT.half_life_days, settings);
        for lambda in LAMBDAS {
            let figure = judge(&problem, lambda)?;
            if figure > best {
                (best, chosen.customer_lambda) = (figure, lambda);
            }
        }
        drop(problem);
        for half_life in HALF_LIVES_DAYS.into_iter().filter(|days| *days != DEFAULT.half_life_days) {
            let figure = judge(&rows.by_customer(half_life, settings), chosen.customer_lambda)?;
            if figure > best {
                (best, chosen.half_life_days) = (figure, half_life);
            }
        }
        told.notes.push(format!(
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
        let problem = rows.by_basket(settings);
        for lambda in BASKET_LAMBDAS {
            let in_baskets = problem.solve(lambda)?;
            let tables = Tables { products: products.clone(), in_baskets, ..Tables::default() };
            let [figure] = judge_blends(&tables, &by_popularity, &baskets, &[Blend::BASKETS])[..] else { continue };
            if figure > best {
                (best, chosen.basket_lambda) = (figure, lambda);
            }
        }
        told.notes.push(format!(
            "baskets: regulariser {} of {BASKET_LAMBDAS:?}, with an ndcg@10 of {best:.4} for {} questions",
            chosen.basket_lambda,
            baskets.len()
        ));
    }
    Ok(chosen)
}

/// The blend that ranks best on the newest past.
fn choose_blend(newest: &Taught<'_>, kind: Kind, told: &mut Told) -> Blend {
    let default = match kind {
        Kind::Customers => Blend::CUSTOMERS,
        Kind::Baskets => Blend::BASKETS,
    };
    let questions = answered(kind.questions(newest.past), JUDGED_MAX / 2);
    if questions.len() < QUESTIONS_MIN {
        return default;
    }
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
    let judged = judge_blends(&newest.tables, &newest.by_popularity, &questions, &tried).into_iter().zip(tried);
    let (figure, blend) = judged.fold((-1.0, default), |best, tried| if tried.0 > best.0 { tried } else { best });
    let Blend { fading, holdings, basket, popularity } = blend;
    told.notes.push(format!(
        "{}: candidates by {holdings} x holdings ({fading:?} memory) + {basket} x basket + {popularity} x popularity, with \
         an ndcg@10 of {figure:.4}",
        kind.name()
    ));
    blend
}

/// Observations from a past: every hit, and a share of the misses that stands for all.
fn lessons(taught: &Taught<'_>, kind: Kind, blend: &Blend) -> Lessons {
    let questions = answered(kind.questions(taught.past), TAUGHT_MAX);
    let candidates = questions.first().map_or(1, |question| taught.candidates(question, blend).0.len());
    let kept = (OBSERVATIONS_MAX as f64 / (questions.len() * candidates.max(1)).max(1) as f64).min(1.0);
    let made = questions.par_iter().enumerate().map(|(number, question)| {
        let (picked, lanes) = taught.candidates(question, blend);
        let asker = Asker::new(&taught.tables, &taught.likeness, &question.asked);
        let rows = asker.signals(|number| *lanes.of(number), &picked);
        let mut lessons = Lessons::of(Signals::NAMES.len());
        for (row, (product, _)) in rows.into_iter().zip(picked) {
            let hit = question.is_right(product);
            if hit || is_drawn(number, product, kept) {
                lessons.push(&row.values(), hit, if hit { 1.0 } else { (1.0 / kept) as f32 });
            }
        }
        lessons
    });
    let made: Vec<Lessons> = made.collect();
    Lessons::together(Signals::NAMES.len(), &made)
}

/// A ranker for one kind of question, judged on the newest past by what the older ones taught. The lessons are of all pasts,
/// the newest first.
fn learn_ranker(
    newest: &Taught<'_>,
    taught: &[&Lessons],
    kind: Kind,
    blend: Blend,
    settings: &TrainingSettings,
    told: &mut Told,
) -> Ranker {
    let judged = answered(kind.questions(newest.past), JUDGED_MAX);
    if judged.len() < QUESTIONS_MIN {
        told.notes.push(format!("{}: too few questions to judge by; candidates are ordered by the blend", kind.name()));
        return unlearned(blend);
    }
    let by_blend = unlearned(blend);
    let plain = judge_ranker(newest, &judged, &by_blend);
    let mut chosen = (plain, by_blend);
    let older = Lessons::together(Signals::NAMES.len(), &taught[1..]);
    if let Some(forest) = Forest::grow(&older, settings.threads) {
        let by_forest = Ranker { blend, forest: Some(forest), curve: Curve::DEFAULT };
        let weighed = judge_ranker(newest, &judged, &by_forest);
        let (gain, error) = gain(&weighed, &chosen.0);
        told.notes.push(format!(
            "{}: a forest grown from {} observations of {} earlier windows orders with an ndcg@10 of {:.4}, the blend with \
             {:.4} ({} questions, standard error of the difference {error:.4})",
            kind.name(),
            older.count(),
            taught.len() - 1,
            mean_figures(&weighed)[0],
            mean_figures(&chosen.0)[0],
            judged.len()
        ));
        if gain > error {
            chosen = (weighed, by_forest);
        }
    }
    drop(older);
    let (figures, mut ranker) = chosen;
    ranker.curve = fit_curve(kind.name(), &strengths(newest, kind, &ranker), told);
    // What the newest past teaches is used, too, once it has judged.
    if ranker.forest.is_some() {
        ranker.forest = Forest::grow(&Lessons::together(Signals::NAMES.len(), taught), settings.threads);
    }
    if kind == Kind::Customers {
        let popular = Blend { fading: Fading::Flat, holdings: 0.0, basket: 0.0, popularity: 1.0 };
        let by_popularity = judge_ranker(newest, &judged, &unlearned(popular));
        for (method, figures) in [("tactful", figures), ("popularity", by_popularity)] {
            for (name, value) in ["ndcg@10", "recall@10", "hit@10"].into_iter().zip(mean_figures(&figures)) {
                told.metrics.push(Metric { name, method, value, queries: judged.len() });
            }
        }
    }
    ranker
}

/// NDCG, recall and hit rate of the first ten, of each question.
fn judge_ranker(newest: &Taught<'_>, questions: &[&PastQuestion], by: &Ranker) -> Vec<[f64; 3]> {
    questions
        .par_iter()
        .map(|question| {
            let ranked: Vec<u32> = in_order(newest, question, by).into_iter().take(TOP).map(|it| it.0).collect();
            let hits = ranked.iter().filter(|product| question.is_right(**product)).count();
            [ndcg(&ranked, question), hits as f64 / question.truth.len() as f64, f64::from(u8::from(hits > 0))]
        })
        .collect()
}

fn mean_figures(figures: &[[f64; 3]]) -> [f64; 3] {
    [0, 1, 2].map(|figure| mean(figures.iter().map(|of_one| of_one[figure])))
}

/// By how much NDCG is higher, and the standard error of that.
fn gain(figures: &[[f64; 3]], others: &[[f64; 3]]) -> (f64, f64) {
    let gains: Vec<f64> = figures.iter().zip(others).map(|(one, other)| one[0] - other[0]).collect();
    let gain = mean(gains.iter().copied());
    let variance = mean(gains.iter().map(|it| (it - gain).powi(2)));
    (gain, (variance / gains.len().max(1) as f64).sqrt())
}

/// The candidates of a question with their strengths, the strongest first.
fn in_order(newest: &Taught<'_>, question: &PastQuestion, by: &Ranker) -> Vec<(u32, f64)> {
    let (picked, lanes) = newest.candidates(question, &by.blend);
    let strengths = by.strengths(&newest.tables, &newest.likeness, &question.asked, &lanes, &picked);
    let mut ranked: Vec<(u32, f64)> = picked.into_iter().map(|it| it.0).zip(strengths).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

/// The strengths of the likeliest candidates, and what came of them, of everybody who could have been asked, also those who
/// bought nothing.
fn strengths(newest: &Taught<'_>, kind: Kind, by: &Ranker) -> Vec<Vec<(f64, bool)>> {
    let everybody = spread(kind.questions(newest.past).iter().collect(), JUDGED_MAX);
    everybody
        .par_iter()
        .map(|question| {
            let ranked = in_order(newest, question, by).into_iter().take(CURVE_CANDIDATES);
            ranked.map(|(product, strength)| (strength, question.is_right(product))).collect()
        })
        .collect()
}
