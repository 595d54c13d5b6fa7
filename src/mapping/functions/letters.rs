//! Letters that not every system takes.

use super::{Args, Function, function, literal};
use crate::mapping::expr::Call;
use crate::mapping::value::{EvalError, Val};
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

type Result<'a> = std::result::Result<Val<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Function] = &[
    function("NormalizeDiacritics", "NormalizeDiacritics(source)", 1, 1, normalize_diacritics).about(
        "Latin letters without their accents, by Entra's table: `ä` becomes `a`, `ø` and `œ` become `oe`, `ß` becomes `ss`. \
         Other scripts stay.",
        &[
            ("NormalizeDiacritics(\"Zoë\")", "Zoe"),
            ("NormalizeDiacritics(\"Søren Åkesson\")", "Soeren Akesson"),
            ("NormalizeDiacritics(\"Strauß, Müller\")", "Strauss, Muller"),
            ("NormalizeDiacritics(\"Жанна\")", "Жанна"),
        ],
    ),
    Function {
        check: known_language,
        ..function("Transliterate", "Transliterate(source, language)", 1, 2, transliterate).about(
            "Letters written out as a language does it, everything else as plain ASCII: `de` writes `ä` as `ae`; `da`, `nb`, \
             `nn` and `no` write `å` as `aa` and `ø` as `oe`; `sv` and `fi` write `å` and `ä` as `a` and `ö` as `o`; `nl`, `fr` and all others drop \
             accents. Cyrillic, Greek and other scripts are spelled in Latin letters. Entra has no such function.",
            &[
                ("Transliterate(\"Jörg Müßig\", \"de\")", "Joerg Muessig"),
                ("Transliterate(\"Ærø Åse\", \"da\")", "Aeroe Aase"),
                ("Transliterate(\"Åsa Öberg\", \"sv\")", "Asa Oberg"),
                ("Transliterate(\"Дмитрий\")", "Dmitrii"),
                ("Transliterate([nobody], \"de\")", "null"),
            ],
        )
    },
];

fn normalize_diacritics<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(args.value(0)?.map(|s| if s.is_ascii() { s } else { Cow::Owned(plain(&s)) }))
}

/// Letters that do not decompose are spelled out as Entra does; of the other Latin ones the accents are dropped.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut latin = false;
    for c in text.nfd() {
        if ('\u{300}'..='\u{36f}').contains(&c) {
            if !latin {
                out.push(c);
            }
            continue;
        }
        let spelled = match c {
            'ß' => "ss",
            'ẞ' => "SS",
            'æ' => "ae",
            'Æ' => "AE",
            'ø' | 'œ' => "oe",
            'Ø' | 'Œ' => "OE",
            'þ' => "th",
            'Þ' => "TH",
            'đ' | 'ð' => "d",
            'Đ' | 'Ð' => "D",
            'ł' => "l",
            'Ł' => "L",
            'ħ' => "h",
            'Ħ' => "H",
            'ŧ' => "t",
            'Ŧ' => "T",
            'ı' => "i",
            _ => "",
        };
        latin = !spelled.is_empty() || c.is_ascii_alphabetic();
        if spelled.is_empty() {
            out.push(c);
        } else {
            out.push_str(spelled);
        }
    }
    // What had no accent to drop (Hangul, Cyrillic) is put together again.
    out.nfc().collect()
}

/// Letters that a language writes in its own way.
type Letters = &'static [(char, &'static str)];

const LANGUAGES: &[(&[&str], Letters)] = &[
    (&["de"], &[('ä', "ae"), ('ö', "oe"), ('ü', "ue"), ('ß', "ss"), ('Ä', "Ae"), ('Ö', "Oe"), ('Ü', "Ue"), ('ẞ', "SS")]),
    (&["da", "nb", "nn", "no"], &[('æ', "ae"), ('ø', "oe"), ('å', "aa"), ('Æ', "Ae"), ('Ø', "Oe"), ('Å', "Aa")]),
    (&["sv", "fi"], &[('å', "a"), ('ä', "a"), ('ö', "o"), ('Å', "A"), ('Ä', "A"), ('Ö', "O")]),
];

fn language(name: &str) -> Option<Letters> {
    let name = name.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    match LANGUAGES.iter().find(|(names, _)| names.contains(&name.as_str())) {
        Some((_, letters)) => Some(letters),
        // Any other language has no letters of its own here.
        None => (matches!(name.len(), 0 | 2 | 3) && name.bytes().all(|b| b.is_ascii_lowercase())).then_some(&[]),
    }
}

fn known_language(call: &Call) -> std::result::Result<(), String> {
    match literal(call, 1) {
        Some(name) if language(name).is_none() => Err(format!("{name:?} is no language: write its code, such as \"de\"")),
        _ => Ok(()),
    }
}

fn transliterate<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let name = args.text(1)?.unwrap_or_default();
    let Some(letters) = language(&name) else { return Err(EvalError(format!("`{name}` is no language"))) };
    Ok(args.value(0)?.map(|s| if s.is_ascii() { s } else { Cow::Owned(spelled(&s, letters)) }))
}

fn spelled(text: &str, letters: Letters) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.nfc() {
        match letters.iter().find(|(letter, _)| *letter == c) {
            Some((_, written)) => out.push_str(written),
            None => out.push_str(deunicode::deunicode_char(c).unwrap_or_default()),
        }
    }
    out
}
