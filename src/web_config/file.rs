//! The file as it is written, and what it means.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use hyper::header::{HeaderName, HeaderValue};
use secrecy::SecretString;
use serde::Deserialize;

use super::tls::{self, Material};
use super::{Reading, Users, WebConfig};
use crate::document::{Problem, Problems};
use crate::text::tamed;

/// Some lines for each user; a larger file is the wrong one.
const FILE_MAX: u64 = 1 << 20;

/// The file. Names and defaults are exporter-toolkit's.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebFile {
    tls_server_config: Option<TlsTable>,
    http_server_config: Option<HttpTable>,
    basic_auth_users: Option<BTreeMap<String, SecretString>>,
}

/// `tls_server_config`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TlsTable {
    pub(super) cert: Option<String>,
    pub(super) key: Option<SecretString>,
    pub(super) client_ca: Option<String>,
    pub(super) cert_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) client_ca_file: Option<PathBuf>,
    pub(super) client_auth_type: Option<String>,
    pub(super) client_allowed_sans: Vec<String>,
    pub(super) min_version: Option<String>,
    pub(super) max_version: Option<String>,
    pub(super) cipher_suites: Vec<String>,
    pub(super) curve_preferences: Vec<String>,
    pub(super) prefer_server_cipher_suites: Option<bool>,
}

/// `http_server_config`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HttpTable {
    http2: Option<bool>,
    headers: BTreeMap<String, String>,
}

/// Notes what is wrong, each with its key.
pub(super) struct Notes<'a> {
    file: &'a Path,
    problems: Vec<Problem>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(file: &'a Path) -> Self {
        Self { file, problems: Vec::new() }
    }

    pub(super) fn refuse(&mut self, key: &str, problem: &str, allowed: &str) {
        self.problems.push(Problem {
            file: self.file.display().to_string(),
            key: key.to_owned(),
            problem: problem.to_owned(),
            allowed: allowed.to_owned(),
            ..Problem::default()
        });
    }
}

pub(super) fn read(path: &Path) -> Reading {
    let mut files = vec![path.to_owned()];
    let mut notes = Notes::new(path);
    let parsed = read_bounded(path)
        .map_err(|problem| (None, format!("can't be read: {problem}")))
        .and_then(|text| if text.trim().is_empty() { Ok(WebFile::default()) } else { yaml(&text) });
    let config = match parsed {
        Ok(file) => meaning(file, path, &mut files, &mut notes),
        Err((line, problem)) => {
            let file = path.display().to_string();
            notes.problems.push(Problem { file, line, problem, ..Problem::default() });
            WebConfig::default()
        }
    };
    let result = if notes.problems.is_empty() { Ok(config) } else { Err(Problems(notes.problems)) };
    Reading { files, result }
}

fn meaning(file: WebFile, path: &Path, files: &mut Vec<PathBuf>, notes: &mut Notes<'_>) -> WebConfig {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut config = WebConfig::default();
    let mut warn = |text: &str| config.warnings.push(format!("{}: {text}", path.display()));
    if let Some(table) = file.tls_server_config {
        if table.prefer_server_cipher_suites == Some(false) {
            warn("prefer_server_cipher_suites: the server's order counts in any case");
        }
        let named = [&table.cert_file, &table.key_file, &table.client_ca_file];
        files.extend(named.into_iter().flatten().map(|file| folder.join(file)));
        config.tls = tls::tls(&table, &Material { folder }, notes);
    }
    if let Some(table) = file.http_server_config {
        if table.http2 == Some(true) {
            warn("http_server_config.http2: HTTP/2 is not offered; HTTP/1.1 is spoken");
        }
        config.headers = headers(table.headers, notes);
    }
    config.users = Users::new(file.basic_auth_users.unwrap_or_default(), notes);
    if !config.users.have_one_cost() {
        let problem = "basic_auth_users: hashes of different costs, whose time tells which names there are";
        config.warnings.push(format!("{}: {problem}", path.display()));
    }
    if !config.users.is_empty() && config.tls.is_none() {
        let problem = "basic_auth_users without tls_server_config: passwords can be read on the way, unless a proxy \
                       before versweep speaks TLS";
        config.warnings.push(format!("{}: {problem}", path.display()));
    }
    config
}

/// The headers that exporter-toolkit lets be set, with the values that it takes: the others are the program's own business.
fn headers(written: BTreeMap<String, String>, notes: &mut Notes<'_>) -> Vec<(HeaderName, HeaderValue)> {
    const KNOWN: [(&str, &[&str]); 5] = [
        ("content-security-policy", &[]),
        ("strict-transport-security", &[]),
        ("x-content-type-options", &["nosniff"]),
        ("x-frame-options", &["deny", "sameorigin"]),
        ("x-xss-protection", &[]),
    ];
    let mut headers = Vec::new();
    for (name, value) in written {
        let key = format!("http_server_config.headers.{}", tamed(&name, 60));
        let known = KNOWN.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        let Some((known, allowed)) = known else {
            let names = "Content-Security-Policy, Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options and \
                         X-XSS-Protection";
            notes.refuse(&key, "can't be set here", names);
            continue;
        };
        // An empty value takes nothing away in exporter-toolkit either.
        if value.is_empty() {
            continue;
        }
        let fits = allowed.is_empty() || allowed.iter().any(|one| value.eq_ignore_ascii_case(one));
        match HeaderValue::from_str(&value) {
            Ok(value) if fits => headers.push((HeaderName::from_static(known), value)),
            Ok(_) => notes.refuse(&key, "has another value than it may have", &allowed.join(" or ")),
            Err(_) => notes.refuse(&key, "is not a header's value", "printable ASCII on one line"),
        }
    }
    headers
}

/// The text of a file of at most a megabyte.
pub(super) fn read_bounded(path: &Path) -> Result<String, String> {
    // Opening a pipe would wait for ever.
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() || metadata.len() > FILE_MAX {
        return Err("not a plain file of at most 1 MiB".to_owned());
    }
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_MAX).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// Reads the document; an error comes with its line.
fn yaml(text: &str) -> Result<WebFile, (Option<usize>, String)> {
    serde_saphyr::from_str(text).map_err(|error| {
        let line =
            error.location().and_then(|place| usize::try_from(place.line()).ok()).filter(|line| *line > 0);
        // The library's own text repeats lines of the file, and a secret may stand there.
        let message = error.without_snippet().to_string();
        (line, tamed(message.lines().next().unwrap_or_default(), 300).into_owned())
    })
}
