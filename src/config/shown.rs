//! The configuration as others may see it. Secrets never stand in it, only where they are; but an address may have one in
//! its path or query, and a comment may hold anything.

use toml::{Table, Value};

/// What stands in the place of what is not shown.
const HIDDEN: &str = "<secret>";

/// The text of a configuration that was taken, without its comments, and with no more of any address than scheme, host and
/// port.
pub(super) fn shown(text: &str) -> String {
    let Ok(mut table) = text.parse::<Table>() else { return String::new() };
    table.iter_mut().for_each(|(key, value)| hide(key, value));
    toml::to_string_pretty(&table).unwrap_or_default()
}

fn hide(key: &str, value: &mut Value) {
    match value {
        // A program's arguments may be anything, a token among them.
        Value::Array(values) if key == "argv" => {
            values.iter_mut().take(1).for_each(|program| hide("", program));
            values.iter_mut().skip(1).for_each(|value| *value = HIDDEN.into());
        }
        Value::String(text) => {
            if let Some(shorter) = address(text) {
                *text = shorter;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| hide(key, value)),
        Value::Table(table) => table.iter_mut().for_each(|(key, value)| hide(key, value)),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

/// An address without user, path and query; nothing when it is no address or has none of them.
fn address(text: &str) -> Option<String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        // `smtp:user:password@host` and the like, with as many slashes as somebody likes; `user@host` has no colon before it.
        let (before, _) = text.rsplit_once('@')?;
        let (scheme, _) = before.split_once(':')?;
        return Some(format!("{scheme}:{HIDDEN}"));
    };
    let (authority, path) = rest.find(['/', '\\', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
    if path.contains('@') {
        // A password may have such a character in it, and then the host is not where it seems to be.
        return Some(format!("{scheme}://{HIDDEN}"));
    }
    let host = authority.rsplit_once('@').map(|(_, host)| host);
    if host.is_none() && path.trim_matches('/').is_empty() {
        return None;
    }
    let user = if host.is_some() { format!("{HIDDEN}@") } else { String::new() };
    let path = if path.trim_matches('/').is_empty() { path.to_owned() } else { format!("/{HIDDEN}") };
    Some(format!("{scheme}://{user}{}{path}", host.unwrap_or(authority)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_of_an_address_than_where_it_is() {
        let text = "# planted\n[web]\nexternal_url = 'https://v.example.net'\n[[sink]]\n\
                    url = 'https://hooks.example.net:8443/services/planted?x=planted'\nargv = ['curl', '-H', 'planted']\n\
                    [[inventory]]\nurl = 'odd+scheme://a:planted@b'\n\
                    other = ['smtp:a:planted@b', 'http:/a:planted@b', 'ftp://a:plan/ted:planted@b', 'a@b:22']\n\
                    [credentials.a]\npassword = { file = 'p' }\n";
        let shown = shown(text);
        assert!(!shown.contains("planted") && !shown.contains("plan/"), "{shown}");
        for kept in [
            "\"https://v.example.net\"",
            "https://hooks.example.net:8443/<secret>",
            "odd+scheme://<secret>@b",
            "\"curl\"",
            "\"smtp:<secret>\"",
            "\"ftp://<secret>\"",
            "\"a@b:22\"",
            "file = \"p\"",
        ] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
        assert!(shown.parse::<Table>().is_ok());
    }
}
