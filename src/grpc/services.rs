//! All services with their message limits, ready to be added to a server.

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

/// The names under which the services report their readiness.
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

/// One of each.
pub struct Services {
    /// `OfferService`.
    pub offers: OfferServiceServer<OfferRpc>,
    /// `FeedbackService`.
    pub feedback: FeedbackServiceServer<FeedbackRpc>,
    /// `RelationshipService`.
    pub relationships: RelationshipServiceServer<RelationshipRpc>,
    /// `CatalogService`.
    pub catalog: CatalogServiceServer<CatalogRpc>,
    /// `CustomerService`.
    pub customers: CustomerServiceServer<CustomerRpc>,
    /// `ModelService`.
    pub models: ModelServiceServer<ModelRpc>,
    /// `PolicyService`.
    pub policies: PolicyServiceServer<PolicyRpc>,
    /// `BackupService`.
    pub backups: BackupServiceServer<BackupRpc>,
}

impl Services {
    /// Services of one system; messages of either direction have at most `message_bytes_max` bytes.
    pub fn new(app: &Arc<App>, message_bytes_max: usize) -> Self {
        macro_rules! limited {
            ($server:ident, $rpc:expr) => {
                $server::new($rpc)
                    .max_decoding_message_size(message_bytes_max)
                    .max_encoding_message_size(message_bytes_max)
            };
        }
        let app = || Arc::clone(app);
        Self {
            offers: limited!(OfferServiceServer, OfferRpc::new(app())),
            feedback: limited!(FeedbackServiceServer, FeedbackRpc::new(app())),
            relationships: limited!(RelationshipServiceServer, RelationshipRpc::new(app())),
            catalog: limited!(CatalogServiceServer, CatalogRpc::new(app())),
            customers: limited!(CustomerServiceServer, CustomerRpc::new(app())),
            models: limited!(ModelServiceServer, ModelRpc::new(app())),
            policies: limited!(PolicyServiceServer, PolicyRpc::new(app())),
            backups: limited!(BackupServiceServer, BackupRpc::new(app())),
        }
    }
}
