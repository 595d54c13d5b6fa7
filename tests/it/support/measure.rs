//! What a process costs, as Linux's `/proc` says (proc(5)): time, CPU, peak of resident memory.

use std::fs::{File, read_to_string};
use std::io::{Read as _, Seek as _};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// How often a running process is looked at. Its peak may have grown for as long unseen before it ends.
const LOOK: Duration = Duration::from_millis(4);

/// Clock ticks per second in `/proc` (USER_HZ): 100 on every architecture that Linux runs on today.
const TICKS: u64 = 100;

/// What one run of a process came to.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub status: ExitStatus,
    /// From the start to the end.
    pub wall: Duration,
    /// User and system time of all its threads.
    pub cpu: Duration,
    /// Peak of resident memory (VmHWM).
    pub peak_kib: u64,
}

impl Usage {
    /// Runs to the end; output goes where the command says.
    pub fn of(command: &mut Command) -> Self {
        let began = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let pid = child.id();
        let mut peak_kib = 0;
        while let Some(kib) = peak_kib_of(pid) {
            peak_kib = kib;
            std::thread::sleep(LOOK);
        }
        // A process that has ended has no memory any more; until it is waited for, its times are still there.
        let wall = began.elapsed();
        let cpu = cpu_of(pid);
        Self { status: child.wait().unwrap(), wall, cpu, peak_kib }
    }

    /// Runs to the end; also gives stdout and stderr.
    pub fn and_output(command: &mut Command) -> (Self, String, String) {
        let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let usage = Self::of(command.stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap()));
        let text = |mut file: File| {
            let mut text = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
            text
        };
        (usage, text(out), text(err))
    }

    pub fn peak_mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }
}

/// `None` when the process has ended.
fn peak_kib_of(pid: u32) -> Option<u64> {
    let status = read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// User and system time of a process so far; zero where there is none.
pub fn cpu_of(pid: u32) -> Duration {
    let stat = read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the name in brackets, with blanks and brackets of its own; utime and stime are 14 and 15.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

/// The load of the last minute.
pub fn load() -> String {
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

/// Whether this build is too slow for what follows; says so. What is named `scale_` measures, or takes long: it runs in release
/// builds only (`cargo test --release --test it scale_`).
pub fn too_slow() -> bool {
    if cfg!(debug_assertions) {
        println!("skipped: release builds only");
    }
    cfg!(debug_assertions)
}
