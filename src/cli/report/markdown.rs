//! A report as Markdown, tables as GitHub and Pandoc read them.

use std::io::Write;

use super::{Findings, Sheet};
use crate::cli::past::second;

pub(super) fn print(findings: &Findings, sheets: &[Sheet], out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "# Fleet report, {}", second(findings.now))?;
    for sheet in sheets {
        writeln!(out, "\n## {}\n\n{}", sheet.title, escaped(&sheet.remark))?;
        if sheet.rows.is_empty() {
            writeln!(out, "\nNothing to report.")?;
            continue;
        }
        writeln!(out, "\n| {} |", sheet.names.join(" | "))?;
        writeln!(out, "|{}", "---|".repeat(sheet.names.len()))?;
        for row in &sheet.rows {
            let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
            writeln!(out, "| {} |", cells.join(" | "))?;
        }
    }
    Ok(())
}

/// A text that stays one cell and means nothing to whoever renders it.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '!' => {
                safe.push('\\');
                safe.push(c);
            }
            _ => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn no_cell_is_markup() {
        assert_eq!(
            escaped("a|b <img src=x> [x](y) `c` *d*"),
            "a\\|b &lt;img src=x> \\[x\\](y) \\`c\\` \\*d\\*"
        );
    }
}
