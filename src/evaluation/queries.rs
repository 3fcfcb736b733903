//! Files of queries: a JSON object a line, plain or gzipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::data_set::DataSetError;
use super::task::Question;
use crate::domain::ids::{CustomerId, OrderId, ProductId};

/// One question about offers, and its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Who is asked about.
    pub customer: Option<CustomerId>,
    /// The basket asked about; what is known of it is no part of the history.
    pub basket: Option<OrderId>,
    /// What the customer, or the basket, is said to have.
    pub given: Vec<ProductId>,
    /// Up-sell: what the customer owns.
    pub anchor: Option<ProductId>,
    /// What is to be ranked; everything when empty.
    pub candidates: Vec<ProductId>,
    /// What is right; never empty.
    pub truth: BTreeSet<ProductId>,
    /// Folds: a model that tells this customer has seen none of the fold.
    pub fold: u32,
}

/// Reads who is asked about and whether they came back.
pub fn return_queries(path: &Path) -> Result<BTreeMap<CustomerId, bool>, DataSetError> {
    let mut queries = BTreeMap::new();
    each_line(path, |WrittenReturn { customer, returned }| {
        let customer = CustomerId::new(customer).map_err(|invalid| invalid.to_string())?;
        queries.insert(customer, returned != 0);
        Ok(())
    })?;
    if queries.is_empty() { Err(no_query(path)) } else { Ok(queries) }
}

/// Reads the queries of a ranking task.
pub fn ranking_queries(path: &Path, question: &Question) -> Result<Vec<Query>, DataSetError> {
    let mut queries = Vec::new();
    each_line(path, |written: WrittenQuery| {
        let query = query(written)?;
        check(&query, question)?;
        queries.push(query);
        Ok(())
    })?;
    if queries.is_empty() { Err(no_query(path)) } else { Ok(queries) }
}

fn no_query(path: &Path) -> DataSetError {
    DataSetError::Queries { file: path.display().to_string(), problem: "holds no query".to_owned() }
}

#[derive(Deserialize)]
struct WrittenReturn {
    customer: String,
    returned: u8,
}

#[derive(Deserialize)]
struct WrittenQuery {
    customer: Option<String>,
    basket: Option<TextOrNumber>,
    #[serde(default)]
    given: Vec<String>,
    hidden: Option<String>,
    anchor: Option<String>,
    #[serde(default)]
    candidates: Vec<String>,
    #[serde(default)]
    truth: Vec<String>,
    #[serde(default)]
    fold: u32,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(u64),
}

fn query(written: WrittenQuery) -> Result<Query, String> {
    let WrittenQuery { customer, basket, given, hidden, anchor, candidates, mut truth, fold } = written;
    truth.extend(hidden);
    if truth.is_empty() {
        return Err("has neither `truth` nor `hidden`".to_owned());
    }
    let basket = basket.map(|basket| match basket {
        TextOrNumber::Text(text) => text,
        TextOrNumber::Number(number) => number.to_string(),
    });
    Ok(Query {
        customer: customer.map(CustomerId::new).transpose().map_err(|invalid| format!("customer {invalid}"))?,
        basket: basket.map(OrderId::new).transpose().map_err(|invalid| format!("basket {invalid}"))?,
        given: ids(given)?,
        anchor: anchor.map(ProductId::new).transpose().map_err(|invalid| format!("anchor {invalid}"))?,
        candidates: ids(candidates)?,
        truth: ids(truth)?.into_iter().collect(),
        fold,
    })
}

/// Without these there is nothing to rank, or nothing to rank it by.
fn check(query: &Query, question: &Question) -> Result<(), String> {
    let (has_customer, has_candidates) = (query.customer.is_some(), !query.candidates.is_empty());
    let (is_asked, needed) = match question {
        Question::NextPurchase => (has_customer, "`customer`"),
        Question::HiddenProduct => (has_customer || !query.given.is_empty(), "`given` or `customer`"),
        Question::Upgrade => (query.anchor.is_some() && has_candidates, "`anchor` and `candidates`"),
        Question::AddOn { .. } => (has_customer && has_candidates, "`customer` and `candidates`"),
    };
    if is_asked { Ok(()) } else { Err(format!("needs {needed}")) }
}

fn ids(texts: Vec<String>) -> Result<Vec<ProductId>, String> {
    texts.into_iter().map(|text| ProductId::new(text).map_err(|invalid| format!("a product {invalid}"))).collect()
}

fn each_line<T: DeserializeOwned>(
    path: &Path,
    mut take: impl FnMut(T) -> Result<(), String>,
) -> Result<(), DataSetError> {
    let problem = |problem: String| DataSetError::Queries { file: path.display().to_string(), problem };
    let file = BufReader::new(File::open(path).map_err(|error| problem(error.to_string()))?);
    let is_gzipped = path.extension().is_some_and(|ending| ending == "gz");
    let lines: Box<dyn BufRead> =
        if is_gzipped { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) };
    for (line, number) in lines.lines().zip(1_u64..) {
        let line = line.map_err(|error| problem(error.to_string()))?;
        let read = serde_json::from_str(&line).map_err(|error| error.to_string()).and_then(&mut take);
        read.map_err(|error| problem(format!("line {number}: {error}")))?;
    }
    Ok(())
}
