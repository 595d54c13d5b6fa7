//! Times as directories write them.

/// `YYYYMMDDHHMMSS[.f]Z` as Unix seconds (RFC 4517 section 3.3.13, the form servers use).
#[must_use]
pub fn generalized_time(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z')?.split(['.', ',']).next()?;
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_or_refused() {
        assert_eq!(generalized_time("20231114221320Z"), Some(1_700_000_000));
        assert_eq!(generalized_time("20231114221320.5Z"), Some(1_700_000_000));
        for odd in ["", "Z", "soon", "20231114221320", "20231399000000Z", "99999999999999Z"] {
            assert_eq!(generalized_time(odd), None, "{odd}");
        }
    }
}
