//! Query files with ground truth: one JSON object per line, plain or gzipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::data_set::DataSetError;
use super::task::TaskKind;
use crate::domain::ids::{CustomerId, InvalidId, OrderId, ProductId};

/// Query of a ranking task with its ground truth.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationQuery {
    /// Customer to rank for.
    pub customer: Option<CustomerId>,
    /// Basket that the query was made from; it is excluded from the training data.
    pub basket: Option<OrderId>,
    /// Known items of the customer or the basket.
    pub given: Vec<ProductId>,
    /// Up-sell: the product that the customer owns.
    pub anchor: Option<ProductId>,
    /// Products to rank; the whole catalogue when empty.
    pub candidates: Vec<ProductId>,
    /// Relevant products; never empty.
    pub truth: BTreeSet<ProductId>,
    /// Cross-validation fold: the model that ranks for this customer was trained without the fold.
    pub fold: u32,
}

/// Reads customers with a label: whether the customer returned.
pub fn return_queries(path: &Path) -> Result<BTreeMap<CustomerId, bool>, DataSetError> {
    let mut queries = BTreeMap::new();
    each_line(path, |ReturnQueryJson { customer, returned }| {
        let customer = CustomerId::new(customer).map_err(invalid_id("customer"))?;
        queries.insert(customer, returned != 0);
        Ok(())
    })?;
    if queries.is_empty() { Err(no_query(path)) } else { Ok(queries) }
}

/// Reads the queries of a ranking task.
pub fn ranking_queries(path: &Path, kind: &TaskKind) -> Result<Vec<EvaluationQuery>, DataSetError> {
    let mut queries = Vec::new();
    each_line(path, |json: RankingQueryJson| {
        let query = query(json)?;
        check(&query, kind)?;
        queries.push(query);
        Ok(())
    })?;
    if queries.is_empty() { Err(no_query(path)) } else { Ok(queries) }
}

fn no_query(path: &Path) -> DataSetError {
    DataSetError::Queries { file: path.display().to_string(), problem: "contains no query".to_owned() }
}

/// Error of one line of a query file.
#[derive(Debug, thiserror::Error)]
enum InvalidQuery {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("{field} {invalid}")]
    Id { field: &'static str, invalid: InvalidId },
    #[error("has neither `truth` nor `hidden`")]
    NoTruth,
    #[error("needs {0}")]
    MissingField(&'static str),
}

#[derive(Deserialize)]
struct ReturnQueryJson {
    customer: String,
    returned: u8,
}

#[derive(Deserialize)]
struct RankingQueryJson {
    customer: Option<String>,
    basket: Option<BasketIdJson>,
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
enum BasketIdJson {
    Text(String),
    Number(u64),
}

fn query(json: RankingQueryJson) -> Result<EvaluationQuery, InvalidQuery> {
    let RankingQueryJson { customer, basket, given, hidden, anchor, candidates, mut truth, fold } = json;
    truth.extend(hidden);
    if truth.is_empty() {
        return Err(InvalidQuery::NoTruth);
    }
    let basket = basket.map(|basket| match basket {
        BasketIdJson::Text(text) => text,
        BasketIdJson::Number(number) => number.to_string(),
    });
    Ok(EvaluationQuery {
        customer: customer.map(CustomerId::new).transpose().map_err(invalid_id("customer"))?,
        basket: basket.map(OrderId::new).transpose().map_err(invalid_id("basket"))?,
        given: ids(given)?,
        anchor: anchor.map(ProductId::new).transpose().map_err(invalid_id("anchor"))?,
        candidates: ids(candidates)?,
        truth: ids(truth)?.into_iter().collect(),
        fold,
    })
}

/// Checks that a query has the fields that its task needs.
fn check(query: &EvaluationQuery, kind: &TaskKind) -> Result<(), InvalidQuery> {
    let (has_customer, has_candidates) = (query.customer.is_some(), !query.candidates.is_empty());
    let (is_complete, needed) = match kind {
        TaskKind::NextPurchase => (has_customer, "`customer`"),
        TaskKind::BasketCompletion => (has_customer || !query.given.is_empty(), "`given` or `customer`"),
        TaskKind::Upgrade => (query.anchor.is_some() && has_candidates, "`anchor` and `candidates`"),
        TaskKind::AddOn { .. } => (has_customer && has_candidates, "`customer` and `candidates`"),
    };
    if is_complete { Ok(()) } else { Err(InvalidQuery::MissingField(needed)) }
}

fn ids(texts: Vec<String>) -> Result<Vec<ProductId>, InvalidQuery> {
    texts.into_iter().map(|text| ProductId::new(text).map_err(invalid_id("a product"))).collect()
}

fn invalid_id(field: &'static str) -> impl Fn(InvalidId) -> InvalidQuery {
    move |invalid| InvalidQuery::Id { field, invalid }
}

fn each_line<T: DeserializeOwned>(
    path: &Path,
    mut take: impl FnMut(T) -> Result<(), InvalidQuery>,
) -> Result<(), DataSetError> {
    let problem = |problem: String| DataSetError::Queries { file: path.display().to_string(), problem };
    let file = BufReader::new(File::open(path).map_err(|error| problem(error.to_string()))?);
    let is_gzipped = path.extension().is_some_and(|ending| ending == "gz");
    let lines: Box<dyn BufRead> =
        if is_gzipped { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) };
    for (line, number) in lines.lines().zip(1_u64..) {
        let line = line.map_err(|error| problem(error.to_string()))?;
        let read = serde_json::from_str(&line).map_err(InvalidQuery::from).and_then(&mut take);
        read.map_err(|error| problem(format!("line {number}: {error}")))?;
    }
    Ok(())
}
