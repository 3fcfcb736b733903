//! Trained models with their training reports, and their stored form.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::outlook::Outlook;
use crate::domain::time::Timestamp;
use crate::model::artifact::ArtifactError;
use crate::model::offer_model::OfferModel;
use crate::model::outlook_artifact;
use crate::store::contract::error::StoreError;
use crate::store::contract::store::Store;
use crate::store::contract::stored_model::StoredModel;

/// Trained model with its training report.
#[derive(Clone)]
pub(super) struct TrainedModel {
    pub(super) model: Arc<OfferModel>,
    pub(super) outlook: Arc<Outlook>,
    pub(super) view: ModelView,
}

/// Report of the training that made a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelView {
    /// Version of the model; 1 for the first.
    pub version: u64,
    /// Time of the training, up to which history was learned from.
    pub trained_at: Timestamp,
    /// Duration of the training; `None` when it took place before the last start, or elsewhere.
    pub duration: Option<Duration>,
    /// Number of customers learned from.
    pub customers: u64,
    /// Number of baskets learned from.
    pub baskets: u64,
    /// Number of products with a purchase.
    pub products: u64,
    /// Number of purchases learned from.
    pub purchases: u64,
    /// Size of the encoded model, in bytes.
    pub artifact_bytes: u64,
    /// Quality of the model and of the baselines.
    pub metrics: Vec<ModelMetric>,
    /// Remarks of the training for people, such as the hyperparameters chosen.
    pub notes: Vec<String>,
}

/// One quality metric of one method.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelMetric {
    /// Name of the metric, such as `recall@10`.
    pub name: String,
    /// `tactful`, or the name of a baseline.
    pub method: String,
    /// Value of the metric.
    pub value: f64,
    /// Number of queries that the value is the mean of.
    pub queries: u64,
}

/// Encodes a model and its report for the store. Returns the report with the size of the artifact.
pub(super) fn encode(model: &OfferModel, outlook: &Outlook, view: ModelView) -> (ModelView, Vec<u8>) {
    let artifact = model.encode();
    let view = ModelView { artifact_bytes: artifact.len() as u64, ..view };
    let outlook = outlook_artifact::encode(outlook);
    let bytes = StoredTrainedModelV1 { report: (&view).into(), model: artifact, outlook }.encode();
    (view, bytes)
}

/// Loads the current model. One that this version cannot read is ignored: the next training replaces it.
pub(super) async fn read_stored_model(store: &dyn Store) -> Result<Option<TrainedModel>, StoreError> {
    let Some(StoredModel { version, bytes }) = store.load_model().await? else { return Ok(None) };
    match decode(version, &bytes) {
        Ok(trained) => Ok(Some(trained)),
        Err(error) => {
            tracing::warn!(version, %error, "stored model cannot be read; train again");
            Ok(None)
        }
    }
}

fn decode(version: u64, bytes: &[u8]) -> Result<TrainedModel, TrainedModelError> {
    let StoredTrainedModelV1 { report, model: artifact, outlook } = StoredTrainedModelV1::decode(bytes)?;
    let model = OfferModel::decode(&artifact)?;
    let outlook = outlook_artifact::decode(&outlook)?;
    let trained_at = model.trained_at.ok_or(TrainedModelError::Untrained)?;
    let view = report.view(version, trained_at, artifact.len() as u64);
    Ok(TrainedModel { model: Arc::new(model), outlook: Arc::new(outlook), view })
}

/// The stored value of a trained model: the report, and the artifacts of model and outlook, each with a format of its own.
/// The store adds a checksum of the whole.
///
/// `store::codec` says what a change of the shapes has to do.
#[derive(Serialize, Deserialize)]
struct StoredTrainedModelV1 {
    report: StoredTrainingReport,
    model: Vec<u8>,
    outlook: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct StoredTrainingReport {
    customers: u64,
    baskets: u64,
    products: u64,
    purchases: u64,
    metrics: Vec<StoredMetric>,
    notes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredMetric {
    name: String,
    method: String,
    value: f64,
    queries: u64,
}

/// Format version of [`StoredTrainedModelV1`], the first byte.
const FORMAT: u8 = 1;

/// Error returned when bytes do not decode to a stored trained model.
#[derive(Debug, thiserror::Error)]
enum TrainedModelError {
    #[error("unknown format version {found}, expected {FORMAT}")]
    OtherFormat { found: u8 },
    #[error("empty value")]
    Empty,
    #[error("the report is damaged: {0}")]
    Report(#[from] postcard::Error),
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    #[error("the model was never trained")]
    Untrained,
}

impl StoredTrainedModelV1 {
    fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("a Vec takes any number of bytes")
    }

    fn decode(bytes: &[u8]) -> Result<Self, TrainedModelError> {
        match bytes.split_first() {
            Some((&FORMAT, encoded)) => Ok(postcard::from_bytes(encoded)?),
            Some((&found, _)) => Err(TrainedModelError::OtherFormat { found }),
            None => Err(TrainedModelError::Empty),
        }
    }
}

impl From<&ModelView> for StoredTrainingReport {
    fn from(view: &ModelView) -> Self {
        let ModelView {
            // The store keeps the version, the artifact the time of training and its own size; the duration is not stored.
            version: _,
            trained_at: _,
            duration: _,
            artifact_bytes: _,
            customers,
            baskets,
            products,
            purchases,
            metrics,
            notes,
        } = view;
        Self {
            customers: *customers,
            baskets: *baskets,
            products: *products,
            purchases: *purchases,
            metrics: metrics.iter().map(StoredMetric::from).collect(),
            notes: notes.clone(),
        }
    }
}

impl From<&ModelMetric> for StoredMetric {
    fn from(metric: &ModelMetric) -> Self {
        let ModelMetric { name, method, value, queries } = metric;
        Self { name: name.clone(), method: method.clone(), value: *value, queries: *queries }
    }
}

impl StoredTrainingReport {
    fn view(self, version: u64, trained_at: Timestamp, artifact_bytes: u64) -> ModelView {
        let Self { customers, baskets, products, purchases, metrics, notes } = self;
        let metric = |StoredMetric { name, method, value, queries }| ModelMetric { name, method, value, queries };
        ModelView {
            version,
            trained_at,
            duration: None,
            customers,
            baskets,
            products,
            purchases,
            artifact_bytes,
            metrics: metrics.into_iter().map(metric).collect(),
            notes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> ModelView {
        ModelView {
            version: 0,
            trained_at: Timestamp::from_unix_ms(1_700_000_000_000).expect("in range"),
            duration: None,
            customers: 3,
            baskets: 2,
            products: 5,
            purchases: 9,
            artifact_bytes: 0,
            metrics: vec![ModelMetric {
                name: "recall@10".to_owned(),
                method: "tactful".to_owned(),
                value: 0.25,
                queries: 60,
            }],
            notes: vec!["a note".to_owned()],
        }
    }

    /// Decodes and encodes the golden file. The model and the outlook inside have formats and golden files of their own. To
    /// make it anew, delete it and run this test with `TACTFUL_WRITE_GOLDEN_FILES=1`.
    #[test]
    fn trained_model_v1_round_trips() {
        let (_, now) = encode(&OfferModel::untrained(), &Outlook::default(), view());
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stored_formats/trained-model-v1.bin");
        if std::env::var_os("TACTFUL_WRITE_GOLDEN_FILES").is_some() && !std::path::Path::new(path).exists() {
            std::fs::write(path, &now).expect("the file can be written");
        }
        let golden = std::fs::read(path).expect("the golden file is there");
        let read = StoredTrainedModelV1::decode(&golden).expect("what was stored can be read");
        assert_eq!(read.encode(), golden);
        assert_eq!(OfferModel::decode(&read.model), Ok(OfferModel::untrained()));
        assert_eq!(outlook_artifact::decode(&read.outlook), Ok(Outlook::default()));
        assert_eq!(read.report.view(0, view().trained_at, 0), view());
    }

    #[test]
    fn other_bytes_are_an_error() {
        let (_, bytes) = encode(&OfferModel::untrained(), &Outlook::default(), view());
        for broken in [&[][..], &[9], &bytes[..1], &bytes[..bytes.len() / 2]] {
            assert!(StoredTrainedModelV1::decode(broken).is_err());
        }
    }
}
