//! Building blocks of sentences: products, dates, durations and counts as people say them.

use std::time::Duration;

use crate::domain::catalog::Catalog;
use crate::domain::ids::ProductId;
use crate::domain::time::{DAY, Timestamp};

const MINUTE_MS: i64 = 60_000;

/// A product within a sentence: "our Voice mail". The title stays as it is, so that names of brands are right; the word
/// before it fits names and kinds of things alike, and is left out before a title with an article of its own. A product
/// without a title is named by its id.
pub(super) fn product_name(product: &ProductId, title: &str) -> String {
    let first_word = title.split(' ').next().unwrap_or_default().to_lowercase();
    match first_word.as_str() {
        "" => format!("the product {product}"),
        "the" | "a" | "an" => title.to_owned(),
        _ => format!("our {title}"),
    }
}

/// A product of the catalogue within a sentence.
pub(super) fn name_in_catalog(product: &ProductId, catalog: &Catalog) -> String {
    product_name(product, catalog.get(product).map_or("", |known| &known.title))
}

/// A date, with its year only when that is not the year of `now`: "14 March".
pub(super) fn date(at: Timestamp, now: Timestamp) -> String {
    let date = at.day().to_string();
    if at.day().civil().0 == now.day().civil().0 {
        date.rsplit_once(' ').map_or(date.clone(), |(day_and_month, _year)| day_and_month.to_owned())
    } else {
        date
    }
}

/// A coming moment: the time of day within the next 24 hours, rounded up to the minute, else the date.
pub(super) fn coming(at: Timestamp, now: Timestamp) -> String {
    if at < now || at.since(now) >= DAY {
        return date(at, now);
    }
    let minutes = at.unix_ms().div_euclid(MINUTE_MS) + i64::from(at.unix_ms().rem_euclid(MINUTE_MS) > 0);
    let rounded = Timestamp::from_unix_ms(minutes * MINUTE_MS).unwrap_or(Timestamp::MAX);
    let of_day = minutes.rem_euclid(24 * 60);
    let day = if rounded.day() == now.day() { "today" } else { "tomorrow" };
    format!("{:02}:{:02} UTC {day}", of_day / 60, of_day % 60)
}

/// A duration in days, or in hours when it is no whole number of days: "28 days", "1 day", "36 hours".
pub(super) fn duration(duration: Duration) -> String {
    let (seconds, day) = (duration.as_secs(), DAY.as_secs());
    if seconds >= day && seconds % day == 0 {
        return count(seconds / day, "day", "days");
    }
    match seconds / 3600 {
        0 => count(seconds.div_ceil(60), "minute", "minutes"),
        hours => count(hours, "hour", "hours"),
    }
}

/// A number with its noun: "1 offer", "3 offers".
pub(super) fn count(number: u64, singular: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { singular } else { plural })
}

/// A list as people say it: "a", "a and b", "a, b and c".
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The number of offers that a cap allows, all of which were made: "both offers allowed", "all 4 offers allowed".
pub(super) fn all_allowed(limit: u64, singular: &str, plural: &str, within: &str) -> String {
    match limit {
        0 => format!("no {plural} are allowed{within}"),
        1 => format!("the only {singular} allowed{within} has been made"),
        2 => format!("both {plural} allowed{within} have been made"),
        limit => format!("all {limit} {plural} allowed{within} have been made"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let (day, time) = text.split_once(' ').expect("a day and a time");
        let number = |part: Option<&str>| part.and_then(|part| part.parse::<i64>().ok()).expect("a number");
        let (mut time, mut day) = (time.split(':'), day.split('+'));
        let start = number(day.next());
        let ms = ((number(time.next()) * 60 + number(time.next())) * 60 + number(time.next())) * 1000;
        Timestamp::from_unix_ms(start * 86_400_000 + ms + day.next().map_or(0, |ms| number(Some(ms))))
            .expect("in range")
    }

    /// Broken by: titles in small letters, which is wrong for "Netflix".
    #[test]
    fn titles_stay_as_they_are() {
        for (title, expected) in [
            ("Voice mail", "our Voice mail"),
            ("Netflix", "our Netflix"),
            ("iPhone case", "our iPhone case"),
            ("5G router", "our 5G router"),
            ("The kettle", "The kettle"),
            ("A", "A"),
            ("Anvil", "our Anvil"),
            ("", "the product p-1"),
        ] {
            assert_eq!(product_name(&ProductId::new("p-1").expect("a valid id"), title), expected);
        }
    }

    /// Days count from 1970-01-01: day 20,454 is 1 January 2026.
    #[test]
    fn moments_read_as_people_say_them() {
        for (moment, now, expected) in [
            ("20526 00:00:00", "20500 12:00:00", "14 March"),
            ("20526 00:00:00", "20400 12:00:00", "14 March 2026"),
            ("20500 14:05:00", "20500 12:00:00", "14:05 UTC today"),
            ("20500+250 14:04:59", "20500 12:00:00", "14:05 UTC today"),
            ("20500+1 23:59:59", "20500 12:00:00", "00:00 UTC tomorrow"),
            ("20501 11:59:59", "20500 12:00:00", "12:00 UTC tomorrow"),
            ("20501 12:00:00", "20500 12:00:00", "17 February"),
        ] {
            assert_eq!(coming(at(moment), at(now)), expected, "{moment} from {now}");
        }
    }

    #[test]
    fn durations_counts_and_lists_agree_in_number() {
        assert_eq!(duration(DAY * 28), "28 days");
        assert_eq!(duration(DAY), "1 day");
        assert_eq!(duration(Duration::from_secs(36 * 3600)), "36 hours");
        assert_eq!(duration(Duration::from_secs(60)), "1 minute");
        assert_eq!(count(1, "offer", "offers"), "1 offer");
        assert_eq!(count(0, "offer", "offers"), "0 offers");
        let items = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(
            (list(&items[..1]), list(&items[..2]), list(&items)),
            ("a".into(), "a and b".into(), "a, b and c".into())
        );
        assert_eq!(all_allowed(1, "offer", "offers", " in 28 days"), "the only offer allowed in 28 days has been made");
        assert_eq!(all_allowed(2, "offer", "offers", ""), "both offers allowed have been made");
        assert_eq!(all_allowed(4, "offer", "offers", " in 28 days"), "all 4 offers allowed in 28 days have been made");
    }
}
