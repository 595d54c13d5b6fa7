//! The only place that writes to stdout. Text from directories and servers is made harmless for terminals here.

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Stdout for results, stderr for complaints and progress.
#[derive(Debug)]
pub struct Out {
    json: bool,
    terminal: bool,
    color: bool,
    progress: bool,
    plain: bool,
    quiet: bool,
    state: Mutex<State>,
}

/// Whether stdout still takes anything.
#[derive(Debug, Default)]
enum State {
    #[default]
    Open,
    /// The reader went away (`| head`): the rest is dropped without a word.
    Closed,
    /// Writing failed (a full disk): said once, at the end.
    Failed(String),
}

impl Out {
    /// Looks at stdout and stderr and remembers what they are.
    #[must_use]
    pub fn new(json: bool, no_color: bool, verbosity: i8) -> Self {
        let terminal = std::io::stdout().is_terminal();
        Self {
            json,
            terminal,
            color: terminal && !no_color && !json,
            plain: no_color,
            quiet: verbosity < 0,
            progress: std::io::stderr().is_terminal() && verbosity >= 0,
            state: Mutex::default(),
        }
    }

    /// Whether one JSON document is wanted instead of text.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether stdout may carry colours.
    #[must_use]
    pub fn color(&self) -> bool {
        self.color
    }

    /// One line (or several) of text; nothing with `--json`, so that stdout stays one document.
    pub fn line(&self, text: impl AsRef<str>) {
        if !self.json {
            self.write(&clean(text.as_ref(), true), true);
        }
    }

    /// A line that heads what follows: bold on a terminal.
    pub fn heading(&self, text: impl AsRef<str>) {
        let text = clean(text.as_ref(), false);
        if self.json {
            return;
        }
        if self.color { self.write(&format!("\u{1b}[1m{text}\u{1b}[0m"), true) } else { self.write(&text, true) }
    }

    /// The one JSON document of a command, pretty-printed.
    pub fn json(&self, document: &impl Serialize) {
        match serde_json::to_string_pretty(document) {
            Ok(text) => self.write(&text, true),
            Err(e) => *self.lock() = State::Failed(e.to_string()),
        }
    }

    /// Text as it is, without a newline at the end (manual pages, completions).
    pub fn raw(&self, text: &str) {
        self.write(text, false);
    }

    /// A document that is written piece by piece; a reader that goes away ends it quietly.
    ///
    /// # Errors
    /// What `f` says, unless stdout took nothing more.
    pub fn stream<E>(&self, f: impl FnOnce(&mut dyn Write) -> Result<(), E>) -> Result<(), E> {
        let mut w = std::io::BufWriter::new(Piece(self));
        let done = f(&mut w);
        let flushed = w.flush();
        if matches!(*self.lock(), State::Open) && flushed.is_ok() { done } else { Ok(()) }
    }

    /// Rows under headers, aligned, without borders; wrapped only on a terminal. Headers that begin with `#` align right.
    pub fn table<R, C>(&self, headers: &[&str], rows: R)
    where
        R: IntoIterator<Item = Vec<C>>,
        C: AsRef<str>,
    {
        if self.json {
            return;
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(if self.terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled });
        if self.color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(headers.iter().map(|h| Cell::new(h.trim_start_matches('#')).add_attribute(Attribute::Bold)));
        for row in rows {
            table.add_row(row.iter().map(|c| Cell::new(clean(c.as_ref(), false))).collect::<Vec<_>>());
        }
        for (i, header) in headers.iter().enumerate() {
            if let Some(column) = table.column_mut(i) {
                column.set_padding((0, 2));
                if header.starts_with('#') {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        self.write(&table.trim_fmt(), true);
    }

    /// Text on stderr as it is: warnings, remarks; nothing with `--quiet`.
    pub fn remark(&self, message: &str) {
        if self.quiet {
            return;
        }
        let _ = writeln!(std::io::stderr(), "{}", clean(message, true));
    }

    /// One line on stderr, prefixed with the program's name.
    pub fn complain(&self, message: &str) {
        let _ = writeln!(std::io::stderr(), "scim-sync: {}", clean(message, true));
    }

    /// Progress on stderr, with rate and remaining time; invisible where stderr is not a terminal.
    #[must_use]
    pub fn progress(&self, label: &str, total: Option<u64>) -> Progress {
        Progress::new(self.progress, self.plain, label, total)
    }

    /// Whether progress is shown without colours.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Whether progress is shown.
    #[must_use]
    pub fn shows_progress(&self) -> bool {
        self.progress
    }

    /// What went wrong in writing, if anything but a reader that went away.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        match &*self.lock() {
            State::Failed(message) => Some(message.clone()),
            State::Open | State::Closed => None,
        }
    }

    fn write(&self, text: &str, newline: bool) {
        self.write_bytes(text.as_bytes(), newline);
    }

    fn write_bytes(&self, bytes: &[u8], newline: bool) {
        let mut state = self.lock();
        if !matches!(*state, State::Open) {
            return;
        }
        let mut stdout = std::io::stdout().lock();
        let written = stdout
            .write_all(bytes)
            .and_then(|()| if newline { stdout.write_all(b"\n") } else { Ok(()) })
            .and_then(|()| stdout.flush());
        match written {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::BrokenPipe => *state = State::Closed,
            Err(e) => *state = State::Failed(e.to_string()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stdout as a writer for [`Out::stream`].
struct Piece<'a>(&'a Out);

impl Write for Piece<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write_bytes(bytes, false);
        match *self.0.lock() {
            State::Open => Ok(bytes.len()),
            State::Closed | State::Failed(_) => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A progress bar; it goes away when it is dropped.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar, or nothing where it is not to be `shown`; `plain`: without colours.
    #[must_use]
    pub fn new(shown: bool, plain: bool, label: &str, total: Option<u64>) -> Self {
        let bar = match total {
            Some(n) => ProgressBar::new(n),
            None => ProgressBar::no_length(),
        };
        let template = template(plain, total.is_some());
        bar.set_draw_target(if shown { ProgressDrawTarget::stderr_with_hz(5) } else { ProgressDrawTarget::hidden() });
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(clean(label, false).into_owned());
        if shown {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self(bar)
    }

    /// So many more are done.
    pub fn inc(&self, n: u64) {
        self.0.inc(n);
    }

    /// So many are done in all.
    pub fn set(&self, n: u64) {
        self.0.set_position(n);
    }

    /// A short remark behind the numbers.
    pub fn note(&self, text: &str) {
        self.0.set_message(clean(text, false).into_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// How a bar looks.
fn template(plain: bool, has_end: bool) -> String {
    let rate = if plain { "{per_sec}" } else { "{per_sec:.dim}" };
    if has_end {
        format!("{{prefix}} [{{bar:30}}] {{human_pos}}/{{human_len}} {rate} ETA {{eta}} {{msg}}")
    } else {
        format!("{{prefix}} {{spinner}} {{human_pos}} {rate} {{elapsed}} {{msg}}")
    }
}

/// Control characters in a name or an error could drive the terminal or forge lines: they are shown escaped.
fn clean(text: &str, keep_lines: bool) -> Cow<'_, str> {
    let harmful = |c: char| (c.is_control() && !(keep_lines && (c == '\n' || c == '\t'))) || is_bidi(c);
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().fold(String::with_capacity(text.len() + 8), |mut all, c| {
        if harmful(c) {
            all.extend(c.escape_default())
        } else {
            all.push(c)
        }
        all
    });
    Cow::Owned(escaped)
}

/// Characters that turn the direction of what follows, and so can disguise it.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{clean, template};

    #[test]
    fn a_plain_bar_has_no_colours() {
        for has_end in [true, false] {
            let (plain, other) = (template(true, has_end), template(false, has_end));
            assert!(plain.contains("{per_sec}") && !plain.contains(".dim"), "{plain}");
            assert_eq!(other.replace(":.dim", ""), plain);
        }
    }

    #[test]
    fn control_characters_cannot_drive_the_terminal() {
        assert_eq!(clean("Anna \u{1b}[2J\u{7}", true), "Anna \\u{1b}[2J\\u{7}");
        assert_eq!(clean("a\nb", false), "a\\nb");
        assert_eq!(clean("a\nb\tc", true), "a\nb\tc");
        assert_eq!(clean("x\u{202e}y", true), "x\\u{202e}y");
        assert_eq!(clean("Åsa 山田", false), "Åsa 山田");
    }
}
