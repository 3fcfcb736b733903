//! A model that was trained, what is told of it, and how the store keeps both.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::outlook::Outlook;
use crate::domain::time::Timestamp;
use crate::model::offer_model::OfferModel;
use crate::model::outlook_artifact;
use crate::store::contract::{Store, StoreError, StoredModel};

/// A model that was trained, and what is told of it.
#[derive(Clone)]
pub(super) struct TrainedModel {
    pub(super) model: Arc<OfferModel>,
    pub(super) outlook: Arc<Outlook>,
    pub(super) view: ModelView,
}

/// The model served now.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelView {
    /// 1 for the first.
    pub version: u64,
    /// The history up to here was learned.
    pub trained_at: Timestamp,
    /// How long it took; `None` when it was trained before the last start.
    pub duration: Option<Duration>,
    /// Customers learned from.
    pub customers: u64,
    /// Baskets learned from.
    pub baskets: u64,
    /// Products that somebody bought.
    pub products: u64,
    /// Purchases learned from.
    pub purchases: u64,
    /// The size of the stored model, in bytes.
    pub artifact_bytes: u64,
    /// Quality beside baselines.
    pub metrics: Vec<ModelMetric>,
    /// What the training chose and noticed.
    pub notes: Vec<String>,
}

/// One figure of quality.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelMetric {
    /// Such as `recall@10`.
    pub name: String,
    /// `tactful`, or the name of a baseline.
    pub method: String,
    /// The figure.
    pub value: f64,
    /// How many queries it is the mean of.
    pub queries: u64,
}

/// A model and what is told of it as the store keeps them; the size of the artifact is told as well.
pub(super) fn encode(model: &OfferModel, outlook: &Outlook, view: ModelView) -> (ModelView, Vec<u8>) {
    let artifact = model.encode();
    let view = ModelView { artifact_bytes: artifact.len() as u64, ..view };
    let outlook = outlook_artifact::encode(outlook);
    let bytes = StoredArtifact { report: StoredReport::of(&view), model: artifact, outlook }.encode();
    (view, bytes)
}

/// Reads the current model of the store. One that this version cannot read is passed over: training makes another.
pub(super) async fn read_stored_model(store: &dyn Store) -> Result<Option<TrainedModel>, StoreError> {
    let Some(StoredModel { version, bytes }) = store.load_model().await? else { return Ok(None) };
    let read = StoredArtifact::decode(&bytes).and_then(|stored| {
        let model = OfferModel::decode(&stored.model).map_err(|error| error.to_string())?;
        let outlook = outlook_artifact::decode(&stored.outlook).map_err(|error| error.to_string())?;
        let artifact_bytes = stored.model.len() as u64;
        let trained_at = model.trained_at.ok_or("the model was never trained")?;
        let view = ModelView { version, trained_at, artifact_bytes, ..stored.report.view(trained_at) };
        Ok(TrainedModel { model: Arc::new(model), outlook: Arc::new(outlook), view })
    });
    match read {
        Ok(trained) => Ok(Some(trained)),
        Err(reason) => {
            tracing::warn!(version, reason, "the stored model cannot be read; train again");
            Ok(None)
        }
    }
}

/// What is stored: the report for people, the artifact of the model with its own format and checksum, and the learned
/// outlook with a format of its own. The store keeps a checksum of the whole.
#[derive(Serialize, Deserialize)]
struct StoredArtifact {
    report: StoredReport,
    model: Vec<u8>,
    outlook: Vec<u8>,
}

/// Before there was a learned outlook.
#[derive(Serialize, Deserialize)]
struct StoredArtifactV1 {
    report: StoredReport,
    model: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct StoredReport {
    customers: u64,
    baskets: u64,
    products: u64,
    purchases: u64,
    metrics: Vec<(String, String, f64, u64)>,
    notes: Vec<String>,
}

/// The format of [`StoredArtifact`]; its first byte.
const STORED_FORMAT: u8 = 2;
const STORED_FORMAT_1: u8 = 1;

impl StoredArtifact {
    fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![STORED_FORMAT]).expect("a Vec takes any number of bytes")
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        match bytes.split_first() {
            Some((&STORED_FORMAT, encoded)) => postcard::from_bytes(encoded).map_err(|error| error.to_string()),
            Some((&STORED_FORMAT_1, encoded)) => {
                let read = postcard::from_bytes(encoded).map_err(|error| error.to_string());
                let StoredArtifactV1 { report, model } = read?;
                Ok(Self { report, model, outlook: outlook_artifact::encode(&Outlook::default()) })
            }
            Some((other, _)) => Err(format!("stored format {other}")),
            None => Err("no bytes".to_owned()),
        }
    }
}

impl StoredReport {
    fn of(view: &ModelView) -> Self {
        let metric = |metric: &ModelMetric| (metric.name.clone(), metric.method.clone(), metric.value, metric.queries);
        Self {
            customers: view.customers,
            baskets: view.baskets,
            products: view.products,
            purchases: view.purchases,
            metrics: view.metrics.iter().map(metric).collect(),
            notes: view.notes.clone(),
        }
    }

    fn view(self, trained_at: Timestamp) -> ModelView {
        let Self { customers, baskets, products, purchases, metrics, notes } = self;
        let metrics =
            metrics.into_iter().map(|(name, method, value, queries)| ModelMetric { name, method, value, queries });
        ModelView {
            version: 0,
            trained_at,
            duration: None,
            customers,
            baskets,
            products,
            purchases,
            artifact_bytes: 0,
            metrics: metrics.collect(),
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

    /// Written before there was a learned outlook.
    #[test]
    fn trained_model_v1_still_reads() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stored_formats/trained-model-v1.bin");
        let golden = std::fs::read(path).expect("the golden file is there");
        let read = StoredArtifact::decode(&golden).expect("what version 1 wrote still reads");
        assert_eq!(read.report.view(view().trained_at), view());
        assert_eq!(OfferModel::decode(&read.model), Ok(OfferModel::untrained()));
        assert_eq!(outlook_artifact::decode(&read.outlook), Ok(Outlook::default()));
    }

    /// What an earlier version wrote is read, and this version still writes the same. The model and the outlook inside
    /// have formats and golden files of their own.
    #[test]
    fn trained_model_v2_reads_and_writes_the_same() {
        let (_, now) = encode(&OfferModel::untrained(), &Outlook::default(), view());
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stored_formats/trained-model-v2.bin");
        if std::env::var_os("TACTFUL_WRITE_GOLDEN_FILES").is_some() && !std::path::Path::new(path).exists() {
            std::fs::write(path, &now).expect("the file can be written");
        }
        let golden = std::fs::read(path).expect("the golden file is there");
        let read = StoredArtifact::decode(&golden).expect("what version 2 wrote still reads");
        // The model inside is of its own first format.
        assert_eq!(read.encode(), golden);
        assert_eq!(OfferModel::decode(&read.model), Ok(OfferModel::untrained()));
        assert_eq!(outlook_artifact::decode(&read.outlook), Ok(Outlook::default()));
        assert_eq!(read.report.view(view().trained_at), view());
    }

    #[test]
    fn other_bytes_are_an_error() {
        let (_, bytes) = encode(&OfferModel::untrained(), &Outlook::default(), view());
        for broken in [&[][..], &[9], &bytes[..1], &bytes[..bytes.len() / 2]] {
            assert!(StoredArtifact::decode(broken).is_err());
        }
    }
}
