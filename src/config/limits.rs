//! `[workers]`: how many devices are visited at once, all together and of those that have something in common.

use std::collections::BTreeMap;
use std::num::NonZero;

use super::WORKERS_MAX;
use crate::device::check_name;
use crate::dispatch::{By, Limit};
use crate::document::Section;

/// `max`: a number, or `"N per cpu"`.
pub(super) fn workers(root: &Section<'_>, default: usize) -> usize {
    let table = root.section("workers");
    table.only(&["max", "limit"]);
    let Some(item) = table.get("max") else { return default };
    let max = match item.as_text() {
        None => item.as_number(),
        Some(text) => {
            let cpus = std::thread::available_parallelism().map_or(1, NonZero::get);
            let (number, factor) = text.strip_suffix("per cpu").map_or((text, 1), |number| (number, cpus));
            number.trim().parse::<u32>().ok().map(|number| i128::from(number) * factor as i128)
        }
    };
    let within = max.and_then(|max| usize::try_from(max).ok()).filter(|max| (1..=WORKERS_MAX).contains(max));
    if within.is_none() {
        let problem = if max.is_some() { "is out of range" } else { "is not a number of workers" };
        item.refuse(problem, &format!("a number from 1 to {WORKERS_MAX}, or \"N per cpu\""));
    }
    within.unwrap_or(default)
}

/// `[[workers.limit]]`: each thing that devices have in common once.
pub(super) fn limits(root: &Section<'_>) -> Vec<Limit> {
    let mut seen = BTreeMap::new();
    let table = root.section("workers");
    table.sections("limit").iter().filter_map(|section| limit(section, &mut seen)).collect()
}

fn limit(section: &Section<'_>, seen: &mut BTreeMap<String, usize>) -> Option<Limit> {
    section.only(&["by", "max", "logins_per_second"]);
    let allowed = "an inventory label such as \"site\", or \"platform\", \"jump\" or \"credential\"";
    let by = section.require("by", allowed).and_then(|item| {
        let name = item.text()?;
        if check_name(name).is_err() || name == "device" {
            item.refuse("is nothing that devices have in common", allowed);
            return None;
        }
        if let Some(first) = seen.get(name) {
            item.refuse("is limited twice", &format!("the first one stands on line {first}"));
            return None;
        }
        seen.insert(name.to_owned(), item.line());
        Some(match name {
            "jump" => By::Jump,
            "credential" => By::Credential,
            label => By::Label(label.to_owned()),
        })
    });
    let number = |key: &str, most: u64| {
        section.get(key).and_then(|item| item.number(1..=most)).and_then(|number| u32::try_from(number).ok())
    };
    let max = number("max", WORKERS_MAX as u64).and_then(|max| usize::try_from(max).ok());
    let logins_per_second = number("logins_per_second", 10_000).map(f64::from);
    if section.get("max").is_none() && section.get("logins_per_second").is_none() {
        section.refuse("limits nothing", "max = 16, logins_per_second = 5, or both");
    }
    Some(Limit { by: by?, max, logins_per_second })
}
