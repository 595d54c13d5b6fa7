//! The recorder behind the `metrics` macros. What happened is counted there; what is the case is written from the [`Board`] when
//! it is asked for, so that a sync that was removed leaves nothing behind.

use super::board::Board;
use super::exposition::Exposition;
use super::process;
use crate::names::{self, METRICS, Type};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct MetricsError(String);

/// What was counted so far. Cheap to clone.
#[derive(Clone)]
pub struct Handle(PrometheusHandle);

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("metrics")
    }
}

/// Installs the process-wide recorder: from now on it is counted. To be called once, before anything is to be counted.
///
/// # Errors
/// There is a recorder already.
pub fn install() -> Result<Handle, MetricsError> {
    let (recorder, handle) = recorder()?;
    metrics::set_global_recorder(recorder).map_err(|e| MetricsError(e.to_string()))?;
    describe();
    Ok(handle)
}

pub(super) fn recorder() -> Result<(PrometheusRecorder, Handle), MetricsError> {
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let Type::Histogram(buckets) = metric.kind {
            let matcher = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(matcher, buckets.bounds()).map_err(|e| MetricsError(e.to_string()))?;
        }
    }
    let recorder = builder.build_recorder();
    let handle = Handle(recorder.handle());
    Ok((recorder, handle))
}

/// Tells the current recorder what the metrics mean.
pub(super) fn describe() {
    for metric in METRICS {
        match metric.kind {
            Type::Counter => metrics::describe_counter!(metric.name, metric.help),
            Type::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Type::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}

impl Handle {
    /// Everything, as Prometheus text 0.0.4: what was counted, and what `board` says is the case at `now` (Unix seconds).
    #[must_use]
    pub fn render(&self, board: &Board, now: i64) -> String {
        let mut text = self.0.render();
        let mut out = Exposition::default();
        board.expose(&mut out, now);
        out.gauges(names::BUILD_INFO, [(vec![env!("CARGO_PKG_VERSION")], 1.0)]);
        out.gauges(names::RESIDENT_MEMORY, process::resident_bytes().map(|v| (vec![], v)));
        out.gauges(names::START_TIME, process::start_time().map(|v| (vec![], v)));
        text.push_str(&out.finish());
        text
    }

    /// Tidies up: recorded values take memory until they are summed up. To be called every minute or so.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}
