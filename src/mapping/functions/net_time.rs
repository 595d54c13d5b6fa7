//! Dates and times in .NET's custom format strings ("Custom date and time format strings"), in the invariant culture.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use std::fmt::Write as _;
use std::sync::LazyLock;

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Longest pattern.
const MAX_PATTERN: usize = 128;

/// One part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// A letter that stands for a part of the date, and how often it stands there.
    Field(char, usize),
    /// Itself.
    Literal(char),
}

/// A format as written, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    written: String,
    parts: Vec<Part>,
}

/// .NET's standard formats in the invariant culture.
fn standard(letter: &str) -> Option<&'static str> {
    Some(match letter {
        "d" => "MM/dd/yyyy",
        "D" => "dddd, dd MMMM yyyy",
        "f" => "dddd, dd MMMM yyyy HH:mm",
        "F" => "dddd, dd MMMM yyyy HH:mm:ss",
        "g" => "MM/dd/yyyy HH:mm",
        "G" => "MM/dd/yyyy HH:mm:ss",
        "M" | "m" => "MMMM dd",
        "O" | "o" => "yyyy'-'MM'-'dd'T'HH':'mm':'ss'.'fffffffK",
        "R" | "r" => "ddd, dd MMM yyyy HH':'mm':'ss 'GMT'",
        "s" => "yyyy'-'MM'-'dd'T'HH':'mm':'ss",
        "t" => "HH:mm",
        "T" => "HH:mm:ss",
        "u" => "yyyy'-'MM'-'dd HH':'mm':'ss'Z'",
        "Y" | "y" => "yyyy MMMM",
        _ => return None,
    })
}

impl Pattern {
    /// Takes a format apart.
    pub(super) fn new(written: &str) -> Result<Self, String> {
        if written.is_empty() || written.len() > MAX_PATTERN {
            return Err(format!("{written:?} is not a date format: 1 to {MAX_PATTERN} characters"));
        }
        let text = match standard(written) {
            Some(text) => text,
            None if written.chars().count() == 1 => return Err(format!("{written:?} is not one of the standard date formats")),
            None => written,
        };
        let mut parts: Vec<Part> = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some(next) => parts.push(Part::Literal(next)),
                    None => return Err(format!("{written:?} ends with a backslash")),
                },
                '\'' | '"' => loop {
                    match chars.next() {
                        Some(end) if end == c => break,
                        Some(inner) => parts.push(Part::Literal(inner)),
                        None => return Err(format!("{written:?}: the text in {c} has no end")),
                    }
                },
                // One letter alone would be a standard format; `%d` is the custom one.
                '%' => {}
                'y' | 'M' | 'd' | 'H' | 'h' | 'm' | 's' | 'f' | 'F' | 't' | 'z' | 'K' | 'g' => {
                    let mut times = 1;
                    while c != 'K' && chars.next_if_eq(&c).is_some() {
                        times += 1;
                    }
                    if matches!(c, 'f' | 'F') && times > 7 {
                        return Err(format!("{written:?}: a second has at most seven decimals"));
                    }
                    parts.push(Part::Field(c, times));
                }
                c => parts.push(Part::Literal(c)),
            }
        }
        Ok(Self { written: written.to_owned(), parts })
    }

    /// Writes a date; its offset is that of UTC.
    pub(super) fn write(&self, date: DateTime) -> String {
        let mut out = String::new();
        for part in &self.parts {
            let (letter, times) = match part {
                Part::Literal(c) => {
                    out.push(*c);
                    continue;
                }
                Part::Field(letter, times) => (*letter, *times),
            };
            let number = |out: &mut String, n: i64| {
                let width = times.min(2);
                let _ = write!(out, "{n:0width$}");
            };
            match letter {
                'y' if times <= 2 => number(&mut out, i64::from(date.year()) % 100),
                'y' => {
                    let _ = write!(out, "{:0times$}", date.year());
                }
                'M' if times >= 3 => out.push_str(name(&MONTHS, usize::try_from(date.month() - 1), times)),
                'M' => number(&mut out, i64::from(date.month())),
                'd' if times >= 3 => out.push_str(name(&DAYS, usize::try_from(date.weekday().to_sunday_zero_offset()), times)),
                'd' => number(&mut out, i64::from(date.day())),
                'H' => number(&mut out, i64::from(date.hour())),
                'h' => number(&mut out, i64::from((date.hour() + 11) % 12 + 1)),
                'm' => number(&mut out, i64::from(date.minute())),
                's' => number(&mut out, i64::from(date.second())),
                'f' | 'F' => fraction(&mut out, date.subsec_nanosecond(), letter, times),
                't' => out.push_str(half(date.hour()).get(..times.min(2)).unwrap_or_default()),
                'z' => out.push_str(["+0", "+00", "+00:00"].get(times - 1).unwrap_or(&"+00:00")),
                'K' => out.push('Z'),
                _ => out.push_str("A.D."),
            }
        }
        out
    }

    /// Reads a date; one with an offset becomes UTC. White space around it does not matter.
    pub(super) fn read(&self, text: &str) -> Result<DateTime, String> {
        let mut reader = Reader { chars: text.trim().chars().collect(), at: 0, fields: Fields::default() };
        let read = self.parts.iter().all(|part| reader.part(part)) && reader.at == reader.chars.len();
        let wrong = |at: usize| format!("`{text}` is not a date of the form {}: at character {}", self.written, at + 1);
        if !read {
            return Err(wrong(reader.at));
        }
        reader.fields.date().ok_or_else(|| format!("`{text}`: there is no such date"))
    }
}

fn half(hour: i8) -> &'static str {
    if hour < 12 { "AM" } else { "PM" }
}

/// The whole name, or its first three letters.
fn name<E>(names: &[&'static str], index: Result<usize, E>, times: usize) -> &'static str {
    let whole = index.ok().and_then(|i| names.get(i)).copied().unwrap_or_default();
    if times == 3 { whole.get(..3).unwrap_or(whole) } else { whole }
}

/// Decimals of a second; `F` leaves out zeros at the end, and the point before them.
fn fraction(out: &mut String, nanoseconds: i32, letter: char, times: usize) {
    let digits = format!("{nanoseconds:09}");
    let digits = digits.get(..times).unwrap_or_default();
    if letter == 'f' {
        out.push_str(digits);
        return;
    }
    let short = digits.trim_end_matches('0');
    if short.is_empty() && out.ends_with('.') {
        out.pop();
    }
    out.push_str(short);
}

/// What was read of a date. What the pattern does not name is the first of its kind.
#[derive(Default)]
struct Fields {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanosecond: i64,
    afternoon: Option<bool>,
    /// Minutes east of UTC.
    offset: i64,
}

impl Fields {
    fn date(&self) -> Option<DateTime> {
        let hour = match self.afternoon {
            None => self.hour,
            Some(_) if !(1..=12).contains(&self.hour) => return None,
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
        };
        let small = |n: i64| i8::try_from(n).ok();
        let year = i16::try_from(self.year.unwrap_or(1)).ok().filter(|y| (1..=9999).contains(y))?;
        let date = Date::new(year, small(self.month.unwrap_or(1))?, small(self.day.unwrap_or(1))?).ok()?;
        let nanosecond = i32::try_from(self.nanosecond).ok()?;
        let time = Time::new(small(hour)?, small(self.minute)?, small(self.second)?, nanosecond).ok()?;
        let utc = date.to_datetime(time).checked_sub(SignedDuration::from_mins(self.offset)).ok()?;
        (1..=9999).contains(&utc.year()).then_some(utc)
    }
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    fields: Fields,
}

impl Reader {
    fn next_is(&mut self, c: char) -> bool {
        let hit = self.chars.get(self.at) == Some(&c);
        self.at += usize::from(hit);
        hit
    }

    /// A number of `least` to `most` digits.
    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let digits: String = self.chars.iter().skip(self.at).take(most).take_while(|c| c.is_ascii_digit()).collect();
        if digits.len() < least {
            return None;
        }
        self.at += digits.len();
        digits.parse().ok()
    }

    /// One of these names, whole or its first three letters, without case; its place in the list.
    fn name(&mut self, names: &[&str], times: usize) -> Option<i64> {
        let rest: String = self.chars.iter().skip(self.at).take(12).collect::<String>().to_ascii_lowercase();
        let found = names.iter().position(|name| {
            let name = if times == 3 { name.get(..3).unwrap_or(name) } else { name };
            rest.starts_with(&name.to_ascii_lowercase())
        })?;
        self.at += if times == 3 { 3 } else { names.get(found).map_or(0, |name| name.len()) };
        i64::try_from(found).ok()
    }

    /// Reads one part; false where it is not there.
    fn part(&mut self, part: &Part) -> bool {
        match part {
            Part::Literal(c) => self.next_is(*c),
            Part::Field(letter, times) => self.field(*letter, *times).is_some(),
        }
    }

    fn field(&mut self, letter: char, times: usize) -> Option<()> {
        let small = |reader: &mut Self| reader.number(times.min(2), 2);
        match letter {
            'y' if times <= 2 => {
                let year = small(self)?;
                // .NET's calendar: 00 to 49 are of this century.
                self.fields.year = Some(if year < 50 { 2000 + year } else { 1900 + year });
            }
            'y' => self.fields.year = Some(self.number(times.min(4), times.max(4))?),
            'M' if times >= 3 => self.fields.month = Some(self.name(&MONTHS, times)? + 1),
            'M' => self.fields.month = Some(small(self)?),
            'd' if times >= 3 => drop(self.name(&DAYS, times)?),
            'd' => self.fields.day = Some(small(self)?),
            'H' | 'h' => self.fields.hour = small(self)?,
            'm' => self.fields.minute = small(self)?,
            's' => self.fields.second = small(self)?,
            'f' => {
                let before = self.at;
                let value = self.number(times, times)?;
                self.decimals(value, self.at - before);
            }
            'F' => {
                let before = self.at;
                if let Some(value) = self.number(1, times) {
                    self.decimals(value, self.at - before);
                }
            }
            't' => {
                let afternoon = match self.chars.get(self.at)?.to_ascii_uppercase() {
                    'A' => false,
                    'P' => true,
                    _ => return None,
                };
                self.at += 1;
                if times > 1 && !(self.next_is('M') || self.next_is('m')) {
                    return None;
                }
                self.fields.afternoon = Some(afternoon);
            }
            'z' => self.offset(times)?,
            'K' if self.next_is('Z') || self.at == self.chars.len() => {}
            'K' => self.offset(3)?,
            _ => "A.D.".chars().all(|c| self.next_is(c)).then_some(())?,
        }
        Some(())
    }

    fn decimals(&mut self, value: i64, digits: usize) {
        let missing = u32::try_from(9_usize.saturating_sub(digits)).unwrap_or(0);
        self.fields.nanosecond = value * 10_i64.pow(missing);
    }

    fn offset(&mut self, times: usize) -> Option<()> {
        let sign = if self.next_is('+') {
            1
        } else if self.next_is('-') {
            -1
        } else {
            return None;
        };
        let hours = self.number(times.min(2), 2)?;
        let minutes = if times >= 3 {
            self.next_is(':');
            self.number(2, 2)?
        } else {
            0
        };
        if hours > 14 || minutes > 59 {
            return None;
        }
        self.fields.offset = sign * (hours * 60 + minutes);
        Some(())
    }
}

/// Notations that are read without being told which one it is.
static USUAL: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    let patterns = [
        "yyyy'-'MM'-'dd",
        "yyyy'-'MM'-'ddzzz",
        "yyyy'-'MM'-'dd'Z'",
        "yyyy'-'MM'-'dd'T'HH':'mmK",
        "yyyy'-'MM'-'dd'T'HH':'mm':'ssK",
        "yyyy'-'MM'-'dd'T'HH':'mm':'ss'.'FFFFFFFK",
        "yyyy'-'MM'-'dd HH':'mm",
        "yyyy'-'MM'-'dd HH':'mm':'ssK",
        "yyyy'-'MM'-'dd HH':'mm':'ss zzz",
        "yyyy'-'MM'-'dd HH':'mm':'ss'.'FFFFFFFK",
        "M/d/yyyy",
        "M/d/yyyy h:mm tt",
        "M/d/yyyy h:mm:ss tt",
        "M/d/yyyy H:mm",
        "M/d/yyyy H:mm:ss",
        "yyyyMMdd",
        // Generalized time (RFC 4517 section 3.3.13).
        "yyyyMMddHHmmss'Z'",
        "yyyyMMddHHmmss'.'FFFFFFF'Z'",
        "yyyyMMddHHmmsszzz",
        "ddd, dd MMM yyyy HH':'mm':'ss 'GMT'",
    ];
    patterns.iter().filter_map(|pattern| Pattern::new(pattern).ok()).collect()
});

/// A date in one of the usual notations.
pub(super) fn usual(text: &str) -> Option<DateTime> {
    USUAL.iter().find_map(|pattern| pattern.read(text).ok())
}

/// `M/d/yyyy h:mm:ss tt`.
pub(super) fn entra(d: DateTime) -> String {
    let hour = (d.hour() + 11) % 12 + 1;
    format!("{}/{}/{:04} {hour}:{:02}:{:02} {}", d.month(), d.day(), d.year(), d.minute(), d.second(), half(d.hour()))
}

/// .NET's `DateTimeStyles`, one or several. All of them agree where everything is UTC and blanks do not matter, so they are
/// only looked at for slips.
pub(super) fn check_styles(styles: &str) -> Result<(), String> {
    const KNOWN: [&str; 9] = [
        "None",
        "AllowLeadingWhite",
        "AllowTrailingWhite",
        "AllowInnerWhite",
        "AllowWhiteSpaces",
        "NoCurrentDateDefault",
        "AdjustToUniversal",
        "AssumeUniversal",
        "RoundtripKind",
    ];
    let words = styles.split([',', '|']).map(|word| word.trim().trim_start_matches("DateTimeStyles."));
    match words.into_iter().find(|word| !word.is_empty() && !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(word))) {
        Some(word) => Err(format!("{word:?} is none of DateTimeStyles: {}", KNOWN.join(", "))),
        None => Ok(()),
    }
}
