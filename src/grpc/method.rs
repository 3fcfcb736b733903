//! Methods of all services, and their properties that matter before a call is served.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message;

use super::generated::FILE_DESCRIPTOR_SET;

/// Kind of a call, by the messages that the client sends and by whether admission applies to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// One message from the client; one request permit.
    Unary,
    /// Any number of messages from the client; a request permit for each.
    ClientStream,
    /// Health check or reflection: admitted without queueing or a permit, because a busy server is not an unhealthy one.
    Exempt,
}

#[derive(Debug)]
pub(crate) struct Method {
    /// Full name, such as `tactful.v1.OfferService/CrossSell`.
    pub(crate) name: &'static str,
    pub(crate) call_kind: CallKind,
    /// Whether calls may exceed the request timeout without being cancelled or logged as slow.
    pub(crate) is_unlimited: bool,
    /// Whether a call may be dropped before its end.
    pub(crate) is_interruptible: bool,
}

/// Methods whose calls end with their clients: those that change nothing, and those whose change is one commit or runs in a
/// task of its own. All others run to their end.
const INTERRUPTIBLE: [&str; 22] = [
    "tactful.v1.BackupService/CreateBackup",
    "tactful.v1.CatalogService/GetOffer",
    "tactful.v1.CatalogService/GetProduct",
    "tactful.v1.CatalogService/ListOffers",
    "tactful.v1.CatalogService/ListProducts",
    "tactful.v1.CustomerService/ExportCustomer",
    "tactful.v1.CustomerService/GetCustomer",
    "tactful.v1.ModelService/GetModel",
    "tactful.v1.ModelService/TrainModel",
    "tactful.v1.OfferService/BatchCrossSell",
    "tactful.v1.OfferService/BatchUpSell",
    "tactful.v1.OfferService/CrossSell",
    "tactful.v1.OfferService/ExplainDecision",
    "tactful.v1.OfferService/UpSell",
    "tactful.v1.PolicyService/GetPolicy",
    "tactful.v1.PolicyService/ListPolicies",
    "tactful.v1.PolicyService/SimulatePolicy",
    "tactful.v1.RelationshipService/BatchGetRelationshipHealth",
    "tactful.v1.RelationshipService/GetBackfireReport",
    "tactful.v1.RelationshipService/GetRelationshipHealth",
    "tactful.v1.RelationshipService/ListHolds",
    "tactful.v1.RelationshipService/SimulateRelationshipHealth",
];

/// Methods that read the whole history, or compute for long.
const LONG_RUNNING: [&str; 3] = [
    "tactful.v1.ModelService/TrainModel",
    "tactful.v1.PolicyService/SimulatePolicy",
    "tactful.v1.RelationshipService/GetBackfireReport",
];

/// All unknown methods, in one, so that clients cannot create metric labels.
static OTHER: Method =
    Method { name: "_OTHER", call_kind: CallKind::Unary, is_unlimited: false, is_interruptible: true };
/// Methods of the health and reflection services.
static EXEMPT: Method =
    Method { name: "_EXEMPT", call_kind: CallKind::Exempt, is_unlimited: true, is_interruptible: true };

impl Method {
    /// Returns the method with a path such as `/tactful.v1.OfferService/CrossSell`.
    pub(crate) fn by_path(path: &str) -> &'static Self {
        static BY_PATH: LazyLock<HashMap<String, Method>> = LazyLock::new(methods_by_path);
        if path.starts_with("/grpc.") {
            return &EXEMPT;
        }
        BY_PATH.get(path).unwrap_or(&OTHER)
    }

    pub(crate) fn is_exempt(&self) -> bool {
        self.call_kind == CallKind::Exempt
    }
}

fn methods_by_path() -> HashMap<String, Method> {
    let descriptors = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)
        .expect("the build script encoded these descriptors");
    let mut methods = HashMap::new();
    for file in &descriptors.file {
        for service in &file.service {
            for method in &service.method {
                let name: &str = format!("{}.{}/{}", file.package(), service.name(), method.name()).leak();
                let is_client_stream = method.client_streaming();
                let call_kind = if is_client_stream { CallKind::ClientStream } else { CallKind::Unary };
                let is_unlimited = is_client_stream || LONG_RUNNING.contains(&name);
                let is_interruptible = INTERRUPTIBLE.contains(&name);
                methods.insert(format!("/{name}"), Method { name, call_kind, is_unlimited, is_interruptible });
            }
        }
    }
    methods
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken by: a renamed RPC whose name here stays.
    #[test]
    fn long_running_methods_exist() {
        for name in LONG_RUNNING {
            let method = Method::by_path(&format!("/{name}"));
            assert!(method.name == name && method.is_unlimited, "{method:?}");
        }
    }

    /// Broken by: a renamed RPC whose name here stays.
    #[test]
    fn interruptible_methods_exist() {
        for name in INTERRUPTIBLE {
            let method = Method::by_path(&format!("/{name}"));
            assert!(method.name == name && method.is_interruptible, "{method:?}");
        }
    }
}
