//! One field of a crontab line: what may stand in it, and its plainest form in the `cron` crate's language.

use super::ScheduleError;
use std::collections::BTreeSet;

/// What may stand in a field.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    /// Names of the values from `first`, three letters each.
    names: &'static [&'static str],
    first: u32,
}

pub(super) const MINUTE: Field = Field { name: "minute", min: 0, max: 59, names: &[], first: 0 };
pub(super) const HOUR: Field = Field { name: "hour", min: 0, max: 23, names: &[], first: 0 };
pub(super) const DAY: Field = Field { name: "day of the month", min: 1, max: 31, names: &[], first: 1 };
pub(super) const MONTH: Field = Field {
    name: "month",
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    first: 1,
};
/// 0 and 7 are both Sunday.
pub(super) const WEEKDAY: Field =
    Field { name: "weekday", min: 0, max: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"], first: 0 };

impl Field {
    /// The field as a list of values, `*` where it is a star; weekdays by name, because the `cron` crate counts them otherwise.
    pub(super) fn translate(&self, text: &str) -> Result<String, ScheduleError> {
        if text == "*" {
            return Ok("*".to_owned());
        }
        let mut values = BTreeSet::new();
        for item in text.split(',') {
            values.extend(self.item(item)?);
        }
        let weekday = self.is_weekday();
        let words: BTreeSet<String> =
            if weekday { values.iter().map(|v| self.names[(*v % 7) as usize].to_uppercase()).collect() } else { BTreeSet::new() };
        let list: Vec<String> = if weekday { words.into_iter().collect() } else { values.iter().map(u32::to_string).collect() };
        Ok(list.join(","))
    }

    /// `*`, `a`, `a-b`, each with or without `/step`.
    fn item(&self, item: &str) -> Result<Vec<u32>, ScheduleError> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (item, None),
        };
        // Without the second Sunday: a step over the week must not meet it twice.
        let last = if self.is_weekday() { 6 } else { self.max };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.min, last),
            Some((from, to)) => {
                let from = self.value(from)?;
                match self.value(to)? {
                    // `sat-sun`: Sunday ends a week as 7.
                    0 if self.is_weekday() && from > 0 => (from, 7),
                    to => (from, to),
                }
            }
            None => {
                let value = self.value(range)?;
                // `10/15` is 10-59/15.
                (value, if step.is_some() { last.max(value) } else { value })
            }
        };
        if from > to {
            return Err(self.error(format!("{range} runs backwards: write {from}-{last},{}-{to}", self.min)));
        }
        Ok((from..=to).step_by(step.unwrap_or(1)).collect())
    }

    fn step(&self, text: &str) -> Result<usize, ScheduleError> {
        let span = self.max - self.min + u32::from(!self.is_weekday());
        match text.parse::<u32>() {
            Ok(0) => Err(self.error("a step of 0 never moves".to_owned())),
            Ok(n) if n > span => Err(self.error(format!("a step of {n} is more than the whole field (at most {span})"))),
            Ok(n) => Ok(n as usize),
            Err(_) => Err(self.error(format!("{text:?} is not a step"))),
        }
    }

    fn value(&self, text: &str) -> Result<u32, ScheduleError> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return match text.parse::<u32>() {
                Ok(n) if (self.min..=self.max).contains(&n) => Ok(n),
                _ => Err(self.error(format!("{text} is not between {} and {}", self.min, self.max))),
            };
        }
        let lower = text.to_ascii_lowercase();
        // Three letters, or the whole English name: nothing is shorter than its three letters.
        let named = (self.first..).zip(self.names).find(|(_, n)| lower == **n || long_names(n).contains(&lower.as_str()));
        named.map(|(v, _)| v).ok_or_else(|| {
            let hint = if text.contains(['?', 'L', 'W', '#']) { " (L, W, # and ? are not part of crontab lines)" } else { "" };
            self.error(format!("{text:?} is not understood{hint}"))
        })
    }

    fn is_weekday(&self) -> bool {
        self.max == 7
    }

    fn error(&self, message: String) -> ScheduleError {
        ScheduleError::Field { field: self.name, message }
    }
}

fn long_names(short: &str) -> &'static [&'static str] {
    match short {
        "sun" => &["sunday"],
        "mon" => &["monday"],
        "tue" => &["tuesday", "tues"],
        "wed" => &["wednesday"],
        "thu" => &["thursday", "thurs"],
        "fri" => &["friday"],
        "sat" => &["saturday"],
        "jan" => &["january"],
        "feb" => &["february"],
        "mar" => &["march"],
        "apr" => &["april"],
        "jun" => &["june"],
        "jul" => &["july"],
        "aug" => &["august"],
        "sep" => &["september", "sept"],
        "oct" => &["october"],
        "nov" => &["november"],
        "dec" => &["december"],
        _ => &[],
    }
}
