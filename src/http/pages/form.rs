//! Forms that choose: they ask by GET, so that every choice is an address.

use std::sync::Arc;

use maud::{Markup, html};

use super::here::Here;
use super::marks::words;
use super::table::PLACE;
use crate::http::index::Index;
use crate::http::view::shown;

/// The fields that [`devices`] has; a browser sends them empty where nothing was entered.
pub(super) const FIELDS: [&str; 6] = ["q", "state", "platform", "failure", "label", "result"];

/// A search box.
pub(super) fn search(here: &Here, key: &str, name: &str, hint: &str) -> Markup {
    html! {
        label { span { (name) }
            input type="search" name=(key) value=(here.get(key).map(shown).unwrap_or_default()) placeholder=(hint)
                autocomplete="off" spellcheck="false";
        }
    }
}

/// A choice of one among some, or any.
pub(super) fn choice<'a>(
    here: &Here,
    key: &str,
    name: &str,
    of: impl IntoIterator<Item = &'a str>,
) -> Markup {
    let chosen = here.get(key);
    html! {
        label { span { (name) }
            select name=(key) {
                option value="" { "any" }
                @for one in of { option value=(one) selected[chosen == Some(one)] { (words(&shown(one))) } }
            }
        }
    }
}

/// The choice of a platform among those that there are. Keys of platforms are shown as they are written.
pub(super) fn platforms(here: &Here, index: &Index) -> Markup {
    let names: Vec<Arc<str>> = index.platforms().into_iter().map(|(name, _)| name).collect();
    let chosen = here.get("platform");
    html! {
        label { span { "platform" }
            select name="platform" {
                option value="" { "any" }
                @for one in &names { option value=(one) selected[chosen == Some(one)] { (one) } }
            }
        }
    }
}

/// A form with these fields. What else is chosen stays so: what no field of it names goes along, but for the page.
pub(super) fn form(here: &Here, action: &str, fields: &[&str], inside: &Markup) -> Markup {
    let others = here
        .pairs()
        .iter()
        .filter(|(key, _)| !PLACE.contains(&key.as_str()) && !fields.contains(&key.as_str()));
    html! {
        form.choose action=(action) {
            (inside)
            @for (key, value) in others { input type="hidden" name=(key) value=(value); }
            button { "Show" }
            @if here.pairs().iter().any(|(key, _)| !key.starts_with("sort") && !PLACE.contains(&key.as_str())) {
                a href=(action) { "all" }
            }
        }
    }
}

/// The field's name on the page.
fn name(key: &str) -> String {
    if key == "q" { "search".to_owned() } else { words(&shown(key)) }
}

/// What is chosen, each with a link that chooses it no more.
pub(super) fn chosen(here: &Here) -> Markup {
    let pairs: Vec<_> = here
        .pairs()
        .iter()
        .filter(|(key, _)| !key.starts_with("sort") && !PLACE.contains(&key.as_str()))
        .collect();
    html! {
        @if !pairs.is_empty() {
            ul.chosen aria-label="Chosen" {
                @for pair in pairs {
                    @let value = if pair.1.is_empty() { "none".to_owned() } else { shown(&pair.1) };
                    li {
                        a href=(here.without(&PLACE).without_pair(pair).href()) title="no longer choose this" {
                            (name(&pair.0)) ": " (value) " " span aria-hidden="true" { "×" }
                            span.hidden { "(remove)" }
                        }
                    }
                }
            }
        }
    }
}
