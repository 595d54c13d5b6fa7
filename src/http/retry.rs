//! How long to wait before a request is sent again.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// Attempts of one request, the first included.
pub const ATTEMPTS: usize = 5;

/// A single wait that the server may ask for; a longer one ends the request, and the caller decides.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// All waits of one request together.
const TOTAL_WAIT: Duration = Duration::from_secs(120);

/// The same for [`Backoff::patient`].
const PATIENT_ATTEMPTS: usize = 10;
const PATIENT_WAIT: Duration = Duration::from_secs(600);
const PATIENT_TOTAL: Duration = Duration::from_secs(720);

/// Of these, the waits that the server did not ask for: whoever does not say when it will be well is not waited for so long.
const PATIENT_UNASKED: Duration = Duration::from_secs(60);

/// The longest that one request may take, all its attempts and waits together, where one answer may take `timeout`.
#[must_use]
pub fn longest(timeout: Duration) -> Duration {
    timeout.saturating_mul(u32::try_from(ATTEMPTS).unwrap_or(u32::MAX)).saturating_add(TOTAL_WAIT)
}

/// The waits between the attempts of one request: exponential with jitter, bounded in number and in sum.
#[derive(Debug)]
pub struct Backoff {
    waits: ExponentialBackoff,
    left: Duration,
    left_unasked: Duration,
    longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            waits: ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(200))
                .with_max_delay(Duration::from_secs(10))
                .with_factor(2.0)
                .with_max_times(ATTEMPTS - 1)
                .with_jitter()
                .build(),
            left: TOTAL_WAIT,
            left_unasked: TOTAL_WAIT,
            longest: LONGEST_WAIT,
        }
    }
}

impl Backoff {
    /// For reads of whole directories, which nobody waits for in front of a screen and which begin at the beginning when
    /// they are given up: more attempts, and waits of several minutes where the server asks for them; a minute in all where it does not.
    #[must_use]
    pub fn patient() -> Self {
        Self {
            waits: ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(500))
                .with_max_delay(Duration::from_secs(60))
                .with_factor(2.0)
                .with_max_times(PATIENT_ATTEMPTS - 1)
                .with_jitter()
                .build(),
            left: PATIENT_TOTAL,
            left_unasked: PATIENT_UNASKED,
            longest: PATIENT_WAIT,
        }
    }

    /// The next wait, or `None` when the request should be given up. What the server asked for counts as a minimum.
    pub fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let own = self.waits.next()?;
        let wait = match asked {
            Some(asked) if asked > self.longest => return None,
            // A little over what was asked, so that all of us do not come back in the same instant.
            Some(asked) => asked + own / 8,
            None => {
                self.left_unasked = self.left_unasked.checked_sub(own)?;
                own
            }
        };
        self.left = self.left.checked_sub(wait)?;
        Some(wait)
    }
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds or an HTTP-date, which is judged by the clock of whoever sent it (`Date`); a
/// date in the past is zero.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        // Some servers send fractions, some a negative number.
        return Duration::try_from_secs_f64(seconds.max(0.0)).ok();
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let theirs = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    Some(at.duration_since(theirs.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn header(value: &str) -> Option<Duration> {
        let mut map = HeaderMap::new();
        map.insert(RETRY_AFTER, value.parse().unwrap());
        retry_after(&map)
    }

    #[test]
    fn seconds_and_dates_are_read() {
        assert_eq!(header("7"), Some(Duration::from_secs(7)));
        assert_eq!(header(" 0.5 "), Some(Duration::from_millis(500)));
        assert_eq!(header("-3"), Some(Duration::ZERO));
        assert_eq!(header("soon"), None);
        assert_eq!(header("1e300"), None);
        assert_eq!(header("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let in_a_minute = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        let wait = header(&in_a_minute).unwrap();
        assert!(wait > Duration::from_secs(57) && wait <= Duration::from_secs(60), "{wait:?}");
    }

    #[test]
    fn a_date_is_judged_by_the_clock_that_it_comes_from() {
        let in_an_hour = SystemTime::now() + Duration::from_secs(3600);
        let mut map = HeaderMap::new();
        map.insert(DATE, httpdate::fmt_http_date(in_an_hour).parse().unwrap());
        map.insert(RETRY_AFTER, httpdate::fmt_http_date(in_an_hour + Duration::from_secs(4)).parse().unwrap());
        assert_eq!(retry_after(&map), Some(Duration::from_secs(4)));
    }

    #[test]
    fn a_patient_one_waits_minutes_where_it_is_asked_to_and_still_ends() {
        let asked = Duration::from_secs(300);
        assert!(Backoff::patient().next(Some(asked)).unwrap() >= asked);
        assert_eq!(Backoff::patient().next(Some(Duration::from_secs(3600))), None);
        let mut b = Backoff::patient();
        assert_eq!(std::iter::from_fn(|| b.next(Some(asked))).count(), 2, "twelve minutes in all");
        let mut b = Backoff::patient();
        let waits: Vec<Duration> = std::iter::from_fn(|| b.next(None)).collect();
        let sum: Duration = waits.iter().sum();
        assert!(waits.len() >= 5 && sum <= PATIENT_UNASKED, "nobody asked for {waits:?}");
        let mut b = Backoff::patient();
        assert_eq!(std::iter::from_fn(|| b.next(Some(Duration::from_secs(1)))).count(), PATIENT_ATTEMPTS - 1);
    }

    #[test]
    fn attempts_are_bounded() {
        let mut b = Backoff::default();
        assert_eq!(std::iter::from_fn(|| b.next(None)).count(), ATTEMPTS - 1);
    }

    #[test]
    fn what_the_server_asks_is_kept_within_reason() {
        assert!(Backoff::default().next(Some(Duration::from_secs(3))).unwrap() >= Duration::from_secs(3));
        assert_eq!(Backoff::default().next(Some(Duration::from_secs(3600))), None);
        let mut b = Backoff::default();
        let waits = std::iter::from_fn(|| b.next(Some(Duration::from_secs(50)))).count();
        assert_eq!(waits, 2, "the sum of the waits is bounded");
    }
}
