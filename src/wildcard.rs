//! Names with `*` and `?` in them, as OpenSSH's files have them.

/// Whether `name` fits `pattern`: `*` stands for any run of bytes, `?` for one. Goes back to the last star only, so it takes
/// no space and at most quadratic time.
#[must_use]
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || Some(c) == name.get(n) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    n = from + 1;
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

/// Whether `name` fits one of a list of patterns and none of those that begin with `!`. Case doesn't count.
pub fn chosen<'a>(patterns: impl IntoIterator<Item = &'a str>, name: &str) -> bool {
    let name = name.to_lowercase();
    let mut any = false;
    for pattern in patterns {
        let bare = pattern.strip_prefix('!');
        if matches(bare.unwrap_or(pattern).to_lowercase().as_bytes(), name.as_bytes()) {
            if bare.is_some() {
                return false;
            }
            any = true;
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("*.lab", "r1.lab", true),
            ("r?.lab", "r1.lab", true),
            ("r?.lab", "r11.lab", false),
            ("*a*b", "xxaxxbxb", true),
            ("*", "", true),
            ("10.0.*", "10.1.0.1", false),
            ("[10.0.*]:2222", "[10.0.0.1]:2222", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn one_negated_pattern_outweighs_all_others() {
        assert!(chosen(["R1.*", "!r2.lab"], "r1.LAB"));
        assert!(!chosen(["*", "!r2.lab"], "r2.lab"));
        assert!(!chosen(["!r2.lab"], "r1.lab"));
    }
}
