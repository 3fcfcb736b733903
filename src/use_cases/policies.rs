//! Versions of the policy: stored once, never changed, and activated one at a time.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::app::App;
use super::stored_policy::read_stored_policy;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::policy_document::invalid_policy::InvalidPolicy;
use crate::store::contract::error::StoreError;
use crate::store::contract::stored_policy::{Activation, StoredPolicy};

/// Maximum number of versions; each is at most 64 KiB.
const VERSIONS_MAX: usize = 1000;
/// Maximum time for which an activation waits for calls that started under the previous policy.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// Interval at which it checks for them.
const DRAIN_POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Version of the policy.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyVersion {
    /// Parsed document.
    pub policy: Policy,
    /// Document as it was sent.
    pub text: String,
    /// Time at which it was stored; `None` for the built-in default.
    pub created_at: Option<Timestamp>,
    /// Time from which it is in force; `None` while it is not.
    pub active_since: Option<Timestamp>,
}

/// Result of an activation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyActivation {
    /// Version in force now.
    pub version: String,
    /// Version in force before.
    pub previous: String,
    /// Whether all calls under the previous version had ended within 10 seconds.
    pub is_drained: bool,
}

/// Error returned when a policy is stored, read or activated.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The document has faults.
    #[error(transparent)]
    Faults(#[from] InvalidPolicy),
    /// Another policy has this version; versions never change.
    #[error("another policy has this version")]
    AlreadyExists,
    /// No policy has this version.
    #[error("policy not found")]
    NotFound,
    /// The maximum number of versions is stored.
    #[error("too many policies")]
    TooMany,
    /// No policy was in force before the active one.
    #[error("no policy was in force before")]
    NothingBefore,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores a version. Storing the same policy again changes nothing.
pub async fn create_policy(app: &App, policy: Policy, text: String) -> Result<PolicyVersion, PolicyError> {
    let known = list_policies(app).await?;
    if let Some(known) = known.iter().find(|known| known.policy.version == policy.version) {
        return if known.policy == policy { Ok(known.clone()) } else { Err(PolicyError::AlreadyExists) };
    }
    if known.len() >= VERSIONS_MAX {
        return Err(PolicyError::TooMany);
    }
    let created_at = app.now();
    let stored = StoredPolicy { version: policy.version.clone(), text: text.clone(), created_at };
    let is_new = app.store.put_policy(&stored).await?;
    app.store.durable().await?;
    if !is_new {
        // A concurrent call stored this version first.
        let stored = get_policy(app, &policy.version).await?;
        return if stored.policy == policy { Ok(stored) } else { Err(PolicyError::AlreadyExists) };
    }
    tracing::info!(version = policy.version, "policy created");
    Ok(PolicyVersion { policy, text, created_at: Some(created_at), active_since: None })
}

/// Returns a version of the policy.
pub async fn get_policy(app: &App, version: &str) -> Result<PolicyVersion, PolicyError> {
    let mut known = list_policies(app).await?.into_iter();
    known.find(|known| known.policy.version == version).ok_or(PolicyError::NotFound)
}

/// Returns the policy in force.
pub async fn active_policy(app: &App) -> Result<PolicyVersion, PolicyError> {
    let mut known = list_policies(app).await?.into_iter();
    known.find(|known| known.active_since.is_some()).ok_or(PolicyError::NotFound)
}

/// Returns all versions, newest first; the built-in default is the oldest.
pub async fn list_policies(app: &App) -> Result<Vec<PolicyVersion>, PolicyError> {
    let activations = app.store.load_activations().await?;
    let active = app.policy_in_force();
    let active_since = |version: &str| {
        let last = activations.last().map(|last| last.at).filter(|_| active.version == version);
        last.or((active.version == version).then_some(Timestamp::MIN))
    };
    let mut versions = Vec::new();
    for StoredPolicy { version, text, created_at } in app.store.load_policies().await? {
        let policy = read_stored_policy(&version, &text)?;
        let active_since = active_since(&version);
        versions.push(PolicyVersion { policy, text, created_at: Some(created_at), active_since });
    }
    let default = Policy::default();
    if !versions.iter().any(|known| known.policy.version == default.version) {
        let (text, active_since) =
            (crate::policy_document::format_policy::format_policy(&default), active_since(&default.version));
        versions.push(PolicyVersion { policy: default, text, created_at: None, active_since });
    }
    versions.sort_by(|a, b| (b.created_at, &b.policy.version).cmp(&(a.created_at, &a.policy.version)));
    Ok(versions)
}

/// Activates a version, and returns when no call uses the previous one any more.
pub async fn activate_policy(app: &App, version: &str) -> Result<PolicyActivation, PolicyError> {
    let publishing = app.publishing.lock().await;
    let next = get_policy(app, version).await?.policy;
    let previous = app.policy_in_force();
    if *previous == next {
        return Ok(PolicyActivation { version: next.version.clone(), previous: next.version, is_drained: true });
    }
    let offers = app.offers_under(&next).await?;
    app.store.append_activation(&Activation { policy: next.version.clone(), at: app.now() }).await?;
    app.store.durable().await?;
    let (version, previous_version) = (next.version.clone(), previous.version.clone());
    let before = Arc::downgrade(&previous);
    drop(previous);
    app.publish_policy(Arc::new(next), offers);
    drop(publishing);
    let is_drained = wait_until_drained(&before, DRAIN_MAX).await;
    tracing::info!(version, previous = previous_version, is_drained, "policy activated");
    Ok(PolicyActivation { version, previous: previous_version, is_drained })
}

/// Activates the version that was in force before the active one.
pub async fn roll_back_policy(app: &App) -> Result<PolicyActivation, PolicyError> {
    let active = app.policy_in_force().version.clone();
    let activations = app.store.load_activations().await?;
    if activations.is_empty() {
        return Err(PolicyError::NothingBefore);
    }
    let before = activations.into_iter().rev().map(|activation| activation.policy).find(|version| *version != active);
    activate_policy(app, &before.unwrap_or_else(|| Policy::default().version)).await
}

/// Waits until no call uses the policy any more. Returns false when the wait times out.
async fn wait_until_drained(policy: &Weak<Policy>, wait_max: Duration) -> bool {
    let waiting = async {
        while policy.strong_count() > 0 {
            tokio::time::sleep(DRAIN_POLL_INTERVAL).await;
        }
    };
    tokio::time::timeout(wait_max, waiting).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::training_settings::TrainingSettings;
    use crate::policy_document::format_policy::format_policy;
    use crate::store::contract::store::Store;
    use crate::store::memory::store::MemoryStore;
    use crate::use_cases::app::Clock;

    struct FixedClock;

    impl Clock for FixedClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_ms(1_700_000_000_000).expect("in range")
        }
    }

    async fn with_calm() -> App {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let limits = TrainingSettings::new(1, 1 << 20);
        let app = App::open(store, Arc::new(FixedClock), Policy::default(), limits).await.expect("opens");
        let calm = Policy { version: "calm".to_owned(), ..Policy::default() };
        let text = format_policy(&calm);
        create_policy(&app, calm, text).await.expect("stored");
        app
    }

    /// Broken by: not waiting.
    #[tokio::test]
    async fn an_activation_waits_for_calls_that_started_before_it() {
        let app = with_calm().await;
        let held_by_call = app.snapshot();
        let activating = activate_policy(&app, "calm");
        tokio::pin!(activating);
        tokio::select! {
            biased;
            _ = &mut activating => panic!("the call has not ended yet"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(
            (held_by_call.policy.version.as_str(), app.policy_in_force().version.as_str()),
            ("default-1", "calm")
        );
        drop(held_by_call);
        assert!(activating.await.expect("activates").is_drained);
    }

    #[tokio::test]
    async fn an_activation_reports_a_call_that_outlives_the_wait() {
        let policy = Arc::new(Policy::default());
        assert!(!wait_until_drained(&Arc::downgrade(&policy), Duration::ZERO).await);
    }
}
