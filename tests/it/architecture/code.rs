//! What a Rust file says, without its comments and its tests: the paths it names, with `use` trees unfolded, its macros and
//! its string literals, each with its line.

use proc_macro2::{Delimiter, Spacing, Span, TokenStream, TokenTree};

/// A path such as `crate::model::Entry` and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub line: usize,
    /// Inline modules around it, which `super` has to climb out of.
    pub depth: usize,
    pub segments: Vec<String>,
}

/// Everything that the checks look at.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Code {
    pub paths: Vec<Path>,
    /// Names of macros that are called.
    pub macros: Vec<(usize, String)>,
    /// String literals without their quotes, escapes as written.
    pub strings: Vec<(usize, String)>,
}

/// Reads a file.
///
/// # Panics
/// What is not Rust.
pub fn read(text: &str) -> Code {
    let tokens: TokenStream = text.parse().expect("a file that compiles is made of tokens");
    let mut code = Code::default();
    walk(&mut code, tokens, 0);
    code
}

fn walk(code: &mut Code, tokens: TokenStream, depth: usize) {
    let all: Vec<TokenTree> = tokens.into_iter().collect();
    let mut i = 0;
    while i < all.len() {
        match &all[i] {
            TokenTree::Punct(p) if p.as_char() == '#' => i = attribute(code, &all, i, depth),
            TokenTree::Ident(word) if word == "use" => {
                i += 1;
                unfold(code, &all, &mut i, &[], depth);
            }
            TokenTree::Ident(word) if word == "mod" && matches!(all.get(i + 2), Some(TokenTree::Group(_))) => {
                if let Some(TokenTree::Group(body)) = all.get(i + 2) {
                    walk(code, body.stream(), depth + 1);
                }
                i += 3;
            }
            TokenTree::Ident(word) => {
                let path = path(&all, &mut i, depth);
                let last = path.segments.last().cloned().unwrap_or_default();
                // `not_equal != x` is no macro: a macro's `!` has a group or a name behind it.
                let called = is_punct(all.get(i), '!') && matches!(all.get(i + 1), Some(TokenTree::Group(_)));
                if called {
                    code.macros.push((word.span().start().line, last));
                }
                if path.segments.len() > 1 {
                    code.paths.push(path);
                }
            }
            TokenTree::Group(group) => {
                walk(code, group.stream(), depth);
                i += 1;
            }
            TokenTree::Literal(literal) => {
                if let Some(text) = string(&literal.to_string()) {
                    code.strings.push((line(literal.span()), text.to_owned()));
                }
                i += 1;
            }
            TokenTree::Punct(_) => i += 1,
        }
    }
}

/// Steps over an attribute; over what it belongs to as well, where that is there for tests only. Doc comments are
/// attributes here and say nothing; paths in other attributes count.
fn attribute(code: &mut Code, all: &[TokenTree], at: usize, depth: usize) -> usize {
    let mut i = at + 1 + usize::from(is_punct(all.get(at + 1), '!'));
    let Some(TokenTree::Group(group)) = all.get(i).filter(|_| true) else { return at + 1 };
    i += 1;
    let text: String = group.stream().to_string().split_whitespace().collect();
    if text.starts_with("cfg(test") || text.starts_with("cfg(all(test") {
        // The item ends with its body or with a semicolon.
        while let Some(token) = all.get(i) {
            i += 1;
            match token {
                TokenTree::Group(g) if g.delimiter() == Delimiter::Brace => break,
                TokenTree::Punct(p) if p.as_char() == ';' => break,
                _ => {}
            }
        }
    } else if !text.starts_with("doc") {
        walk(code, group.stream(), depth);
    }
    i
}

/// `a::b::c` from `i` on; `i` stands behind it afterwards.
fn path(all: &[TokenTree], i: &mut usize, depth: usize) -> Path {
    let line = line(all[*i].span());
    let mut segments = Vec::new();
    while let Some(TokenTree::Ident(word)) = all.get(*i) {
        segments.push(word.to_string());
        *i += 1;
        if !(is_colons(all, *i) && matches!(all.get(*i + 2), Some(TokenTree::Ident(_)))) {
            break;
        }
        *i += 2;
    }
    Path { line, depth, segments }
}

/// The tree of a `use`, each leaf as a path of its own.
fn unfold(code: &mut Code, all: &[TokenTree], i: &mut usize, prefix: &[String], depth: usize) {
    let mut segments = prefix.to_vec();
    let mut at = 0;
    while let Some(token) = all.get(*i) {
        *i += 1;
        match token {
            TokenTree::Ident(word) if word == "as" => *i += 1,
            TokenTree::Ident(word) => {
                segments.push(word.to_string());
                at = line(word.span());
            }
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                let mut j = 0;
                while j < inner.len() {
                    unfold(code, &inner, &mut j, &segments, depth);
                }
                segments.clear();
            }
            TokenTree::Punct(p) if matches!(p.as_char(), ';' | ',') => break,
            _ => {}
        }
    }
    if segments.len() > prefix.len() {
        code.paths.push(Path { line: at, depth, segments });
    }
}

fn line(span: Span) -> usize {
    span.start().line
}

fn is_punct(token: Option<&TokenTree>, c: char) -> bool {
    matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == c)
}

fn is_colons(all: &[TokenTree], i: usize) -> bool {
    matches!(all.get(i), Some(TokenTree::Punct(p)) if p.as_char() == ':' && p.spacing() == Spacing::Joint)
        && is_punct(all.get(i + 1), ':')
}

/// What stands between the quotes, if the literal is a string.
fn string(literal: &str) -> Option<&str> {
    let body = literal.trim_start_matches(['b', 'c', 'r']).trim_start_matches('#');
    body.strip_prefix('"')?.trim_end_matches('#').strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<(usize, String)> {
        read(text).paths.iter().map(|p| (p.line, p.segments.join("::"))).collect()
    }

    #[test]
    fn use_trees_are_unfolded() {
        let text = "use crate::{a::{B, c::*}, d as e};\nuse std::fs;\npub use x::Y;";
        let want = [(1, "crate::a::B"), (1, "crate::a::c"), (1, "crate::d"), (2, "std::fs"), (3, "x::Y")];
        assert_eq!(paths(text), want.map(|(l, p)| (l, p.to_owned())));
    }

    #[test]
    fn paths_in_code_count_and_comments_do_not() {
        let text = "/// crate::no\n// crate::no\nfn f(x: crate::m::T) -> u8 {\n  let s = \"crate::no\"; Vec::<crate::k::V>::new();\n  tokio::spawn(g()) }";
        assert_eq!(paths(text), [(3, "crate::m::T"), (4, "crate::k::V"), (5, "tokio::spawn")].map(|(l, p)| (l, p.to_owned())));
    }

    #[test]
    fn tests_are_left_out() {
        let text = "#[cfg(test)]\nmod tests;\nfn a() { b::c() }\n#[cfg(test)]\n#[allow(x)]\nmod t { use crate::no::X; }\nfn z() { y::w() }";
        assert_eq!(paths(text), [(3, "b::c".to_owned()), (7, "y::w".to_owned())]);
    }

    #[test]
    fn strings_and_macros_are_found() {
        let code = read("fn f() {\n  println!(\"a {}\", 1 != 2);\n  q(r#\"SELECT \"x\"\"#);\n  std::eprintln!() }");
        assert_eq!(code.macros, [(2, "println".to_owned()), (4, "eprintln".to_owned())]);
        assert_eq!(code.strings, [(2, "a {}".to_owned()), (3, "SELECT \"x\"".to_owned())]);
    }

    #[test]
    fn inline_modules_are_counted() {
        let code = read("use super::a;\nmod m { use super::b; mod n { use super::super::c; } }");
        assert_eq!(code.paths.iter().map(|p| p.depth).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
