//! Times and lengths of time as people read them.

use jiff::Timestamp;

/// `2026-11-22 03:10 UTC`.
pub(super) fn moment(second: Option<i64>) -> Option<String> {
    let at = Timestamp::from_second(second?).ok()?;
    Some(at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// `45 s`, `12 min`, `3 h 10 min`, `2 d 5 h`.
pub(super) fn length(seconds: i64) -> String {
    let two = |n: i64, unit: &str, rest: i64, small: &str| {
        if rest == 0 { format!("{n} {unit}") } else { format!("{n} {unit} {rest} {small}") }
    };
    match seconds.max(0) {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min", s / 60),
        s @ 3600..86_400 => two(s / 3600, "h", s % 3600 / 60, "min"),
        s => two(s / 86_400, "d", s % 86_400 / 3600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_two_units_at_most() {
        for (seconds, said) in [
            (-5, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h"),
            (11_430, "3 h 10 min"),
            (86_400, "1 d"),
            (190_800, "2 d 5 h"),
        ] {
            assert_eq!(length(seconds), said);
        }
        assert_eq!(moment(Some(0)).as_deref(), Some("1970-01-01 00:00 UTC"));
        assert_eq!(moment(Some(i64::MAX)), None);
    }
}
