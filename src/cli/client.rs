//! Asking a running daemon over HTTP: what the commands that ask one share.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::SecondsFormat;
use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::fetch::{Answer, Client, Identity, Login, Manners, Reach, Request, Roots, Target};
use crate::text::tamed;

/// The whole of one request. The daemon answers from memory; what takes longer is not coming.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer taken: 5,000 devices are some 5 MB.
const ANSWER_MAX: usize = 64 * 1024 * 1024;
/// The longest cell of a table in characters.
const CELL_MAX: usize = 120;

/// A password is a line; a file far longer is the wrong one.
const PASSWORD_MAX: u64 = 4096;

/// Which daemon to ask, and how to print what it says.
#[derive(Debug, Clone, Args)]
pub struct AskArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take a comment here for the help of the command")]
    pub daemon: DaemonArgs,
    /// How to print the answer; json is one object a line.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// Where a running daemon is, and what it is shown.
#[derive(Debug, Clone, Args)]
pub struct DaemonArgs {
    /// The daemon's address
    #[arg(long, default_value = "http://127.0.0.1:9948", value_name = "URL", value_parser = daemon_address)]
    pub url: Target,
    /// Who vouches for the daemon's certificate, as PEM, instead of those whom the system trusts
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// As whom to ask, where the daemon asks for a password
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub user: Option<String>,
    /// The file whose first line is the password
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// A certificate to show, as PEM, where the daemon asks for one
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub cert_file: Option<PathBuf>,
    /// The key to that certificate, as PEM, not encrypted
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub key_file: Option<PathBuf>,
}

fn daemon_address(text: &str) -> Result<Target, String> {
    let form = "wanted is http://HOST:PORT or https://HOST:PORT, with a prefix behind it if there is one";
    Target::parse(text).map_err(|error| match error {
        crate::fetch::TargetError::Secret => {
            "has a user or a password in it, which others on this host could see: --user and --password-file take them"
                .to_owned()
        }
        error => format!("{error}; {form}"),
    })
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
pub async fn get_json(daemon: &DaemonArgs, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
    Caller::new(daemon, REQUEST_TIMEOUT)?.get(path, query).await
}

/// Posts an empty body to a path with query pairs; the answer is the text of a success.
///
/// # Errors
/// The daemon can't be reached, or refuses (with its own words).
pub async fn post(daemon: &DaemonArgs, path: &str, query: &[(&str, &str)]) -> anyhow::Result<String> {
    let target = address(&daemon.url, path, query);
    let body = Caller::new(daemon, REQUEST_TIMEOUT)?.ask(Request::post(&target, Vec::new())).await?;
    Ok(tamed(String::from_utf8_lossy(&body).trim_end(), 500).into_owned())
}

/// Asks one daemon, again and again over the same connections. The files that the arguments name were read.
pub(super) struct Caller<'a> {
    daemon: &'a DaemonArgs,
    client: Client,
    login: Option<Login>,
}

impl<'a> Caller<'a> {
    /// One whose requests may take so long.
    pub(super) fn new(daemon: &'a DaemonArgs, timeout: Duration) -> anyhow::Result<Self> {
        Ok(Self { daemon, login: daemon.login()?, client: daemon.client(timeout)? })
    }

    /// As [`get_json`].
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        let url = &self.daemon.url;
        let body = self.ask(Request::get(&address(url, path, query))).await?;
        serde_json::from_slice(&body)
            .with_context(|| format!("{url} answers {path} with something else than was asked for"))
    }

    /// The body of a success.
    async fn ask(&self, request: Request<'_>) -> anyhow::Result<Vec<u8>> {
        let daemon = self.daemon;
        let answer = self.client.send(request.login(self.login.as_ref())).await.map_err(|error| {
            let hint = hint_at(&error.to_string(), daemon.url.is_secure() && daemon.cert_file.is_none());
            anyhow::anyhow!("can't ask {error}; {hint}")
        })?;
        if !answer.is_success() {
            let said = format!("{} answers {}: {}", daemon.url, answer.status, daemon.refusal(&answer));
            return Err(Refused { status: answer.status, said }.into());
        }
        Ok(answer.body)
    }
}

/// The daemon answers, but with no success.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
pub(super) struct Refused {
    /// The HTTP status.
    pub(super) status: u16,
    said: String,
}

impl DaemonArgs {
    fn client(&self, timeout: Duration) -> anyhow::Result<Client> {
        let roots = match &self.ca_file {
            None => Roots::System,
            Some(path) => Roots::read(path)
                .map_err(|problem| anyhow::anyhow!("--ca-file {}: {problem}", path.display()))?,
        };
        let identity = match (&self.cert_file, &self.key_file) {
            (Some(chain), Some(key)) => Some(Identity::read(chain, key).map_err(anyhow::Error::msg)?),
            _ => None,
        };
        let manners = Manners { timeout, max_bytes: ANSWER_MAX, reach: Reach::Anywhere, roots };
        Ok(Client::with_identity(manners, identity.as_ref())?)
    }

    fn login(&self) -> anyhow::Result<Option<Login>> {
        let (Some(user), Some(path)) = (&self.user, &self.password_file) else { return Ok(None) };
        ensure!(!user.contains(':'), "--user has a colon in it, which no user name can have");
        let password = password(path).with_context(|| format!("--password-file {}", path.display()))?;
        Ok(Some(Login::Basic { username: user.clone(), password }))
    }

    /// What a refusal says, and what to do about it.
    fn refusal(&self, answer: &Answer) -> String {
        let said = words(&answer.body);
        match (answer.status, &self.user) {
            (401, None) => "it asks for a password: --user NAME --password-file FILE".to_owned(),
            (401, Some(user)) => {
                let user = tamed(user, 60);
                format!("it doesn't know {user} by this password: is it that of its web configuration?")
            }
            (400, _) if said.contains("HTTPS server") => "it speaks TLS: write https:// in --url".to_owned(),
            _ => said,
        }
    }
}

/// The first line of a file.
fn password(path: &Path) -> anyhow::Result<SecretString> {
    let mut text = String::new();
    File::open(path)?.take(PASSWORD_MAX + 1).read_to_string(&mut text)?;
    ensure!(text.len() as u64 <= PASSWORD_MAX, "more than a password is in it");
    let line = text.lines().next().unwrap_or_default();
    ensure!(!line.is_empty(), "its first line is empty");
    Ok(line.to_owned().into())
}

/// What to do about a connection that did not come about, by the words of rustls. A server that misses a certificate may close
/// the connection before its word is read.
fn hint_at(error: &str, shows_nothing: bool) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|word| error.contains(word));
    if has(&["UnknownIssuer"]) {
        "nobody whom this host trusts vouches for it: --ca-file names who does"
    } else if has(&["CertificateRequired", "certificate required", "HandshakeFailure"]) {
        "it asks for a certificate: --cert-file and --key-file show one"
    } else if has(&["NotValidForName", "not valid for name"]) {
        "its certificate is another host's: --url is to name it as the certificate does"
    } else if has(&["InvalidContentType", "corrupt message"]) {
        "it doesn't speak TLS: write http:// in --url"
    } else if shows_nothing {
        "is `versweep run` up there, and does it ask for a certificate (--cert-file and --key-file)?"
    } else {
        "is `versweep run` up there?"
    }
}

fn address(base: &Target, path: &str, query: &[(&str, &str)]) -> Target {
    let pairs: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
    base.below(path.trim_start_matches('/'), &pairs.join("&"))
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
    fn a_query_is_encoded() {
        assert_eq!(encoded("a&b=c d/é"), "a%26b%3Dc%20d%2F%C3%A9");
    }

    #[test]
    fn only_http_is_spoken_and_no_secret_stands_in_an_address() {
        for url in ["ftp://127.0.0.1:9948", "/relative", "127.0.0.1:9948"] {
            let error = daemon_address(url).unwrap_err();
            assert!(error.contains("https://HOST:PORT"), "{url}: {error}");
        }
        let error = daemon_address("https://ops:planted@v.example.net").unwrap_err();
        assert!(error.contains("--password-file") && !error.contains("planted"), "{error}");
        assert!(daemon_address("https://v.example.net/versweep").is_ok());
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
