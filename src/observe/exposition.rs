//! The Prometheus text format 0.0.4, as far as a few gauges need it.
//! Source: prometheus.io, "Exposition formats", text-based format.

use crate::names::{METRICS, Type};
use std::fmt::Write as _;

/// Writes families of gauges.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// One family with its samples; nothing where there are none. The labels' names come from the table of metrics.
    pub(super) fn gauges<'a>(&mut self, name: &str, samples: impl IntoIterator<Item = (Vec<&'a str>, f64)>) {
        let Some(metric) = METRICS.iter().find(|m| m.name == name) else { return };
        debug_assert_eq!(metric.kind, Type::Gauge);
        let mut begun = false;
        for (labels, value) in samples {
            if !begun {
                // Writing to a string does not fail.
                let _ = write!(self.0, "# HELP {name} {}\n# TYPE {name} gauge\n", metric.help);
                begun = true;
            }
            self.0.push_str(name);
            for (i, (label, text)) in metric.labels.iter().zip(labels).enumerate() {
                let _ = write!(self.0, "{}{label}=\"{}\"", if i == 0 { '{' } else { ',' }, escaped(text));
            }
            if !metric.labels.is_empty() {
                self.0.push('}');
            }
            let _ = writeln!(self.0, " {value}");
        }
        if begun {
            self.0.push('\n');
        }
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// A label's value: backslash, quote and line feed are escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    #[test]
    fn labels_are_escaped_and_empty_families_left_out() {
        let mut out = Exposition::default();
        out.gauges(names::PARKED, [(vec!["a\"b\\c\nd"], 3.0)]);
        out.gauges(names::HELD, []);
        out.gauges(names::START_TIME, [(vec![], 1.5)]);
        let text = out.finish();
        assert!(text.contains("scim_sync_parked_records{sync=\"a\\\"b\\\\c\\nd\"} 3\n"), "{text}");
        assert!(!text.contains(names::HELD), "{text}");
        assert!(text.contains("\nprocess_start_time_seconds 1.5\n"), "{text}");
    }
}
