//! Duration of calls by method and status, under the name and labels of the OpenTelemetry conventions for RPC servers
//! (`rpc.server.call.duration`).

use std::time::Duration;

use metrics::Label;
use tonic::Code;

use super::method::Method;
use super::status_code::{code_name, is_server_error};

/// Records one completed, shed or cancelled call.
pub(crate) fn record_call(method: &Method, code: Code, duration: Duration) {
    let name = code_name(code);
    let mut labels = vec![
        Label::from_static_parts("rpc_system_name", "grpc"),
        Label::from_static_parts("rpc_method", method.name),
        Label::from_static_parts("rpc_response_status_code", name),
    ];
    if is_server_error(code) {
        labels.push(Label::from_static_parts("error_type", name));
    }
    metrics::histogram!("rpc_server_call_duration_seconds", labels).record(duration.as_secs_f64());
}
