//! Versions of the policy: stored once, never changed, and activated one at a time.

use std::sync::Arc;
use std::time::Duration;

use super::app::App;
use super::channel_usage::{UsedChannel, counted, dropped_channels};
use super::follow_store::report_replica;
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
/// Maximum number of attempts to activate a policy while other processes activate others.
const ACTIVATION_ATTEMPTS_MAX: usize = 16;
/// Interval at which it checks for them.
const DRAIN_POLL_INTERVAL: Duration = Duration::from_millis(2);
/// Interval at which it checks for those of other replicas.
const SHARED_DRAIN_POLL_INTERVAL: Duration = Duration::from_millis(50);

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
    /// The policy lacks channels that the policy in force has and that are in use.
    #[error(
        "the policy drops channels that are in use: {}; add each under contact.channels, as a channel or as an alias of \
         another one",
        counted(channels)
    )]
    ChannelsInUse {
        /// The channels, never empty.
        channels: Vec<UsedChannel>,
    },
    /// No policy was in force before the active one.
    #[error("no policy was in force before")]
    NothingBefore,
    /// The version to leave is not the active one.
    #[error("the active policy is {active}")]
    NotActive {
        /// Version that is active.
        active: String,
    },
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

/// Activates a version, and returns when no call uses the previous one any more. A policy that drops a channel in use is
/// refused: what customers said about the channel would no longer be understood.
pub async fn activate_policy(app: &App, version: &str) -> Result<PolicyActivation, PolicyError> {
    put_into_force(app, |_, _| Ok(Target::Version(version.to_owned()))).await
}

/// Leaves a version for the one that was in force before it was activated. A version that was left by a roll-back is not in
/// force before anything: rolling back again goes further back, never forth again. A repeated call returns the result of the
/// first one, as long as nothing else was activated.
pub async fn roll_back_policy(app: &App, version_to_leave: &str) -> Result<PolicyActivation, PolicyError> {
    put_into_force(app, |activations, active| {
        if active == version_to_leave {
            return version_before(activations).map(Target::VersionBefore).ok_or(PolicyError::NothingBefore);
        }
        if version_left_last(activations).is_some_and(|left| left == version_to_leave) {
            return Ok(Target::RolledBack { left: version_to_leave.to_owned() });
        }
        Err(PolicyError::NotActive { active: active.to_owned() })
    })
    .await
}

/// Version to put into force.
enum Target {
    Version(String),
    /// The version that was in force before the active one.
    VersionBefore(String),
    /// The active version: this one was left for it before.
    RolledBack {
        left: String,
    },
}

/// Versions in force, oldest first, without those that were left by a roll-back; the last one is active.
fn stack_of_versions(activations: &[Activation]) -> Vec<String> {
    let mut versions = vec![Policy::default().version];
    for Activation { policy, at: _, is_roll_back } in activations {
        if *is_roll_back {
            versions.pop();
        }
        if versions.last() != Some(policy) {
            versions.push(policy.clone());
        }
    }
    versions
}

/// Version that was in force before the active one was activated.
fn version_before(activations: &[Activation]) -> Option<String> {
    let mut versions = stack_of_versions(activations);
    versions.pop();
    versions.pop()
}

/// Version that the last activation left, if it was a roll-back.
fn version_left_last(activations: &[Activation]) -> Option<String> {
    let (last, earlier) = activations.split_last()?;
    last.is_roll_back.then(|| stack_of_versions(earlier).pop())?
}

/// Puts a version into force, chosen from the activations so far and the active version, and returns when no call uses the
/// previous one any more. Starts over when another process activated a version meanwhile.
async fn put_into_force(
    app: &App,
    choose: impl Fn(&[Activation], &str) -> Result<Target, PolicyError>,
) -> Result<PolicyActivation, PolicyError> {
    for _ in 0..ACTIVATION_ATTEMPTS_MAX {
        app.follow_policy().await?;
        let (previous, number) = app.numbered_policy();
        let activations = app.store.load_activations().await?;
        let (version, is_roll_back) = match choose(&activations, &previous.version)? {
            Target::Version(version) => (version, false),
            Target::VersionBefore(version) => (version, true),
            Target::RolledBack { left } => {
                return Ok(PolicyActivation { version: previous.version.clone(), previous: left, is_drained: true });
            }
        };
        let next = get_policy(app, &version).await?.policy;
        if *previous == next {
            return Ok(PolicyActivation { version: next.version.clone(), previous: next.version, is_drained: true });
        }
        let channels = dropped_channels(app, &next).await?;
        if !channels.is_empty() {
            return Err(PolicyError::ChannelsInUse { channels });
        }
        let activation = Activation { policy: version.clone(), at: app.now(), is_roll_back };
        let publishing = app.publishing.lock().await;
        let offers = app.offers_under(&next).await?;
        if !app.store.append_activation(&activation, number).await? {
            continue;
        }
        app.store.durable().await?;
        let previous_version = previous.version.clone();
        drop(previous);
        app.publish_policy(Arc::new(next), number + 1, offers);
        drop(publishing);
        let is_drained = wait_until_drained(app, number + 1, DRAIN_MAX).await;
        tracing::info!(version, previous = previous_version, is_roll_back, is_drained, "policy activated");
        return Ok(PolicyActivation { version, previous: previous_version, is_drained });
    }
    let detail = "other policies were activated at every attempt".to_owned();
    Err(StoreError::Unavailable { detail }.into())
}

/// Waits until no call uses a policy before this one any more, here and at other replicas. Returns false when the wait times
/// out, or the store does not say.
async fn wait_until_drained(app: &App, number: u64, wait_max: Duration) -> bool {
    let waiting = async {
        // After the activation, so that every commit that may not have seen it is below.
        let shared = match app.store.shared() {
            Some(shared) => Some((shared, shared.commit_position().await?)),
            None => None,
        };
        while app.oldest_policy_in_use() < number {
            tokio::time::sleep(DRAIN_POLL_INTERVAL).await;
        }
        if let Some((shared, position)) = shared {
            report_replica(app).await?;
            while !shared.is_drained(number, position).await? {
                tokio::time::sleep(SHARED_DRAIN_POLL_INTERVAL).await;
            }
        }
        Ok::<(), StoreError>(())
    };
    match tokio::time::timeout(wait_max, waiting).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "whether the previous policy is still in use is not known");
            false
        }
        Err(_) => false,
    }
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

    /// Versions before the active one, and the one left last, for activations (`+`) and roll-backs (`-`).
    /// Broken by: a roll-back that counts as an activation, after which the version that was left is the one before.
    #[test]
    fn a_version_that_was_left_is_not_the_one_before() {
        for (written, before, left) in [
            ("", None, None),
            ("+a", Some("default-1"), None),
            ("+a +b", Some("a"), None),
            ("+a +b -a", Some("default-1"), Some("b")),
            ("+a +b -a -default-1", None, Some("a")),
            ("+a +b -a +c", Some("a"), None),
            ("+a +b -a +b", Some("a"), None),
            ("+a +b +a", Some("b"), None),
            ("+a +b +a -b", Some("a"), Some("a")),
            ("+default-1 +a", Some("default-1"), None),
        ] {
            let activations: Vec<Activation> = written
                .split_whitespace()
                .map(|word| Activation {
                    policy: word[1..].to_owned(),
                    at: Timestamp::MIN,
                    is_roll_back: word.starts_with('-'),
                })
                .collect();
            assert_eq!(version_before(&activations).as_deref(), before, "before, after {written}");
            assert_eq!(version_left_last(&activations).as_deref(), left, "left by {written}");
        }
    }

    #[tokio::test]
    async fn an_activation_reports_a_call_that_outlives_the_wait() {
        let app = with_calm().await;
        let _held_by_call = app.snapshot();
        let activating = activate_policy(&app, "calm");
        assert!(tokio::time::timeout(Duration::ZERO, activating).await.is_err(), "it waits");
        assert!(!wait_until_drained(&app, 1, Duration::ZERO).await);
    }
}
