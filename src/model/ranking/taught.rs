//! A past with what was known of products then.

use crate::domain::catalog::Catalog;

use super::super::train::TrainingSettings;
use super::lanes::{AllLanes, lanes};
use super::lessons::PastQuestion;
use super::likeness::Likeness;
use super::pasts::Past;
use super::ranker::{Blend, WEIGHED_MAX, current_by_popularity, pick, pool};
use super::tables::{NotSolvable, Regularity, Rows, Tables, learn_tables};

/// A past and what was known of products then.
pub struct Taught<'a> {
    /// The past.
    pub past: &'a Past<'a>,
    /// Of its moment.
    pub tables: Tables,
    /// How alike the products are.
    pub likeness: Likeness,
    /// The products that were sold not too long before, the most popular first.
    pub by_popularity: Vec<u32>,
}

impl<'a> Taught<'a> {
    /// Learns the tables.
    pub fn of(
        past: &'a Past<'a>,
        rows: &Rows,
        catalog: &Catalog,
        regularity: Regularity,
        settings: &TrainingSettings,
    ) -> Result<Self, NotSolvable> {
        let tables = learn_tables(&past.history, rows, regularity, settings)?;
        let likeness = Likeness::of(&tables.products, catalog);
        let by_popularity = current_by_popularity(&tables, past.at);
        Ok(Self { past, tables, likeness, by_popularity })
    }

    /// The candidates of a question, and what speaks for every product.
    pub fn candidates(&self, question: &PastQuestion, blend: &Blend) -> (Vec<(u32, f32)>, AllLanes) {
        let lanes = lanes(&self.tables, &question.asked);
        let score = |number: u32| blend.score_of(&self.tables, lanes.of(number), number);
        let may_be_offered = |number: u32| question.may_be_offered(number);
        let pool = pool(&self.tables, &lanes, &self.by_popularity, self.past.at, may_be_offered, WEIGHED_MAX);
        let picked = pick(pool.into_iter(), score);
        (picked, lanes)
    }
}
