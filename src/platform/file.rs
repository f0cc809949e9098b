//! A profile as it is typed.

use serde::Deserialize;
use toml::Spanned;

use crate::version::Scheme;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileFile {
    pub(super) key: Spanned<String>,
    pub(super) revision: u32,
    pub(super) name: String,
    pub(super) vendor: String,
    pub(super) os: String,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    pub(super) cpe: Option<Spanned<String>>,
    pub(super) cpe_version: Option<Spanned<String>>,
    pub(super) commands: Spanned<Vec<String>>,
    pub(super) ordering: Scheme,
    #[serde(default)]
    pub(super) channel: ChannelFile,
    #[serde(default)]
    pub(super) shell: ShellFile,
    #[serde(default)]
    pub(super) hints: HintsFile,
    #[serde(default)]
    pub(super) recognise: RecogniseFile,
    #[serde(default)]
    pub(super) whole: Vec<MarkerFile>,
    #[serde(default)]
    pub(super) errors: ErrorsFile,
    #[serde(default)]
    pub(super) pattern: Vec<PatternFile>,
    #[serde(default)]
    pub(super) example: Vec<Spanned<ExampleFile>>,
}

/// What tells the platform before its answer does.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HintsFile {
    #[serde(default)]
    pub(super) ssh: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) banner: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) prompt: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) refusal: Vec<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecogniseFile {
    #[serde(default)]
    pub(super) any: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) none: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) never: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MarkerFile {
    pub(super) when: Option<Spanned<String>>,
    pub(super) has: Spanned<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ErrorsFile {
    #[serde(default)]
    pub(super) unknown_command: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) denied: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PatternFile {
    pub(super) name: Spanned<String>,
    pub(super) regex: Spanned<String>,
    pub(super) reject: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) unterminated: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExampleFile {
    pub(super) text: String,
    pub(super) version: Option<String>,
    pub(super) model: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) hostname: Option<String>,
    pub(super) image: Option<String>,
    pub(super) uptime_seconds: Option<u64>,
    pub(super) error: Option<ExampleError>,
}

/// How reading an example fails: the names of the failure kinds that an answer can end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ExampleError {
    Command,
    Denied,
    Parse,
}

/// Where the commands are given.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ChannelFile {
    Exec,
    Shell,
    #[default]
    Auto,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShellFile {
    pub(super) columns: Option<Spanned<u32>>,
    pub(super) rows: Option<Spanned<u32>>,
    pub(super) submit: Option<SubmitFile>,
    pub(super) prompt: Option<Spanned<String>>,
    pub(super) setup: Option<Spanned<Vec<String>>>,
    pub(super) enable: Option<Spanned<String>>,
    pub(super) logout: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) pager: Vec<ReplyFile>,
    #[serde(default)]
    pub(super) page: Vec<ReplyFile>,
    #[serde(default)]
    pub(super) confirm: Vec<ReplyFile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum SubmitFile {
    #[serde(rename = "lf")]
    Lf,
    #[serde(rename = "cr")]
    Cr,
    #[serde(rename = "crlf")]
    CrLf,
}

/// What a line matches, and what is sent then.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplyFile {
    pub(super) when: Spanned<String>,
    pub(super) send: Spanned<String>,
}
