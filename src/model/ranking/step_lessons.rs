//! Learns which steps customers take, from the steps that they took.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::domain::catalog::Catalog;

use super::super::history::Purchase;
use super::super::metric::{Metric, Told};
use super::super::train::TrainingSettings;
use super::asked::{Asked, had_before};
use super::curves::fit_curve;
use super::forest::{Forest, Lessons};
use super::lessons::is_drawn;
use super::pasts::WINDOW_DAYS;
use super::ranker::{Blend, is_current};
use super::shelves::{Moves, Shelves};
use super::steps::{Known, STEP_SIGNALS, StepRanker, Stepper};
use super::tables::DAY;
use super::taught::Taught;

/// A step further than this, as a multiple of the price, is to another kind of thing.
const PRICE_RATIO_MAX: f32 = 3.0;
/// Fewer questions with an answer than this tell nothing.
const QUESTIONS_MIN: usize = 50;
/// The most customers of one past that are asked.
const CUSTOMERS_MAX: usize = 2500;
/// How many steps that were not taken teach, for each that was.
const NOT_TAKEN_PER_TAKEN: usize = 10;
/// The most choices of one past that teach.
const CHOICES_MAX: usize = 10_000;
/// The most candidates of one product.
const CANDIDATES_MAX: usize = 300;
/// Popularity over this half-life orders steps where nothing is learned: the second shortest.
const RECENT: usize = 1;

/// What a customer could step to from one product, and did.
struct Choice {
    owned: u32,
    candidates: Vec<u32>,
    /// Of each candidate.
    taken: Vec<bool>,
}

impl Choice {
    fn is_made(&self) -> bool {
        self.taken.contains(&true)
    }
}

/// The choices of one customer.
struct Chooser {
    asked: Asked,
    choices: Vec<Choice>,
}

/// The choosers of a past, and what is known then.
pub struct PastSteps<'a> {
    taught: &'a Taught<'a>,
    catalog: &'a Catalog,
    blend: Blend,
    moves: Moves,
    choosers: Vec<Chooser>,
}

impl<'a> PastSteps<'a> {
    /// Looks for choosers among the customers. `blend` is how complements are picked for them.
    pub fn of(taught: &'a Taught<'a>, shelves: &Shelves, catalog: &'a Catalog, blend: Blend) -> Self {
        let (history, at) = (&*taught.past.history, taught.past.at);
        let customers: Vec<&[Purchase]> =
            history.by_customer().filter(|bought| bought.iter().any(|line| line.second < at)).collect();
        let stride = customers.len().div_ceil(CUSTOMERS_MAX).max(1);
        let customers: Vec<&[Purchase]> = customers.into_iter().step_by(stride).collect();
        let choosers = customers.into_par_iter().map(|bought| chooser(taught, shelves, bought)).collect();
        Self { taught, catalog, blend, moves: shelves.moves(history, at), choosers }
    }

    fn known(&self) -> Known<'_> {
        let Taught { tables, likeness, .. } = self.taught;
        Known { tables, likeness, moves: &self.moves, catalog: self.catalog, blend: self.blend }
    }

    fn choices_made(&self) -> impl Iterator<Item = &Choice> {
        self.choosers.iter().flat_map(|chooser| &chooser.choices).filter(|choice| choice.is_made())
    }

    /// Observations from choices that were made: every step taken, and of each choice a few that were not, so that what is
    /// learned is which step of a choice is taken and not how many there are.
    pub fn lessons(&self) -> Lessons {
        let stride = self.choices_made().count().div_ceil(CHOICES_MAX).max(1);
        let choosers = self.choosers.iter().step_by(stride);
        let choosers: Vec<&Chooser> = choosers.filter(|chooser| chooser.choices.iter().any(Choice::is_made)).collect();
        let made = choosers.par_iter().enumerate().map(|(number, chooser)| {
            let mut lessons = Lessons::of(STEP_SIGNALS);
            let stepper = Stepper::new(self.known(), &chooser.asked);
            for choice in chooser.choices.iter().filter(|choice| choice.is_made()) {
                let rows = stepper.signals(choice.owned, &choice.candidates);
                let hits = choice.taken.iter().filter(|taken| **taken).count();
                let drawn = (NOT_TAKEN_PER_TAKEN * hits) as f64 / (choice.taken.len() - hits).max(1) as f64;
                for ((row, &taken), &product) in rows.iter().zip(&choice.taken).zip(&choice.candidates) {
                    if taken || is_drawn(number, product, drawn) {
                        lessons.push(row, taken, 1.0);
                    }
                }
            }
            lessons
        });
        let made: Vec<Lessons> = made.collect();
        Lessons::together(STEP_SIGNALS, &made)
    }
}

/// From what a customer bought most on each shelf to what the customer never bought of it.
fn chooser(taught: &Taught<'_>, shelves: &Shelves, bought: &[Purchase]) -> Chooser {
    let at = taught.past.at;
    let window = at..at + WINDOW_DAYS * DAY;
    let had = had_before(bought, at);
    let mut most_bought: HashMap<u32, (usize, i64, u32)> = HashMap::new();
    for lines in bought.chunk_by(|a, b| a.product == b.product) {
        let before = &lines[..lines.partition_point(|line| line.second < at)];
        let Some(last) = before.last() else { continue };
        for &shelf in shelves.of_product(last.product) {
            let this = (before.len(), last.second, last.product);
            let most = most_bought.entry(shelf).or_insert(this);
            *most = (*most).max(this);
        }
    }
    let price = |product: u32| taught.likeness.log_price[product as usize];
    let is_candidate = |owned: u32, product: u32| {
        let step = price(owned).zip(price(product)).map_or(0.0, |(from, to)| to - from);
        had.binary_search_by_key(&product, |had| had.product).is_err()
            && is_current(&taught.tables, at, product)
            && step.abs() <= PRICE_RATIO_MAX.ln()
    };
    let is_taken = |product: &u32| bought.iter().any(|line| line.product == *product && window.contains(&line.second));
    let mut choices: Vec<Choice> = Vec::new();
    for (shelf, (_, _, owned)) in most_bought {
        let products = shelves.products_of(shelf).iter().copied();
        let candidates: Vec<u32> =
            products.filter(|&product| is_candidate(owned, product)).take(CANDIDATES_MAX).collect();
        let taken = candidates.iter().map(is_taken).collect();
        if candidates.len() > 1 {
            choices.push(Choice { owned, candidates, taken });
        }
    }
    choices.sort_unstable_by_key(|choice| choice.owned);
    Chooser {
        asked: Asked::new(at, had, Vec::new(), taught.past.history.profiles[bought[0].customer as usize].clone()),
        choices,
    }
}

/// Learns from the older pasts, judges on the newest, and learns from all. The lessons are of all pasts, the newest first.
pub fn learn_steps(
    newest: &PastSteps<'_>,
    taught: &[&Lessons],
    settings: &TrainingSettings,
    told: &mut Told,
) -> StepRanker {
    let judged = newest.choices_made().count();
    if judged < QUESTIONS_MIN {
        told.notes.push("steps: too few were taken to learn from; the rates of moves count".to_owned());
        return StepRanker::UNLEARNED;
    }
    let older = Lessons::together(STEP_SIGNALS, &taught[1..]);
    let Some(forest) = Forest::grow(&older, settings.threads) else { return StepRanker::UNLEARNED };
    let known = newest.known();
    let by_popularity = mean_reciprocal_rank(newest, |choice, _| {
        choice.candidates.iter().map(|&number| known.tables.products[number as usize].popularity[RECENT]).collect()
    });
    let by_forest = mean_reciprocal_rank(newest, |choice, asked| {
        forest.logits(&Stepper::new(known, asked).signals(choice.owned, &choice.candidates))
    });
    told.notes.push(format!(
        "steps: a forest grown from {} observations of {} earlier windows orders with a mean reciprocal rank of \
         {by_forest:.4}, popularity with {by_popularity:.4} ({judged} questions)",
        older.count(),
        taught.len() - 1,
    ));
    for (method, value) in [("tactful", by_forest), ("popularity", by_popularity)] {
        told.metrics.push(Metric { name: "upsell_mrr", method, value, queries: judged });
    }
    if by_forest <= by_popularity {
        return StepRanker::UNLEARNED;
    }
    let curve = fit_curve("steps", &odds(newest, known, &forest), told);
    StepRanker { forest: Forest::grow(&Lessons::together(STEP_SIGNALS, taught), settings.threads), curve }
}

/// One over the place of the first step that was taken, on average over the choices that were made.
fn mean_reciprocal_rank(past: &PastSteps<'_>, score: impl Fn(&Choice, &Asked) -> Vec<f32> + Sync) -> f64 {
    let choosers = past.choosers.par_iter();
    let made = choosers.flat_map_iter(|chooser| chooser.choices.iter().map(move |choice| (choice, &chooser.asked)));
    let ranks: Vec<f64> = made
        .filter(|(choice, _)| choice.is_made())
        .map(|(choice, asked)| {
            let scores = score(choice, asked);
            let taken = scores.iter().zip(&choice.taken).filter(|(_, taken)| **taken);
            let best = taken.map(|(score, _)| *score).fold(f32::MIN, f32::max);
            1.0 / scores.iter().filter(|score| **score >= best).count().max(1) as f64
        })
        .collect();
    ranks.iter().sum::<f64>() / ranks.len().max(1) as f64
}

/// The odds of all steps, and which were taken, customer by customer.
fn odds(past: &PastSteps<'_>, known: Known<'_>, forest: &Forest) -> Vec<Vec<(f64, bool)>> {
    let observed = past.choosers.par_iter().map(|chooser| {
        let stepper = Stepper::new(known, &chooser.asked);
        let mut observed = Vec::new();
        for choice in &chooser.choices {
            let logits = forest.logits(&stepper.signals(choice.owned, &choice.candidates));
            let odds = logits.into_iter().map(|logit| f64::from(logit).exp());
            observed.extend(odds.zip(choice.taken.iter().copied()));
        }
        observed
    });
    observed.collect()
}
