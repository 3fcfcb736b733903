//! A past with what was known of products then.

use crate::domain::catalog::Catalog;

use super::super::train::TrainingSettings;
use super::lanes::{AllLanes, lanes};
use super::lessons::PastQuestion;
use super::likeness::Likeness;
use super::pasts::Past;
use super::ranker::{Blend, current, pick};
use super::tables::{NotSolvable, Regularity, Rows, Tables, learn_tables};

/// A past and what was known of products then.
pub struct Taught<'a> {
    /// The past.
    pub past: &'a Past<'a>,
    /// Of its moment.
    pub tables: Tables,
    /// How alike the products are.
    pub likeness: Likeness,
    /// The products that were sold not too long before.
    pub current: Vec<u32>,
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
        let current = current(&tables, past.at).collect();
        Ok(Self { past, tables, likeness, current })
    }

    /// The candidates of a question, and what speaks for every product.
    #[must_use]
    pub fn candidates(&self, question: &PastQuestion, blend: &Blend) -> (Vec<(u32, f32)>, AllLanes) {
        let lanes = lanes(&self.tables, &question.asked);
        let score = |number: u32| blend.score_of(&self.tables, lanes.of(number), number);
        let picked = pick(question.may_be_offered(&self.current).into_iter(), score);
        (picked, lanes)
    }
}
