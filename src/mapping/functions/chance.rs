//! What looks like chance. It is worked out from the source key, the row and the place in the expression: one person's
//! value never changes, so a plan can be reviewed and applied, and nobody gets a new one in every cycle.

use super::{Args, Function, function, literal};
use crate::mapping::expr::Call;
use crate::mapping::value::{EvalError, Val};

type Result<'a> = std::result::Result<Val<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        chance: true,
        ..function("Guid", "Guid()", 0, 0, guid).about(
            "A GUID of this person's and this row's own. It looks like any other, and is the same one every time: made from the \
             source key, not from chance, so that nobody gets a new one in every cycle.",
            &[("Guid()", "ed95b385-3a4a-8059-8d5d-9e06e2bb745a"), ("Len(Guid())", "36")],
        )
    },
    Function {
        integers: &[(0, 1), (1, 0), (2, 0), (3, 0), (4, 0)],
        chance: true,
        check: lengths,
        ..function(
            "RandomString",
            "RandomString(length, minimumNumbers, minimumSpecialCharacters, minimumCapital, minimumLowerCase, charactersToAvoid)",
            5,
            6,
            random,
        )
        .about(
            "A text of at most 256 characters with at least so many digits, special characters, capitals and small letters; what \
             is missing comes from the kinds that were asked for, or from all but special characters. As with `Guid`, one person's text \
             is always the same. Who knows the source key can work it out: it is not for secrets.",
            &[
                ("RandomString(6,3,0,0,3)", "3g7l7e"),
                ("RandomString(10,2,2,2,1,\"?,\")", "3D7dG^>VLQ"),
                ("Len(RandomString(256, 0, 0, 0, 0))", "256"),
            ],
        )
    },
];

/// An endless row of octets that belongs to this place.
struct Dice(blake3::OutputReader);

impl Dice {
    fn new(args: &Args<'_, '_>) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(b"scim-sync chance 1\0");
        hash.update(&args.context.seed().to_le_bytes());
        hash.update(&args.call.chance.to_le_bytes());
        hash.update(args.context.entry.key.as_str().as_bytes());
        Self(hash.finalize_xof())
    }

    fn octets<const N: usize>(&mut self) -> [u8; N] {
        let mut octets = [0; N];
        self.0.fill(&mut octets);
        octets
    }

    /// A number below `n`, which is small: the bias of a 64-bit remainder is nothing.
    fn below(&mut self, n: usize) -> usize {
        let n = u64::try_from(n.max(1)).unwrap_or(1);
        usize::try_from(u64::from_le_bytes(self.octets()) % n).unwrap_or(0)
    }

    fn pick(&mut self, from: &[char]) -> Option<char> {
        from.get(self.below(from.len())).copied()
    }
}

/// Version 8 of RFC 9562 section 5.8: made by a rule of our own.
fn guid<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let made = uuid::Builder::from_custom_bytes(Dice::new(args).octets()).into_uuid();
    Ok(Val::text(made.to_string()))
}

/// Kinds of characters in the order of the arguments: digits, special characters, capitals, small letters.
const KINDS: [&str; 4] =
    ["0123456789", "~!@#$%^&*_-+=`|\\(){}[]:;\"'<>,.?/", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"];

/// Longest text.
const MAX_LENGTH: i64 = 256;

fn lengths(call: &Call) -> std::result::Result<(), String> {
    let number = |i| literal(call, i).and_then(|text| text.trim().parse::<i64>().ok());
    let (length, least) = (number(0), (1..=4).filter_map(number).fold(0, i64::saturating_add));
    match length {
        Some(length) if length > MAX_LENGTH => Err(format!("RandomString gives at most {MAX_LENGTH} characters")),
        Some(length) if length < least => Err(format!("RandomString of {length} characters has no room for {least}")),
        _ => Ok(()),
    }
}

fn random<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let number = |i| {
        let n = args.integer(i)?.unwrap_or(0);
        usize::try_from(n).ok().filter(|_| n <= MAX_LENGTH).ok_or_else(|| EvalError(format!("{n} is not 0 to {MAX_LENGTH}")))
    };
    let avoid = args.text(5)?.unwrap_or_default();
    let (length, mut dice, mut text) = (number(0)?, Dice::new(args), Vec::new());
    let (mut asked, mut rest): (Vec<char>, Vec<char>) = (Vec::new(), Vec::new());
    for (i, kind) in KINDS.iter().enumerate() {
        let from: Vec<char> = kind.chars().filter(|c| !avoid.contains(*c)).collect();
        let least = number(i + 1)?;
        if least > 0 && from.is_empty() {
            return Err(EvalError(format!("of {kind} nothing is left")));
        }
        for _ in 0..least {
            text.extend(dice.pick(&from));
        }
        if least > 0 {
            asked.extend(&from);
        }
        if i != 1 {
            rest.extend(&from);
        }
    }
    if text.len() > length {
        return Err(EvalError(format!("{length} characters have no room for {}", text.len())));
    }
    let fill = if asked.is_empty() { rest } else { asked };
    while text.len() < length {
        text.push(dice.pick(&fill).ok_or_else(|| EvalError("no character is left".to_owned()))?);
    }
    // Fisher and Yates: otherwise the digits would always stand in front.
    for i in (1..text.len()).rev() {
        let j = dice.below(i + 1);
        text.swap(i, j);
    }
    Ok(Val::text(text.into_iter().collect::<String>()))
}
