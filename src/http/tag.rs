//! Entity tags: which snapshot an answer shows, so that a client that has it already is told so in a few bytes.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Which snapshot: its number since this start, and what tells this start from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    start: u64,
    number: u64,
}

impl Tag {
    /// The tag of the first snapshot after a start.
    pub(super) fn first() -> Self {
        Self { start: fastrand::u64(..), number: 0 }
    }

    /// The tag of the snapshot after this one.
    pub(super) fn next(self) -> Self {
        Self { number: self.number.wrapping_add(1), ..self }
    }

    fn text(self) -> String {
        format!("\"{:016x}-{:x}\"", self.start, self.number)
    }

    /// The answer, or 304 when the client says that it has the one of this tag. `body` is called only when it is needed.
    pub(super) fn answer<E>(
        self,
        asked: &HeaderMap,
        body: impl FnOnce() -> Result<Response, E>,
    ) -> Result<Response, E> {
        let tag = self.text();
        let response = match has(asked, &tag) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => body()?,
        };
        Ok(tagged(response, &tag))
    }
}

/// The answer that has this tag, or 304 when the client says that it has it.
pub(super) fn answer(asked: &HeaderMap, tag: &str, body: impl FnOnce() -> Response) -> Response {
    let response = if has(asked, tag) { StatusCode::NOT_MODIFIED.into_response() } else { body() };
    tagged(response, tag)
}

fn tagged(mut response: Response, tag: &str) -> Response {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    // To be kept, and asked about each time.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

/// Whether `If-None-Match` names the tag (RFC 9110, 13.1.2: the weak comparison).
fn has(asked: &HeaderMap, tag: &str) -> bool {
    let lines = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, value.parse().unwrap());
        headers
    }

    #[test]
    fn only_the_tag_itself_is_not_modified() {
        let tag = Tag { start: 0xabc, number: 7 };
        let text = tag.text();
        assert_eq!(text, "\"0000000000000abc-7\"");
        for (value, held) in [
            (text.clone(), true),
            (format!("\"x\", W/{text}"), true),
            ("*".to_owned(), true),
            (tag.next().text(), false),
            (text.trim_matches('"').to_owned(), false),
        ] {
            assert_eq!(has(&asked(&value), &text), held, "{value}");
        }
        assert!(!has(&HeaderMap::new(), &text));
    }
}
