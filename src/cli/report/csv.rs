//! One section of a report as CSV.

use std::io::Write;

use super::Sheet;
use crate::cli::past::harmless;

pub(super) fn print(sheets: &[Sheet], out: &mut impl Write) -> anyhow::Result<()> {
    for sheet in sheets {
        let mut writer = ::csv::Writer::from_writer(&mut *out);
        writer.write_record(sheet.names.iter().map(|name| name.replace(' ', "_")))?;
        for row in &sheet.rows {
            writer.write_record(row.iter().cloned().map(harmless))?;
        }
        writer.flush()?;
    }
    Ok(())
}
