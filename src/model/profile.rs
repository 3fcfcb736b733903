//! Encoding of customer attributes as columns: categories one-hot, numbers by quantile bins.
//!
//! An attribute is numeric when all its values are numbers and there are more than a few; else it is categorical. Rare
//! categories have no column: a model would memorize their customers. Values that were not seen in training have none
//! either.

use std::collections::BTreeMap;

use crate::domain::outlook::attribute_number;

/// Minimum number of customers of a category with a column.
const CATEGORY_CUSTOMERS_MIN: usize = 20;
/// Maximum number of categories of one attribute, the most frequent first.
const CATEGORIES_MAX: usize = 24;
/// Maximum number of columns of all attributes.
const COLUMNS_MAX: usize = 240;
/// An attribute with more distinct numbers than this is numeric.
const DISTINCT_NUMBERS_MIN: usize = 10;
/// Number of bins of a numeric attribute, each of equally many customers.
const BINS: usize = 8;

/// Attribute with the encoding of its values.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileAttribute {
    /// Name of the attribute.
    pub name: String,
    /// Encoding of its values.
    pub encoding: AttributeEncoding,
}

/// Encoding of the values of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeEncoding {
    /// One column for each category; sorted, for binary search.
    Categories(Vec<String>),
    /// One column below the first edge, one between each two, and one from the last on; finite and growing.
    BinEdges(Vec<f64>),
}

impl AttributeEncoding {
    /// Encoding of an attribute whose values have so many customers each.
    fn fit(customers: &BTreeMap<&str, usize>) -> Self {
        let number = |(text, count): (&&str, &usize)| attribute_number(text).map(|number| (number, *count));
        let numbers: Option<Vec<(f64, usize)>> = customers.iter().map(number).collect();
        match numbers {
            Some(mut numbers) if numbers.len() > DISTINCT_NUMBERS_MIN => {
                numbers.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                Self::BinEdges(bin_edges(&numbers))
            }
            Some(_) | None => {
                let mut frequent: Vec<(usize, &str)> = customers.iter().map(|(&text, &count)| (count, text)).collect();
                frequent.retain(|(count, _)| *count >= CATEGORY_CUSTOMERS_MIN);
                frequent.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
                frequent.truncate(CATEGORIES_MAX);
                let mut categories: Vec<String> = frequent.into_iter().map(|(_, text)| text.to_owned()).collect();
                categories.sort_unstable();
                Self::Categories(categories)
            }
        }
    }

    fn column_count(&self) -> usize {
        match self {
            Self::Categories(categories) => categories.len(),
            Self::BinEdges(edges) => edges.len() + 1,
        }
    }

    fn column_of(&self, text: &str) -> Option<usize> {
        match self {
            Self::Categories(categories) => categories.binary_search_by(|category| category.as_str().cmp(text)).ok(),
            Self::BinEdges(edges) => attribute_number(text).map(|number| edges.partition_point(|edge| *edge <= number)),
        }
    }
}

/// Encoder of profiles. Columns are numbered from 0 in the order of the attributes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProfileEncoder {
    /// Attributes by name.
    pub attributes: Vec<ProfileAttribute>,
}

impl ProfileEncoder {
    /// Encoder of the attribute values that are frequent enough among these customers.
    pub fn fit<'a>(profiles: impl IntoIterator<Item = &'a BTreeMap<String, String>>) -> Self {
        let mut values: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for (name, text) in profiles.into_iter().flatten().filter(|(_, text)| !text.is_empty()) {
            *values.entry(name).or_default().entry(text).or_default() += 1;
        }
        let mut encoder = Self::default();
        for (name, customers) in values {
            let encoding = AttributeEncoding::fit(&customers);
            let columns = encoding.column_count();
            if columns > 1 && encoder.column_count() + columns <= COLUMNS_MAX {
                encoder.attributes.push(ProfileAttribute { name: name.to_owned(), encoding });
            }
        }
        encoder
    }

    /// Number of columns.
    pub fn column_count(&self) -> usize {
        self.attributes.iter().map(|attribute| attribute.encoding.column_count()).sum()
    }

    /// Columns of a profile, in order.
    pub fn encode(&self, profile: &BTreeMap<String, String>) -> Vec<u32> {
        let mut first = 0;
        let mut columns = Vec::new();
        for ProfileAttribute { name, encoding } in &self.attributes {
            let column = profile.get(name).and_then(|text| encoding.column_of(text));
            columns.extend(column.map(|column| (first + column) as u32));
            first += encoding.column_count();
        }
        columns
    }
}

/// Edges between bins of equally many customers, of numbers in order with the number of customers of each.
fn bin_edges(numbers: &[(f64, usize)]) -> Vec<f64> {
    let total: usize = numbers.iter().map(|(_, count)| count).sum();
    let mut edges: Vec<f64> = Vec::new();
    let mut below = 0;
    for &(number, count) in numbers {
        // One number may be spelled in many ways.
        let is_greater = edges.last().is_none_or(|last| *last < number);
        if is_greater && below * BINS >= total * (edges.len() + 1) && edges.len() + 1 < BINS {
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
    fn numbers_are_cut_into_equally_frequent_bins() {
        let columns = ProfileEncoder::fit(&profiles(800, |customer| (customer % 100).to_string()));
        assert_eq!(columns.column_count(), BINS);
        let mut customers = [0; BINS];
        for profile in profiles(800, |customer| (customer % 100).to_string()) {
            customers[columns.encode(&profile)[0] as usize] += 1;
        }
        assert!(customers.iter().all(|&count| (96..=104).contains(&count)), "{customers:?}");
        assert_eq!(columns.encode(&profiles(1, |_| "1e9".to_owned())[0]), [7]);
        assert!(columns.encode(&profiles(1, |_| "many".to_owned())[0]).is_empty());
    }

    #[test]
    fn rare_categories_have_no_column() {
        let word = |customer: usize| if customer < 3 { "rare".to_owned() } else { format!("word {}", customer % 2) };
        let columns = ProfileEncoder::fit(&profiles(60, word));
        assert_eq!(columns.column_count(), 2);
        assert!(columns.encode(&profiles(1, |_| "rare".to_owned())[0]).is_empty());
        assert_eq!(columns.encode(&profiles(1, |_| "word 1".to_owned())[0]), [1]);
    }
}
