//! The policy as a document: a formatted policy is parsed to the same policy, and every fault is reported at once.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use tactful::domain::channel::{ChannelRegistry, ChannelTerms, ConsentBasis, RegisteredChannel, UnsetChannel};
use tactful::domain::decayed_sum::{HALF_LIVES_DAYS, HalfLife};
use tactful::domain::policy::{BandCaps, NeverAfter, OnlyAfter, Policy, ProductFamily};
use tactful::domain::relationship::ComponentKind;
use tactful::domain::time::DAY;
use tactful::policy_document::format_policy::format_policy;
use tactful::policy_document::parse_policy::{parse_policy, policy_from_values};
use tactful::policy_document::policy_entries::{PolicyEntry, policy_entries};

use crate::support::shop::{channel, product_id};

/// Checks `docs/default-policy.toml`; rewritten with `TACTFUL_WRITE_GOLDEN_FILES=1`.
#[test]
fn the_default_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/default-policy.toml");
    let written = format_policy(&Policy::default());
    if std::env::var_os("TACTFUL_WRITE_GOLDEN_FILES").is_some() {
        std::fs::write(&path, &written).expect("the file can be written");
    }
    assert_eq!(std::fs::read_to_string(path).expect("the file is there"), written);
    assert_eq!(parse_policy(&written), Ok(Policy::default()));
}

#[test]
fn every_value_has_a_comment_and_a_key_of_its_own() {
    let mut policy = Policy::default();
    let entries = policy_entries(&mut policy);
    let mut paths: Vec<String> = entries.iter().map(PolicyEntry::path).collect();
    assert!(entries.iter().all(|entry| entry.comment.len() > 5));
    paths.sort();
    assert!(paths.windows(2).all(|pair| pair[0] != pair[1]), "{paths:?}");
}

#[test]
fn missing_values_have_their_defaults() {
    let policy =
        parse_policy("version = 'mild'\n[contact.caps]\nstrong = { offers = 6, up_sell = 1 }").expect("a policy");
    let mut expected = Policy { version: "mild".to_owned(), ..Policy::default() };
    expected.contact.caps[3] = BandCaps { offers: 6, up_sell: 1 };
    assert_eq!(policy, expected);
}

/// The keys of the faults of a document.
fn faults(text: &str) -> Vec<String> {
    parse_policy(text).expect_err("faults").0.into_iter().map(|fault| fault.key).collect()
}

#[test]
fn every_fault_is_reported_at_once() {
    let text = "
        version = 'has spaces'
        [contact]
        cap_window = '-28d'
        lease = '8d'
        back_off = '200d'
        quiet_after_tickets = '1d'
        unset_channel = 'fax'
        category_offers_max = 0
        channels = { email = { cap = 99, basis = 'maybe' }, web = { lease = '90d', cup = 1 } }
        families = { empty = { category = [], products = [], per_slate = 1, per_window = 1 } }
        [contact.rules]
        never_together = [['a', 'a']]
        never_after = [{ first = 'a', then = 'b', within = '400d' }]
        only_after = [['a', 'b'], ['b', 'c'], ['c', 'a']]
        [contact.caps]
        guarded = { offers = 1, up_sell = 2 }
        steady = { offers = 9, up_sell = 1 }
        strong = { offers = 99, up_sell = 1 }
        [relationship]
        ticket_weights = [0.4, 0.3, 0.2]
        complaint_weights = [2.0, 1.0, 1.0, 1.0]
        engagement_recent_half_life = 45
        [relationship.components]
        payment = { weight = -1.0, prior = 1.0, half_life_days = 60 }
        sentimental = { weight = 1.0, prior = 1.0, half_life_days = 60 }
        [arbitration]
        attention_price = nan
        [shipping]
        free = true
    ";
    let mut reported = faults(text);
    reported.sort();
    let expected = [
        "arbitration.attention_price",
        "contact.back_off",
        "contact.cap_window",
        "contact.caps.guarded",
        "contact.caps.strong",
        // Up-sell of guarded is above that of steady, and steady above the default of strong.
        "contact.caps.steady",
        "contact.caps.strong",
        "contact.category_offers_max",
        "contact.channels",
        "contact.families",
        "contact.rules.never_after",
        "contact.rules.never_together",
        "contact.rules.only_after",
        "contact.unset_channel",
        "contact.lease",
        "contact.quiet_after_tickets",
        "relationship.complaint_weights",
        "relationship.components.payment",
        "relationship.components.sentimental",
        "relationship.engagement_recent_half_life",
        "relationship.ticket_weights",
        "shipping",
        "version",
    ];
    for key in expected {
        assert!(reported.iter().any(|fault| fault == key), "{key} is not in {reported:?}");
    }
}

/// A complaint on a case that was reported as a ticket turns it into a complaint, which must not make it weigh less.
///
/// Broken by: weights that are compared only within their list.
#[test]
fn a_complaint_weighs_no_less_than_a_ticket() {
    let document = |weights: &str| format!("version = 'v'\n[relationship]\n{weights}");
    for weights in ["ticket_weights = [0.1, 0.2, 0.4, 3.0]", "complaint_weights = [0.05, 1.0, 1.6, 2.4]"] {
        assert_eq!(faults(&document(weights)), ["relationship.complaint_weights"], "{weights}");
    }
    assert!(parse_policy(&document("complaint_weights = [0.1, 0.2, 0.4, 0.8]")).is_ok());
}

/// The default is far below what a record can hold, and so is the highest cap that a policy may set over four weeks.
#[test]
fn a_cap_that_a_record_can_hold_is_allowed() {
    for (window, offers) in [("28d", 40), ("180d", 40), ("7d", 10), ("1d", 1)] {
        let caps = ["guarded", "steady", "strong", "new_customer"];
        let caps = caps.map(|band| format!("{band} = {{ offers = {offers}, up_sell = 0 }}\n")).concat();
        let windows = format!("[contact]\ncap_window = '{window}'\nvisit_window = '1d'\n");
        let policy = parse_policy(&format!("version = 'x'\n{windows}[contact.channels.web]\n[contact.caps]\n{caps}"));
        assert!(policy.is_ok(), "{offers} in {window}: {policy:?}");
    }
}

#[test]
fn each_fault_names_the_remedy() {
    let problem = |text: &str| parse_policy(&format!("version = 'x'\n{text}")).expect_err("a fault").to_string();
    let cases = [
        ("[contact]\nleese = '1m'", "did you mean contact.lease?"),
        ("[contact]\nlease = 15", "a duration such as"),
        ("[contact]\nlease = '0s'", "must be 1s to 30d, not 0s"),
        ("[contact.caps]\nstrained = 3", "{ offers = 4, up_sell = 1 }"),
        ("[contact.caps]\nstrained = { offers = 3, up_sell = 0, extra = 1 }", "{ offers = 4, up_sell = 1 }"),
        ("[contact.caps]\nstrained = { offers = 3, up_sell = 0 }", "a lower relationship health never yields more"),
        (
            "[contact]\ncap_window = '7d'\nvisit_window = '7d'\n[contact.caps]\nstrong = { offers = 11, up_sell = 2 }",
            "contact.caps.strong: 11 offers in each 7d are up to 286 in the 180d for which offers are kept, and a customer's \
             record holds 280: allow at most 10, or choose a longer cap_window",
        ),
        ("[relationship.bands]\nsteady = 0.2", "must not be below the limit before it"),
        ("[relationship]\nengagement_recent_half_life = 31", "7, 14, 21, 30, 60, 90, 180, 365"),
        ("[arbitration]\nseller_share = 1.5", "must be 0 to 1, not 1.5"),
        ("[contact]\nunset_channel = 'fax'", "must be strictest, refuse or a channel of contact.channels, not \"fax\""),
        ("[contact.channels.web]\ncup = 1", "web: cup is unknown; a channel has aliases, lease, cap and basis"),
        ("[contact.channels.web]\ncap = 99", "web: cap must be 0 to 40, not 99"),
        ("[contact.channels.web]\nbasis = 'no'", "web: basis must be opt_in, soft_opt_in or opt_out, not \"no\""),
        ("[contact.channels.web]\nlease = '8d'", "web: lease must not be longer than visit_window"),
        ("[contact.channels.refuse]", "refuse: the name has a meaning of its own"),
        ("[contact]\nchannels = {}", "must have 1 to 16 channels, not 0"),
        (
            "[contact.channels.email]\n[contact.channels.fax]\naliases = ['E Mail']",
            "\"E Mail\" of fax is also a name of email",
        ),
    ];
    for (text, part) in cases {
        assert!(problem(text).contains(part), "{text}: {}", problem(text));
    }
    let zero = |kind: &ComponentKind| (kind.as_str(), "{ weight = 0.0, prior = 0.7, half_life_days = 180 }");
    let lines = ComponentKind::ALL.iter().map(zero).map(|(name, value)| [name, " = ", value, "\n"].concat());
    let all_zero: String = lines.collect();
    assert!(problem(&format!("[relationship.components]\n{all_zero}")).contains("the weights sum to zero"));
    assert!(parse_policy("version = ").expect_err("no TOML").to_string().contains("line 1"));
    assert_eq!(faults(""), ["version"]);
    assert_eq!(faults(&format!("version = 'x'\n#{}", "x".repeat(70_000))), ["the document"]);
}

/// Faults of every class, and every entry of a list, in one run: syntax, unknown keys, ranges, and constraints between values.
/// Broken by: a parser that stops at the first syntax error; a list whose first faulty entry hides the others.
#[test]
fn faults_of_all_classes_are_reported_in_one_run() {
    let text = "version = 'x y'\n[contact]\nlease = \nlese = '1m'\nvisit_window = '100d'\n\
                [contact.families]\na = { category = [], products = [], per_slate = 1, per_window = 1 }\n\
                b = { category = [], products = ['\\u0007'], per_slate = 0, per_window = 1 }\n\
                [relationship]\npressure_weights = [0.1, -1.0, 0.4, 999999.0]\n";
    let faults = parse_policy(text).expect_err("faults").0;
    let has = |key: &str, part: &str| faults.iter().any(|fault| fault.key == key && fault.problem.contains(part));
    for (key, part) in [
        ("the document", "line 3"),
        ("version", "letters, digits"),
        ("contact.lese", "did you mean contact.lease?"),
        ("contact.visit_window", "must not be longer"),
        ("contact.families", "a: must have a category or products"),
        ("contact.families", "; b: "),
        ("relationship.pressure_weights", "not -1;"),
        ("relationship.pressure_weights", "not 999999"),
    ] {
        assert!(has(key, part), "{key} {part}: {faults:#?}");
    }
}

fn terms(cap: Option<u32>) -> ChannelTerms {
    ChannelTerms { lease: None, cap, basis: ConsentBasis::OptOut }
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let half_life = || proptest::sample::select(HALF_LIVES_DAYS.to_vec());
    let caps = proptest::collection::vec((0..=8u32, 0..=4u32), 4);
    (
        "[a-z][a-z0-9._-]{0,20}",
        (caps, 0.0..10.0_f64, 0.01..1.0_f64, half_life()),
        (1..400u64, 0..1_000_000_000u64, 0.0..0.3_f64, 0.3..1.0_f64),
        proptest::collection::btree_map("[a-z]{1,8}", 1..604_800u64, 0..4),
    )
        .prop_map(|(version, (caps, weight, prior, half_life), (pause, quiet_ms, guarded, strong), leases)| {
            let mut policy = Policy { version, ..Policy::default() };
            let mut rising = caps;
            rising.sort_unstable();
            let mut up_sell = 0;
            for (band, (offers, most)) in rising.into_iter().enumerate() {
                up_sell = up_sell.max(most.min(offers));
                policy.contact.caps[band] = BandCaps { offers, up_sell: up_sell.min(offers) };
            }
            policy.relationship.components[1].weight = weight;
            policy.relationship.components[2].prior = prior;
            policy.relationship.components[3].half_life = HalfLife::of_days(half_life).expect("of the bank");
            policy.contact.back_off = DAY * u32::try_from(pause % 180).expect("small");
            policy.contact.quiet_after_return = Duration::from_millis(quiet_ms);
            policy.relationship.band_limits.guarded = guarded;
            policy.relationship.band_limits.strong = strong.max(0.5);
            let mut channels = vec![RegisteredChannel::new(channel("0 \"quoted\""), vec![channel("9")], terms(None))];
            for (position, (name, seconds)) in leases.into_iter().enumerate() {
                let lease = Duration::from_secs(seconds);
                let basis = ConsentBasis::ALL[position % ConsentBasis::ALL.len()];
                let terms =
                    ChannelTerms { lease: Some(lease), cap: Some(u32::try_from(position).expect("small")), basis };
                channels.push(RegisteredChannel::new(channel(name), Vec::new(), terms));
            }
            policy.contact.channels = ChannelRegistry::new(channels).expect("names that differ");
            policy.contact.unset_channel =
                if pause % 2 == 0 { UnsetChannel::Refuse } else { UnsetChannel::Registered(channel("9")) };
            policy.contact.never_together = vec![(product_id("a"), product_id("b \"quoted\""))];
            policy.contact.never_after = vec![NeverAfter {
                first: product_id("a"),
                then: product_id("c"),
                within: DAY * u32::try_from(pause % 180 + 1).expect("small"),
            }];
            policy.contact.only_after = vec![OnlyAfter { product: product_id("d"), after: product_id("a") }];
            policy.contact.families = vec![ProductFamily {
                name: "of all".to_owned(),
                category: vec!["Kitchen".to_owned()],
                products: vec![product_id("a")],
                per_slate: 1,
                per_window: 2,
            }];
            policy
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Formatting and parsing a policy, as a document and as values, gives the same policy.
    #[test]
    fn a_formatted_policy_is_parsed_to_the_same_policy(policy in any_policy()) {
        prop_assert_eq!(parse_policy(&format_policy(&policy)), Ok(policy.clone()));
        let mut copy = policy.clone();
        let values = policy_entries(&mut copy).iter().map(|entry| (entry.path(), entry.field.value())).collect();
        prop_assert_eq!(policy_from_values(policy.version.clone(), values), Ok(policy));
    }

    /// Parsing arbitrary text never panics.
    #[test]
    fn arbitrary_text_is_a_policy_or_has_faults(text in "(version = 'x'\n)?(\\[[a-z.]{0,24}\\]\n)?([a-z_]{1,20} = [-0-9.a-z\"'\\[\\]{}]{0,12}\n){0,4}") {
        if let Err(faults) = parse_policy(&text) {
            prop_assert!(!faults.0.is_empty());
        }
    }
}
