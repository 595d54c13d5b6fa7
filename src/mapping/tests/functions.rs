use super::{eval, user};
use crate::mapping::functions;

/// What an expression gives: `~` stands for null, `|` separates several values.
fn shown(expr: &str) -> String {
    let entry = user(&[
        ("mail", "Jane.Doe@corp.example"),
        ("givenName", "Jane"),
        ("sn", "Dœ"),
        ("multi", "one"),
        ("multi", "two"),
        ("multi", "Two"),
        ("number", "42"),
        ("ldapTrue", "TRUE"),
        ("dept", "Sales \"A\\B\""),
        ("list", "a, b ,,c"),
    ]);
    match eval(expr, &entry) {
        Ok(None) => "~".to_owned(),
        Ok(Some(values)) => values.join("|"),
        Err(e) => format!("error: {e}"),
    }
}

#[test]
fn each_function_does_what_entra_says() {
    let long = "x".repeat(9_000);
    let table: &[(&str, &str)] = &[
        // Attributes and literals
        ("[mail]", "Jane.Doe@corp.example"),
        ("[MAIL]", "Jane.Doe@corp.example"),
        ("[nosuch]", "~"),
        ("\"a \\\"b\\\" \\\\ \\d\"", "a \"b\" \\ \\d"),
        ("-12.5", "-12.5"),
        ("[userId]", "jane@corp.example"),
        ("[sourceKey]", "key-1"),
        // Switch: case matters, "" catches null, the default may be left out
        (r#"Switch([givenName], "d", "jane", "low", "Jane", "up")"#, "up"),
        (r#"Switch([givenName], "d", "x", "y")"#, "d"),
        (r#"Switch([givenName], , "x", "y")"#, "~"),
        (r#"Switch([nosuch], "d", "x", "y", "", "none")"#, "none"),
        (r#"Switch([nosuch], "d", "x", "y")"#, "d"),
        (r#"Switch([givenName], , "Jane", [multi])"#, "one|two|Two"),
        (r#"Switch([IsSoftDeleted], , "False", "True", "True", "False")"#, "True"),
        // IIF and conditions: nothing compares with null
        (r#"IIF([givenName] = "Jane", "y", "n")"#, "y"),
        (r#"IIF([givenName]<>"jane", "y", "n")"#, "y"),
        (r#"IIF([number] > 5, "y", "n")"#, "y"),
        (r#"IIF([number]<=5, "y", "n")"#, "n"),
        // What is no number differs from one that is written out, and has no order.
        (r#"IIF("n/a" >= 9, "y", "n")"#, "n"),
        (r#"IIF("n/a" < 9, "y", "n")"#, "n"),
        (r#"IIF(9 <= "n/a", "y", "n")"#, "n"),
        (r#"IIF("n/a" = 9, "y", "n")"#, "n"),
        (r#"IIF("n/a" <> 9, "y", "n")"#, "y"),
        (r#"IIF("007" = 7, "y", "n")"#, "y"),
        (r#"IIF("b" > "a", "y", "n")"#, "y"),
        (r#"IIF([nosuch] = "x", "y", "n")"#, "n"),
        (r#"IIF([nosuch] <> "x", "y", "n")"#, "n"),
        (r#"IIF(IsNullOrEmpty([nosuch]), "y", "n")"#, "y"),
        (r#"IIF([ldapTrue], "y", "n")"#, "y"),
        (r#"IIF([nosuch], "y", )"#, "~"),
        // Truth
        ("Not(\"True\")", "False"),
        ("Not([ldapTrue])", "False"),
        ("Not(\"maybe\")", "True"),
        ("Not([nosuch])", "True"),
        ("IsNull([nosuch])", "True"),
        ("IsNull(\"\")", "False"),
        ("IsNullOrEmpty(\"\")", "True"),
        ("IsNullOrEmpty([mail])", "False"),
        ("IsPresent([mail])", "True"),
        ("IsPresent([nosuch])", "False"),
        ("IsPresent(\"\")", "False"),
        // Coalesce
        (r#"Coalesce([nosuch], [other], [mail], "d")"#, "Jane.Doe@corp.example"),
        (r#"Coalesce([nosuch], "d")"#, "d"),
        ("Coalesce([nosuch], [other])", "~"),
        // Case
        ("ToLower([mail])", "jane.doe@corp.example"),
        ("ToUpper(\"straße\")", "STRAßE"),
        ("ToLower(\"DIŞ\", \"tr-TR\")", "dış"),
        ("ToUpper(\"diş\", \"tr\")", "DİŞ"),
        ("ToLower(\"ÅI\", \"da-DK\")", "åi"),
        ("ToUpper([multi])", "ONE|TWO|TWO"),
        ("ToLower([nosuch])", "~"),
        // Append and Join: null is never text
        (r#"Append([givenName], "-x")"#, "Jane-x"),
        (r#"Append([nosuch], "-x")"#, "~"),
        (r#"Append([givenName], [nosuch])"#, "~"),
        (r#"Append([multi], "!")"#, "one!|two!|Two!"),
        (r#"Join(" ", [givenName], [sn])"#, "Jane Dœ"),
        (r#"Join(" ", [givenName], [nosuch], [sn])"#, "Jane Dœ"),
        (r#"Join(" ", [nosuch], [other])"#, "~"),
        (r#"Join(", ", [multi], "end")"#, "one, two, Two, end"),
        (r#"Join(, "a", "b")"#, "ab"),
        // Replace, all ways
        (r#"Replace([mail], "corp.example", , , "new.example", , )"#, "Jane.Doe@new.example"),
        (r#"Replace("aXbX", "X", , , "")"#, "ab"),
        (r#"Replace("aXb", "x", , , "y")"#, "aXb"),
        (r#"Replace([nosuch], "x", , , "y", , )"#, "~"),
        (r#"Replace([mail], "x", , , [nosuch], , )"#, "~"),
        (r#"Replace([givenName], "%s", , , , , "<%s>@%s")"#, "<Jane>@Jane"),
        (r#"Replace([mail], , "(?<Suffix>@(.)*)", "Suffix", "", , )"#, "Jane.Doe"),
        (r#"Replace([mail], , "@(?<Suffix>.*)", "Suffix", "new.example", , )"#, "Jane.Doe@new.example"),
        (r#"Replace("555-1234", , "(?<a>\d+)-(?<b>\d+)", , "${b} ${a}", , )"#, "1234 555"),
        (r#"Replace("abc", , "\d+", , "x", , )"#, "abc"),
        (r#"Replace("", , "^$", , "x", , )"#, "x"),
        (r#"Replace([nosuch], , "^(?<l>[^@]+)", "l", , [mail], )"#, "Jane.Doe"),
        (r#"Replace([givenName], , "^(?<l>[^@]+)", "l", , [mail], )"#, "Jane"),
        (r#"Replace([nosuch], , "^(?<l>[0-9]+)$", "l", , [mail], )"#, "~"),
        // Parts of texts, in characters
        ("StripSpaces(\" a b\tc \")", "ab\tc"),
        ("Left(\"ÅÄÖ\", 2)", "ÅÄ"),
        ("Left(\"abc\", 0)", ""),
        ("Left(\"abc\", -1)", "abc"),
        ("Left(\"abc\", 9)", "abc"),
        ("Left([nosuch], 2)", ""),
        ("Mid(\"abcdef\", 2, 3)", "bcd"),
        ("Mid(\"abc\", 2, 99)", "bc"),
        ("Mid(\"abc\", 9, 1)", ""),
        ("Mid([nosuch], 1, 1)", "~"),
        ("Mid(\"12345678901\", 1, 9223372036854775807)", "12345678901"),
        ("Word(\"The quick  brown\", 3, \" \")", "brown"),
        ("Word(\"a,b#c\", 2, \",#\")", "b"),
        ("Word(\"a\", 2, \" \")", ""),
        // Several values
        ("Item([multi], 2)", "two"),
        ("Item([multi], 9)", "~"),
        ("Item([mail], 1)", "Jane.Doe@corp.example"),
        ("Split([list], \",\")", "a|b||c"),
        ("Item(Split([list], \",\"), 2)", "b"),
        ("Split([mail], \"@\")", "Jane.Doe|corp.example"),
        ("Split([mail], \"\")", "Jane.Doe@corp.example"),
        ("Split([nosuch], \",\")", "~"),
        ("Count([multi])", "3"),
        ("Count([nosuch])", "0"),
        ("RemoveDuplicates([multi])", "one|two"),
        // Letters
        ("NormalizeDiacritics(\"ßøœæäåéñıŁĐ\")", "ssoeoeaeaaeniLD"),
        ("NormalizeDiacritics(\"Ångström\")", "Angstrom"),
        ("NormalizeDiacritics(\"A\u{30a}\")", "A"),
        ("NormalizeDiacritics(\"한국 Ж\")", "한국 Ж"),
        // Conversions
        ("CStr([number])", "42"),
        ("CStr([nosuch])", "~"),
        ("CBool(\"true\")", "True"),
        ("CBool([ldapTrue])", "True"),
        ("CBool(\"0\")", "False"),
        ("CBool(7)", "True"),
        ("CBool([givenName] = [sn])", "False"),
        ("CBool([nosuch])", "~"),
        ("CBool([givenName])", "error: CBool: `Jane` is neither true nor false nor a number"),
        ("ConvertToBase64(\"Hello world!\")", "SABlAGwAbABvACAAdwBvAHIAbABkACEA"),
        ("ConvertToUTF8Hex(\"Hello world!\")", "48656C6C6F20776F726C6421"),
        ("BitAnd([number], 2)", "2"),
        ("InStr(\"The quick brown fox\", \"quick\")", "5"),
        ("InStr(\"aXa\", \"A\", 2, 1)", "3"),
        ("InStr(\"abc\", \"x\")", "0"),
        ("InStr([nosuch], \"x\")", "~"),
        ("Join(\"-\", \"\", \"a\", \"\", \"b\")", "a-b"),
        ("Word([nosuch], 1, \" \")", ""),
        ("Word(\"a b\", 0, \" \")", ""),
        ("ToUpper(\"ﬁ ı ſ\")", "ﬁ ı ſ"),
        ("ToLower(\"ΣΑΣ İ\")", "σασ İ"),
        ("NormalizeDiacritics(\"ǿǽǢā̈ Ṳ̄ й\")", "oeaeAEa U й"),
        // Numbers that come from an entry
        ("Left([mail], [givenName])", "error: Left: `Jane` is not a whole number"),
        ("Mid([mail], Left(\"0\", 1), 1)", "error: Mid: start is 0 and length 1: start counts from 1"),
        ("IgnoreFlowIfNullOrEmpty(\"\")", "~"),
    ];
    for (expr, value) in table {
        assert_eq!(shown(expr), *value, "{expr}");
    }
    let grown = format!("Replace(\"{long}\", \"x\", , , \"{}\")", "y".repeat(900));
    assert!(shown(&grown).contains("longer than 65536 bytes"));
}

#[test]
fn every_function_has_examples_and_they_hold() {
    let sample = functions::sample();
    let mut wrong = Vec::new();
    for f in functions::all() {
        assert!(!f.about.is_empty() && !f.examples.is_empty(), "{}", f.name);
        assert!(f.usage.starts_with(&format!("{}(", f.name)), "{}", f.usage);
        assert!(f.examples.iter().any(|(expr, _)| expr.contains(&format!("{}(", f.name))), "{}", f.name);
        for (expr, gives) in f.examples {
            let got = functions::shown(expr, &sample);
            if got != *gives {
                wrong.push(format!("{expr}\n  gives {got}\n  not   {gives}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The list in Entra's reference, `Len` and `DefaultDomain` of April 2026, and the assertive form of roles.
#[test]
fn entras_functions_are_all_there() {
    let theirs = "Append AppRoleAssignmentsComplex AssertiveAppRoleAssignmentsComplex BitAnd CBool CDate Coalesce ConvertToBase64 \
        ConvertToUTF8Hex Count CStr DateAdd DateDiff DateFromNum DefaultDomain FormatDateTime Guid IgnoreFlowIfNullOrEmpty IIF \
        InStr IsNull IsNullOrEmpty IsPresent IsString Item Join Left Len Mid NormalizeDiacritics Not Now NumFromDate PCase \
        RandomString Redact RemoveDuplicates Replace SelectUniqueValue SingleAppRoleAssignment Split StripSpaces Switch ToLower \
        ToUpper Word";
    for name in theirs.split_whitespace() {
        assert!(functions::find(name).is_some(), "{name}");
    }
    let names: std::collections::BTreeSet<&str> = functions::names().collect();
    assert_eq!(names.len(), functions::names().count(), "no name twice");
}
