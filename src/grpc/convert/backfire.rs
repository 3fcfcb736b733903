//! Messages of the backfire report.

use std::time::Duration;

use super::nouns::{band_to_wire, duration_to_wire, time_to_wire};
use super::violations::Violations;
use crate::domain::relationship::Band;
use crate::grpc::generated::tactful::v1 as wire;
use crate::measurement::backfire::{BackfireMeasure, GroupComparison, MeasureComparison};
use crate::measurement::interval::EstimatedDifference;
use crate::use_cases::get_backfire_report::{ExperimentReport, FOLLOW_UP_DEFAULT, FOLLOW_UP_MAX, FOLLOW_UP_MIN};

/// Reads the follow-up period.
pub(crate) fn follow_up_from_wire(request: wire::GetBackfireReportRequest) -> Result<Duration, Violations> {
    let Some(follow_up) = request.follow_up else { return Ok(FOLLOW_UP_DEFAULT) };
    let valid = Duration::try_from(follow_up).ok().filter(|it| (FOLLOW_UP_MIN..=FOLLOW_UP_MAX).contains(it));
    let mut violations = Violations::default();
    if valid.is_none() {
        violations.add("follow_up", "must be from 1 to 1096 days");
    }
    violations.or(valid)
}

pub(crate) fn backfire_to_wire(report: ExperimentReport) -> wire::GetBackfireReportResponse {
    let ExperimentReport { experiment, follow_up, waiting, as_of, report } = report;
    let message = message(&report.all, follow_up);
    let bands = report.bands.into_iter().map(|(band, group)| group_to_wire(Some(band), &group));
    wire::GetBackfireReportResponse {
        experiment_id: format!("{:016x}", experiment.bits()),
        follow_up: Some(duration_to_wire(follow_up)),
        waiting_customers: count(waiting),
        as_of: Some(time_to_wire(as_of)),
        all: Some(group_to_wire(None, &report.all)),
        bands: bands.collect(),
        message,
    }
}

fn group_to_wire(band: Option<Band>, group: &GroupComparison) -> wire::BackfireGroup {
    let GroupComparison { control, treatment, comparisons } = group;
    wire::BackfireGroup {
        band: band.map_or(wire::RelationshipBand::Unspecified, band_to_wire).into(),
        control_customers: count(*control),
        treatment_customers: count(*treatment),
        comparisons: comparisons.iter().copied().map(comparison_to_wire).collect(),
    }
}

fn comparison_to_wire(comparison: MeasureComparison) -> wire::BackfireComparison {
    let MeasureComparison { measure, control, treatment, difference } = comparison;
    let EstimatedDifference { value, interval: [low, high], detectable } = difference;
    wire::BackfireComparison {
        measure: measure.as_str().to_owned(),
        control,
        treatment,
        difference: value,
        low,
        high,
        detectable,
    }
}

/// Summarizes the effect on churn in a sentence.
fn message(all: &GroupComparison, follow_up: Duration) -> String {
    let days = follow_up.as_secs() / 86_400;
    let Some(churn) = all.comparisons.iter().find(|comparison| comparison.measure == BackfireMeasure::Churn) else {
        return String::new();
    };
    let [low, high] = churn.difference.interval;
    let verdict = if low > 0.0 {
        "offers drove customers away"
    } else if high < 0.0 {
        "offers kept customers"
    } else {
        "the figures show no effect of offers on churn"
    };
    format!(
        "Within {days} days {:.1}% of the control group and {:.1}% of the treatment group left: {:+.1} percentage points \
         (95% interval {:+.1} to {:+.1}); {verdict}.",
        churn.control * 100.0,
        churn.treatment * 100.0,
        churn.difference.value * 100.0,
        low * 100.0,
        high * 100.0
    )
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
