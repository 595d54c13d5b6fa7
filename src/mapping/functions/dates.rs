//! Dates. A date is a text; functions that give one write it as Entra does: UTC, `M/d/yyyy h:mm:ss tt`.

use super::net_time::{self, Pattern};
use super::{Args, Function, function, literal};
use crate::mapping::expr::Call;
use crate::mapping::value::{EvalError, Val};
use jiff::civil::DateTime;
use jiff::{SignedDuration, Span, Timestamp, tz::TimeZone};

type Result<'a> = std::result::Result<Val<'a>, EvalError>;
type Found<T> = std::result::Result<T, EvalError>;

pub(super) const FUNCTIONS: &[Function] = &[
    function("Now", "Now()", 0, 0, |args| Ok(shown(present(args)?))).about(
        "The time of the cycle. Where a mapping uses it, everybody is worked out anew in every cycle. It is another one in each \
         cycle, so write it only into what is sent at creation (`apply = \"create\"`), or compare with it.",
        &[("Now()", "11/22/2026 9:30:00 AM")],
    ),
    function("CDate", "CDate(source)", 1, 1, |args| Ok(date(args, 0)?.map_or(Val::Null, shown))).about(
        "A date in one of the usual notations: ISO 8601 with or without time and offset, `M/d/yyyy h:mm:ss tt`, and LDAP's \
         generalized time (`20150123105347.1Z`). Without an offset it is UTC.",
        &[
            ("CDate(\"2020-03-16-07:00\")", "3/16/2020 7:00:00 AM"),
            ("CDate(\"2021-06-30+08:00\")", "6/29/2021 4:00:00 PM"),
            ("CDate(\"2009-06-15T01:45:30-07:00\")", "6/15/2009 8:45:30 AM"),
            ("CDate([whenCreated])", "1/23/2015 10:53:47 AM"),
            ("CDate(\"soon\")", "error: CDate: `soon` is not a date in a notation that is known; FormatDateTime reads others"),
        ],
    ),
    Function {
        integers: &[(1, i64::MIN)],
        check: interval,
        ..function("DateAdd", "DateAdd(interval, value, dateTime)", 3, 3, date_add).about(
            "A date so many intervals later, or earlier where the number is below zero. Intervals are `yyyy` year, `m` month, `d` \
             day, `ww` week, `h` hour, `n` minute, `s` second. The last days of a month stay in it: a month after 31 January is \
             28 February.",
            &[
                ("DateAdd(\"d\", 7, CDate(\"2012-03-16-07:00\"))", "3/23/2012 7:00:00 AM"),
                ("DateAdd(\"d\", -10, CDate(\"2012-03-16-07:00\"))", "3/6/2012 7:00:00 AM"),
                ("DateAdd(\"ww\", 2, CDate(\"2012-03-16-07:00\"))", "3/30/2012 7:00:00 AM"),
                ("DateAdd(\"m\", 10, CDate(\"2012-03-16-07:00\"))", "1/16/2013 7:00:00 AM"),
                ("DateAdd(\"yyyy\", 2, CDate(\"2012-03-16-07:00\"))", "3/16/2014 7:00:00 AM"),
                ("DateAdd(\"m\", 1, \"2026-01-31\")", "2/28/2026 12:00:00 AM"),
            ],
        )
    },
    Function {
        check: interval,
        ..function("DateDiff", "DateDiff(interval, date1, date2)", 3, 3, date_diff).about(
            "How many intervals date2 is later than date1. Days, hours, minutes and seconds are whole ones that passed; years and \
             months are those of the calendar, and weeks begin on Sunday.",
            &[
                ("DateDiff(\"d\", \"2021-08-18+08:00\", \"2021-08-31+08:00\")", "13"),
                ("DateDiff(\"d\", \"8/25/2021 5:41:18 PM\", \"2012-03-16-07:00\")", "-3449"),
                ("DateDiff(\"ww\", \"8/25/2021 5:41:18 PM\", \"2012-03-16-07:00\")", "-493"),
                ("DateDiff(\"m\", \"8/25/2021 5:41:18 PM\", \"2012-03-16-07:00\")", "-113"),
                ("DateDiff(\"yyyy\", \"8/25/2021 5:41:18 PM\", \"2012-03-16-07:00\")", "-9"),
                ("DateDiff(\"h\", \"2021-08-24\", \"2021-08-25\")", "24"),
                ("DateDiff(\"s\", \"2021-08-24\", \"2021-08-25\")", "86400"),
                ("IIF(DateDiff(\"d\", Now(), CDate([hireDate])) > 5, \"False\", \"True\")", "True"),
            ],
        )
    },
    Function {
        integers: &[(0, 0)],
        ..function("DateFromNum", "DateFromNum(value)", 1, 1, date_from_num).about(
            "The date of a number of Active Directory (`accountExpires`, `lastLogonTimestamp`: steps of 100 ns since 1601). What \
             means *never* there (0 and the highest number) is null.",
            &[
                ("DateFromNum(129699324000000000)", "1/1/2012 11:00:00 PM"),
                ("DateFromNum([accountExpires])", "null"),
            ],
        )
    },
    function("NumFromDate", "NumFromDate(value)", 1, 1, num_from_date).about(
        "The number by which Active Directory writes a date.",
        &[
            ("NumFromDate(\"2012-01-01T23:00:00Z\")", "129699324000000000"),
            (
                "NumFromDate(Join(\"\", FormatDateTime([hireDate], ,\"yyyy-MM-ddzzz\", \"yyyy-MM-dd\"), \" 23:59:59-08:00\"))",
                "132289055990000000",
            ),
        ],
    ),
    Function {
        check: patterns,
        ..function("FormatDateTime", "FormatDateTime(source, dateTimeStyles, inputFormat, outputFormat)", 3, 4, format).about(
            "A date in another notation. Formats are .NET's custom ones (`yyyy`, `MM`, `dd`, `HH`, `hh`, `mm`, `ss`, `fff`, `tt`, \
             `zzz`, ...) or one of its standard letters. A date with an offset becomes UTC. `dateTimeStyles` may be left empty, or \
             left out altogether (three arguments, as it used to be).",
            &[
                ("FormatDateTime([whenCreated], , \"yyyyMMddHHmmss.fZ\", \"yyyy-MM-dd\")", "2015-01-23"),
                ("FormatDateTime([whenCreated], \"yyyyMMddHHmmss.fZ\", \"dd MMM yyyy\")", "23 Jan 2015"),
                ("FormatDateTime([hireDate], , \"yyyy-MM-ddzzz\", \"M/d/yyyy h:mm tt\")", "3/16/2020 7:00 AM"),
                ("FormatDateTime([nobody], , \"yyyy\", \"yy\")", "null"),
                (
                    "FormatDateTime([mail], , \"yyyy-MM-dd\", \"yyyy\")",
                    "error: FormatDateTime: `Jane.Doe@corp.example` is not a date of the form yyyy-MM-dd: at character 1",
                ),
            ],
        )
    },
];

fn present(args: &Args<'_, '_>) -> Found<DateTime> {
    let now = args.context.world.now.and_then(|now| Timestamp::from_second(now).ok());
    let now = now.ok_or_else(|| EvalError("there is no time here: it is that of a cycle".to_owned()))?;
    Ok(TimeZone::UTC.to_datetime(now))
}

/// As Entra writes dates: `M/d/yyyy h:mm:ss tt`.
fn shown<'a>(date: DateTime) -> Val<'a> {
    Val::text(net_time::entra(date))
}

/// Argument `i` as a date; null and the empty text are none.
fn date(args: &Args<'_, '_>, i: usize) -> Found<Option<DateTime>> {
    let Some(text) = args.text(i)?.filter(|t| !t.trim().is_empty()) else { return Ok(None) };
    match net_time::usual(&text) {
        Some(date) => Ok(Some(date)),
        None => {
            let why = "is not a date in a notation that is known; FormatDateTime reads others";
            Err(EvalError(format!("`{text}` {why}")))
        }
    }
}

/// Visual Basic's intervals as far as Entra has them.
#[derive(Clone, Copy)]
enum Interval {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

impl Interval {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "yyyy" => Self::Year,
            "m" => Self::Month,
            "ww" => Self::Week,
            "d" => Self::Day,
            "h" => Self::Hour,
            "n" => Self::Minute,
            "s" => Self::Second,
            _ => return None,
        })
    }

    /// Argument 0 of a call.
    fn given(args: &Args<'_, '_>) -> Found<Self> {
        let word = args.text(0)?.unwrap_or_default();
        Self::of(&word).ok_or_else(|| EvalError(no_interval(&word)))
    }
}

fn no_interval(word: &str) -> String {
    format!("{word:?} is no interval: yyyy, m, d, ww, h, n or s")
}

fn interval(call: &Call) -> std::result::Result<(), String> {
    match literal(call, 0) {
        Some(word) if Interval::of(word).is_none() => Err(no_interval(word)),
        _ => Ok(()),
    }
}

fn date_add<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let interval = Interval::given(args)?;
    let (Some(value), Some(date)) = (args.integer(1)?, date(args, 2)?) else { return Ok(Val::Null) };
    let span = Span::new();
    let span = match interval {
        Interval::Year => span.try_years(value),
        Interval::Month => span.try_months(value),
        Interval::Week => span.try_weeks(value),
        Interval::Day => span.try_days(value),
        Interval::Hour => span.try_hours(value),
        Interval::Minute => span.try_minutes(value),
        Interval::Second => span.try_seconds(value),
    };
    let found = span.and_then(|span| date.checked_add(span)).ok().filter(|date| (1..=9999).contains(&date.year()));
    found.map(shown).ok_or_else(|| EvalError(format!("{value} later there is no date any more")))
}

fn date_diff<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let interval = Interval::given(args)?;
    let (Some(from), Some(to)) = (date(args, 1)?, date(args, 2)?) else { return Ok(Val::Null) };
    let seconds = |from: DateTime, to: DateTime| from.duration_until(to).as_secs();
    // Back to the Saturday before: then whole weeks are those of the calendar.
    let week = |date: DateTime| i64::from(date.date().weekday().to_sunday_one_offset());
    let months = |date: DateTime| i64::from(date.year()) * 12 + i64::from(date.month());
    let found = match interval {
        Interval::Year => i64::from(to.year()) - i64::from(from.year()),
        Interval::Month => months(to) - months(from),
        Interval::Week => (seconds(from, to) + (week(from) - week(to)) * DAY) / DAY / 7,
        Interval::Day => seconds(from, to) / DAY,
        Interval::Hour => seconds(from, to) / 3600,
        Interval::Minute => seconds(from, to) / 60,
        Interval::Second => seconds(from, to),
    };
    Ok(Val::text(found.to_string()))
}

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The beginning of Active Directory's time, which counts steps of 100 ns (MS-DTYP section 2.3.3).
const BEGINNING: DateTime = jiff::civil::date(1601, 1, 1).at(0, 0, 0, 0);

/// Its steps in a second.
const STEPS: i64 = 10_000_000;

fn date_from_num<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let Some(number) = args.integer(0)?.filter(|n| !matches!(*n, 0 | i64::MAX)) else { return Ok(Val::Null) };
    let nanoseconds = i32::try_from(number % STEPS * 100).unwrap_or_default();
    let found = BEGINNING.checked_add(SignedDuration::new(number / STEPS, nanoseconds)).ok();
    match found.filter(|found| number > 0 && found.year() <= 9999) {
        Some(found) => Ok(shown(found)),
        None => Err(EvalError(format!("{number} is not a date of Active Directory"))),
    }
}

fn num_from_date<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let Some(date) = date(args, 0)? else { return Ok(Val::Null) };
    let steps = BEGINNING.duration_until(date).as_nanos() / 100;
    if steps <= 0 {
        return Err(EvalError("Active Directory's time begins in 1601".to_owned()));
    }
    Ok(Val::text(steps.to_string()))
}

/// Places of the two formats: Entra's earlier form had no `dateTimeStyles`.
fn places(call: &Call) -> (usize, usize) {
    if call.args.len() == 3 { (1, 2) } else { (2, 3) }
}

fn patterns(call: &Call) -> std::result::Result<(), String> {
    let (input, output) = places(call);
    for i in [input, output] {
        match literal(call, i) {
            Some(pattern) => Pattern::new(pattern).map(drop).map_err(|why| format!("FormatDateTime: {why}"))?,
            None if !super::given(call, i) => return Err(format!("FormatDateTime needs both formats: {}", call.function.usage)),
            None => {}
        }
    }
    match literal(call, 1).filter(|_| call.args.len() == 4) {
        Some(styles) => net_time::check_styles(styles),
        None => Ok(()),
    }
}

fn format<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let Some(source) = args.text(0)?.filter(|t| !t.trim().is_empty()) else { return Ok(Val::Null) };
    let (input, output) = places(args.call);
    let pattern = |i| {
        let written = args.text(i)?.unwrap_or_default();
        Pattern::new(&written).map_err(EvalError)
    };
    let date = pattern(input)?.read(&source).map_err(EvalError)?;
    Ok(Val::text(pattern(output)?.write(date)))
}
