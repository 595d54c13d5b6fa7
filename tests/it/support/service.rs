//! The service as a child process, with a service manager that listens.

use super::world::World;
use std::fs::File;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long tests wait for what should happen soon.
pub const SOON: Duration = Duration::from_secs(60);

/// Waits until `f` holds; fails loudly where it never does.
#[track_caller]
pub fn eventually(what: &str, mut f: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !f() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `scim-sync run`; killed when dropped.
pub struct Service {
    child: Child,
    log: std::path::PathBuf,
    messages: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// Starts it and waits until it says that it is ready.
    pub fn start(w: &World) -> Self {
        Self::start_with(w, &["run"], &[])
    }

    pub fn start_with(w: &World, args: &[&str], env: &[(&str, &str)]) -> Self {
        let service = Self::spawn(w, args, env);
        eventually("READY=1", || {
            assert!(service.running(), "it ended: {}", service.log());
            service.messages().iter().any(|m| m.contains("READY=1"))
        });
        service
    }

    fn spawn(w: &World, args: &[&str], env: &[(&str, &str)]) -> Self {
        let path = w.path(&format!("notify-{}", uuid::Uuid::new_v4().simple()));
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let messages = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::downgrade(&messages);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Ends with the service's owner.
            while let Some(heard) = heard.upgrade() {
                if let Ok(n) = socket.recv(&mut buffer) {
                    heard.lock().unwrap().push(String::from_utf8(buffer[..n].to_vec()).unwrap());
                }
            }
        });
        let log = w.path(&format!("log-{}", uuid::Uuid::new_v4().simple()));
        let mut command: Command = w.command(args);
        command.env("NOTIFY_SOCKET", &path).env_remove("JOURNAL_STREAM").env_remove("WATCHDOG_USEC");
        command.envs(env.iter().copied());
        command.stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        Self { child: command.spawn().unwrap(), log, messages }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub fn running(&self) -> bool {
        // A process that has ended and is not waited for is still there, as a zombie.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// What it told its manager so far.
    pub fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }

    #[track_caller]
    pub fn logs(&self, text: &str) {
        let deadline = Instant::now() + SOON;
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "never logged {text:?}:\n{}", self.log());
            assert!(self.running(), "it ended:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends the signal and waits for the end; how long that took, and the exit code.
    pub fn stop(&mut self, name: &str) -> (Duration, Option<i32>) {
        self.signal(name);
        let asked = Instant::now();
        let status = self.child.wait().unwrap();
        (asked.elapsed(), status.code())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A sync that runs by itself once a year, and what was missed at once: so a test says when.
pub const SELDOM: &str = "schedule = \"0 0 1 1 *\"\njitter = \"0s\"";

/// Makes it look as if the service had not run for two years: its next start makes up for that.
pub fn long_ago(w: &World) {
    let c = rusqlite::Connection::open(w.path("state.db")).unwrap();
    c.execute("UPDATE cycle SET started = started - 2 * 366 * 86400", []).unwrap();
}

/// Asks the running service for a cycle, as `approve` does.
pub fn ask(w: &World, sync: &str) {
    let c = rusqlite::Connection::open(w.path("state.db")).unwrap();
    c.busy_timeout(Duration::from_secs(30)).unwrap();
    let sql = "INSERT INTO service (sync_id, asked) SELECT id, 1 FROM sync WHERE name = ?1
               ON CONFLICT (sync_id) DO UPDATE SET asked = asked + 1";
    assert_eq!(c.execute(sql, [sync]).unwrap(), 1);
}

/// Cycles of a sync that are over: result of each.
pub fn results(w: &World, sync: &str) -> Vec<String> {
    let c = rusqlite::Connection::open(w.path("state.db")).unwrap();
    c.busy_timeout(Duration::from_secs(30)).unwrap();
    let sql =
        "SELECT c.result FROM cycle c JOIN sync s ON s.id = c.sync_id WHERE s.name = ?1 AND c.result IS NOT NULL ORDER BY c.id";
    let mut st = c.prepare(sql).unwrap();
    let rows = st.query_map([sync], |r| r.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}
