//! What is wrong with a configuration: every problem found, not the first one.

use std::collections::HashMap;
use std::fmt;

/// The most problems that are told in full; a wrong default can touch every device of a large inventory.
const TOLD_MAX: usize = 100;

/// One thing that is wrong in one place. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problem {
    /// The file, as the user named it.
    pub file: String,
    /// The line, counted from one; absent when the file as a whole is meant.
    pub line: Option<usize>,
    /// The column, counted from one in characters; only for syntax errors, where no key can be named.
    pub column: Option<usize>,
    /// The key, with the tables that lead to it; empty when there is none.
    pub key: String,
    /// The value as it was written; absent for secrets, tables and arrays.
    pub value: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What is allowed, or what to do next.
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        if let Some(value) = &self.value {
            write!(f, "{value} ")?;
        }
        f.write_str(&self.problem)?;
        if !self.allowed.is_empty() {
            write!(f, ": {}", self.allowed)?;
        }
        Ok(())
    }
}

/// All problems of one load, in the order of the files and their lines. Its Display is one problem a line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// Adds others.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
        self.sort();
    }

    /// Puts the problems of one file together, by line; the files in the order in which they turned up.
    pub(super) fn sort(&mut self) {
        let mut ranks: HashMap<String, usize> = HashMap::new();
        for problem in &self.0 {
            let next = ranks.len();
            ranks.entry(problem.file.clone()).or_insert(next);
        }
        self.0.sort_by_key(|problem| (ranks.get(&problem.file).copied(), problem.line, problem.column));
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().take(TOLD_MAX).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        if self.0.len() > TOLD_MAX {
            write!(f, "\nand {} more", self.0.len() - TOLD_MAX)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
