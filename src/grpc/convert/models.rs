//! Messages of `ModelService`.

use super::nouns::{duration_to_wire, time_to_wire};
use crate::grpc::generated::tactful::v1 as wire;
use crate::use_cases::trained_model::{ModelMetric, ModelView};

pub(crate) fn model_to_wire(view: ModelView) -> wire::OfferModel {
    let ModelView {
        version,
        trained_at,
        duration,
        customers,
        baskets,
        products,
        purchases,
        artifact_bytes,
        metrics,
        notes,
    } = view;
    let metric = |ModelMetric { name, method, value, queries }| wire::ModelMetric { name, method, value, queries };
    wire::OfferModel {
        version,
        train_time: Some(time_to_wire(trained_at)),
        training_duration: duration.map(duration_to_wire),
        customers,
        baskets,
        products,
        purchases,
        artifact_bytes,
        metrics: metrics.into_iter().map(metric).collect(),
        notes,
    }
}
