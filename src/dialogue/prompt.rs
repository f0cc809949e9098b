//! What a prompt looks like, and whether two of them are of one device.

/// Longer ones have not been seen; a line of text has.
const PROMPT_MAX: usize = 160;

/// What prompts end in: privileged, plain, and the shells of Unix; `]` is a view of Comware.
const ENDS: [char; 5] = ['#', '>', '$', '%', ']'];

/// Whether a line that stands at the end of what came could be a prompt. Lines of a banner can look like one, too: what
/// is sent after it then stays in the device's input until the real one comes.
pub(super) fn looks_like(line: &str) -> bool {
    let line = line.trim();
    let Some(end) = line.chars().next_back() else { return false };
    if line.len() > PROMPT_MAX || !ENDS.contains(&end) || line.contains('?') {
        return false;
    }
    let before = line.trim_end_matches(end);
    if before.is_empty() {
        // A bare prompt is one or two characters; a row of them is an ornament.
        return line.len() <= 2;
    }
    let lower = line.to_ascii_lowercase();
    let answers = ["[y/", "[n/", "(y/", "[yes", "(yes", "y|n", "[ok]", "[done]"];
    let ornament = !before.chars().any(char::is_alphanumeric) && !before.ends_with(['-', '~', '/']);
    let rate = end == '%' && before.ends_with(|c: char| c.is_ascii_digit());
    // `### Welcome ###` is a banner's line, and so is one that begins with an ornament.
    let framed = before.starts_with("##") || before.starts_with("**") || before.starts_with("--");
    !(ornament || rate || framed || answers.iter().any(|answer| lower.contains(answer)))
}

/// Whether two prompts are of one device, in whatever mode: `r1>` and `r1#`, `fw # ` and `fw (global) # `, `*A:pe#`.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.trim() == other.trim() || looks_like(one) && looks_like(other) && stem(one) == stem(other)
}

/// The part of a prompt that doesn't change from mode to mode.
fn stem(prompt: &str) -> String {
    let bare = prompt.trim().trim_end_matches(|c: char| ENDS.contains(&c) || c.is_whitespace());
    let bare = bare.trim_start_matches(['*', '!', '^', '~', '[', '<', ' ']);
    // A name in brackets is a name: `(host) [node] #`.
    let from = usize::from(bare.starts_with('('));
    let name = bare.get(from..).and_then(|rest| rest.split(['(', ' ']).next()).unwrap_or(bare);
    // EXOS counts the commands: `sw.12 #`.
    let digits_cut = name.trim_end_matches(|c: char| c.is_ascii_digit());
    digits_cut.strip_suffix('.').unwrap_or(name).to_owned()
}

/// What stands before the echo of `sent` on its line, where the line is one: a prompt, or nothing.
pub(super) fn before_echo<'a>(line: &'a str, sent: &str) -> Option<&'a str> {
    line.trim_end().strip_suffix(sent.trim()).filter(|_| !sent.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_of_many_vendors_look_like_prompts() {
        for prompt in [
            "r1#",
            "r1>",
            "r1(config)#",
            "RP/0/RP0/CPU0:pe1#",
            "user@mx> ",
            "root@host:~# ",
            "<sw5130>",
            "[~sw5130]",
            "(WLC 1) >",
            "(host) *[mynode] #",
            "A:pe#",
            "*A:pe#",
            "fw # ",
            "fw (global) $ ",
            "> ",
            "->",
            "host->",
            "[admin@MikroTik] > ",
            "h [standalone: master] > ",
            "root@mx%",
            "WG<managed><master>>",
            "user@host~$",
            "RT_01|192.0.2.4-Site_OLT(config)# ",
            "* sw.12 # ",
        ] {
            assert!(looks_like(prompt), "{prompt}");
        }
    }

    #[test]
    fn what_is_none_does_not_look_like_one() {
        for other in [
            "",
            "Password:",
            "### EXAMPLE ###",
            "#####",
            "****",
            " --More-- ",
            "Continue? [Y/n]",
            "loading 40%",
            "Change now? [Y/N]",
            "  [OK]",
            "Current configuration:",
            "########## #",
            "Do you wish to continue [Y|N]-->",
        ] {
            assert!(!looks_like(other), "{other}");
        }
    }

    #[test]
    fn modes_of_one_device_are_the_same() {
        for (one, other) in [
            ("r1>", "r1#"),
            ("r1#", "r1(config)#"),
            ("fw # ", "fw (global) # "),
            ("A:pe#", "*A:pe#"),
            ("sw.1 #", "* sw.12 #"),
        ] {
            assert!(same(one, other), "{one} {other}");
        }
        assert!(!same("r1#", "r2#"));
        assert!(!same("r1#", "r1"));
        assert!(same("odd prompt:", "odd prompt:"));
    }
}
