//! Building blocks of a setting: parser, default, range, and documentation for `--help`.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::domain::time::{DAY, Timestamp};
use crate::policy_document::duration_text;

/// Text that turns a setting off.
const OFF: &str = "off";

type Parse<T> = Box<dyn Fn(&str) -> Result<T, Vec<String>>>;

/// Parser of a setting's text, without a default.
pub(super) struct Parser<T> {
    value_name: &'static str,
    /// Accepted values, for `--help`.
    hints: Vec<String>,
    parse: Parse<T>,
}

/// Setting with its parser and its default.
pub(super) struct ServerSetting<T> {
    value_name: &'static str,
    hints: Vec<String>,
    default_text: Option<String>,
    /// Whether the flag may stand without a value, which means `true`.
    is_switch: bool,
    parse: Parse<T>,
    default: T,
}

impl<T: 'static> Parser<T> {
    /// Parser of a text that is either a `T` or not; `expected` completes the sentence "... is not ...".
    fn new(value_name: &'static str, expected: impl Into<String>, parse: impl Fn(&str) -> Option<T> + 'static) -> Self {
        let expected = expected.into();
        let parse = move |text: &str| parse(text).ok_or_else(|| vec![format!("{text:?} is not {expected}")]);
        Self { value_name, hints: Vec::new(), parse: Box::new(parse) }
    }

    /// Parser that explains its faults itself.
    pub(super) fn explained(
        value_name: &'static str,
        parse: impl Fn(&str) -> Result<T, Vec<String>> + 'static,
    ) -> Self {
        Self { value_name, hints: Vec::new(), parse: Box::new(parse) }
    }

    /// The setting that has this value unless another one is written.
    pub(super) fn or(self, default: impl ToString) -> ServerSetting<T> {
        let Self { value_name, hints, parse } = self;
        let text = default.to_string();
        let default = parse(&text).unwrap_or_else(|faults| panic!("the default is valid: {faults:?}"));
        ServerSetting { value_name, hints, default_text: Some(text), is_switch: false, parse, default }
    }

    /// The setting that may be absent.
    pub(super) fn optional(self) -> ServerSetting<Option<T>> {
        let Self { value_name, hints, parse } = self;
        let parse: Parse<Option<T>> = Box::new(move |text| parse(text).map(Some));
        ServerSetting { value_name, hints, default_text: None, is_switch: false, parse, default: None }
    }

    /// The setting that has this value unless another one or `off` is written.
    pub(super) fn or_off(self, default: impl ToString) -> ServerSetting<Option<T>> {
        let Self { value_name, mut hints, parse } = self;
        hints.push("off to disable".to_owned());
        let parse = move |text: &str| if text == OFF { Ok(None) } else { parse(text).map(Some) };
        Parser { value_name, hints, parse: Box::new(parse) }.or(default)
    }
}

impl<T> ServerSetting<T> {
    /// The default, and the faults of a text that does not parse.
    pub(super) fn read(self, text: Option<&str>) -> (T, Vec<String>) {
        match text.map(&self.parse) {
            None => (self.default, Vec::new()),
            Some(Ok(value)) => (value, Vec::new()),
            Some(Err(faults)) => (self.default, faults),
        }
    }
}

/// Name and documentation of a setting, for the command line and the settings file.
pub(super) struct Declaration {
    /// The flag without its dashes, and the key in the settings file.
    pub(super) name: String,
    pub(super) environment: String,
    pub(super) heading: &'static str,
    pub(super) help: String,
    pub(super) value_name: &'static str,
    pub(super) is_switch: bool,
}

impl Declaration {
    pub(super) fn new<T>(field: &str, heading: &'static str, doc: &str, setting: &ServerSetting<T>) -> Self {
        let default = setting.default_text.as_ref().map(|text| format!("default: {text}"));
        let mut help = doc.trim().trim_end_matches('.').to_owned();
        for hint in default.iter().chain(&setting.hints) {
            help = format!("{help} [{hint}]");
        }
        Self {
            name: flag_name(field),
            environment: environment_name(field),
            heading,
            help,
            value_name: setting.value_name,
            is_switch: setting.is_switch,
        }
    }
}

pub(super) fn flag_name(field: &str) -> String {
    field.replace('_', "-")
}

pub(super) fn environment_name(field: &str) -> String {
    format!("TACTFUL_{}", field.replace('-', "_").to_uppercase())
}

pub(super) fn address() -> Parser<SocketAddr> {
    Parser::new("ADDRESS", "an address such as 127.0.0.1:50051 or [::1]:50051", |text| text.parse().ok())
}

pub(super) fn path(value_name: &'static str) -> Parser<PathBuf> {
    Parser::new(value_name, "a path", |text| Some(PathBuf::from(text)))
}

pub(super) fn text(value_name: &'static str) -> Parser<String> {
    Parser::new(value_name, "a text", |text| Some(text.to_owned()))
}

pub(super) fn time() -> Parser<Timestamp> {
    Parser::new("TIME", "a time such as 2011-06-10T00:00:00Z, from 1900 to 2200", |text| {
        let at = text.parse::<jiff::Timestamp>().ok()?;
        Timestamp::from_unix_ms(at.as_millisecond())
    })
}

pub(super) fn duration() -> Parser<Duration> {
    Parser::new("DURATION", "a duration such as 500ms, 20s, 30m or 24h", |text| {
        let span = Duration::try_from(text.parse::<jiff::SignedDuration>().ok()?).ok()?;
        (!span.is_zero()).then_some(span)
    })
}

/// A time to keep something: at least a day, because what is deleted sooner can hardly be read at all.
pub(super) fn retention() -> Parser<Duration> {
    let parser = Parser::new("DURATION", "off, or a span of at least a day such as 396d", |text| {
        duration_text::parse_duration(text).filter(|span| (DAY..=DAY * 36_500).contains(span))
    });
    Parser { hints: vec!["at least 1d".to_owned()], ..parser }
}

/// A retention period of customers: no shorter than the look-back of caps.
pub(super) fn idle_retention() -> Parser<Duration> {
    let parser = Parser::new("DURATION", "off, or a span of at least 180 days such as 396d", |text| {
        duration_text::parse_duration(text).filter(|span| (DAY * 180..=DAY * 36_500).contains(span))
    });
    Parser { hints: vec!["at least 180d".to_owned()], ..parser }
}

pub(super) fn count<T>(value_name: &'static str, range: RangeInclusive<T>) -> Parser<T>
where
    T: FromStr + PartialOrd + fmt::Display + Copy + 'static,
{
    let hint = format!("{} to {}", range.start(), range.end());
    let expected = format!("a whole number from {hint}");
    let parser = Parser::new(value_name, expected, move |text| text.parse().ok().filter(|count| range.contains(count)));
    Parser { hints: vec![hint], ..parser }
}

pub(super) fn ratio() -> Parser<f64> {
    let parser = Parser::new("RATIO", "a number from 0 to 1", |text| {
        text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio))
    });
    Parser { hints: vec!["0 to 1".to_owned()], ..parser }
}

pub(super) fn choice<T: Copy + 'static, const N: usize>(
    value_name: &'static str,
    choices: [(&'static str, T); N],
) -> Parser<T> {
    let names = choices.map(|(name, _)| name).join(", ");
    let chosen = move |text: &str| choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    Parser { hints: vec![format!("values: {names}")], ..Parser::new(value_name, format!("one of {names}"), chosen) }
}

/// A flag that is off unless it is given.
pub(super) fn switch() -> ServerSetting<bool> {
    let parser = choice("BOOL", [("true", true), ("false", false)]);
    ServerSetting { is_switch: true, ..Parser { hints: Vec::new(), ..parser }.or(false) }
}
