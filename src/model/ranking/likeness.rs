//! How alike products are by what the catalogue says of them: words, categories, attributes, and neighbourhood.

use std::collections::HashMap;

use crate::domain::catalog::Catalog;

use super::super::offer_model::LearnedProduct;

/// What the catalogue says of the products of a model, by their numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Likeness {
    /// Words of the title with their weight: rare words weigh more, and the squares of a title's weights add up to 1.
    pub words: Vec<Vec<(u32, f32)>>,
    /// The category.
    pub category: Vec<Option<u32>>,
    /// Values of attributes.
    pub attributes: Vec<Vec<u32>>,
    /// The natural logarithm of the price; of the catalogue, else of what was paid.
    pub log_price: Vec<Option<f32>>,
    /// How many words, categories and values of attributes there are.
    pub counts: [usize; 3],
}

/// A price below this says nothing.
const PRICE_MIN: f32 = 0.01;

impl Likeness {
    /// Looks the products up.
    pub fn of(products: &[LearnedProduct], catalog: &Catalog) -> Self {
        let mut words = Numbers::default();
        let mut categories = Numbers::default();
        let mut attributes = Numbers::default();
        let mut likeness = Self::default();
        for learned in products {
            let product = catalog.get(&learned.id);
            let title = product.map_or("", |product| product.title.as_str());
            let mut of_title: Vec<u32> = words_of(title).map(|word| words.number(word)).collect();
            of_title.sort_unstable();
            of_title.dedup();
            likeness.words.push(of_title.into_iter().map(|word| (word, 1.0)).collect());
            let category = product.filter(|product| !product.category.is_empty());
            likeness.category.push(category.map(|product| categories.number(product.category.join("\n"))));
            let values = product.iter().flat_map(|product| &product.attributes);
            likeness
                .attributes
                .push(values.map(|(name, value)| attributes.number(format!("{name}\n{value}"))).collect());
            let listed = product.and_then(|product| product.price).map(|price| price.approximate() as f32);
            let price = listed.or(learned.price).filter(|price| *price > 0.0);
            likeness.log_price.push(price.map(|price| price.max(PRICE_MIN).ln()));
        }
        likeness.weigh_words(words.0.len());
        likeness.counts = [words.0.len(), categories.0.len(), attributes.0.len()];
        likeness
    }

    /// `ln(products / products with the word)`, scaled to length 1. A word of a single title likens nothing.
    fn weigh_words(&mut self, words: usize) {
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

#[derive(Default)]
struct Numbers(HashMap<String, u32>);

impl Numbers {
    fn number(&mut self, text: String) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(text).or_insert(next)
    }
}
