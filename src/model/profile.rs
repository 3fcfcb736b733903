//! Attributes of customers as columns: each word one, each number by the eighth of customers that it falls in.
//!
//! An attribute is a number when all its values are and there are more than a few; else words. What few customers have is
//! no column: it would be learned by heart. Values that were not seen in training are in no column.

use std::collections::BTreeMap;

use crate::domain::outlook::attribute_number;

/// A word is a column when this many customers have it.
const WORD_CUSTOMERS_MIN: usize = 20;
/// The most words of one attribute, the most frequent first.
const WORDS_MAX: usize = 24;
/// The most columns of all attributes together.
const COLUMNS_MAX: usize = 240;
/// An attribute with more distinct numbers than this is a number.
const DISTINCT_NUMBERS_MIN: usize = 10;
/// Into so many parts of equally many customers numbers are cut.
const PARTS: usize = 8;

/// An attribute and its columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its values.
    pub values: Values,
}

/// How the values of an attribute are told apart.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// One column for each word; in order, so that it can be looked up.
    Words(Vec<String>),
    /// One column below the first edge, one between each two, and one from the last on; finite and growing.
    Edges(Vec<f64>),
}

impl Values {
    fn columns(&self) -> usize {
        match self {
            Self::Words(words) => words.len(),
            Self::Edges(edges) => edges.len() + 1,
        }
    }

    fn column_of(&self, text: &str) -> Option<usize> {
        match self {
            Self::Words(words) => words.binary_search_by(|word| word.as_str().cmp(text)).ok(),
            Self::Edges(edges) => attribute_number(text).map(|number| edges.partition_point(|edge| *edge <= number)),
        }
    }
}

/// The columns of all attributes, numbered from 0 in the order of the attributes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProfileColumns {
    /// By name.
    pub attributes: Vec<Attribute>,
}

impl ProfileColumns {
    /// The columns that enough of these customers fall into.
    pub fn of<'a>(profiles: impl IntoIterator<Item = &'a BTreeMap<String, String>>) -> Self {
        let mut texts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for (name, text) in profiles.into_iter().flatten().filter(|(_, text)| !text.is_empty()) {
            *texts.entry(name).or_default().entry(text).or_default() += 1;
        }
        let mut columns = Self::default();
        for (name, counted) in texts {
            let values = values(&counted);
            if values.columns() > 1 && columns.count() + values.columns() <= COLUMNS_MAX {
                columns.attributes.push(Attribute { name: name.to_owned(), values });
            }
        }
        columns
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.attributes.iter().map(|attribute| attribute.values.columns()).sum()
    }

    /// The columns that a profile falls into, in order.
    pub fn of_profile(&self, profile: &BTreeMap<String, String>) -> Vec<u32> {
        let mut first = 0;
        let mut columns = Vec::new();
        for Attribute { name, values } in &self.attributes {
            let column = profile.get(name).and_then(|text| values.column_of(text));
            columns.extend(column.map(|column| (first + column) as u32));
            first += values.columns();
        }
        columns
    }
}

fn values(counted: &BTreeMap<&str, usize>) -> Values {
    let number = |(text, count): (&&str, &usize)| attribute_number(text).map(|number| (number, *count));
    let numbers: Option<Vec<(f64, usize)>> = counted.iter().map(number).collect();
    match numbers {
        Some(mut numbers) if numbers.len() > DISTINCT_NUMBERS_MIN => {
            numbers.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            Values::Edges(edges(&numbers))
        }
        Some(_) | None => {
            let mut frequent: Vec<(usize, &str)> = counted.iter().map(|(&text, &count)| (count, text)).collect();
            frequent.retain(|(count, _)| *count >= WORD_CUSTOMERS_MIN);
            frequent.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
            frequent.truncate(WORDS_MAX);
            let mut words: Vec<String> = frequent.into_iter().map(|(_, text)| text.to_owned()).collect();
            words.sort_unstable();
            Values::Words(words)
        }
    }
}

/// Where an eighth of the customers ends and the next begins; numbers in order, with how many customers have each.
fn edges(numbers: &[(f64, usize)]) -> Vec<f64> {
    let total: usize = numbers.iter().map(|(_, count)| count).sum();
    let mut edges: Vec<f64> = Vec::new();
    let mut below = 0;
    for &(number, count) in numbers {
        // One number may be spelled in many ways.
        let is_further = edges.last().is_none_or(|last| *last < number);
        if is_further && below * PARTS >= total * (edges.len() + 1) && edges.len() + 1 < PARTS {
            edges.push(number);
        }
        below += count;
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles(count: usize, value: impl Fn(usize) -> String) -> Vec<BTreeMap<String, String>> {
        (0..count).map(|customer| BTreeMap::from([("attribute".to_owned(), value(customer))])).collect()
    }

    #[test]
    fn numbers_are_cut_into_parts_of_equally_many_customers() {
        let columns = ProfileColumns::of(&profiles(800, |customer| (customer % 100).to_string()));
        assert_eq!(columns.count(), PARTS);
        let mut customers = [0; PARTS];
        for profile in profiles(800, |customer| (customer % 100).to_string()) {
            customers[columns.of_profile(&profile)[0] as usize] += 1;
        }
        assert!(customers.iter().all(|&count| (96..=104).contains(&count)), "{customers:?}");
        assert_eq!(columns.of_profile(&profiles(1, |_| "1e9".to_owned())[0]), [7]);
        assert!(columns.of_profile(&profiles(1, |_| "many".to_owned())[0]).is_empty());
    }

    #[test]
    fn words_that_few_have_are_no_column() {
        let word = |customer: usize| if customer < 3 { "rare".to_owned() } else { format!("word {}", customer % 2) };
        let columns = ProfileColumns::of(&profiles(60, word));
        assert_eq!(columns.count(), 2);
        assert!(columns.of_profile(&profiles(1, |_| "rare".to_owned())[0]).is_empty());
        assert_eq!(columns.of_profile(&profiles(1, |_| "word 1".to_owned())[0]), [1]);
    }
}
