//! Columns for people: no frames, so that they can be copied, and cut by programs that must. It makes every cell
//! safe to print.

use super::Output;
use super::text::safe;
use crate::error::Error;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table};

/// A table that is being filled.
pub(crate) struct Rows {
    table: Table,
    right: Vec<usize>,
}

impl Rows {
    /// A table with these headings; none: without a line of headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        if !headings.is_empty() {
            table.set_header(headings.iter().map(|text| Cell::new(text).add_attribute(Attribute::Bold)));
        }
        Self { table, right: Vec::new() }
    }

    /// Sets these columns, counted from 0, flush right.
    #[must_use]
    pub(crate) fn right(mut self, columns: &[usize]) -> Self {
        self.right.extend_from_slice(columns);
        self
    }

    /// Adds a line.
    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells: Vec<Cell> = cells.into_iter().map(|cell| cell_of(cell.as_ref())).collect();
        self.table.add_row(cells);
    }

    /// Prints it, as wide as the terminal is, or as the content where there is none.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub(crate) fn print(mut self, output: &Output) -> Result<(), Error> {
        if self.table.is_empty() {
            return Ok(());
        }
        if let Some(width) = self.table.width() {
            self.table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        if output.color {
            self.table.enforce_styling();
        } else {
            self.table.force_no_tty();
        }
        for (index, column) in self.table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if self.right.contains(&index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        output.lines(self.table.lines().map(|line| line.trim_end().to_owned()))
    }
}

/// A cell, in the colour of the contract's word that it holds.
fn cell_of(text: &str) -> Cell {
    let cell = Cell::new(safe(text));
    match text {
        "synchronizing" | "partnership-exists" | "synchronized" | "copy" => cell.fg(Color::Green),
        "partnership-another" | "no-fit" | "replace" | "estimating" | "new-device" => cell.fg(Color::Yellow),
        "delete"
        | "source-missing"
        | "source-unreadable"
        | "unsupported-format"
        | "name-rejected"
        | "device-write-failed"
        | "device-full"
        | "device-removed"
        | "device-busy"
        | "timed-out"
        | "verify-failed" => cell.fg(Color::Red),
        "absent" | "unknown" | "never" => cell.add_attribute(Attribute::Dim),
        _ => cell,
    }
}

/// Prints names with their values below each other, without those whose value is empty.
///
/// # Errors
/// [`Error::Output`].
pub(crate) fn facts(output: &Output, facts: &[(&str, String)]) -> Result<(), Error> {
    let mut rows = Rows::new(&[]);
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        rows.row([format!("{name}:"), value.clone()]);
    }
    rows.print(output)
}
