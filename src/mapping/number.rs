//! Numbers, as filters and expressions compare them.

use std::cmp::Ordering;

/// A number of a filter, an expression or an entry. Whole numbers stay exact: 100-nanosecond times exceed what a float can hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Whole(i64),
    Float(f64),
}

impl Number {
    /// The number that a text is, if it is one.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        // Rust also reads "inf" and "nan"; those are words here.
        if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E')) {
            return None;
        }
        text.parse().map(Self::Whole).or_else(|_| text.parse().map(Self::Float)).ok()
    }

    fn float(self) -> f64 {
        match self {
            #[allow(clippy::cast_precision_loss)]
            Self::Whole(n) => n as f64,
            Self::Float(n) => n,
        }
    }

    /// How two numbers order; `None` where one of them is none.
    pub(super) fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (a, b) => a.float().partial_cmp(&b.float()),
        }
    }
}
