//! Names of the metrics, with type, labels and meaning: the one table that the exporter, `docs/monitoring/metrics.md` and the tests
//! go by. Here at the bottom, so that every module can count with the `metrics` macros without knowing who listens.
//!
//! Base units, `_total` for counters, one prefix (Prometheus, "Metric and label naming"). Processes have the names that
//! Prometheus' own client libraries give them.

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Only grows while the process runs.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often a value was how large; the upper bounds of the buckets are in seconds.
    Histogram(Buckets),
}

/// Which buckets a histogram has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buckets {
    /// One request: 5 ms to a minute.
    Request,
    /// A part of a cycle: 10 ms to an hour.
    Phase,
    /// From one cycle to days: a leaver, or a wait.
    Long,
}

impl Buckets {
    /// The upper bounds, in seconds.
    #[must_use]
    pub const fn bounds(self) -> &'static [f64] {
        match self {
            Self::Request => &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0],
            Self::Phase => &[0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0],
            Self::Long => &[1.0, 10.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0, 604_800.0],
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Type,
    /// Labels that tell its series apart.
    pub labels: &'static [&'static str],
    /// Meaning, in one sentence.
    pub help: &'static str,
}

/// Makes a constant for each name, and the table.
macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, [$($label:literal),*], $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*

        /// Every metric.
        pub const METRICS: &[Metric] = &[
            $(Metric { name: $constant, kind: $kind, labels: &[$($label),*], help: $help },)*
        ];
    };
}

metrics! {
    LAST_COMPLETE_READ = "scim_sync_last_complete_read_timestamp_seconds", Type::Gauge, ["sync"],
        "When the last complete read of the source was committed (Unix time; absent before the first).";
    READ_AGE_LIMIT = "scim_sync_last_complete_read_age_limit_seconds", Type::Gauge, ["sync"],
        "Age of the last complete read from which /readyz says no: three schedule intervals, at least 15 minutes.";
    LAST_CYCLE = "scim_sync_last_cycle_timestamp_seconds", Type::Gauge, ["sync"],
        "When the last cycle ended (Unix time).";
    LAST_CYCLE_DURATION = "scim_sync_last_cycle_duration_seconds", Type::Gauge, ["sync"],
        "How long the last cycle took.";
    LAST_CYCLE_RESULT = "scim_sync_last_cycle_result", Type::Gauge, ["sync", "result"],
        "1 for the result of the last cycle (ok, parked, held or failed), 0 for the others.";
    CYCLES = "scim_sync_cycles_total", Type::Counter, ["sync", "result"],
        "Cycles that ended, by result.";
    RUNNING = "scim_sync_cycle_running", Type::Gauge, ["sync"],
        "1 while a cycle runs, else 0.";
    NEXT_RUN = "scim_sync_next_run_timestamp_seconds", Type::Gauge, ["sync"],
        "When the next cycle begins (Unix time).";
    HELD = "scim_sync_held_changes", Type::Gauge, ["sync", "kind"],
        "Changes that the guard holds, by kind of change.";
    PARKED = "scim_sync_parked_records", Type::Gauge, ["sync"],
        "Records that are parked.";
    LINKED = "scim_sync_linked", Type::Gauge, ["sync", "object"],
        "Linked users and groups.";
    LEAVERS_WAITING = "scim_sync_leavers_waiting", Type::Gauge, ["sync"],
        "People who have left and whose account is not inactive yet.";
    LEAVERS_WAITING_SECONDS = "scim_sync_leavers_waiting_seconds", Type::Gauge, ["sync"],
        "Seconds since the first of the waiting leavers left; 0 where none waits.";
    LEAVER_SECONDS = "scim_sync_leaver_seconds", Type::Histogram(Buckets::Long), ["sync"],
        "From first seen disabled, out of scope or gone at the source to inactive at the target.";
    WRITES = "scim_sync_writes_total", Type::Counter, ["sync", "kind", "outcome"],
        "Changes sent to the target, by kind and outcome (done or parked); members count one by one.";
    PHASE_DURATION = "scim_sync_cycle_phase_duration_seconds", Type::Histogram(Buckets::Phase), ["sync", "phase"],
        "How long each phase of a cycle took: recover, read, observe, plan, apply, commit.";
    REQUEST_DURATION = "scim_sync_request_duration_seconds", Type::Histogram(Buckets::Request), ["system", "method", "status"],
        "From sending a request to the last byte of its answer, by status class (2xx .. 5xx, or error where none came).";
    RETRIES = "scim_sync_request_retries_total", Type::Counter, ["system", "reason"],
        "Requests that were sent again: throttled, server_error, connection, unauthorized, content_type or version.";
    THROTTLED = "scim_sync_throttled_seconds", Type::Histogram(Buckets::Long), ["system"],
        "How long requests waited because the server asked to slow down; the sum is the time lost over all requests.";
    NOTIFICATIONS = "scim_sync_notifications_total", Type::Counter, ["channel", "result"],
        "Notifications, by channel and result: sent, failed (an attempt, which is repeated) or dropped.";
    NOTIFICATIONS_WAITING = "scim_sync_notifications_waiting", Type::Gauge, ["channel"],
        "Notifications that wait to be delivered.";
    SECRET_EXPIRY = "scim_sync_secret_expiry_timestamp_seconds", Type::Gauge, ["key"],
        "When a secret stops working, as its `expires` says (Unix time), by key of the configuration.";
    BUILD_INFO = "scim_sync_build_info", Type::Gauge, ["version"],
        "Always 1; the label says which version runs.";
    RESIDENT_MEMORY = "process_resident_memory_bytes", Type::Gauge, [],
        "Resident memory of the process.";
    START_TIME = "process_start_time_seconds", Type::Gauge, [],
        "When the process started (Unix time).";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_as_prometheus_wants_them() {
        let names: BTreeSet<_> = METRICS.iter().map(|m| m.name).collect();
        assert_eq!(names.len(), METRICS.len(), "each name stands once");
        for m in METRICS {
            assert!(m.name.starts_with("scim_sync_") || m.name.starts_with("process_"), "{}", m.name);
            assert_eq!(m.name.ends_with("_total"), m.kind == Type::Counter, "{}", m.name);
            assert!(m.help.ends_with('.') && m.help.len() > 10, "{}", m.name);
            if let Type::Histogram(buckets) = m.kind {
                assert!(m.name.ends_with("_seconds") && buckets.bounds().is_sorted(), "{}", m.name);
            }
        }
    }
}
