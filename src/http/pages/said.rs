//! What devices said, as they said it: bounded, tame, and with what differs marked by signs as well as by colour.

use maud::{Markup, html};

use crate::store::StoredRaw;
use crate::text::tamed;

/// The most lines that are shown of one text, and characters of a line: `show version` has some sixty lines of eighty.
const LINES: usize = 400;
const LINE: usize = 256;

/// The most characters of a text in all: a page stays below 200 KiB, escapes and all, whatever a device says.
const WHOLE: usize = 32 * 1024;

/// A whole text.
pub(super) fn whole(id: &str, raw: &StoredRaw) -> Markup {
    let (lines, mut cut) = bounded(&raw.text);
    cut |= raw.size > raw.text.len() as u64;
    html! {
        pre.said id=(id) tabindex="0" role="region" aria-label="What the device said" {
            @for line in &lines { (line) "\n" }
        }
        @if cut { p.note { "There was more of it: " (super::marks::count(raw.size)) " bytes in all." } }
    }
}

/// What differs between two texts, as `diff -u` writes it.
pub(super) fn difference(text: &str) -> Markup {
    let (lines, cut) = bounded(text);
    html! {
        pre.said #difference tabindex="0" role="region" aria-label="What differs: lines with + are new, lines with - are gone" {
            @for line in &lines {
                @match line.as_bytes().first() {
                    _ if line.starts_with("--- ") || line.starts_with("+++ ") => span.dim { (line) },
                    Some(b'+') => ins { (line) },
                    Some(b'-') => del { (line) },
                    Some(b'@') => span.dim { (line) },
                    _ => (line),
                }
                "\n"
            }
        }
        @if cut { p.note { "More lines differ; versweep history --diff shows all of them." } }
    }
}

/// The first lines, tame, and whether there were more.
fn bounded(text: &str) -> (Vec<String>, bool) {
    let (mut lines, mut left) = (Vec::new(), WHOLE);
    let mut all = text.lines();
    for line in all.by_ref().take(LINES) {
        let line = tamed(&line.trim_end_matches('\r').replace('\t', "    "), LINE).into_owned();
        left = left.saturating_sub(line.chars().count() + 1);
        lines.push(line);
        if left == 0 {
            break;
        }
    }
    (lines, all.next().is_some())
}
