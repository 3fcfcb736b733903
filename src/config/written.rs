//! Settings as they are written: texts with their origin, merged in the order flags, environment variables, settings file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::fault::{SettingFault, SettingFaults};
use super::reader::{SettingReader, WrittenValue};
use super::setting::{Declaration, environment_name};
use super::settings::{Settings, declarations};

static DECLARATIONS: LazyLock<Vec<Declaration>> = LazyLock::new(declarations);

/// Settings before they are parsed.
#[derive(Debug, Clone, Default)]
pub struct WrittenSettings {
    values: BTreeMap<String, WrittenValue>,
    /// Faults of the settings file that belong to no setting.
    faults: Vec<SettingFault>,
}

impl WrittenSettings {
    /// Sets one setting, as a flag would.
    pub fn with(mut self, name: &str, text: impl Into<String>) -> Self {
        self.insert(name, text.into(), format!("--{name}"));
        self
    }

    /// Whether any source sets this setting.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Reads a settings file. Its faults are reported by [`Self::check`], together with all others.
    pub fn from_file(path: &Path) -> Self {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::from_toml(&text, &path.display().to_string()),
            Err(error) => {
                let fault = SettingFault { origin: path.display().to_string(), problem: error.to_string() };
                Self { faults: vec![fault], ..Self::default() }
            }
        }
    }

    /// Reads the text of a settings file: TOML, with the names of the flags as keys.
    pub fn from_toml(text: &str, file: &str) -> Self {
        let mut written = Self::default();
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                written.faults.push(SettingFault { origin: file.to_owned(), problem: error.to_string() });
                return written;
            }
        };
        for (name, value) in table {
            let origin = format!("{file}: {name}");
            if let Some(text) = scalar(&value) {
                written.insert(&name, text, origin);
            } else {
                let problem = "must be a text, a number or a boolean".to_owned();
                written.faults.push(SettingFault { origin, problem });
            }
        }
        written
    }

    fn insert(&mut self, name: &str, text: String, origin: String) {
        if DECLARATIONS.iter().any(|declaration| declaration.name == name) {
            self.values.insert(name.to_owned(), WrittenValue { text, origin });
        } else {
            let similar = |known: &str| strsim::jaro_winkler(known, name);
            let names = DECLARATIONS.iter().map(|declaration| declaration.name.as_str());
            let nearest = names.max_by(|one, other| similar(one).total_cmp(&similar(other)));
            let problem = format!("unknown setting; did you mean {}?", nearest.unwrap_or_default());
            self.faults.push(SettingFault { origin, problem });
        }
    }

    /// Settings of `self`, and those of `fallback` where `self` has none.
    pub fn or(mut self, fallback: Self) -> Self {
        for (name, value) in fallback.values {
            self.values.entry(name).or_insert(value);
        }
        self.faults.extend(fallback.faults);
        self
    }

    /// Parses and checks all settings.
    ///
    /// # Errors
    /// Every fault, not only the first.
    pub fn check(self) -> Result<Settings, SettingFaults> {
        let Self { values, faults } = self;
        let mut reader = SettingReader { values, faults };
        let settings = Settings::read(&mut reader);
        settings.check_together(&mut reader);
        if reader.faults.is_empty() { Ok(settings) } else { Err(SettingFaults(reader.faults)) }
    }
}

/// The text of a TOML value that is neither a list, a table nor a time.
fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(value) => Some(value.to_string()),
        toml::Value::Datetime(time) => Some(time.to_string()),
        toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

impl clap::Args for WrittenSettings {
    fn augment_args(command: Command) -> Command {
        DECLARATIONS.iter().fold(command, |command, declaration| command.arg(argument(declaration)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn argument(declaration: &'static Declaration) -> Arg {
    let Declaration { name, environment, heading, help, value_name, is_switch } = declaration;
    let argument = Arg::new(name.as_str())
        .long(name.as_str())
        .env(environment.as_str())
        // The value may be one that must not be printed.
        .hide_env_values(true)
        .help_heading(*heading)
        .help(help.as_str())
        .value_name(*value_name)
        .action(ArgAction::Set);
    if *is_switch { argument.num_args(0..=1).require_equals(true).default_missing_value("true") } else { argument }
}

impl clap::FromArgMatches for WrittenSettings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut written = Self::default();
        written.update_from_arg_matches(matches)?;
        Ok(written)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for Declaration { name, .. } in DECLARATIONS.iter() {
            if let Some(text) = matches.get_one::<String>(name) {
                let is_environment = matches.value_source(name) == Some(ValueSource::EnvVariable);
                let origin = if is_environment { environment_name(name) } else { format!("--{name}") };
                self.insert(name, text.clone(), origin);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{Args, FromArgMatches};

    use super::*;
    use crate::config::settings::StoreKind;
    use crate::config::store_url::StoreCa;
    use crate::telemetry::customer_pseudonyms::{CustomerIdLogging, PseudonymKey};

    fn faults(written: WrittenSettings) -> Vec<String> {
        let SettingFaults(faults) = written.check().expect_err("invalid settings");
        faults.iter().map(ToString::to_string).collect()
    }

    fn parse(arguments: &[&str]) -> WrittenSettings {
        let command = WrittenSettings::augment_args(Command::new("serve"));
        let matches = command.get_matches_from(["serve"].iter().chain(arguments));
        WrittenSettings::from_arg_matches(&matches).expect("every setting is a text")
    }

    fn listen_on(address: &str) -> WrittenSettings {
        WrittenSettings::default().with("listen", address)
    }

    #[test]
    fn the_defaults_are_valid() {
        let settings = WrittenSettings::default().check().expect("valid defaults");
        assert_eq!(settings.network.listen.port(), 50051);
        assert_eq!(
            (settings.storage.store, settings.storage.data_dir.to_str()),
            (StoreKind::Sled, Some("tactful-data"))
        );
    }

    /// Broken by: a check that stops at the first fault, or that forgets the settings file.
    #[test]
    fn all_faults_are_reported_at_once_each_with_its_source() {
        let flags = listen_on("nowhere").with("requests-max", "0").with("tls-cert", "server.pem");
        let file =
            WrittenSettings::from_toml("store = \"paper\"\nlisen = \"x\"\nlog = [1]\nrequests-max = 3", "t.toml");
        let expected = [
            "t.toml: lisen: unknown setting; did you mean listen?",
            "t.toml: log: must be a text, a number or a boolean",
            "--listen: \"nowhere\" is not an address such as 127.0.0.1:50051 or [::1]:50051",
            "t.toml: store: \"paper\" is not one of sled, postgres, memory",
            "--requests-max: \"0\" is not a whole number from 1 to 1000000",
            "--tls-cert: needs tls-key as well",
        ];
        assert_eq!(faults(flags.or(file)), expected);
        assert!(faults(WrittenSettings::from_toml("listen", "t.toml"))[0].starts_with("t.toml: TOML parse error"));
        assert!(faults(WrittenSettings::from_file("/no/such.toml".as_ref()))[0].starts_with("/no/such.toml: "));
    }

    #[test]
    fn flags_take_precedence_over_the_file() {
        let file = WrittenSettings::from_toml("listen = \"127.0.0.1:1\"\nrequests-max = 7\nplaintext = true", "t.toml");
        let settings = parse(&["--listen", "127.0.0.1:2", "--log-customer-ids"]).or(file).check().expect("valid");
        assert_eq!((settings.network.listen.port(), settings.calls.requests_max), (2, 7));
        assert!(settings.logging.log_customer_ids && settings.security.plaintext);
    }

    /// Broken by: help without its defaults, ranges and headings, or one that prints the values of environment variables.
    #[test]
    fn help_shows_headings_defaults_and_ranges() {
        let command = WrittenSettings::augment_args(Command::new("serve").term_width(200));
        let help = command.clone().render_long_help().to_string();
        for shown in [
            "Call limits:",
            "[default: 10s]",
            "[default: 4096] [1 to 1000000]",
            "[default: 24h] [off to disable]",
            "[env: TACTFUL_LISTEN]",
        ] {
            assert!(help.contains(shown), "{shown} is missing:\n{help}");
        }
        assert!(command.get_arguments().all(clap::Arg::is_hide_env_values_set));
    }

    /// Broken by: an open port by default.
    #[test]
    fn plain_text_beyond_this_machine_is_a_choice() {
        for open in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            assert!(faults(listen_on(open))[0].starts_with("--listen: other machines"), "{open}");
            assert!(listen_on(open).with("plaintext", "true").check().is_ok());
        }
        assert!(listen_on("127.0.0.1:1").check().is_ok() && listen_on("[::1]:1").check().is_ok());
        let with_tls = || listen_on("0.0.0.0:1").with("tls-cert", "server.pem").with("tls-key", "server.pem");
        assert!(with_tls().check().is_ok());
        assert!(with_tls().with("plaintext", "true").check().is_err());
        assert!(listen_on("0.0.0.0:1").with("tls-cert", "server.pem").check().is_err());
        assert!(listen_on("127.0.0.1:1").with("client-ca", "ca.pem").check().is_err());
    }

    /// Broken by: a CA that is ignored, so that the operator believes a connection to be encrypted that is not; a file that cannot
    /// be read and counts as absent.
    #[test]
    fn settings_of_the_certificate_of_a_database_are_checked() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("ca.pem");
        std::fs::write(&file, "a CA").expect("writes");
        let with_ca = |path: &str| WrittenSettings::default().with("store-url", "host=db").with("store-ca", path);
        let written = || with_ca(&file.display().to_string());
        assert!(faults(written())[0].starts_with("--store-ca: only a database"));
        let missing = faults(with_ca("/no/such/file").with("store", "postgres"));
        assert!(missing[0].starts_with("--store-ca: /no/such/file"), "{missing:?}");
        if cfg!(feature = "postgres") {
            let settings = written().with("store", "postgres").check().expect("valid");
            assert_eq!(settings.storage.store_ca, Some(StoreCa::new(b"a CA".to_vec())));
        }
    }

    /// Broken by: a request for plain ids that is ignored.
    #[test]
    fn settings_of_logs_and_traces_are_checked() {
        let directory = tempfile::tempdir().expect("a directory");
        let key = |name: &str, text: &str| {
            let file = directory.path().join(name);
            std::fs::write(&file, text).expect("writes");
            file.display().to_string()
        };
        let with = |name: &str, text: &str| WrittenSettings::default().with(name, text);
        let names = |written: WrittenSettings| written.check().map(|settings| settings.logging.customer_id_logging());
        let long = key("long", "0123456789abcdef\n");
        assert_eq!(names(WrittenSettings::default()), Ok(CustomerIdLogging::Pseudonyms(None)));
        let hashes = CustomerIdLogging::Pseudonyms(PseudonymKey::new(b"0123456789abcdef"));
        assert_eq!(names(with("log-customer-key", &long)), Ok(hashes));
        assert_eq!(names(with("log-customer-ids", "true")), Ok(CustomerIdLogging::PlainIds));
        assert!(faults(with("log-customer-key", &key("short", "0123456789abcde\n")))[0].contains("16 bytes"));
        assert!(faults(with("log-customer-key", "/no/such/file"))[0].contains("/no/such/file"));

        let traces = with("otlp-endpoint", "http://127.0.0.1:4317").with("otlp-sample-ratio", "0.5");
        if cfg!(feature = "otlp") {
            let traces = traces.check().expect("valid").tracing.traces().expect("an endpoint is set");
            assert_eq!((traces.endpoint(), traces.sampling_ratio()), ("http://127.0.0.1:4317", 0.5));
        } else {
            assert!(faults(traces)[0].contains("--features otlp"));
        }
        for ratio in ["1.5", "-0.1", "NaN", "some"] {
            assert!(faults(with("otlp-sample-ratio", ratio))[0].starts_with("--otlp-sample-ratio:"), "{ratio}");
        }
        let slow = |written: WrittenSettings| written.check().map(|settings| settings.logging.slow_call_threshold);
        assert_eq!(slow(with("slow-call-threshold", "off")), Ok(None));
        assert_eq!(slow(WrittenSettings::default()), Ok(Some(Duration::from_millis(250))));
    }
}
