//! All services with their message limits, to be added to a server.

use std::sync::Arc;

use super::backup_service::BackupRpc;
use super::catalog_service::CatalogRpc;
use super::customer_service::CustomerRpc;
use super::feedback_service::FeedbackRpc;
use super::generated::tactful::v1::backup_service_server::BackupServiceServer;
use super::generated::tactful::v1::catalog_service_server::CatalogServiceServer;
use super::generated::tactful::v1::customer_service_server::CustomerServiceServer;
use super::generated::tactful::v1::feedback_service_server::FeedbackServiceServer;
use super::generated::tactful::v1::model_service_server::ModelServiceServer;
use super::generated::tactful::v1::offer_service_server::OfferServiceServer;
use super::generated::tactful::v1::policy_service_server::PolicyServiceServer;
use super::generated::tactful::v1::relationship_service_server::RelationshipServiceServer;
use super::model_service::ModelRpc;
use super::offer_service::OfferRpc;
use super::policy_service::PolicyRpc;
use super::relationship_service::RelationshipRpc;
use crate::use_cases::app::App;

/// Names under which the services report their health.
pub const SERVICE_NAMES: [&str; 8] = [
    "tactful.v1.OfferService",
    "tactful.v1.FeedbackService",
    "tactful.v1.RelationshipService",
    "tactful.v1.CatalogService",
    "tactful.v1.CustomerService",
    "tactful.v1.ModelService",
    "tactful.v1.PolicyService",
    "tactful.v1.BackupService",
];

pub(crate) struct Services {
    pub(crate) offers: OfferServiceServer<OfferRpc>,
    pub(crate) feedback: FeedbackServiceServer<FeedbackRpc>,
    pub(crate) relationships: RelationshipServiceServer<RelationshipRpc>,
    pub(crate) catalog: CatalogServiceServer<CatalogRpc>,
    pub(crate) customers: CustomerServiceServer<CustomerRpc>,
    pub(crate) models: ModelServiceServer<ModelRpc>,
    pub(crate) policies: PolicyServiceServer<PolicyRpc>,
    pub(crate) backups: BackupServiceServer<BackupRpc>,
}

impl Services {
    /// Returns services that accept and send messages of at most `message_bytes_max` bytes.
    pub(crate) fn new(app: &Arc<App>, message_bytes_max: usize) -> Self {
        macro_rules! with_message_limits {
            ($server:ident, $rpc:expr) => {
                $server::new($rpc)
                    .max_decoding_message_size(message_bytes_max)
                    .max_encoding_message_size(message_bytes_max)
            };
        }
        let app = || Arc::clone(app);
        Self {
            offers: with_message_limits!(OfferServiceServer, OfferRpc::new(app())),
            feedback: with_message_limits!(FeedbackServiceServer, FeedbackRpc::new(app())),
            relationships: with_message_limits!(RelationshipServiceServer, RelationshipRpc::new(app())),
            catalog: with_message_limits!(CatalogServiceServer, CatalogRpc::new(app())),
            customers: with_message_limits!(CustomerServiceServer, CustomerRpc::new(app())),
            models: with_message_limits!(ModelServiceServer, ModelRpc::new(app())),
            policies: with_message_limits!(PolicyServiceServer, PolicyRpc::new(app())),
            backups: with_message_limits!(BackupServiceServer, BackupRpc::new(app())),
        }
    }
}
