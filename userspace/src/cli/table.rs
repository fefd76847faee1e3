//! Text in aligned columns.

use super::output::plain;

/// Between columns.
const GAP: &str = "  ";

/// Title of a column, and where its text stands.
#[derive(Debug, Clone)]
pub struct Column {
    title: String,
    is_number: bool,
}

/// A column of words.
pub fn left(title: &str) -> Column {
    Column { title: title.to_owned(), is_number: false }
}

/// A column of numbers.
pub fn right(title: &str) -> Column {
    Column { title: title.to_owned(), is_number: true }
}

/// Rows of as many cells as there are columns.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty, and cells beyond the columns are not shown.
    pub fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.iter().map(|cell| plain(cell)).collect());
    }

    /// The table with its header, as many columns as fit into `width`. At least the first is shown.
    pub fn render(&self, width: usize) -> String {
        let widths: Vec<usize> = (0..self.columns.len()).map(|column| self.width_of(column)).collect();
        let mut used = 0;
        let fits = |column: &&usize| {
            used += **column + if used == 0 { 0 } else { GAP.len() };
            used <= width
        };
        let shown = widths.iter().take_while(fits).count().max(1).min(widths.len());
        let titles: Vec<String> = self.columns.iter().map(|column| column.title.clone()).collect();
        let mut text = String::new();
        for cells in std::iter::once(&titles).chain(&self.rows) {
            text.push_str(self.line(cells, &widths[..shown]).trim_end());
            text.push('\n');
        }
        text
    }

    fn width_of(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let title = self.columns.get(column).map(|column| &column.title);
        cells.chain(title).map(|text| text.chars().count()).max().unwrap_or(0)
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, column), width) in cells.iter().zip(&self.columns).zip(widths) {
            let gap = if line.is_empty() { "" } else { GAP };
            line.push_str(gap);
            line.push_str(&match column.is_number {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(vec![left("NAME"), right("N"), left("X")]);
        table.row(&["a", "10", "tail"].map(str::to_owned));
        table.row(&["größe", "7"].map(str::to_owned));
        table
    }

    #[test]
    fn columns_align_by_characters() {
        assert_eq!(table().render(80), "NAME    N  X\na      10  tail\ngröße   7\n");
    }

    #[test]
    fn columns_that_do_not_fit_are_left_out() {
        assert_eq!(table().render(12), "NAME    N\na      10\ngröße   7\n");
        assert_eq!(table().render(1), "NAME\na\ngröße\n");
    }
}
