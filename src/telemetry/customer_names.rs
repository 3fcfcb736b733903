//! How customers are named in logs: by a keyed hash of the id, unless somebody asked for the ids themselves.
//!
//! Whatever logs a customer logs a [`LoggedCustomer`]. The hash is HMAC-SHA-256 (RFC 2104), cut to 48 bits: enough to join
//! the lines about one customer. Without a key anybody could hash a guessed id and compare; so there always is one, random in
//! each process unless a key was given, which joins lines across processes and restarts.

use std::fmt;
use std::sync::OnceLock;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Shorter keys can be guessed like the ids.
pub const KEY_BYTES_MIN: usize = 16;
/// Bytes of the hash that are shown, each as two hex digits.
const SHOWN_BYTES: usize = 6;

/// The key of the hashes. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct NamingKey(Vec<u8>);

impl NamingKey {
    /// A key of at least [`KEY_BYTES_MIN`] bytes; white space at its end, as editors leave it, does not count.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let key = bytes.trim_ascii_end();
        (key.len() >= KEY_BYTES_MIN).then(|| Self(key.to_owned()))
    }

    /// A random one: 244 random bits, as two random UUIDs have.
    fn random() -> Self {
        let halves = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
        Self(halves.iter().flat_map(|half| *half.as_bytes()).collect())
    }

    fn hash(&self, id: &str) -> [u8; SHOWN_BYTES] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length will do");
        mac.update(id.as_bytes());
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        std::array::from_fn(|place| whole[place])
    }
}

impl fmt::Debug for NamingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NamingKey")
    }
}

/// How customers are named in logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomerNames {
    /// By their ids.
    Ids,
    /// By a hash under this key; `None`: a random one.
    Hashes(Option<NamingKey>),
}

/// Chosen once in a process.
static CHOSEN: OnceLock<CustomerNames> = OnceLock::new();

/// Chooses, before anything is logged; a second choice in one process changes nothing.
pub fn name_customers_by(names: CustomerNames) {
    // An error means that it was chosen already, as in a test that starts two servers.
    let _chosen = CHOSEN.set(with_key(names));
}

fn with_key(names: CustomerNames) -> CustomerNames {
    match names {
        CustomerNames::Hashes(None) => CustomerNames::Hashes(Some(NamingKey::random())),
        CustomerNames::Ids | CustomerNames::Hashes(Some(_)) => names,
    }
}

/// A customer's id as it may stand in a log. It costs nothing until it is written.
///
/// ```
/// use tactful::telemetry::customer_names::LoggedCustomer;
///
/// let logged = LoggedCustomer("ada").to_string();
/// assert_eq!(logged.len(), 12);
/// assert_eq!(logged, LoggedCustomer("ada").to_string());
/// ```
#[derive(Clone, Copy)]
pub struct LoggedCustomer<'a>(pub &'a str);

impl LoggedCustomer<'_> {
    fn write(self, names: &CustomerNames, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match names {
            CustomerNames::Ids => f.write_str(self.0),
            CustomerNames::Hashes(Some(key)) => key.hash(self.0).iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            // A key is chosen together with the hashes.
            CustomerNames::Hashes(None) => f.write_str("?"),
        }
    }
}

impl fmt::Display for LoggedCustomer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(CHOSEN.get_or_init(|| with_key(CustomerNames::Hashes(None))), f)
    }
}

impl fmt::Debug for LoggedCustomer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: &str, names: CustomerNames) -> String {
        struct Named<'a>(&'a str, CustomerNames);
        impl fmt::Display for Named<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                LoggedCustomer(self.0).write(&self.1, f)
            }
        }
        Named(id, with_key(names)).to_string()
    }

    fn by(key: &str) -> CustomerNames {
        CustomerNames::Hashes(Some(NamingKey::new(key.as_bytes()).expect("long enough")))
    }

    /// The expected value is of another implementation (Python's `hmac`). Broken by: a hash without its key.
    #[test]
    fn the_name_is_the_beginning_of_the_keyed_hash() {
        assert_eq!(named("ada", by("0123456789abcdef0123456789abcdef")), "7f06173e229c");
        assert_eq!(named("ada", by("0123456789abcdef0123456789abcdef\n")), "7f06173e229c", "an editor's end of line");
        assert_ne!(named("ada", by("another key of some length")), "7f06173e229c");
        assert_eq!(named("ada", CustomerNames::Ids), "ada");
    }

    /// Broken by: a fixed key.
    #[test]
    fn without_a_key_two_processes_name_a_customer_differently() {
        let random = || named("ada", CustomerNames::Hashes(None));
        assert_ne!(random(), random());
    }

    /// Broken by: a printed key.
    #[test]
    fn a_key_is_long_and_never_printed() {
        assert_eq!(NamingKey::new(b"fifteen bytes.."), None);
        assert_eq!(NamingKey::new(b"fifteen bytes..          "), None);
        let printed = format!("{:?}", by("secret secret secret"));
        assert!(!printed.contains("secret") && !printed.contains("115"), "{printed}");
    }
}
