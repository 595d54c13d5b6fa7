//! Lengths of time as administrators write them: `30d`, `15m`, `1h30m`, `0s`.

use std::time::Duration;

/// Units and their milliseconds, longest name first where one begins with another.
const UNITS: &[(&str, u64)] = &[("ms", 1), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];

/// Reads a length of time: whole numbers each followed by `ms`, `s`, `m`, `h`, `d` (24 h) or `w`, added up. `0` needs no unit.
///
/// # Errors
/// Anything else, with what would be right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || {
        format!(
            "{text:?} is not a length of time: write a number and a unit (s, m, h, d, w), such as \"30s\", \"15m\" or \"1h30m\""
        )
    };
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(bad());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| bad())?;
        let (unit, millis) = UNITS.iter().find(|(unit, _)| tail.starts_with(unit)).ok_or_else(bad)?;
        total = number.checked_mul(*millis).and_then(|v| total.checked_add(v)).ok_or_else(|| format!("{text:?} is too long"))?;
        rest = tail[unit.len()..].trim_start();
    }
    Ok(Duration::from_millis(total))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::parse_duration;

    #[test]
    fn lengths_add_up() {
        for (text, seconds) in [("30d", 2_592_000), ("15m", 900), ("0s", 0), ("0", 0), ("1h30m", 5_400), ("1w 1d", 691_200)] {
            assert_eq!(parse_duration(text).unwrap().as_secs(), seconds, "{text}");
        }
        assert_eq!(parse_duration("250ms").unwrap().as_millis(), 250);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", " ", "15", "m", "15x", "-5m", "1.5h", "99999999999999999999s", "18446744073709551615w", "5 m m", "５m"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
