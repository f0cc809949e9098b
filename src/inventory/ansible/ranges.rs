//! `core[01:50].ams`, `edge-[a:f]`, `x[1:9:2]`: names of many hosts in one, also several ranges in a row.

/// All names that a pattern stands for.
pub(super) fn expand(pattern: &str, max: usize) -> Result<Vec<String>, String> {
    let bad = || format!("{pattern:?} is no range of hosts");
    if let Some(address) = ipv6(pattern) {
        return Ok(vec![address.to_owned()]);
    }
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, behind)) = rest.split_once('[') {
        let (range, after) = behind.split_once(']').ok_or_else(bad)?;
        let values = values(range, max).ok_or_else(bad)?;
        let count = names.len().saturating_mul(values.count());
        if count > max {
            return Err(format!("{pattern:?} names more than {max} hosts"));
        }
        let values = values.all();
        names = names
            .iter()
            .flat_map(|name| values.iter().map(move |value| format!("{name}{before}{value}")))
            .collect();
        rest = after;
    }
    for name in &mut names {
        name.push_str(rest);
    }
    Ok(names)
}

/// The address of `[2001:db8::1]`, which names one host.
pub(super) fn ipv6(pattern: &str) -> Option<&str> {
    let inside = pattern.strip_prefix('[')?.strip_suffix(']')?;
    inside.parse::<std::net::Ipv6Addr>().ok().map(|_| inside)
}

enum Values {
    Numbers { from: usize, to: usize, step: usize, width: usize },
    Letters { from: u8, to: u8, step: usize },
}

fn values(range: &str, max: usize) -> Option<Values> {
    let mut parts = range.split(':');
    let (from, to, step) = (parts.next()?, parts.next()?, parts.next());
    let step = step.map_or(Some(1), |step| step.parse().ok().filter(|step| (1..=max).contains(step)))?;
    if parts.next().is_some() {
        return None;
    }
    if let (Ok(first), Ok(last)) = (from.parse::<usize>(), to.parse::<usize>()) {
        // Leading zeros are kept: `01` to `10` is two digits wide.
        let width = if from.len() > 1 && from.starts_with('0') { from.len() } else { 0 };
        return (first <= last).then_some(Values::Numbers { from: first, to: last, step, width });
    }
    match (from.as_bytes(), to.as_bytes()) {
        ([first], [last]) if first.is_ascii_alphabetic() && last.is_ascii_alphabetic() && first <= last => {
            Some(Values::Letters { from: *first, to: *last, step })
        }
        _ => None,
    }
}

impl Values {
    fn count(&self) -> usize {
        match self {
            Self::Numbers { from, to, step, .. } => (to - from) / step + 1,
            Self::Letters { from, to, step } => usize::from(to - from) / step + 1,
        }
    }

    fn all(&self) -> Vec<String> {
        match self {
            Self::Numbers { from, to, step, width } => {
                (*from..=*to).step_by(*step).map(|number| format!("{number:0width$}")).collect()
            }
            Self::Letters { from, to, step } => {
                (*from..=*to).step_by(*step).map(|letter| char::from(letter).to_string()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn ranges_are_expanded() {
        assert_eq!(expand("a", 9).unwrap(), ["a"]);
        assert_eq!(expand("a[08:11]b", 9).unwrap(), ["a08b", "a09b", "a10b", "a11b"]);
        assert_eq!(expand("[1:5:2]", 9).unwrap(), ["1", "3", "5"]);
        assert_eq!(expand("[2001:db8::1]", 9).unwrap(), ["2001:db8::1"]);
        assert_eq!(expand("r[a:b]-[1:2]", 9).unwrap(), ["ra-1", "ra-2", "rb-1", "rb-2"]);
        for bad in ["a[1", "a[1:]", "a[2:1]", "a[1:2:0]", "a[a:10]", "a[1:2:3:4]"] {
            assert!(expand(bad, 9).is_err(), "{bad}");
        }
        assert!(expand("[0:99][0:99][0:99][0:99][0:99]", 1_000_000).is_err());
    }
}
