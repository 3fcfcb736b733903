//! Keeps versions of the policy, and puts one into force.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::app::App;
use super::stored_policy::read_stored_policy;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::policy_document::fault::Faults;
use crate::store::contract::{Activation, StoreError, StoredPolicy};

/// The most versions; each is at most 64 KiB.
const VERSIONS_MAX: usize = 1000;
/// How long an activation waits for calls that began under the policy before.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How often it looks.
const DRAIN_LOOK_EVERY: Duration = Duration::from_millis(2);

/// A version of the policy.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyVersion {
    /// What it says.
    pub policy: Policy,
    /// Its document.
    pub text: String,
    /// When it was stored; `None` for the default, which is always there.
    pub created_at: Option<Timestamp>,
    /// Since when it is in force; `None` while it is not.
    pub active_since: Option<Timestamp>,
}

/// What an activation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyActivation {
    /// The policy in force now.
    pub version: String,
    /// The one before.
    pub previous: String,
    /// False when calls under the one before still ran after 10 seconds.
    pub is_drained: bool,
}

/// Why a policy could not be kept or put into force.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It does not hold together.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// Another policy has this name; versions never change.
    #[error("another policy has this version")]
    AlreadyExists,
    /// There is no such version.
    #[error("policy not found")]
    NotFound,
    /// There are too many versions.
    #[error("too many policies")]
    TooMany,
    /// No policy was in force before.
    #[error("no policy was in force before")]
    NothingBefore,
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores a version; the same again changes nothing.
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
        // Somebody else was quicker by this name.
        let theirs = get_policy(app, &policy.version).await?;
        return if theirs.policy == policy { Ok(theirs) } else { Err(PolicyError::AlreadyExists) };
    }
    tracing::info!(version = policy.version, "policy created");
    Ok(PolicyVersion { policy, text, created_at: Some(created_at), active_since: None })
}

/// Reads a version.
pub async fn get_policy(app: &App, version: &str) -> Result<PolicyVersion, PolicyError> {
    let mut known = list_policies(app).await?.into_iter();
    known.find(|known| known.policy.version == version).ok_or(PolicyError::NotFound)
}

/// The policy in force.
pub async fn active_policy(app: &App) -> Result<PolicyVersion, PolicyError> {
    let mut known = list_policies(app).await?.into_iter();
    known.find(|known| known.active_since.is_some()).ok_or(PolicyError::NotFound)
}

/// All versions, newest first; the default is the oldest.
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
        let (text, active_since) = (crate::policy_document::write::write(&default), active_since(&default.version));
        versions.push(PolicyVersion { policy: default, text, created_at: None, active_since });
    }
    versions.sort_by(|a, b| (b.created_at, &b.policy.version).cmp(&(a.created_at, &a.policy.version)));
    Ok(versions)
}

/// Puts a version into force, and answers when no call rests on the one before any more.
pub async fn activate_policy(app: &App, version: &str) -> Result<PolicyActivation, PolicyError> {
    let publishing = app.publishing.lock().await;
    let next = get_policy(app, version).await?.policy;
    let previous = app.policy_in_force();
    if *previous == next {
        return Ok(PolicyActivation { version: next.version.clone(), previous: next.version, is_drained: true });
    }
    app.store.append_activation(&Activation { policy: next.version.clone(), at: app.now() }).await?;
    app.store.durable().await?;
    let (version, previous_version) = (next.version.clone(), previous.version.clone());
    let before = Arc::downgrade(&previous);
    drop(previous);
    app.publish_policy(Arc::new(next));
    drop(publishing);
    let is_drained = drained(&before).await;
    tracing::info!(version, previous = previous_version, is_drained, "policy activated");
    Ok(PolicyActivation { version, previous: previous_version, is_drained })
}

/// Puts the version into force that was in force before this one.
pub async fn roll_back_policy(app: &App) -> Result<PolicyActivation, PolicyError> {
    let active = app.policy_in_force().version.clone();
    let activations = app.store.load_activations().await?;
    if activations.is_empty() {
        return Err(PolicyError::NothingBefore);
    }
    let before = activations.into_iter().rev().map(|activation| activation.policy).find(|version| *version != active);
    activate_policy(app, &before.unwrap_or_else(|| Policy::default().version)).await
}

/// Waits until nothing holds the policy any more.
async fn drained(policy: &Weak<Policy>) -> bool {
    let waiting = async {
        while policy.strong_count() > 0 {
            tokio::time::sleep(DRAIN_LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(DRAIN_MAX, waiting).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::train::TrainingSettings;
    use crate::policy_document::write::write;
    use crate::store::contract::Store;
    use crate::store::memory::MemoryStore;
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
        let text = write(&calm);
        create_policy(&app, calm, text).await.expect("stored");
        app
    }

    /// Broken by: not waiting.
    #[tokio::test(start_paused = true)]
    async fn an_activation_waits_for_calls_that_began_before() {
        let app = with_calm().await;
        let of_a_call = app.snapshot();
        let activating = activate_policy(&app, "calm");
        tokio::pin!(activating);
        let waited = tokio::time::timeout(Duration::from_secs(1), &mut activating).await;
        assert!(waited.is_err(), "the call has not ended yet");
        assert_eq!((of_a_call.policy.version.as_str(), app.policy_in_force().version.as_str()), ("default-1", "calm"));
        drop(of_a_call);
        assert!(activating.await.expect("activates").is_drained);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_never_ends_is_told() {
        let app = with_calm().await;
        let _of_a_call = app.snapshot();
        assert!(!activate_policy(&app, "calm").await.expect("activates").is_drained);
    }
}
