//! Response bodies: read within a bound, quoted within a bound.

use bytes::{Bytes, BytesMut};

/// No response body may be longer (after decompression).
pub const MAX_BODY: usize = 64 << 20;

/// A quoted body is never longer than this.
pub const EXCERPT: usize = 500;

/// Why a body could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Longer than the bound.
    #[error("the answer is longer than {} MiB", MAX_BODY >> 20)]
    TooLarge,
    /// The connection broke or timed out while it came.
    #[error("{}", super::client::describe(.0))]
    Transport(#[from] reqwest::Error),
}

/// Reads the body up to [`MAX_BODY`]. A body that came in one piece is not copied.
///
/// # Errors
/// It is longer, or the connection broke.
pub async fn read(response: reqwest::Response) -> Result<Bytes, BodyError> {
    read_up_to(response, MAX_BODY).await
}

async fn read_up_to(mut response: reqwest::Response, max: usize) -> Result<Bytes, BodyError> {
    let announced = response.content_length().unwrap_or(0);
    if announced > max as u64 {
        return Err(BodyError::TooLarge);
    }
    let Some(first) = response.chunk().await? else { return Ok(Bytes::new()) };
    let Some(second) = response.chunk().await? else {
        return if first.len() > max { Err(BodyError::TooLarge) } else { Ok(first) };
    };
    let mut all = BytesMut::with_capacity((first.len() + second.len()).max(usize::try_from(announced).unwrap_or(0)));
    all.extend_from_slice(&first);
    let mut chunk = Some(second);
    while let Some(c) = chunk {
        if all.len() + c.len() > max {
            return Err(BodyError::TooLarge);
        }
        all.extend_from_slice(&c);
        chunk = response.chunk().await?;
    }
    Ok(all.freeze())
}

/// A body as one line to quote in a message: tags and control characters dropped, blanks joined, at most [`EXCERPT`]
/// bytes. `redact` takes secrets out and sees the text before it is cut.
#[must_use]
pub fn excerpt(body: &[u8], redact: impl Fn(&str) -> String) -> String {
    // Enough to fill the excerpt even where most of it is markup; a bound on work for a large hostile body.
    let head = &body[..body.len().min(64 * EXCERPT)];
    let text = redact(&String::from_utf8_lossy(head));
    let text = if text.trim_start().starts_with('<') { strip_tags(&text) } else { text };
    let mut out = String::with_capacity(text.len().min(EXCERPT));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        if out.len() > EXCERPT {
            return cut(&out, EXCERPT);
        }
    }
    out
}

/// The longest prefix of at most `max` bytes, on a character boundary, marked as cut.
fn cut(text: &str, max: usize) -> String {
    let mut end = max.saturating_sub('…'.len_utf8()).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// The text of an HTML page without tags, styles and scripts.
fn strip_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        out.push(' ');
        rest = &rest[open..];
        let lower: String = rest.chars().take(8).collect::<String>().to_ascii_lowercase();
        let end = if lower.starts_with("<style") {
            rest.find("</style")
        } else if lower.starts_with("<script") {
            rest.find("</script")
        } else {
            None
        };
        rest = &rest[end.unwrap_or(0)..];
        match rest.find('>') {
            Some(close) => rest = &rest[close + 1..],
            None => return out,
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn plain(body: &[u8]) -> String {
        excerpt(body, str::to_owned)
    }

    #[test]
    fn html_becomes_its_text() {
        let page = b"<!DOCTYPE html><html><head><style>p { color: red }</style><title>500</title></head>\n<body><h1>Oops</h1> went\twrong</body>";
        assert_eq!(plain(page), "500 Oops went wrong");
        assert_eq!(plain(b"<unfinished"), "");
    }

    #[test]
    fn excerpts_are_short_and_whole_characters() {
        let long = "ä".repeat(4000);
        let e = plain(long.as_bytes());
        assert!(e.len() <= EXCERPT && e.ends_with('…'), "{}", e.len());
        assert_eq!(plain(b"a\x00b\xff  c\r\n"), "a b\u{fffd} c");
        assert_eq!(plain(b""), "");
    }

    #[test]
    fn secrets_are_taken_out_before_the_cut() {
        let mut body = "x".repeat(EXCERPT - 10);
        body.push_str(" tok-123456789");
        let e = excerpt(body.as_bytes(), |t| t.replace("tok-123456789", "[secret]"));
        assert!(!e.contains("tok"), "{e}");
    }
}
