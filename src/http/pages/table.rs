//! Tables: each is sorted by the links in its head, and page by page by those below it.

use std::cmp::Ordering;
use std::ops::Range;

use maud::{Markup, html};

use super::here::Here;
use super::marks::{count, many};
use crate::clock::Timestamp;
use crate::http::api::Params;
use crate::http::index::Direction;
use crate::http::problem::Refusal;
use crate::http::view::shown;

/// The keys that say where in a list a page is; another choice or another order begins at its beginning.
pub(super) const PLACE: [&str; 2] = ["page", "after"];

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As text.
    Text,
    /// As text that can be long: it keeps some width in a narrow window.
    Long,
    /// As text that a narrow window can do without.
    Aside,
    /// As numbers, one below the other.
    Number,
    /// As numbers that a narrow window can do without.
    NumberAside,
}

impl Kind {
    pub(super) fn class(self) -> Option<&'static str> {
        match self {
            Self::Text => None,
            Self::Long => Some("long"),
            Self::Aside => Some("aside"),
            Self::Number => Some("number"),
            Self::NumberAside => Some("number aside"),
        }
    }
}

/// How two rows stand to each other.
pub(super) type Compare<R> = fn(&R, &R) -> Ordering;

/// One column of a table with rows of that type. `O` is what sorts by it: a comparison, or its name where the store sorts.
pub(super) struct Column<R: 'static, O: 'static = Compare<R>> {
    /// What `sort` calls it.
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) kind: Kind,
    pub(super) order: O,
    pub(super) cell: fn(&R, Timestamp) -> Markup,
}

/// A table. Its rows are sorted where they are, or come sorted from the store.
pub(super) struct Table<R: 'static, O: 'static = Compare<R>> {
    /// Its element's id.
    pub(super) id: &'static str,
    /// What it shows, for those who don't see it.
    pub(super) caption: &'static str,
    /// The key of its order in the query; a page with two tables has two.
    pub(super) sort: &'static str,
    pub(super) columns: &'static [Column<R, O>],
    /// What tells a row from the others, so that a new one can be shown as new.
    pub(super) key: fn(&R) -> String,
}

impl<R> Table<R> {
    /// Sorts the rows as the address says; left as they are where it says nothing.
    pub(super) fn sort(&self, rows: &mut [R], here: &Here) -> Result<(), Refusal> {
        if let Some((order, direction)) = self.order(here)? {
            rows.sort_by(|a, b| match direction {
                Direction::Ascending => order(a, b),
                Direction::Descending => order(b, a),
            });
        }
        Ok(())
    }

    /// The table with these of its rows.
    pub(super) fn draw(&self, rows: &[R], here: &Here, now: Timestamp) -> Markup {
        self.draw_sorted(rows, here, now, None)
    }
}

impl<R, O: Copy> Table<R, O> {
    /// The order that the address says, if it says one.
    pub(super) fn order(&self, here: &Here) -> Result<Option<(O, Direction)>, Refusal> {
        let Some((name, direction)) = here.get(self.sort).map(order_of) else { return Ok(None) };
        let column = self.columns.iter().find(|column| column.key == name).ok_or_else(|| {
            let names: Vec<_> = self.columns.iter().map(|column| column.key).collect();
            let (key, names) = (self.sort, names.join(", "));
            Refusal::BadQuery(format!("{key} is one of these, with - before it for the other way: {names}"))
        })?;
        Ok(Some((column.order, direction)))
    }

    /// The table with rows that came in the order that the address says, or in the order of `fallback`.
    pub(super) fn draw_sorted(
        &self,
        rows: &[R],
        here: &Here,
        now: Timestamp,
        fallback: Option<&str>,
    ) -> Markup {
        let head = html! {
            @for column in self.columns {
                (heading(here, self.sort, column.key, column.title, column.kind, fallback))
            }
        };
        let body = html! {
            @for row in rows {
                tr data-key=(shown(&(self.key)(row))) {
                    @for column in self.columns { td class=[column.kind.class()] { ((column.cell)(row, now)) } }
                }
            }
        };
        framed(self.id, self.caption, &head, &body)
    }
}

/// A table around its head and its rows: wide ones scroll within themselves, also by the keyboard.
pub(super) fn framed(id: &str, caption: &str, head: &Markup, body: &Markup) -> Markup {
    html! {
        div.scroll id=(id) data-live role="region" aria-label=(caption) tabindex="0" {
            table {
                caption.hidden { (caption) }
                thead { tr { (head) } }
                tbody { (body) }
            }
        }
    }
}

/// A column's head as a link that sorts by it, or turns its order round. `fallback` is the order without a word in the
/// address.
pub(super) fn heading(
    here: &Here,
    sort: &str,
    key: &str,
    title: &str,
    kind: Kind,
    fallback: Option<&str>,
) -> Markup {
    let now = here.get(sort).or(fallback).map(order_of).filter(|(name, _)| *name == key);
    let (next, order, sign) = match now {
        Some((_, Direction::Ascending)) => (format!("-{key}"), Some("ascending"), "▲"),
        Some((_, Direction::Descending)) => (key.to_owned(), Some("descending"), "▼"),
        // Of numbers people want the large ones first.
        None if matches!(kind, Kind::Number | Kind::NumberAside) => (format!("-{key}"), None, ""),
        None => (key.to_owned(), None, ""),
    };
    let href = here.without(&PLACE).with(sort, &next).href();
    html! {
        th scope="col" class=[kind.class()] aria-sort=[order] {
            a href=(href) { (title) @if !sign.is_empty() { span.sign aria-hidden="true" { " " (sign) } } }
        }
    }
}

fn order_of(text: &str) -> (&str, Direction) {
    match text.strip_prefix('-') {
        Some(name) => (name, Direction::Descending),
        None => (text, Direction::Ascending),
    }
}

/// Which page of how many rows.
pub(super) struct Pages {
    number: usize,
    size: usize,
    total: usize,
}

impl Pages {
    /// The page that the query asks for; one behind the last is the last, because rows go while people look.
    pub(super) fn read(params: &Params, size: usize, total: usize) -> Result<Self, Refusal> {
        let number: usize = params.read("page", "a number from 1 on")?.unwrap_or(1);
        if number == 0 {
            return Err(Refusal::BadQuery("page is a number from 1 on".to_owned()));
        }
        Ok(Self { number: number.min(total.div_ceil(size).max(1)), size, total })
    }

    /// Its rows among all.
    pub(super) fn range(&self) -> Range<usize> {
        let from = (self.number - 1) * self.size;
        from..(from + self.size).min(self.total)
    }

    /// Which rows these are, and the way to the others. `what` names them.
    pub(super) fn draw(&self, id: &str, here: &Here, what: &str) -> Markup {
        let (range, last) = (self.range(), self.total.div_ceil(self.size).max(1));
        let to = |number: usize| match number {
            1 => here.without(&["page"]).href(),
            number => here.with("page", &number.to_string()).href(),
        };
        html! {
            nav.pages id=(id) data-live aria-label={ "Pages of " (what) } {
                span {
                    @if last > 1 { (count(range.start + 1)) "–" (count(range.end)) " of " }
                    (many(self.total, what))
                }
                @if self.number > 1 { a href=(to(1)) { "« first" } a href=(to(self.number - 1)) rel="prev" { "‹ previous" } }
                @if self.number < last { a href=(to(self.number + 1)) rel="next" { "next ›" } a href=(to(last)) { "last »" } }
            }
        }
    }
}
