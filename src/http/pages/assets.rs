//! The style sheet, the script and the icon: files of their own, so that nothing inline need be allowed. A browser keeps
//! them and asks each time whether they are still the same.

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};

use crate::hash::fnv1a;
use crate::http::tag;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
const ICON: &str = include_str!("icon.svg");

/// The style sheet.
pub(super) async fn style(headers: HeaderMap) -> Response {
    asset(&headers, "text/css; charset=utf-8", STYLE)
}

/// The script.
pub(super) async fn script(headers: HeaderMap) -> Response {
    asset(&headers, "text/javascript; charset=utf-8", SCRIPT)
}

/// The icon.
pub(super) async fn icon(headers: HeaderMap) -> Response {
    asset(&headers, "image/svg+xml", ICON)
}

fn asset(asked: &HeaderMap, kind: &'static str, text: &'static str) -> Response {
    let tag = format!("\"{:016x}\"", fnv1a(text.as_bytes()));
    tag::answer(asked, &tag, || ([(header::CONTENT_TYPE, kind)], text).into_response())
}
