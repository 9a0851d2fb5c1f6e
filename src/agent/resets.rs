//! When a limit ends, from the words of a CLI: an epoch, a duration, a date, or a time of the clock.
//!
//! Reads no clock: `at`, the moment when the call ended on the clock that the CLI went by, is handed in. A moment may have
//! gone by while the call ended; one that is longer past is misread.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, ZonedDateTime};

/// What stands before a moment.
const BEFORE_MOMENT: [&str; 8] = [
    "resets at ",
    "resets on ",
    "resets ",
    "reset at ",
    "reset on ",
    "try again at ",
    "available again at ",
    "regain access on ",
];
/// What stands before a duration.
const BEFORE_DURATION: [&str; 7] = [
    "try again in ",
    "retry in ",
    "retry after ",
    "reset after ",
    "resets in ",
    "reset in ",
    "available again in ",
];
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAY_S: i64 = 24 * 3600;
/// Limits that end later are misread.
const FARTHEST_S: i64 = 370 * DAY_S;
/// So are limits that had ended this long before.
const GONE_BY_S: i64 = 3600;
/// A time of the clock without a date is less than a day away when it is printed. One that comes only after this long
/// has just gone by.
const CLOCK_S: i64 = 23 * 3600;
/// The same for a limit of five hours.
const FIVE_HOURS_S: i64 = 5 * 3600 + 900;
/// A date without a year lies within this of the present.
const HALF_A_YEAR_S: i64 = 183 * DAY_S;

/// The moment at which `text` says that a limit ends, in seconds since 1970.
pub(super) fn reset(text: &str, is_five_hours: bool, at: &ZonedDateTime) -> Option<i64> {
    let text = text.to_lowercase();
    let now = at.timestamp().as_second();
    let found = piped(&text)
        .or_else(|| duration(&text).and_then(|seconds| now.checked_add(seconds)))
        .or_else(|| moment(&text, is_five_hours, at));
    found.and_then(|found| credible(found, at))
}

/// An epoch as a CLI or a service tells it, in seconds, if a limit that was met at `at` can end then.
pub(super) fn credible(epoch: i64, at: &ZonedDateTime) -> Option<i64> {
    // Milliseconds are told apart by their size.
    let epoch = if epoch > 100_000_000_000 {
        epoch / 1000
    } else {
        epoch
    };
    let wait = epoch.checked_sub(at.timestamp().as_second())?;
    (-GONE_BY_S < wait && wait < FARTHEST_S).then_some(epoch)
}

/// `...reached|1795438800`.
fn piped(text: &str) -> Option<i64> {
    let (_, after) = text.split_once('|')?;
    let digits: String = after
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    (digits.len() >= 10).then(|| digits.parse().ok()).flatten()
}

fn after<'a>(text: &'a str, beginnings: &[&str]) -> impl Iterator<Item = &'a str> {
    let mut found: Vec<(usize, usize)> = beginnings
        .iter()
        .filter_map(|before| Some((text.find(before)?, before.len())))
        .collect();
    // Of several that begin at the same place, the longest.
    found.sort_by_key(|(at, length)| (*at, std::cmp::Reverse(*length)));
    found
        .into_iter()
        .filter_map(move |(at, length)| text.get(at + length..))
}

/// `2 days 17 hours 14 minutes`, `5s`, `1h2m`, `34.07s`.
fn duration(text: &str) -> Option<i64> {
    after(text, &BEFORE_DURATION).find_map(seconds)
}

fn seconds(mut rest: &str) -> Option<i64> {
    let mut total = 0.0_f64;
    let mut has_any = false;
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest);
        let number_ends = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, after) = rest.split_at(number_ends.unwrap_or(rest.len()));
        let Ok(number) = number.parse::<f64>() else {
            break;
        };
        let after = after.trim_start_matches(' ');
        let unit_ends = after.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, after) = after.split_at(unit_ends.unwrap_or(after.len()));
        let unit = match unit {
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            "ms" => 0.001,
            _ => break,
        };
        total += number * unit;
        has_any = true;
        rest = after;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the conversion saturates")]
    has_any.then_some(total.ceil() as i64)
}

/// What is known of a moment.
#[derive(Default)]
struct Parts {
    month: Option<i8>,
    day: Option<i8>,
    year: Option<i16>,
    time: Option<Time>,
    zone: Option<TimeZone>,
}

fn moment(text: &str, is_five_hours: bool, at: &ZonedDateTime) -> Option<i64> {
    after(text, &BEFORE_MOMENT).find_map(|rest| parts(rest)?.resolve(is_five_hours, at))
}

/// Reads date, time and zone as far as they go. `None` for a zone that nobody knows.
fn parts(rest: &str) -> Option<Parts> {
    let mut parts = Parts::default();
    let mut words = rest
        .split([' ', ',', '\u{a0}', '\u{202f}', '\t', '\n'])
        .filter(|word| !word.is_empty())
        .peekable();
    while let Some(word) = words.next() {
        let bare = word.trim_end_matches(['.', ';', ':']);
        if bare == "at" || bare == "on" {
            continue;
        }
        if let Some(name) = bare
            .strip_prefix('(')
            .map(|name| name.trim_end_matches(')'))
        {
            parts.zone = Some(zone(name)?);
            break;
        }
        if matches!(bare, "utc" | "gmt" | "z") {
            parts.zone = Some(TimeZone::UTC);
            break;
        }
        if parts.time.is_some() {
            break;
        }
        if parts.month.is_none()
            && let Some(month) = month(bare)
        {
            parts.month = Some(month);
        } else if let Some(date) = iso(bare, &mut parts) {
            (parts.year, parts.month, parts.day) = (Some(date.0), Some(date.1), Some(date.2));
        } else if parts.month.is_some()
            && parts.day.is_none()
            && let Some(day) = day(bare)
        {
            parts.day = Some(day);
        } else if parts.day.is_some()
            && parts.year.is_none()
            && bare.len() == 4
            && let Ok(year) = bare.parse()
        {
            parts.year = Some(year);
        } else {
            let next = words
                .peek()
                .map(|next| next.trim_end_matches(['.', ';', ',']));
            let half = next.filter(|next| matches!(*next, "am" | "pm" | "a.m" | "p.m"));
            parts.time = Some(time(bare, half)?);
            if half.is_some() {
                words.next();
            }
        }
    }
    Some(parts)
}

fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "utc" | "gmt" | "z" => Some(TimeZone::UTC),
        // Names are found whatever their case.
        name => TimeZone::get(name).ok(),
    }
}

fn month(word: &str) -> Option<i8> {
    let short = word.get(..3)?;
    let found = MONTHS.iter().position(|month| *month == short)?;
    // `sep`, `sept`, `september`, but not `decline`.
    let is_name = word.len() <= 4 || word.ends_with(['y', 'h', 'l', 'e', 't', 'r']);
    is_name.then(|| i8::try_from(found + 1).ok()).flatten()
}

fn day(word: &str) -> Option<i8> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    digits.parse().ok().filter(|day| (1..=31).contains(day))
}

/// `2026-12-01`, alone or with a time behind a `t`.
fn iso(word: &str, parts: &mut Parts) -> Option<(i16, i8, i8)> {
    let (date, clock) = match word.split_once('t') {
        Some((date, clock)) => (date, Some(clock)),
        None => (word, None),
    };
    let mut numbers = date.split('-');
    let year = numbers
        .next()
        .filter(|year| year.len() == 4)?
        .parse()
        .ok()?;
    let month = numbers.next()?.parse().ok()?;
    let day = numbers.next()?.parse().ok()?;
    if let Some(clock) = clock {
        let is_utc = clock.ends_with('z');
        let clock = clock.trim_end_matches('z');
        let clock = clock.split('.').next().unwrap_or(clock);
        parts.time = Some(time(clock, None)?);
        parts.zone = is_utc.then_some(TimeZone::UTC);
    }
    Some((year, month, day))
}

/// `8am`, `7:31am`, `11:13` with `am` behind it, `18:00`, `18:00:30`.
fn time(word: &str, half: Option<&str>) -> Option<Time> {
    let (digits, own) = match word.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => (word.get(..at)?, word.get(at..)),
        None => (word, None),
    };
    let half = own.or(half).and_then(|half| half.chars().next());
    let mut numbers = digits.split(':');
    let hour: i8 = numbers.next()?.parse().ok()?;
    let minute = numbers.next();
    let second = numbers.next();
    // A number alone is no time of the clock.
    if half.is_none() && minute.is_none() {
        return None;
    }
    let number = |text: Option<&str>| text.map_or(Some(0), |text| text.parse::<i8>().ok());
    let hour = match half {
        Some('a') if (1..=12).contains(&hour) => hour % 12,
        Some('p') if (1..=12).contains(&hour) => hour % 12 + 12,
        None => hour,
        _ => return None,
    };
    Time::new(hour, number(minute)?, number(second)?, 0).ok()
}

impl Parts {
    fn resolve(self, is_five_hours: bool, at: &ZonedDateTime) -> Option<i64> {
        let zone = self.zone.unwrap_or_else(|| at.time_zone().clone());
        let here = at.with_time_zone(zone.clone());
        let now = at.timestamp().as_second();
        let epoch = |date: Date, time: Time| {
            let there = date
                .to_datetime(time)
                .to_zoned_datetime(zone.clone())
                .ok()?;
            Some(there.timestamp().as_second())
        };
        match (self.month, self.day) {
            (Some(month), Some(day)) => {
                let time = self.time.unwrap_or(Time::MIN);
                let on = |year| epoch(Date::new(year, month, day).ok()?, time);
                if let Some(year) = self.year {
                    return on(year);
                }
                let years = [here.year(), here.year() + 1, here.year() - 1];
                let mut all = years.into_iter().filter_map(on);
                all.find(|epoch| (epoch - now).abs() <= HALF_A_YEAR_S)
            }
            _ => {
                let time = self.time?;
                let today = here.date();
                let farthest = if is_five_hours { FIVE_HOURS_S } else { CLOCK_S };
                let days = [Some(today), today.checked_add(1.day()).ok()];
                let mut all = days.into_iter().flatten();
                let next = all.find_map(|date| epoch(date, time).filter(|epoch| *epoch > now))?;
                (next - now <= farthest).then_some(next)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    /// 2026-11-23 10:00 in Berlin, 04:00 in New York.
    const NOW: i64 = 1_795_424_400;

    fn at(zone: &str) -> ZonedDateTime {
        let now = Timestamp::from_second(NOW).unwrap();
        now.to_zoned_datetime(TimeZone::get(zone).unwrap())
    }

    fn told(text: &str) -> Option<String> {
        let epoch = reset(
            text,
            text.contains("session") || text.contains("5-hour"),
            &at("Europe/Berlin"),
        )?;
        Some(Timestamp::from_second(epoch).unwrap().to_string())
    }

    const MOMENTS: &[(&str, &str)] = &[
        (
            "Claude AI usage limit reached|1795438800",
            "2026-11-23T13:00:00Z",
        ),
        (
            "Claude AI usage limit reached|1795438800000",
            "2026-11-23T13:00:00Z",
        ),
        (
            "Limit reached resets 8am (America/New_York) · ",
            "2026-11-23T13:00:00Z",
        ),
        (
            "You've hit your limit · resets 7:31am (America/New_York)",
            "2026-11-23T12:31:00Z",
        ),
        (
            "You've hit your session limit · resets 1:29pm (Europe/Berlin)",
            "2026-11-23T12:29:00Z",
        ),
        (
            "You've hit your 5-hour limit · resets 1:30pm (Europe/Berlin)",
            "2026-11-23T12:30:00Z",
        ),
        (
            "You've hit your weekly limit · resets Nov 25, 8:02pm (Europe/Berlin)",
            "2026-11-25T19:02:00Z",
        ),
        (
            "You've hit your weekly limit · resets Jan 7, 2027, 5:49am (Europe/Berlin)",
            "2027-01-07T04:49:00Z",
        ),
        (
            "You've hit your weekly limit · resets Jan 7, 5:49am (UTC)",
            "2027-01-07T05:49:00Z",
        ),
        (
            "You've hit your weekly limit · resets Nov 24 at 7pm",
            "2026-11-24T18:00:00Z",
        ),
        (
            "Claude usage limit reached. Your limit will reset at 9am (America/Chicago).",
            "2026-11-23T15:00:00Z",
        ),
        ("5-hour limit reached ∙ resets 1pm", "2026-11-23T12:00:00Z"),
        (
            "Weekly limit reached · resets 10am (Asia/Seoul) · /upgrade to Max or turn on /extra-usage",
            "2026-11-24T01:00:00Z",
        ),
        (
            "Limit reached · resets 12am (Europe/Berlin)",
            "2026-11-23T23:00:00Z",
        ),
        (
            "Limit reached · resets 12pm (Europe/Berlin)",
            "2026-11-23T11:00:00Z",
        ),
        (
            "You’ve hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), visit https://chatgpt.com/settings/usage to purchase more credits or try again at 11:13 AM.",
            "2026-11-23T10:13:00Z",
        ),
        (
            "You've hit your usage limit. Try again at 11:13\u{202f}PM.",
            "2026-11-23T22:13:00Z",
        ),
        (
            "You’ve hit your usage limit. Try again at Nov 25th, 2026 10:46 AM.",
            "2026-11-25T09:46:00Z",
        ),
        (
            "You've hit your usage limit. Try again at December 1st, 2026 12:05 AM.",
            "2026-11-30T23:05:00Z",
        ),
        (
            "Upgrade to Pro or try again in 2 days 17 hours 14 minutes.",
            "2026-11-26T02:14:00Z",
        ),
        (
            "or try again in 1 hour and 2 minutes.",
            "2026-11-23T10:02:00Z",
        ),
        (
            "You have exhausted your capacity on this model. Your quota will reset after 5s.",
            "2026-11-23T09:00:05Z",
        ),
        (
            "Your quota will reset after 1h2m3s.",
            "2026-11-23T10:02:03Z",
        ),
        ("Please retry in 34.07s.", "2026-11-23T09:00:35Z"),
        (
            "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
            "2026-12-01T00:00:00Z",
        ),
        (
            "the quota resets at 2026-11-23T18:30:00Z",
            "2026-11-23T18:30:00Z",
        ),
        (
            "the quota resets at 2026-11-23T18:30:00.000Z",
            "2026-11-23T18:30:00Z",
        ),
        ("the quota resets at 18:30", "2026-11-23T17:30:00Z"),
        (
            "Claude AI usage limit reached|1795424395",
            "2026-11-23T08:59:55Z",
        ),
    ];

    #[test]
    fn moments_are_found_in_what_clis_say() {
        for (text, expected) in MOMENTS {
            assert_eq!(told(text).as_deref(), Some(*expected), "{text}");
        }
    }

    #[test]
    fn what_is_long_past_or_cannot_be_read_is_no_moment() {
        for text in [
            "Claude AI usage limit reached|1795420800",
            "Claude AI usage limit reached|179542",
            "Limit reached · resets 9:45am (Europe/Berlin)",
            "You've hit your session limit · resets 4:49am (Europe/Berlin)",
            "You've hit your session limit · resets 4pm (Europe/Berlin)",
            "You've hit your weekly limit · resets Nov 22, 8pm (Europe/Berlin)",
            "Limit reached · resets 8am (Mars/Olympus_Mons)",
            "Limit reached · resets 25:99",
            "Limit reached · resets 13pm",
            "Limit reached · resets soon",
            "Limit reached · resets 8",
            "Limit reached · resets",
            "Limit reached · resets Feb 31, 8pm",
            "try again in a while",
            "try again at ·",
            "try again in 99999999999999999999999999 days",
            "a|b",
            "",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
    }

    #[test]
    fn the_clock_is_the_one_that_the_cli_went_by() {
        let text = "try again at 11:13 AM.";
        let seconds = |zone| reset(text, false, &at(zone)).unwrap() - NOW;
        assert_eq!(seconds("Europe/Berlin"), 73 * 60);
        assert_eq!(seconds("America/New_York"), (7 * 60 + 13) * 60);
    }

    /// On this day the clocks of Berlin go from 3 back to 2, and from 2 on to 3.
    #[test]
    fn a_day_on_which_clocks_are_changed_has_its_own_length() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for (now, text, hours) in [
            ("2026-10-24T20:00:00Z", "resets 6am", 9),
            ("2026-03-28T21:00:00Z", "resets 6am", 7),
            ("2026-03-28T21:00:00Z", "resets 2:30am", 4),
        ] {
            let now: Timestamp = now.parse().unwrap();
            let at = now.to_zoned_datetime(zone.clone());
            let wait = reset(text, false, &at).unwrap() - now.as_second();
            assert_eq!(wait / 3600, hours, "{now} {text}");
        }
    }
}
