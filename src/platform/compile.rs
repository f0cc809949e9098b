//! From the typed profile to the compiled one: everything is checked, all errors are told at once.

use std::sync::Arc;

use toml::Spanned;

use super::file::{ExampleError, ExampleFile, MarkerFile, PatternFile, ProfileFile};
use super::{Field, Hints, Marker, Pattern, Profile, ProfileError, Recognise, shell};
use crate::device::PlatformKey;
use crate::dialogue::Errand;
use crate::expression::Expression;
use crate::failure::FailureKind;
use crate::parse;

/// A profile is a page or two; one of this size is something else.
const FILE_MAX: usize = 256 * 1024;

/// What one pattern may take once compiled. Ten times what the largest one here takes.
const REGEX_SIZE_MAX: usize = 1024 * 1024;

/// More would make the reading of one answer slow.
const PATTERNS_MAX: usize = 64;

/// A profile whose text compiles.
pub(super) fn compiled(file: &str, text: &str) -> Result<Profile, Vec<ProfileError>> {
    read(file, text).map(|(profile, _)| profile)
}

/// A profile whose text compiles and whose examples hold.
pub(super) fn checked(file: &str, text: &str) -> Result<Profile, Vec<ProfileError>> {
    let (profile, examples) = read(file, text)?;
    let mut errors = Errors::new(file, text);
    if examples.is_empty() {
        errors.add(None, "example", "add an [[example]]: a text and the `version` it must yield");
    }
    for example in &examples {
        if let Err(problem) = holds(&profile, example.get_ref()) {
            errors.add(Some(example.span().start), "example", problem);
        }
    }
    errors.into_result(profile)
}

fn read(file: &str, text: &str) -> Result<(Profile, Vec<Spanned<ExampleFile>>), Vec<ProfileError>> {
    let mut errors = Errors::new(file, text);
    if text.len() > FILE_MAX {
        errors.add(None, "", format!("the file has {} bytes, a profile at most {FILE_MAX}", text.len()));
        return Err(errors.found);
    }
    let typed: ProfileFile = match toml::from_str(text) {
        Ok(typed) => typed,
        Err(error) => {
            errors.add(error.span().map(|span| span.start), "", error.message().replace('\n', ", "));
            return Err(errors.found);
        }
    };
    check_names(&typed, &mut errors);
    let recognise = Recognise {
        any: errors.regexes("recognise.any", &typed.recognise.any),
        none: errors.regexes("recognise.none", &typed.recognise.none),
        never: errors.regexes("recognise.never", &typed.recognise.never),
    };
    let hints = Hints {
        ssh: errors.regexes("hints.ssh", &typed.hints.ssh),
        banner: errors.regexes("hints.banner", &typed.hints.banner),
        prompt: errors.regexes("hints.prompt", &typed.hints.prompt),
        refusal: errors.regexes("hints.refusal", &typed.hints.refusal),
    };
    let errand = Errand {
        commands: typed.commands.get_ref().clone().into(),
        channel: shell::channel(typed.channel),
        marker: recognise.any.clone().into(),
        rules: Arc::new(shell::rules(&typed.shell, &mut errors)),
        search: None,
    };
    let profile = Profile {
        key: PlatformKey::new(typed.key.get_ref()),
        revision: typed.revision,
        name: typed.name,
        vendor: typed.vendor,
        os: typed.os,
        aliases: typed.aliases,
        commands: typed.commands.into_inner(),
        cpe: typed.cpe.map(Spanned::into_inner),
        cpe_version: typed.cpe_version.as_ref().and_then(|typed| errors.regex("cpe_version", typed)),
        scheme: typed.ordering,
        source: text.into(),
        hints,
        recognise,
        channel: errand.channel,
        errand: Arc::new(errand),
        whole: typed.whole.iter().filter_map(|typed| marker(typed, &mut errors)).collect(),
        unknown_command: errors.regexes("errors.unknown_command", &typed.errors.unknown_command),
        denied: errors.regexes("errors.denied", &typed.errors.denied),
        patterns: patterns(&typed.pattern, &mut errors),
    };
    errors.into_result((profile, typed.example))
}

fn check_names(typed: &ProfileFile, errors: &mut Errors<'_>) {
    let key = typed.key.get_ref();
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    if key.is_empty() || key.len() > 64 || key == "auto" || !key.bytes().all(fits) {
        let problem = "1 to 64 of a-z, 0-9 and _, and not `auto`: it is a metric label";
        errors.add(Some(typed.key.span().start), "key", problem);
    }
    if let Some(cpe) = &typed.cpe {
        let part = |part: &str| !part.is_empty() && part.bytes().all(|b| fits(b) || b == b'-' || b == b'.');
        if !cpe.get_ref().split_once(':').is_some_and(|(vendor, product)| part(vendor) && part(product)) {
            errors.add(
                Some(cpe.span().start),
                "cpe",
                "`vendor:product` as in the CPE dictionary, in lower case",
            );
        }
    }
    let commands = typed.commands.get_ref();
    let sound = |command: &String| {
        !command.trim().is_empty() && command.len() <= 1024 && !command.chars().any(char::is_control)
    };
    if commands.is_empty() || commands.len() > 8 || !commands.iter().all(sound) {
        let problem = "1 to 8 commands, each of 1 to 1024 printable characters";
        errors.add(Some(typed.commands.span().start), "commands", problem);
    }
}

fn marker(typed: &MarkerFile, errors: &mut Errors<'_>) -> Option<Marker> {
    let when = match &typed.when {
        Some(when) => Some(errors.regex("whole.when", when)?),
        None => None,
    };
    Some(Marker { when, has: errors.regex("whole.has", &typed.has)? })
}

fn patterns(typed: &[PatternFile], errors: &mut Errors<'_>) -> Vec<Pattern> {
    if typed.len() > PATTERNS_MAX {
        errors.add(None, "pattern", format!("{} patterns, at most {PATTERNS_MAX}", typed.len()));
    }
    let patterns: Vec<_> =
        typed.iter().take(PATTERNS_MAX).filter_map(|typed| pattern(typed, errors)).collect();
    if errors.found.is_empty() && !patterns.iter().any(|pattern| pattern.fields.contains(&Field::Version)) {
        errors.add(None, "pattern", "no [[pattern]] has a group (?<version>...): nothing could be read");
    }
    patterns
}

fn pattern(typed: &PatternFile, errors: &mut Errors<'_>) -> Option<Pattern> {
    let regex = errors.regex("pattern.regex", &typed.regex)?;
    let reject = match &typed.reject {
        Some(reject) => Some(errors.regex("pattern.reject", reject)?),
        None => None,
    };
    let named = |name: &str| Field::ALL.into_iter().find(|field| field.as_str() == name);
    let mut fields = Vec::new();
    for group in regex.names() {
        match named(group) {
            Some(field) => fields.push(field),
            None => {
                let allowed = Field::ALL.map(Field::as_str).join(", ");
                let problem = format!("`{group}` names no field: a group is one of {allowed}");
                errors.add(Some(typed.regex.span().start), "pattern.regex", problem);
            }
        }
    }
    if fields.is_empty() {
        let problem = "no named group: write (?<version>...) around what is to be read";
        errors.add(Some(typed.regex.span().start), "pattern.regex", problem);
    }
    let name = typed.name.get_ref();
    if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
        errors.add(Some(typed.name.span().start), "pattern.name", "1 to 64 printable characters");
    }
    Some(Pattern { name: name.clone(), regex, reject, unterminated: typed.unterminated, fields })
}

/// Whether the example yields what it says, no more and no less.
fn holds(profile: &Profile, example: &ExampleFile) -> Result<(), String> {
    // It is a whole answer, whether or not its text was typed with a line end.
    let text = format!("{}\n", example.text);
    let reading = match (parse::parse(profile, &text), example.error) {
        (Ok(reading), None) => reading,
        (Ok(reading), Some(_)) => {
            return Err(format!("it should not be readable, but yields version {}", reading.facts.version));
        }
        (Err(error), Some(expected)) if error.kind() == kind_of(expected) => return Ok(()),
        (Err(error), _) => return Err(format!("it can't be read: {error}")),
    };
    let facts = &reading.facts;
    let uptime = facts.uptime.map(|uptime| uptime.as_secs().to_string());
    let expected_uptime = example.uptime_seconds.map(|seconds| seconds.to_string());
    let pairs = [
        ("version", Some(facts.version.as_str()), example.version.as_deref()),
        ("model", facts.model.as_deref(), example.model.as_deref()),
        ("serial", facts.serial.as_deref(), example.serial.as_deref()),
        ("hostname", facts.hostname.as_deref(), example.hostname.as_deref()),
        ("image", facts.image.as_deref(), example.image.as_deref()),
        ("uptime_seconds", uptime.as_deref(), expected_uptime.as_deref()),
    ];
    for (field, got, expected) in pairs {
        if got != expected {
            let (got, expected) = (got.unwrap_or("nothing"), expected.unwrap_or("nothing"));
            return Err(format!("`{field}` should be {expected}, but {got} is read"));
        }
    }
    let recognises = profile.recognise.any.is_empty() || parse::recognises(profile, &text);
    if recognises { Ok(()) } else { Err("[recognise] doesn't recognise it".to_owned()) }
}

fn kind_of(error: ExampleError) -> FailureKind {
    match error {
        ExampleError::Command => FailureKind::Command,
        ExampleError::Denied => FailureKind::Denied,
        ExampleError::Parse => FailureKind::Parse,
    }
}

/// Collects what is wrong in one file.
pub(super) struct Errors<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<ProfileError>,
}

impl<'a> Errors<'a> {
    fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, found: Vec::new() }
    }

    pub(super) fn add(&mut self, offset: Option<usize>, key: &str, problem: impl Into<String>) {
        let line = offset.and_then(|offset| self.text.get(..offset)).map(|before| {
            let newlines = before.bytes().filter(|byte| *byte == b'\n').count();
            newlines + 1
        });
        let key = (!key.is_empty()).then(|| key.to_owned());
        self.found.push(ProfileError { file: self.file.to_owned(), line, key, problem: problem.into() });
    }

    pub(super) fn regex(&mut self, key: &str, typed: &Spanned<String>) -> Option<Expression> {
        match Expression::new(typed.get_ref(), REGEX_SIZE_MAX) {
            Ok(expression) => Some(expression),
            Err(said) => {
                self.add(Some(typed.span().start), key, format!("not a pattern of the regex crate: {said}"));
                None
            }
        }
    }

    fn regexes(&mut self, key: &str, typed: &[Spanned<String>]) -> Vec<Expression> {
        typed.iter().filter_map(|typed| self.regex(key, typed)).collect()
    }

    fn into_result<T>(self, value: T) -> Result<T, Vec<ProfileError>> {
        if self.found.is_empty() { Ok(value) } else { Err(self.found) }
    }
}
