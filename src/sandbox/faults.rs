//! Faults on purpose, the same ones for the same seed: the n-th request meets what the n-th draw says.

use std::time::{Duration, SystemTime};

/// Which faults happen how often; probabilities from 0 to 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// Where the draws start.
    pub seed: u64,
    /// 429 with `Retry-After`.
    pub throttled: f64,
    /// 500, 502, 503 or 504, nothing done.
    pub server_error: f64,
    /// The request is carried out, then the connection is closed without an answer.
    pub lost: f64,
    /// The connection is closed before anything is done.
    pub reset: f64,
    /// The answer is late: probability and by how much.
    pub slow: Option<(f64, Duration)>,
    /// The request is carried out, but the answer is cut short.
    pub truncated: f64,
    /// 500 with an HTML page, nothing done.
    pub html: f64,
    /// Writes are answered 504 at once and carried out so much later, as behind a gateway that does not wait. Not for
    /// reads.
    pub late: Option<(f64, Duration)>,
    /// Delay of every answer.
    pub latency: Duration,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Answered 429 with this `Retry-After`, in seconds, as a number or as an HTTP date.
    Throttled {
        after: u64,
        as_date: bool,
    },
    /// Answered with this status.
    ServerError(u16),
    Lost,
    Reset,
    Truncated,
    Html,
    /// Answered 504, carried out after this time.
    Late(Duration),
}

/// The fate of one request: how long it waits, and what goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) delay: Duration,
    pub(super) fault: Option<Fault>,
}

impl Faults {
    /// The fate of the request with this number.
    pub(super) fn fate(&self, number: u64) -> Fate {
        let mut draws = Draws(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut delay = self.latency;
        if let Some((probability, more)) = self.slow
            && draws.happens(probability)
        {
            delay += more;
        }
        // Every fault is drawn, whether or not one before it happened, so that each keeps its own sequence.
        let pick = draws.next();
        let fault = [
            (draws.happens(self.reset), Fault::Reset),
            (
                draws.happens(self.throttled),
                Fault::Throttled { after: pick % 2, as_date: self.seed % 2 == 1 && (pick >> 8).is_multiple_of(2) },
            ),
            (draws.happens(self.server_error), Fault::ServerError(500 + [0, 2, 3, 4][(pick % 4) as usize])),
            (draws.happens(self.html), Fault::Html),
            (draws.happens(self.lost), Fault::Lost),
            (draws.happens(self.truncated), Fault::Truncated),
            self.late.map_or((false, Fault::Late(Duration::ZERO)), |(p, by)| (draws.happens(p), Fault::Late(by))),
        ]
        .into_iter()
        .find_map(|(happens, fault)| happens.then_some(fault));
        Fate { delay, fault }
    }

    /// Whether anything can happen at all.
    pub(super) fn any(&self) -> bool {
        *self != Self { seed: self.seed, ..Self::default() }
    }
}

/// The value of a `Retry-After` header.
pub(super) fn retry_after(after: u64, as_date: bool) -> String {
    if as_date { httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(after)) } else { after.to_string() }
}

/// SplitMix64: small, and any seed will do.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn happens(&mut self, probability: f64) -> bool {
        // 53 bits: what a double holds exactly.
        #[allow(clippy::cast_precision_loss)]
        let draw = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        draw < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(seed: u64) -> Faults {
        Faults { seed, throttled: 0.1, lost: 0.05, slow: Some((0.2, Duration::from_millis(3))), ..Faults::default() }
    }

    #[test]
    fn the_same_seed_has_the_same_fates_and_another_seed_has_others() {
        let fates = |seed| (0..500).map(|n| faults(seed).fate(n)).collect::<Vec<_>>();
        assert_eq!(fates(7), fates(7));
        assert_ne!(fates(7), fates(8));
    }

    #[test]
    fn faults_happen_about_as_often_as_asked() {
        let fates: Vec<Fate> = (0..20_000).map(|n| faults(1).fate(n)).collect();
        let count = |wanted: fn(&Fate) -> bool| fates.iter().filter(|fate| wanted(fate)).count();
        let throttled = count(|fate| matches!(fate.fault, Some(Fault::Throttled { .. })));
        let lost = count(|fate| fate.fault == Some(Fault::Lost));
        let slow = count(|fate| !fate.delay.is_zero());
        assert!((1800..2200).contains(&throttled), "{throttled}");
        assert!((750..1050).contains(&lost), "{lost}");
        assert!((3700..4300).contains(&slow), "{slow}");
        assert_eq!(count(|fate| fate.fault == Some(Fault::Reset)), 0);
    }

    #[test]
    fn without_faults_nothing_happens() {
        let none = Faults { seed: 5, ..Faults::default() };
        assert!(!none.any() && faults(5).any());
        assert!((0..1000).all(|n| none.fate(n) == Fate { delay: Duration::ZERO, fault: None }));
    }

    #[test]
    fn an_odd_seed_writes_some_dates() {
        let dates = |seed| {
            let all = Faults { throttled: 1.0, seed, ..Faults::default() };
            (0..100).filter(|n| matches!(all.fate(*n).fault, Some(Fault::Throttled { as_date: true, .. }))).count()
        };
        assert_eq!(dates(2), 0);
        assert!((30..70).contains(&dates(3)));
    }
}
