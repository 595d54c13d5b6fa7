//! Places within a TOML string: which byte of the file stands for which byte of the text that it means.

/// The byte of `file` at which the text of the string that begins at `at` has its byte `offset`. What is no string, or is
/// shorter: where it begins.
pub(super) fn place(file: &str, at: usize, offset: usize) -> usize {
    let Some(rest) = file.get(at..) else { return at };
    let Some(delimiter) = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|d| rest.starts_with(d)) else { return at };
    let mut inner = rest.get(delimiter.len()..).unwrap_or_default();
    if delimiter.len() == 3 {
        // A line end right after the quotes does not count.
        inner = inner.strip_prefix("\r\n").or_else(|| inner.strip_prefix('\n')).unwrap_or(inner);
    }
    let mut meant = 0;
    while meant < offset {
        if inner.is_empty() || inner.starts_with(delimiter) {
            return at;
        }
        let (written, means) = if delimiter.starts_with('"') { step(inner) } else { plain(inner) };
        meant += means;
        inner = inner.get(written..).unwrap_or_default();
    }
    file.len() - inner.len()
}

/// How long the next character is as written, and as meant.
fn step(inner: &str) -> (usize, usize) {
    let Some(escaped) = inner.strip_prefix('\\') else { return plain(inner) };
    let coded = |digits: usize| {
        let code = escaped.get(1..=digits).and_then(|d| u32::from_str_radix(d, 16).ok()).and_then(char::from_u32);
        (digits + 2, code.map_or(1, char::len_utf8))
    };
    match escaped.chars().next() {
        Some('u') => coded(4),
        Some('U') => coded(8),
        Some('x') => coded(2),
        // A backslash at the end of a line swallows blanks up to the next character.
        Some(c) if c.is_whitespace() => (1 + escaped.len() - escaped.trim_start().len(), 0),
        Some(c) => (1 + c.len_utf8(), 1),
        None => (1, 0),
    }
}

fn plain(inner: &str) -> (usize, usize) {
    let length = inner.chars().next().map_or(0, char::len_utf8);
    (length, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_within_a_string_is_found_through_its_escapes() {
        for (file, offset, found) in [
            ("a = \"xyZ\"", 2, "Z"),
            ("a = 'xyZ'", 2, "Z"),
            ("a = \"\\\"\\\"Z\"", 2, "Z"),
            ("a = \"\\u00e9Z\"", 2, "Z"),
            ("a = \"éZ\"", 2, "Z"),
            ("a = '''\nxyZ'''", 2, "Z"),
            ("a = \"\"\"x\\\n   yZ\"\"\"", 2, "Z"),
        ] {
            let at = place(file, 4, offset);
            assert!(file[at..].starts_with(found), "{file}: {at}");
        }
        assert_eq!(place("a = \"x\"", 4, 7), 4, "longer than it is");
        assert_eq!(place("a = 1", 4, 2), 4, "no string");
    }
}
