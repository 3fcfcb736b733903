//! Constraints between the values of a policy.

use std::time::Duration;

use super::duration_text::format_duration;
use super::invalid_policy::PolicyFault;
use crate::domain::channel::UnsetChannel;
use crate::domain::ids::ProductId;
use crate::domain::ledger::{GRANTS_KEPT, GRANTS_MAX};
use crate::domain::policy::{OnlyAfter, Policy, RelationshipPolicy};
use crate::domain::relationship::Band;

/// Maximum length of a version name.
const VERSION_BYTES_MAX: usize = 64;

/// Finds every violated constraint.
pub(super) fn consistency_faults(policy: &Policy) -> Vec<PolicyFault> {
    let mut faults = Vec::new();
    let mut fault = |key: &str, problem: String| faults.push(PolicyFault::new(key, problem));
    if let Some(problem) = version_problem(&policy.version) {
        fault("version", problem);
    }

    let contact = &policy.contact;
    for band in Band::ALL {
        let caps = contact.caps_of(band);
        if caps.up_sell > caps.offers {
            let problem = format!("up_sell {} is more than offers {}", caps.up_sell, caps.offers);
            fault(&format!("contact.caps.{}", band.as_str()), problem);
        }
        if let Some(problem) = too_many_grants(caps.offers, contact.cap_window) {
            fault(&format!("contact.caps.{}", band.as_str()), problem);
        }
    }
    for pair in [Band::Strained, Band::Guarded, Band::Steady, Band::Strong].windows(2) {
        let (low, high) = (contact.caps_of(pair[0]), contact.caps_of(pair[1]));
        if low.offers > high.offers || low.up_sell > high.up_sell {
            let problem =
                format!("allows less than {}: a lower relationship health never yields more", pair[0].as_str());
            fault(&format!("contact.caps.{}", pair[1].as_str()), problem);
        }
    }
    if contact.visit_window > contact.cap_window {
        fault("contact.visit_window", "must not be longer than cap_window".to_owned());
    }
    if contact.lease > contact.visit_window {
        fault("contact.lease", "must not be longer than visit_window".to_owned());
    }
    for channel in contact.channels.iter() {
        if channel.terms.lease.is_some_and(|lease| lease > contact.visit_window) {
            fault("contact.channels", format!("{}: lease must not be longer than visit_window", channel.name()));
        }
    }
    if let UnsetChannel::Registered(channel) = &contact.unset_channel
        && contact.channels.resolve(channel).is_none()
    {
        let problem = format!(
            "must be {}, {} or a channel of contact.channels, not {:?}",
            UnsetChannel::STRICTEST,
            UnsetChannel::REFUSE,
            channel.as_str()
        );
        fault("contact.unset_channel", problem);
    }
    if contact.back_off > contact.back_off_max {
        fault("contact.back_off", "must not be longer than back_off_max".to_owned());
    }

    let rules = &contact.only_after;
    for rule in rules {
        if is_circular(rules, &rule.product) {
            let problem = format!("{} would be offered only to customers who have it already", rule.product);
            fault("contact.rules.only_after", problem);
        }
    }
    let is_together = |a: &ProductId, b: &ProductId| {
        contact.never_together.iter().any(|pair| *pair == (a.clone(), b.clone()) || *pair == (b.clone(), a.clone()))
    };
    for rule in &contact.never_after {
        if is_together(&rule.first, &rule.then) && rule.within <= contact.visit_window {
            let problem = format!("{} after {} is already covered by never_together", rule.then, rule.first);
            fault("contact.rules.never_after", problem);
        }
    }

    for name in &policy.privacy.sensitive_attributes {
        if policy.condition_attributes.contains_key(name) {
            fault("privacy.sensitive_attributes", format!("{name} is declared in conditions.attributes"));
        }
    }

    faults.extend(relationship_faults(&policy.relationship));
    faults
}

fn relationship_faults(relationship: &RelationshipPolicy) -> Vec<PolicyFault> {
    let mut faults = Vec::new();
    let mut fault = |key: &str, problem: String| faults.push(PolicyFault::new(key, problem));
    let limits = relationship.band_limits;
    for (key, low, high) in [("steady", limits.guarded, limits.steady), ("strong", limits.steady, limits.strong)] {
        if high < low {
            fault(&format!("relationship.bands.{key}"), format!("must not be below the limit before it, {low}"));
        }
    }
    if relationship.components.iter().map(|component| component.weight).sum::<f64>() <= 0.0 {
        fault("relationship.components", "the weights sum to zero".to_owned());
    }
    let rising = [
        ("ticket_weights", &relationship.ticket_weights[..]),
        ("complaint_weights", &relationship.complaint_weights[..]),
        ("payment_weights", &relationship.payment_weights[..]),
        ("pressure_weights", &relationship.pressure_weights[..]),
    ];
    for (key, weights) in rising {
        if !weights.is_sorted() {
            fault(&format!("relationship.{key}"), "must not decrease: a worse event must not weigh less".to_owned());
        }
    }
    // A case may be reported as a ticket and as a complaint, and then counts as a complaint.
    if relationship
        .complaint_weights
        .iter()
        .zip(&relationship.ticket_weights)
        .any(|(complaint, ticket)| complaint < ticket)
    {
        let problem = "must not be below ticket_weights: a complaint on a ticket must not weigh less";
        fault("relationship.complaint_weights", problem.to_owned());
    }
    let [at_start, in_the_end] = relationship.leaving_risk;
    if in_the_end > at_start {
        fault("relationship.leaving_risk", "must not increase with tenure".to_owned());
    }
    let recent = relationship.engagement_recent_half_life.days();
    let usual = relationship.component(crate::domain::relationship::ComponentKind::EngagementTrend).half_life.days();
    if recent >= usual {
        let problem = format!("must be shorter than the half-life of the component engagement_trend, {usual} days");
        fault("relationship.engagement_recent_half_life", problem);
    }
    faults
}

/// The problem with a cap that would grant more offers than a customer's record can hold: every grant is kept for
/// [`GRANTS_KEPT`], whatever the window of the caps.
fn too_many_grants(offers: u32, cap_window: Duration) -> Option<String> {
    let windows = GRANTS_KEPT.as_millis().div_ceil(cap_window.as_millis().max(1));
    let grants = u128::from(offers).saturating_mul(windows);
    if grants <= GRANTS_MAX as u128 {
        return None;
    }
    Some(format!(
        "{offers} offers in each {} are up to {grants} in the {} for which offers are kept, and a customer's record holds \
         {GRANTS_MAX}: allow at most {}, or choose a longer cap_window",
        format_duration(cap_window),
        format_duration(GRANTS_KEPT),
        GRANTS_MAX as u128 / windows
    ))
}

/// Whether the products that must be held before a product lead back to it.
fn is_circular(rules: &[OnlyAfter], product: &ProductId) -> bool {
    let mut reached: Vec<&ProductId> = vec![product];
    let mut next = 0;
    while let Some(&from) = reached.get(next) {
        next += 1;
        for rule in rules.iter().filter(|rule| rule.product == *from) {
            if rule.after == *product {
                return true;
            }
            if !reached.contains(&&rule.after) {
                reached.push(&rule.after);
            }
        }
    }
    false
}

fn version_problem(version: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if version.is_empty() {
        Some("is required: name this version of the policy".to_owned())
    } else if version.len() > VERSION_BYTES_MAX {
        Some(format!("has {} bytes, at most {VERSION_BYTES_MAX} are allowed", version.len()))
    } else if !version.bytes().all(is_plain) {
        Some("may hold letters, digits, dots, underscores and hyphens only".to_owned())
    } else {
        None
    }
}
