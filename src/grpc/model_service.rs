//! `ModelService`: the offer model.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::convert::models::model_to_wire;
use super::generated::tactful::v1 as wire;
use super::generated::tactful::v1::model_service_server::ModelService;
use super::status;
use crate::use_cases::app::App;
use crate::use_cases::train_model::{current_model, train_model};

pub(crate) struct ModelRpc {
    app: Arc<App>,
}

impl ModelRpc {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl ModelService for ModelRpc {
    async fn train_model(
        &self,
        _request: Request<wire::TrainModelRequest>,
    ) -> Result<Response<wire::TrainModelResponse>, Status> {
        let view = train_model(&self.app).await.map_err(status::train)?;
        Ok(Response::new(wire::TrainModelResponse { model: Some(model_to_wire(view)) }))
    }

    async fn get_model(
        &self,
        _request: Request<wire::GetModelRequest>,
    ) -> Result<Response<wire::GetModelResponse>, Status> {
        let view = current_model(&self.app)
            .ok_or_else(|| status::not_found("MODEL_NOT_FOUND", "no model has been trained yet"))?;
        Ok(Response::new(wire::GetModelResponse { model: Some(model_to_wire(view)) }))
    }
}
