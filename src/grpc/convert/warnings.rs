//! Findings of the lint, as warnings in responses.

use crate::domain::lint_finding::LintFinding;
use crate::grpc::generated::tactful::v1 as wire;

/// Maximum number of warnings in a response.
const WARNINGS_MAX: usize = 100;

/// Converts the first findings.
pub(crate) fn warnings_to_wire(findings: Vec<LintFinding>) -> Vec<wire::Warning> {
    findings.iter().take(WARNINGS_MAX).map(warning_to_wire).collect()
}

fn warning_to_wire(finding: &LintFinding) -> wire::Warning {
    wire::Warning { code: finding.code().to_owned(), subject: finding.subject(), message: finding.to_string() }
}
