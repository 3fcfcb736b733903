//! Customer ids of requests that contain little else.

use tonic::Status;

use super::status;
use crate::domain::ids::CustomerId;
use crate::telemetry::call_context;

/// Reads the field `customer_id` of a request.
#[allow(clippy::result_large_err, reason = "every method answers with a Status")]
pub(super) fn customer_id(text: String) -> Result<CustomerId, Status> {
    CustomerId::new(text).map_err(|invalid| status::invalid_field("customer_id", invalid))
}

/// Reads the field `customer_id` of a request whose method is audited: the audit log names the customer.
#[allow(clippy::result_large_err, reason = "every method answers with a Status")]
pub(super) fn audited_customer_id(text: String) -> Result<CustomerId, Status> {
    customer_id(text).inspect(|customer| call_context::set_customer(customer.as_str()))
}
