//! What the operating system says of this process: proc(5). Nothing where there is no `/proc`.

use std::sync::OnceLock;

/// Clock ticks per second in `/proc` (USER_HZ): 100 on every architecture that Linux runs on.
const TICKS: f64 = 100.0;

/// Resident memory, bytes.
pub(super) fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

/// When the process started, Unix seconds.
pub(super) fn start_time() -> Option<f64> {
    static START: OnceLock<Option<f64>> = OnceLock::new();
    *START.get_or_init(|| {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is the name in brackets, with blanks of its own; starttime is the 22nd.
        let ticks: f64 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()?;
        let boot = std::fs::read_to_string("/proc/stat").ok()?;
        let booted: f64 = boot.lines().find_map(|l| l.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(booted + ticks / TICKS)
    })
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, clippy::cast_precision_loss)]
mod tests {
    #[test]
    fn the_numbers_are_plausible() {
        let resident = super::resident_bytes().unwrap();
        assert!((1e6..1e10).contains(&resident), "{resident}");
        let now = jiff::Timestamp::now().as_second() as f64;
        let start = super::start_time().unwrap();
        assert!((now - 3600.0..=now + 2.0).contains(&start), "{start}, now {now}");
    }
}
