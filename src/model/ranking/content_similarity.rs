//! Content features of products from the catalogue: title words, category, attributes and price.

use std::collections::HashMap;

use crate::domain::catalog::Catalog;

use super::super::learned_product::LearnedProduct;

/// Content of the items of a model, by index.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ContentSimilarity {
    /// Title words of each item with their inverse document frequency, scaled to length 1.
    pub words: Vec<Vec<(u32, f32)>>,
    /// Category of each item.
    pub category: Vec<Option<u32>>,
    /// Attribute values of each item.
    pub attributes: Vec<Vec<u32>>,
    /// Natural logarithm of the price: of the catalogue, else the mean price paid.
    pub log_price: Vec<Option<f32>>,
    /// Number of distinct words, categories and attribute values.
    pub counts: [usize; 3],
}

/// A lower price is taken as this, so that logarithms stay small.
const PRICE_MIN: f32 = 0.01;

impl ContentSimilarity {
    /// Reads the content of the products from the catalogue.
    pub fn of(products: &[LearnedProduct], catalog: &Catalog) -> Self {
        let mut words = TermIndex::default();
        let mut categories = TermIndex::default();
        let mut attributes = TermIndex::default();
        let mut content = Self::default();
        for learned in products {
            let product = catalog.get(&learned.id);
            let title = product.map_or("", |product| product.title.as_str());
            let mut title_words: Vec<u32> = words_of(title).map(|word| words.index_of(word)).collect();
            title_words.sort_unstable();
            title_words.dedup();
            content.words.push(title_words.into_iter().map(|word| (word, 1.0)).collect());
            let category = product.filter(|product| !product.category.is_empty());
            content.category.push(category.map(|product| categories.index_of(product.category.join("\n"))));
            let values = product.iter().flat_map(|product| &product.attributes);
            content
                .attributes
                .push(values.map(|(name, value)| attributes.index_of(format!("{name}\n{value}"))).collect());
            let listed = product.and_then(|product| product.price).map(|price| price.approximate() as f32);
            let price = listed.or(learned.price).filter(|price| *price > 0.0);
            content.log_price.push(price.map(|price| price.max(PRICE_MIN).ln()));
        }
        content.weight_words(words.0.len());
        content.counts = [words.0.len(), categories.0.len(), attributes.0.len()];
        content
    }

    /// Weights words by `ln(products / products with the word)`, scaled to length 1. Words of a single title are dropped.
    fn weight_words(&mut self, words: usize) {
        let mut titles = vec![0_u32; words];
        for &(word, _) in self.words.iter().flatten() {
            titles[word as usize] += 1;
        }
        let count = self.words.len() as f32;
        for title in &mut self.words {
            title.retain(|(word, _)| titles[*word as usize] > 1);
            for (word, weight) in title.iter_mut() {
                *weight = (count / titles[*word as usize] as f32).ln();
            }
            let length = title.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
            if length > 0.0 {
                for (_, weight) in title.iter_mut() {
                    *weight /= length;
                }
            }
        }
    }
}

/// Words of a title: letters and digits, without case, and without the `s` of most plurals.
fn words_of(title: &str) -> impl Iterator<Item = String> {
    let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 1);
    words.map(|word| {
        let word = word.to_uppercase();
        word.strip_suffix('S').map_or(word.clone(), ToOwned::to_owned)
    })
}

/// Indices of terms, in order of first appearance.
#[derive(Default)]
struct TermIndex(HashMap<String, u32>);

impl TermIndex {
    fn index_of(&mut self, term: String) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(term).or_insert(next)
    }
}
