//! Parses written settings and collects their faults.

use std::collections::BTreeMap;

use super::fault::SettingFault;
use super::setting::ServerSetting;

/// Text of a setting and where it is written.
#[derive(Debug, Clone)]
pub(super) struct WrittenValue {
    pub(super) text: String,
    /// Name of the setting as its source writes it: `--listen`, `TACTFUL_LISTEN`, `tactful.toml: listen`.
    pub(super) origin: String,
}

/// Parses written settings and collects their faults.
#[derive(Default)]
pub(super) struct SettingReader {
    pub(super) values: BTreeMap<String, WrittenValue>,
    pub(super) faults: Vec<SettingFault>,
}

impl SettingReader {
    /// The value of a setting; its default where it is not written, or faulty.
    pub(super) fn read<T>(&mut self, name: &str, setting: ServerSetting<T>) -> T {
        let text = self.values.get(name).map(|value| value.text.as_str());
        let (value, problems) = setting.read(text);
        for problem in problems {
            self.fault(name, problem);
        }
        value
    }

    /// Reports a fault of a setting.
    pub(super) fn fault(&mut self, name: &str, problem: impl Into<String>) {
        let written = self.values.get(name);
        let origin = written.map_or_else(|| format!("--{name}"), |value| value.origin.clone());
        self.faults.push(SettingFault { origin, problem: problem.into() });
    }
}
