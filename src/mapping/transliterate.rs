//! Letters with accents as they are written where there are none: for local parts that are built from names, and only when
//! asked for. What a language does with its own letters stands in its table; any other letter loses its accents.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Languages with a table, by ISO 639-1 code.
pub const LANGUAGES: &[&str] =
    &["cs", "da", "de", "es", "fi", "fr", "hr", "hu", "is", "it", "nl", "no", "pl", "pt", "ro", "sv", "tr"];

/// Of each language, letters (lower case) and what they become; letters that only lose their accents are left out.
const TABLES: &[(&str, &[(char, &str)])] = &[
    ("da", &[('æ', "ae"), ('ø', "oe"), ('å', "aa")]),
    ("de", &[('ä', "ae"), ('ö', "oe"), ('ü', "ue"), ('ß', "ss")]),
    ("fi", &[('ä', "a"), ('ö', "o"), ('å', "a")]),
    ("fr", &[('œ', "oe"), ('æ', "ae")]),
    ("hr", &[('đ', "dj")]),
    ("is", &[('þ', "th"), ('ð', "d"), ('æ', "ae"), ('ö', "o")]),
    ("no", &[('æ', "ae"), ('ø', "oe"), ('å', "aa")]),
    ("sv", &[('ä', "a"), ('ö', "o"), ('å', "a")]),
    ("tr", &[('ı', "i"), ('ğ', "g"), ('ş', "s"), ('ö', "o"), ('ü', "u"), ('ç', "c")]),
];

/// Letters that have no accent to lose, in languages whose table does not name them.
const OTHERS: &[(char, &str)] =
    &[('æ', "ae"), ('œ', "oe"), ('ø', "o"), ('ß', "ss"), ('đ', "d"), ('ð', "d"), ('þ', "th"), ('ł', "l"), ('ı', "i"), ('ħ', "h")];

/// `text` in ASCII as this language writes it; letters of other scripts stay.
pub(super) fn ascii(text: &str, language: &str) -> String {
    let table = TABLES.iter().find(|(l, _)| *l == language).map_or(&[][..], |(_, t)| t);
    let mut out = String::with_capacity(text.len());
    for c in text.nfc().flat_map(char::to_lowercase) {
        match table.iter().chain(OTHERS).find(|(letter, _)| *letter == c) {
            Some((_, spelled)) => out.push_str(spelled),
            None => out.extend(std::iter::once(c).nfd().filter(|c| !is_combining_mark(*c))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{LANGUAGES, TABLES, ascii};

    #[test]
    fn each_language_has_its_way() {
        for (text, language, expected) in [
            ("Müller-Groß", "de", "mueller-gross"),
            ("Åse.Bjørn", "da", "aase.bjoern"),
            ("Åström", "sv", "astrom"),
            ("Đorđević", "hr", "djordjevic"),
            ("Łukasz.Żółć", "pl", "lukasz.zolc"),
            ("İnci.Işık", "tr", "inci.isik"),
            ("Þórður", "is", "thordur"),
            ("jo\u{308}rg", "de", "joerg"),
            ("山田", "de", "山田"),
            ("plain", "fr", "plain"),
        ] {
            assert_eq!(ascii(text, language), expected, "{text} {language}");
        }
        assert!(TABLES.iter().all(|(l, _)| LANGUAGES.contains(l)));
    }
}
