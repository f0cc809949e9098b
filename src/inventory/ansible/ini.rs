//! The INI form.

use super::{ALL, Tree, Vars, Wrong};

/// The group of hosts that stand before any section.
const UNGROUPED: &str = "ungrouped";

/// What the lines of a section are.
#[derive(Clone, Copy)]
enum Kind {
    Hosts,
    Children,
    Vars,
}

/// Reads an inventory.
pub(in super::super) fn read(text: &str) -> Result<Tree, Wrong> {
    let mut tree = Tree::default();
    tree.group(ALL);
    let mut section = (UNGROUPED.to_owned(), Kind::Hosts);
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (Some(index + 1), line.trim());
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[').filter(|header| !is_host(header)) {
            section = self::section(header).map_err(|problem| (number, problem))?;
            tree.group(&section.0);
            continue;
        }
        let (group, kind) = &section;
        match kind {
            Kind::Hosts => {
                let mut words = words(line).map_err(|problem| (number, problem))?.into_iter();
                let pattern = words.next().unwrap_or_default();
                let vars: Vars = words
                    .map(|word| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
                    .collect::<Option<_>>()
                    .ok_or_else(|| (number, format!("host {pattern:?} has a word that is no name=value")))?;
                tree.hosts(&pattern, number, group, &vars)?;
            }
            Kind::Children => {
                let child = words(line).map_err(|problem| (number, problem))?.into_iter().next();
                tree.child(group, &child.unwrap_or_default());
            }
            Kind::Vars => {
                let (name, value) =
                    line.split_once('=').ok_or_else(|| (number, "a variable without =".to_owned()))?;
                let value = unquoted(value.trim());
                tree.group(group).vars.insert(name.trim().to_owned(), value.to_owned());
            }
        }
    }
    Ok(tree)
}

/// A line such as `[1:3]x` is one of hosts, a header ends in its bracket.
fn is_host(header: &str) -> bool {
    header.split_once(']').is_some_and(|(inside, behind)| {
        let behind = behind.split('#').next().unwrap_or_default().trim();
        !behind.is_empty() && inside.contains(':') || inside.parse::<std::net::Ipv6Addr>().is_ok()
    })
}

fn section(header: &str) -> Result<(String, Kind), String> {
    let (inside, _) = header.split_once(']').ok_or("a section without its ]")?;
    match inside.split_once(':') {
        None => Ok((inside.trim().to_owned(), Kind::Hosts)),
        Some((group, "children")) => Ok((group.to_owned(), Kind::Children)),
        Some((group, "vars")) => Ok((group.to_owned(), Kind::Vars)),
        Some(_) => Err(format!("[{inside}] is neither hosts nor children nor vars")),
    }
}

/// The words of a line, as a shell would split them: quotes hold blanks together, `#` begins a comment.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote without its end".to_owned());
    }
    words.extend(word);
    Ok(words)
}

fn unquoted(value: &str) -> &str {
    let inside = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}
