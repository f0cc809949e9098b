//! Rows as commands print them: each at once as a line of JSON, or all as a table at the end.

use std::io::Write;

use comfy_table::{Row, Table};

use super::client::{self, Output};

/// Rows on their way out.
pub(super) struct Rows<'a, W> {
    out: &'a mut W,
    output: Output,
    table: Table,
}

impl<'a, W: Write> Rows<'a, W> {
    /// The headings are those of the table.
    pub(super) fn new(out: &'a mut W, output: Output, headings: &[&str]) -> Self {
        Self { out, output, table: client::table(headings) }
    }

    /// Adds one, in the form that is wanted.
    ///
    /// # Errors
    /// Those of [`client::line`].
    pub(super) fn add<T>(
        &mut self,
        row: &T,
        json: impl FnOnce(&T) -> String,
        cells: impl FnOnce(&T) -> Row,
    ) -> anyhow::Result<()> {
        match self.output {
            Output::Json => client::line(self.out, &json(row)),
            Output::Table => {
                self.table.add_row(cells(row));
                Ok(())
            }
        }
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// Those of [`client::line`].
    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self.output {
            Output::Json => Ok(()),
            Output::Table => client::line(self.out, &self.table.trim_fmt()),
        }
    }
}
