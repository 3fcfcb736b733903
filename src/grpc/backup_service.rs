//! `BackupService`: online backups of the whole store.

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use super::generated::tactful::v1 as wire;
use super::generated::tactful::v1::backup_service_server::BackupService;
use super::status;
use crate::use_cases::app::App;
use crate::use_cases::back_up::back_up;

pub(crate) struct BackupRpc {
    app: Arc<App>,
}

impl BackupRpc {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl BackupService for BackupRpc {
    type CreateBackupStream = Pin<Box<dyn Stream<Item = Result<wire::CreateBackupResponse, Status>> + Send>>;

    async fn create_backup(
        &self,
        _request: Request<wire::CreateBackupRequest>,
    ) -> Result<Response<Self::CreateBackupStream>, Status> {
        let chunks = back_up(&self.app).map_err(status::backup)?;
        let responses = ReceiverStream::new(chunks).map(|chunk| match chunk {
            Ok(chunk) => Ok(wire::CreateBackupResponse { chunk }),
            Err(error) => Err(status::store(error)),
        });
        Ok(Response::new(Box::pin(responses)))
    }
}
