//! Words of the configuration: near misses, durations and sizes.
//!
//! This file must never know keys or files.

use std::time::Duration;

/// Longest duration that is accepted: a year, so that sums of milliseconds can never overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The candidate that `word` most likely meant: at most one edit for each three letters away, or begun
/// by `word`; case and the difference between `-` and `_` do not count. The first of equally near ones.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| -> Vec<char> {
        let lower = text.to_lowercase().replace('-', "_");
        lower.chars().take(80).collect()
    };
    let word = plain(word);
    let allowed = (word.len() / 3).max(1);
    let distance = |candidate: &str| {
        let candidate = plain(candidate);
        // A word cut short is near however much is missing: `depends` for `depends_on`.
        if word.len() >= 4 && candidate.starts_with(&word) {
            return allowed;
        }
        edits(&word, &candidate)
    };
    candidates
        .into_iter()
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, substitutions and swaps of neighbours between two words.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

/// Most money that is accepted: a billion US dollars.
const MOST_USD: u64 = 1_000_000_000;

/// Reads `20`, `2.50` or `0.000125` US dollars, as millionths of one.
pub(super) fn usd(text: &str) -> Option<u64> {
    let text = text.trim();
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 6 {
        return None;
    }
    let whole: u64 = whole.parse().ok().filter(|usd| *usd <= MOST_USD)?;
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    Some(whole * 1_000_000 + part)
}

/// The same amount, as [`usd`] reads it.
pub(super) fn usd_text(micro_usd: u64) -> String {
    let text = format!("{}.{:06}", micro_usd / 1_000_000, micro_usd % 1_000_000);
    let text = text.trim_end_matches('0');
    text.strip_suffix('.').unwrap_or(text).to_owned()
}

/// Reads `30s`, `10m`, `1h30m`, or a bare `0`; at most a year.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let duration = match text {
        "0" => Duration::ZERO,
        _ => humantime::parse_duration(text).ok()?,
    };
    (duration <= LONGEST).then_some(duration)
}

/// Reads a duration as `timeout(1)` and `sleep(1)` do: `90` and `90s`, `1.5h`, `2d`; or as [`duration`]
/// does.
pub(super) fn duration_or_seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Some(duration) = duration(text) {
        return Some(duration);
    }
    let (number, unit_s) = match text.as_bytes().last()? {
        b's' => (&text[..text.len() - 1], 1.0),
        b'm' => (&text[..text.len() - 1], 60.0),
        b'h' => (&text[..text.len() - 1], 3600.0),
        b'd' => (&text[..text.len() - 1], 86400.0),
        _ => (text, 1.0),
    };
    let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let seconds = number.parse::<f64>().ok().filter(|_| plain)? * unit_s;
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    (duration <= LONGEST).then_some(duration)
}

/// A duration as [`duration`] reads it.
pub(super) fn duration_text(duration: Duration) -> String {
    humantime::format_duration(duration)
        .to_string()
        .replace(' ', "")
}

const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// Reads `2GiB`, `500MB`, `1.5 GB` or a plain number of bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim() {
        "" => 1,
        unit => {
            UNITS
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit))?
                .1
        }
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    if part.is_empty() {
        return (!number.ends_with('.')).then_some(whole);
    }
    // Thousandths are exact enough for a limit on disk space, and cannot overflow.
    let digits: String = part.chars().chain("000".chars()).take(3).collect();
    let thousandths = digits.parse::<u64>().ok()?;
    part.parse::<u64>().ok()?;
    whole.checked_add((factor / 1000).checked_mul(thousandths)?)
}

/// A size as [`size`] reads it, in the largest binary unit that is exact.
pub(super) fn size_text(bytes: u64) -> String {
    let unit = UNITS
        .iter()
        .take(4)
        .rev()
        .find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    match unit {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// A size for people: exact in the largest unit that allows it, else rounded down to a tenth of the
/// largest binary one that fits.
#[must_use]
pub fn size_shown(bytes: u64) -> String {
    const SHOWN: [(&str, u64); 7] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("GB", 1_000_000_000),
        ("MiB", 1 << 20),
        ("MB", 1_000_000),
        ("KiB", 1 << 10),
        ("bytes", 1),
    ];
    let exact = SHOWN.iter().find(|(name, factor)| {
        *name != "bytes" && bytes > 0 && bytes.is_multiple_of(*factor) && bytes / factor < 10_000
    });
    if let Some((name, factor)) = exact {
        return format!("{} {name}", bytes / factor);
    }
    let mut binary = SHOWN
        .iter()
        .filter(|(name, _)| !matches!(*name, "GB" | "MB"));
    match binary.find(|(_, factor)| bytes >= *factor) {
        Some((name, factor)) if *factor > 1 => {
            let tenths = u128::from(bytes) * 10 / u128::from(*factor);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_found_and_a_far_one_is_not() {
        let keys = ["parallel", "max_iterations", "grace", "on_halt"];
        assert_eq!(nearest("paralel", keys), Some("parallel"));
        assert_eq!(nearest("max-iterations", keys), Some("max_iterations"));
        assert_eq!(nearest("ON_HALT", keys), Some("on_halt"));
        assert_eq!(nearest("garce", keys), Some("grace"));
        assert_eq!(nearest("iterations", ["depends_on"]), None);
        assert_eq!(
            nearest("depends", ["touches", "depends_on"]),
            Some("depends_on")
        );
        assert_eq!(nearest("telemetry", keys), None);
        assert_eq!(nearest("", ["a"]), None);
    }

    #[test]
    fn money_is_dollars_with_at_most_six_digits_behind_the_point() {
        for (text, micro_usd) in [
            ("20", Some(20_000_000)),
            ("2.50", Some(2_500_000)),
            (" 0.000125 ", Some(125)),
            ("0", Some(0)),
            ("1000000000", Some(1_000_000_000_000_000)),
            ("1000000001", None),
            ("0.0000001", None),
            ("$5", None),
            ("-1", None),
            (".5", None),
            ("5.", None),
            ("1e3", None),
            ("", None),
            ("NaN", None),
        ] {
            assert_eq!(usd(text), micro_usd, "{text:?}");
            if let Some(micro_usd) = micro_usd {
                assert_eq!(usd(&usd_text(micro_usd)), Some(micro_usd));
            }
        }
        assert_eq!(usd_text(2_500_000), "2.5");
        assert_eq!(usd_text(20_000_000), "20");
    }

    #[test]
    fn durations_are_humantime_or_zero() {
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("0"), Some(Duration::ZERO));
        assert_eq!(duration("0s"), Some(Duration::ZERO));
        for bad in [
            "",
            "30",
            "-1s",
            "1.5x",
            "soon",
            "2000y",
            "99999999999999999999s",
        ] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        assert_eq!(duration_text(Duration::from_secs(5400)), "1h30m");
    }

    #[test]
    fn the_ancestors_durations_are_those_of_timeout() {
        assert_eq!(duration_or_seconds("90"), Some(Duration::from_secs(90)));
        assert_eq!(duration_or_seconds("1.5h"), Some(Duration::from_secs(5400)));
        assert_eq!(duration_or_seconds("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(duration_or_seconds("30m"), Some(Duration::from_secs(1800)));
        for bad in ["", "-1", "inf", "1e9", "é", "1.2.3", "h"] {
            assert_eq!(duration_or_seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        assert_eq!(size("2GiB"), Some(2 << 30));
        assert_eq!(size("500MB"), Some(500_000_000));
        assert_eq!(size("1.5 gb"), Some(1_500_000_000));
        assert_eq!(size("42"), Some(42));
        for bad in [
            "",
            "GiB",
            "-1",
            "2 gigs",
            "1.",
            ".5GB",
            "99999999TiB",
            "1.xGB",
        ] {
            assert_eq!(size(bad), None, "{bad}");
        }
        assert_eq!(size_text(2 << 30), "2GiB");
        assert_eq!(size_text(0), "0");
        assert_eq!(size_text(1000), "1000");
    }

    #[test]
    fn sizes_are_shown_in_a_unit_that_fits() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 bytes"),
            (999, "999 bytes"),
            (1_000_000, "1 MB"),
            (1_500_000_000, "1500 MB"),
            (2 << 30, "2 GiB"),
            ((2 << 30) - 1, "1.9 GiB"),
            (1_234_567, "1.1 MiB"),
            (4096, "4 KiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(size_shown(bytes), text);
        }
    }
}
