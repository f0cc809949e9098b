//! The YAML form.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::entry::text_of;
use super::super::tree_file::{scalar, yaml};
use super::{ALL, Tree, Vars, Wrong};

/// A group as it stands there.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    hosts: Option<BTreeMap<String, Option<BTreeMap<String, Value>>>>,
    #[serde(default)]
    children: Option<BTreeMap<String, Option<Written>>>,
    #[serde(default)]
    vars: Option<BTreeMap<String, Value>>,
}

/// Groups in groups deeper than this are no inventory; Ansible's own have a handful.
const DEPTH_MAX: usize = 100;

/// Reads an inventory.
pub(in super::super) fn read(text: &str) -> Result<Tree, Wrong> {
    let groups: Option<BTreeMap<String, Option<Written>>> = yaml(text)?;
    let mut tree = Tree::default();
    tree.group(ALL);
    for (name, group) in groups.unwrap_or_default() {
        take(&mut tree, &name, group.unwrap_or_default(), 0)?;
    }
    Ok(tree)
}

fn take(tree: &mut Tree, name: &str, group: Written, depth: usize) -> Result<(), Wrong> {
    if depth > DEPTH_MAX {
        return Err((None, format!("group {name} lies deeper than {DEPTH_MAX} groups")));
    }
    tree.group(name).vars.extend(texts(group.vars.unwrap_or_default()));
    for (pattern, vars) in group.hosts.unwrap_or_default() {
        tree.hosts(&pattern, None, name, &texts(vars.unwrap_or_default()))?;
    }
    for (child, group) in group.children.unwrap_or_default() {
        // Everything is below `all` anyway.
        if name != ALL {
            tree.child(name, &child);
        }
        take(tree, &child, group.unwrap_or_default(), depth + 1)?;
    }
    Ok(())
}

/// Variables that are one text; lists and tables are nothing that a device here has.
pub(super) fn texts(vars: BTreeMap<String, Value>) -> Vars {
    vars.into_iter().filter_map(|(name, value)| Some((name, text_of(&scalar(value))?.into_owned()))).collect()
}
