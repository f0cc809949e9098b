//! Asking a running daemon over HTTP: what the commands that ask one share.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::SecondsFormat;
use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::text::tamed;

/// The whole of one request. The daemon answers from memory; what takes longer is not coming.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer taken: 5,000 devices are some 5 MB.
const ANSWER_MAX: usize = 64 * 1024 * 1024;
/// The longest cell of a table in characters.
const CELL_MAX: usize = 120;

/// Which daemon to ask, and how to print what it says.
#[derive(Debug, Clone, Args)]
pub struct AskArgs {
    /// The daemon's address.
    #[arg(long, default_value = "http://127.0.0.1:9948", value_name = "URL")]
    pub url: Uri,
    /// How to print the answer; json is one object a line.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs: one object a line.
    Json,
}

/// Asks for a path with query pairs; the answer is the JSON body of a success.
///
/// # Errors
/// The daemon can't be reached, refuses (with its own words), or answers with something else than JSON.
pub async fn get_json(base: &Uri, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
    let uri = address(base, path, query)?;
    let body = ask(Method::GET, &uri).await?;
    serde_json::from_slice(&body).with_context(|| format!("{uri} answers with something else than JSON"))
}

/// Posts an empty body to a path with query pairs; the answer is the text of a success.
///
/// # Errors
/// The daemon can't be reached, or refuses (with its own words).
pub async fn post(base: &Uri, path: &str, query: &[(&str, &str)]) -> anyhow::Result<String> {
    let body = ask(Method::POST, &address(base, path, query)?).await?;
    Ok(tamed(String::from_utf8_lossy(&body).trim_end(), 500).into_owned())
}

/// The body of a success.
async fn ask(method: Method, uri: &Uri) -> anyhow::Result<Bytes> {
    let asked = async {
        let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let request = Request::builder().method(method).uri(uri).body(Empty::new())?;
        let answer = client.request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        Ok::<_, anyhow::Error>((status, body))
    };
    let asked = tokio::time::timeout(REQUEST_TIMEOUT, asked).await.context("no answer within 30 s");
    let (status, body) = asked
        .and_then(|answer| answer)
        .with_context(|| format!("can't ask {uri}; is `versweep run` up there?"))?;
    if !status.is_success() {
        bail!("{uri} answers {status}: {}", words(&body));
    }
    Ok(body)
}

fn address(base: &Uri, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Uri> {
    if base.scheme_str() != Some("http") || base.authority().is_none() {
        bail!("--url {base} is not of the form http://HOST:PORT");
    }
    let pairs: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
    let path = format!("{}{path}?{}", base.path().trim_end_matches('/'), pairs.join("&"));
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path)?);
    Ok(Uri::from_parts(parts)?)
}

/// Percent-encoding of all but unreserved characters (RFC 3986, 2.3).
fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte))
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// The detail of a problem, or the start of whatever else came, fit for a terminal.
fn words(body: &[u8]) -> String {
    let problem: Option<Value> = serde_json::from_slice(body).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str()).map(str::to_owned);
    tamed(detail.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()).trim(), 500).into_owned()
}

/// A table under these headings, as wide as the terminal.
#[must_use]
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.to_vec());
    table
}

/// A field of an answer as a cell: text from devices has nothing left that a terminal would act on.
#[must_use]
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => tamed(text, CELL_MAX).into_owned(),
        other => other.to_string(),
    }
}

/// An instant of an answer to the second: what stands behind is for programs.
#[must_use]
pub fn instant(value: &Value) -> String {
    match value.as_str().and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(at) => at.to_rfc3339_opts(SecondsFormat::Secs, true),
        None => cell(value),
    }
}

/// Writes a line. A reader that went away, such as `head`, is no error.
///
/// # Errors
/// The line can't be written, for any other reason.
pub fn line(out: &mut impl Write, text: &str) -> anyhow::Result<()> {
    match writeln!(out, "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("can't write the answer")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_prefix_and_encodes_its_query() {
        let base: Uri = "http://127.0.0.1:9948/versweep/".parse().unwrap();
        let uri = address(&base, "/api/v1/devices", &[("q", "a&b=c d/é"), ("limit", "5")]).unwrap();
        assert_eq!(
            uri.to_string(),
            "http://127.0.0.1:9948/versweep/api/v1/devices?q=a%26b%3Dc%20d%2F%C3%A9&limit=5"
        );
    }

    #[test]
    fn only_plain_http_is_spoken() {
        for url in ["https://127.0.0.1:9948", "/relative", "127.0.0.1:9948"] {
            let error = address(&url.parse().unwrap(), "/", &[]).unwrap_err();
            assert!(error.to_string().contains("http://HOST:PORT"), "{url}: {error}");
        }
    }

    #[test]
    fn an_instant_is_shown_to_the_second() {
        assert_eq!(instant(&Value::from("2026-11-23T11:59:00.123456789Z")), "2026-11-23T11:59:00Z");
        assert_eq!(instant(&Value::Null), "");
        assert_eq!(instant(&Value::from("soon\u{1b}")), "soon\u{fffd}");
    }

    #[test]
    fn a_cell_is_safe_for_a_terminal() {
        assert_eq!(cell(&Value::from("\u{1b}]0;owned\u{7}")), "\u{fffd}]0;owned\u{fffd}");
        assert_eq!(cell(&Value::Null), "");
    }
}
