//! From a profile's typed `channel` and `[shell]` to the manners that the dialogue keeps.

use toml::Spanned;

use super::compile::Errors;
use super::file::{ChannelFile, ReplyFile, ShellFile, SubmitFile};
use crate::dialogue::{Channel, Rules, Submit};
use crate::expression::Expression;

/// Wider and taller terminals than any device knows what to do with.
const COLUMNS: std::ops::RangeInclusive<u32> = 40..=2000;
const ROWS: std::ops::RangeInclusive<u32> = 10..=10_000;

/// More would be a script, and each costs a round trip.
const SETUP_MAX: usize = 8;

/// More replies of one sort than any platform needs.
const REPLIES_MAX: usize = 16;

pub(super) fn channel(typed: ChannelFile) -> Channel {
    match typed {
        ChannelFile::Exec => Channel::Exec,
        ChannelFile::Shell => Channel::Shell,
        ChannelFile::Auto => Channel::Auto,
    }
}

pub(super) fn rules(typed: &ShellFile, errors: &mut Errors<'_>) -> Rules {
    let usual = Rules::default();
    let enter = typed.submit.map_or(usual.submit, |submit| match submit {
        SubmitFile::Lf => Submit::Lf,
        SubmitFile::Cr => Submit::Cr,
        SubmitFile::CrLf => Submit::CrLf,
    });
    Rules {
        columns: size(typed.columns.as_ref(), "shell.columns", &COLUMNS, errors).unwrap_or(usual.columns),
        rows: size(typed.rows.as_ref(), "shell.rows", &ROWS, errors).unwrap_or(usual.rows),
        submit: enter,
        prompt: typed.prompt.as_ref().and_then(|prompt| errors.regex("shell.prompt", prompt)),
        setup: setup(typed.setup.as_ref(), errors),
        pagers: replies(&typed.pager, "shell.pager", errors),
        pages: replies(&typed.page, "shell.page", errors),
        enable: typed.enable.as_ref().map(|enable| line(enable, "shell.enable", errors)),
        logout: typed.logout.as_ref().map_or(usual.logout, |logout| line(logout, "shell.logout", errors)),
        confirmations: replies(&typed.confirm, "shell.confirm", errors),
    }
}

fn size(
    typed: Option<&Spanned<u32>>,
    key: &str,
    range: &std::ops::RangeInclusive<u32>,
    errors: &mut Errors<'_>,
) -> Option<u32> {
    let typed = typed?;
    if !range.contains(typed.get_ref()) {
        let problem = format!("{}, allowed are {} to {}", typed.get_ref(), range.start(), range.end());
        errors.add(Some(typed.span().start), key, problem);
    }
    Some(*typed.get_ref())
}

fn setup(typed: Option<&Spanned<Vec<String>>>, errors: &mut Errors<'_>) -> Vec<String> {
    let Some(typed) = typed else { return Vec::new() };
    let commands = typed.get_ref();
    if commands.len() > SETUP_MAX || !commands.iter().all(|command| is_line(command)) {
        let problem = format!("at most {SETUP_MAX} commands, each of 1 to 1024 printable characters");
        errors.add(Some(typed.span().start), "shell.setup", problem);
    }
    commands.clone()
}

fn line(typed: &Spanned<String>, key: &str, errors: &mut Errors<'_>) -> String {
    if !typed.get_ref().is_empty() && !is_line(typed.get_ref()) {
        errors.add(Some(typed.span().start), key, "1 to 1024 printable characters");
    }
    typed.get_ref().clone()
}

fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control)
}

fn replies(typed: &[ReplyFile], key: &str, errors: &mut Errors<'_>) -> Vec<(Expression, String)> {
    if typed.len() > REPLIES_MAX {
        errors.add(None, key, format!("{} of them, at most {REPLIES_MAX}", typed.len()));
    }
    let mut replies = Vec::new();
    for reply in typed.iter().take(REPLIES_MAX) {
        if reply.send.get_ref().len() > 64 {
            errors.add(Some(reply.send.span().start), &format!("{key}.send"), "at most 64 characters");
        }
        if let Some(when) = errors.regex(&format!("{key}.when"), &reply.when) {
            replies.push((when, reply.send.get_ref().clone()));
        }
    }
    replies
}
