//! Channels of the policy: their names and aliases, and the lease, cap and basis in consent of offers on each.
//!
//! A channel is stored as its caller wrote it, and resolved to a registered one when a decision is made. So a policy can
//! rename a channel, and what customers said about it stays as they said it. A name that does not resolve is never ignored:
//! a request on it is refused, an opt-out of it holds for every channel.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::ids::Channel;
use super::time::DAY;

/// Basis in consent that offers on a channel need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConsentBasis {
    /// The customer has agreed to offers on the channel.
    OptIn,
    /// The customer has agreed, or gave the address in a purchase, with notice of the right to object.
    SoftOptIn,
    /// The customer has not objected.
    OptOut,
}

/// Kind of a recorded consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConsentKind {
    /// The customer agreed to offers on the channel.
    OptIn,
    /// The customer gave the address in a purchase, with notice of the right to object.
    SoftOptIn,
}

impl ConsentBasis {
    /// All bases, the one that demands most first.
    pub const ALL: [Self; 3] = [Self::OptIn, Self::SoftOptIn, Self::OptOut];

    /// Name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OptIn => "opt_in",
            Self::SoftOptIn => "soft_opt_in",
            Self::OptOut => "opt_out",
        }
    }

    /// Whether a recorded consent of this kind suffices; `None` for no recorded consent.
    pub fn is_met_by(self, kind: Option<ConsentKind>) -> bool {
        match (self, kind) {
            (Self::OptOut, _) | (Self::SoftOptIn, Some(_)) | (Self::OptIn, Some(ConsentKind::OptIn)) => true,
            (Self::SoftOptIn | Self::OptIn, None) | (Self::OptIn, Some(ConsentKind::SoftOptIn)) => false,
        }
    }
}

/// Terms of offers on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelTerms {
    /// Time for which a grant can be released; `None` for the lease of the policy.
    pub lease: Option<Duration>,
    /// Maximum number of offers granted on the channel within the cap window; `None` for no cap of its own.
    pub cap: Option<u32>,
    /// Basis in consent.
    pub basis: ConsentBasis,
}

/// A registered channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredChannel {
    name: Channel,
    aliases: Vec<Channel>,
    /// Terms of offers on it.
    pub terms: ChannelTerms,
}

impl RegisteredChannel {
    /// Creates a channel. Names are checked by [`ChannelRegistry::new`].
    pub fn new(name: Channel, aliases: Vec<Channel>, terms: ChannelTerms) -> Self {
        Self { name, aliases, terms }
    }

    /// Name under which decisions and grants record the channel.
    pub fn name(&self) -> &Channel {
        &self.name
    }

    /// Other names of the channel.
    pub fn aliases(&self) -> &[Channel] {
        &self.aliases
    }
}

/// The channels that requests may name, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRegistry {
    channels: Vec<RegisteredChannel>,
    /// Position of the channel of each name and alias, by its key.
    positions: BTreeMap<String, usize>,
}

/// Error returned for channels that cannot be told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidRegistry {
    /// A name or alias has neither letters nor digits.
    NoLetters(String),
    /// A name or alias belongs to two channels.
    Ambiguous {
        /// The name or alias.
        name: String,
        /// Channel that has it, too.
        first: Channel,
        /// The channel.
        second: Channel,
    },
}

impl fmt::Display for InvalidRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLetters(name) => write!(f, "{name:?} has neither letters nor digits"),
            Self::Ambiguous { name, first, second } => write!(
                f,
                "{name:?} of {second} is also a name of {first}; case, spaces and punctuation do not distinguish names"
            ),
        }
    }
}

impl std::error::Error for InvalidRegistry {}

impl ChannelRegistry {
    /// Creates a registry.
    ///
    /// # Errors
    /// Every name and alias that cannot be told apart from another, or has no letters.
    pub fn new(mut channels: Vec<RegisteredChannel>) -> Result<Self, Vec<InvalidRegistry>> {
        channels.sort_by(|a, b| a.name.cmp(&b.name));
        let mut positions: BTreeMap<String, usize> = BTreeMap::new();
        let mut faults = Vec::new();
        for (position, channel) in channels.iter().enumerate() {
            for (index, name) in std::iter::once(&channel.name).chain(&channel.aliases).enumerate() {
                let key = key_of(name);
                if key.is_empty() {
                    faults.push(InvalidRegistry::NoLetters(name.to_string()));
                    continue;
                }
                match positions.get(&key) {
                    // An alias that differs from a name of the same channel by case or punctuation only is harmless.
                    Some(&other) if other == position && index > 0 => {}
                    Some(&other) => faults.push(InvalidRegistry::Ambiguous {
                        name: name.to_string(),
                        first: channels[other].name.clone(),
                        second: channel.name.clone(),
                    }),
                    None => drop(positions.insert(key, position)),
                }
            }
        }
        if faults.is_empty() { Ok(Self { channels, positions }) } else { Err(faults) }
    }

    /// All channels, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &RegisteredChannel> {
        self.channels.iter()
    }

    /// Number of channels.
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Whether no channel is registered.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// Returns the channel that has this name or alias. Case, spaces and punctuation do not count.
    pub fn resolve(&self, channel: &Channel) -> Option<&RegisteredChannel> {
        // What decisions record is a name as it is registered.
        if let Ok(position) = self.channels.binary_search_by(|registered| registered.name.cmp(channel)) {
            return Some(&self.channels[position]);
        }
        self.positions.get(&key_of(channel)).map(|&position| &self.channels[position])
    }

    /// Returns the terms of the channel that has this name or alias, to change them.
    pub fn terms_mut(&mut self, channel: &Channel) -> Option<&mut ChannelTerms> {
        let name = self.resolve(channel)?.name.clone();
        self.channels.iter_mut().find(|registered| registered.name == name).map(|registered| &mut registered.terms)
    }

    /// Names of all channels.
    pub fn names(&self) -> Vec<Channel> {
        self.channels.iter().map(|registered| registered.name.clone()).collect()
    }
}

/// Key under which names are compared: their letters and digits in lower case.
fn key_of(channel: &Channel) -> String {
    channel.as_str().chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

impl Default for ChannelRegistry {
    /// The usual channels. "Mail" is left out: it means e-mail to some and letters to others, and an opt-out of it that was
    /// taken for the wrong one would let offers through.
    fn default() -> Self {
        let channel = |name: &str, aliases: &[&str], lease: Option<Duration>| {
            let id = |text: &str| Channel::new(text).expect("a short text");
            let terms = ChannelTerms { lease, cap: None, basis: ConsentBasis::OptOut };
            RegisteredChannel::new(id(name), aliases.iter().map(|alias| id(alias)).collect(), terms)
        };
        let channels = vec![
            channel("app", &["in-app", "mobile app"], None),
            channel("email", &["e-mail"], Some(DAY * 2)),
            channel("phone", &["telephone", "call", "call-centre", "call-center"], None),
            channel("post", &["letter"], None),
            channel("sms", &["text", "text message"], None),
            channel("store", &["shop"], None),
            channel("web", &["website"], None),
        ];
        Self::new(channels).expect("the names differ")
    }
}

/// Meaning of a request that names no channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnsetChannel {
    /// It is a request on this channel.
    Registered(Channel),
    /// The strictest of all channels counts: any opt-out, any missing consent, the smallest cap, the shortest lease.
    Strictest,
    /// It is refused.
    Refuse,
}

impl UnsetChannel {
    /// Name of [`UnsetChannel::Strictest`] in policies.
    pub const STRICTEST: &'static str = "strictest";
    /// Name of [`UnsetChannel::Refuse`] in policies.
    pub const REFUSE: &'static str = "refuse";

    /// Name in policies.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Registered(channel) => channel.as_str(),
            Self::Strictest => Self::STRICTEST,
            Self::Refuse => Self::REFUSE,
        }
    }
}

/// Channel of a query, resolved by the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryChannel<'p> {
    /// A registered channel.
    Registered(&'p RegisteredChannel),
    /// No channel was named, so that the strictest of all counts.
    Unset,
}

impl<'p> QueryChannel<'p> {
    /// The registered name; `None` when no channel was named.
    pub fn name(self) -> Option<&'p Channel> {
        match self {
            Self::Registered(channel) => Some(channel.name()),
            Self::Unset => None,
        }
    }
}

/// Error returned for a request whose channel the policy does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidChannel {
    /// The policy has no such channel.
    Unknown {
        /// The channel as the request has it.
        channel: Channel,
        /// Registered names.
        known: Vec<Channel>,
    },
    /// The policy refuses requests without a channel.
    Missing {
        /// Registered names.
        known: Vec<Channel>,
    },
}

impl fmt::Display for InvalidChannel {
    /// Writes a predicate of the channel, with the remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |known: &[Channel]| known.iter().map(Channel::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::Unknown { channel, known } => write!(
                f,
                "{:?} is not a channel of the active policy; its channels are {}; others are added, or given as an alias, \
                 under contact.channels",
                channel.as_str(),
                names(known)
            ),
            Self::Missing { known } => {
                write!(f, "is required by the active policy (contact.unset_channel); its channels are {}", names(known))
            }
        }
    }
}

impl std::error::Error for InvalidChannel {}

/// Relation of an opt-out or a missing consent to the channel of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelScope {
    /// It concerns the channel of the query.
    Queried,
    /// It concerns another channel; the query names none, and the strictest counts.
    Unset,
    /// It concerns a channel that the policy does not have, and therefore holds for every one.
    Unresolved,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(text: &str) -> Channel {
        Channel::new(text).expect("a valid name")
    }

    fn registered(name: &str, aliases: &[&str]) -> RegisteredChannel {
        let terms = ChannelTerms { lease: None, cap: None, basis: ConsentBasis::OptOut };
        RegisteredChannel::new(channel(name), aliases.iter().map(|alias| channel(alias)).collect(), terms)
    }

    /// Broken by: comparing names as they are written.
    #[test]
    fn names_are_compared_by_letters_and_digits_without_case() {
        let registry = ChannelRegistry::default();
        for (written, name) in [
            ("email", Some("email")),
            ("Email", Some("email")),
            ("EMAIL", Some("email")),
            ("e-mail", Some("email")),
            ("E Mail", Some("email")),
            ("Text_Message", Some("sms")),
            ("Call Centre", Some("phone")),
            ("mail", None),
            ("fax", None),
            ("-", None),
        ] {
            assert_eq!(registry.resolve(&channel(written)).map(|it| it.name().as_str()), name, "{written}");
        }
    }

    #[test]
    fn names_of_two_channels_that_look_alike_are_refused_all_at_once() {
        let channels =
            vec![registered("email", &["E-Mail"]), registered("post", &["-"]), registered("Post", &["e mail"])];
        let faults = ChannelRegistry::new(channels).expect_err("three faults");
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "\"email\" of email is also a name of Post; case, spaces and punctuation do not distinguish names",
                "\"E-Mail\" of email is also a name of Post; case, spaces and punctuation do not distinguish names",
                "\"post\" of post is also a name of Post; case, spaces and punctuation do not distinguish names",
                "\"-\" has neither letters nor digits",
            ]
        );
    }

    #[test]
    fn a_basis_is_met_by_the_consents_that_suffice() {
        let kinds = [None, Some(ConsentKind::SoftOptIn), Some(ConsentKind::OptIn)];
        let met = |basis: ConsentBasis| kinds.map(|kind| basis.is_met_by(kind));
        assert_eq!(ConsentBasis::ALL.map(met), [[false, false, true], [false, true, true], [true, true, true]]);
    }
}
