//! Durations as text: a whole number and a unit, such as `28d`, `36h`, `15m`, `30s` or `0s`.

use std::time::Duration;

const UNITS: [(&str, u64); 4] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];

/// Parses a duration; `None` for any other text, including a negative duration.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit =
        UNITS.into_iter().chain([("ms", 1)]).filter(|(unit, _)| text.ends_with(unit)).max_by_key(|it| it.0.len());
    let (unit, ms) = unit?;
    let count = text[..text.len() - unit.len()].trim_end();
    let is_number = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = count.parse().ok().filter(|_| is_number)?;
    count.checked_mul(ms).map(Duration::from_millis)
}

/// Formats a duration in the largest unit that divides it.
pub fn format_duration(span: Duration) -> String {
    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return "0s".to_owned();
    }
    let whole = UNITS.into_iter().find(|(_, unit_ms)| ms % unit_ms == 0);
    whole.map_or_else(|| format!("{ms}ms"), |(unit, unit_ms)| format!("{}{unit}", ms / unit_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_as_they_are_formatted() {
        for text in ["28d", "36h", "15m", "90s", "0s", "1500ms"] {
            assert_eq!(parse_duration(text).map(format_duration).as_deref(), Some(text));
        }
        for bad in ["", "d", "-1d", "1.5d", "1w", "28", "1 2d", "99999999999999999999d", "184467440737095516d"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
