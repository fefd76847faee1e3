//! A part of the screen that is written on. All text passes here, and what a terminal would obey stays out.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::text::{clean, cut, width};
use super::theme::Theme;

/// Where a text stands in its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// At their beginning.
    Left,
    /// At their end.
    Right,
}

/// A rectangle of the screen. Positions are from its upper left corner; what lies outside is not drawn.
pub struct Paper<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    /// What the terminal can show.
    pub theme: Theme,
}

impl<'a> Paper<'a> {
    /// All of `area` that the buffer has.
    pub fn new(buffer: &'a mut Buffer, area: Rect, theme: Theme) -> Self {
        let area = area.intersection(buffer.area);
        Self { buffer, area, theme }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        usize::from(self.area.width)
    }

    /// Rows.
    pub fn height(&self) -> usize {
        usize::from(self.area.height)
    }

    /// Rows `from` to before `to`.
    pub fn rows(&mut self, from: usize, to: usize) -> Paper<'_> {
        let (from, to) = (from.min(self.height()), to.min(self.height()));
        self.part(0, from, self.width(), to.saturating_sub(from))
    }

    /// A rectangle within.
    pub fn part(&mut self, x: usize, y: usize, columns: usize, rows: usize) -> Paper<'_> {
        let small = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        let area = Rect {
            x: self.area.x.saturating_add(small(x)),
            y: self.area.y.saturating_add(small(y)),
            width: small(columns),
            height: small(rows),
        };
        Paper { area: area.intersection(self.area), buffer: self.buffer, theme: self.theme }
    }

    /// Writes a text, cut to `columns`, and returns where it ended.
    pub fn put(&mut self, x: usize, y: usize, columns: usize, text: &str, style: Style) -> usize {
        self.put_at(Side::Left, x, y, columns, text, style)
    }

    /// Writes a text at a side of `columns`, and returns where it ended.
    pub fn put_at(
        &mut self,
        side: Side,
        x: usize,
        y: usize,
        columns: usize,
        text: &str,
        style: Style,
    ) -> usize {
        let columns = columns.min(self.width().saturating_sub(x));
        if columns == 0 || y >= self.height() {
            return x;
        }
        let mut text = clean(text);
        if !self.theme.unicode() {
            text = text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
        }
        let text = cut(&text, columns, self.theme.more());
        let x = if side == Side::Right { x + columns.saturating_sub(width(&text)) } else { x };
        let (column, row) = self.place(x, y);
        let (end, _) = self.buffer.set_stringn(column, row, &text, columns, style);
        usize::from(end.saturating_sub(self.area.x))
    }

    /// Gives a row another style.
    pub fn paint(&mut self, y: usize, style: Style) {
        if y < self.height() {
            let (x, row) = self.place(0, y);
            self.buffer.set_style(Rect { x, y: row, width: self.area.width, height: 1 }, style);
        }
    }

    /// Takes away what was there.
    pub fn clear(&mut self) {
        for row in self.area.rows() {
            for at in row.columns() {
                if let Some(cell) = self.buffer.cell_mut(at.as_position()) {
                    cell.reset();
                }
            }
        }
    }

    /// Draws a line around, with a title, and returns what is inside.
    pub fn framed(&mut self, title: &str) -> Paper<'_> {
        let (width, height) = (self.width(), self.height());
        let [upper_left, upper_right, lower_right, lower_left, across, down] = self.theme.frame();
        let line = |from: char, to: char| {
            std::iter::once(from)
                .chain(std::iter::repeat_n(across, width.saturating_sub(2)))
                .chain([to])
                .collect::<String>()
        };
        let style = Style::new();
        self.raw(0, 0, &line(upper_left, upper_right), style);
        for y in 1..height.saturating_sub(1) {
            self.raw(0, y, &down.to_string(), style);
            self.raw(width.saturating_sub(1), y, &down.to_string(), style);
        }
        self.raw(0, height.saturating_sub(1), &line(lower_left, lower_right), style);
        let strong = self.theme.strong();
        self.put(2, 0, width.saturating_sub(4), &format!(" {title} "), strong);
        self.part(2, 1, width.saturating_sub(4), height.saturating_sub(2))
    }

    /// Writes characters of the theme.
    pub fn raw(&mut self, x: usize, y: usize, text: &str, style: Style) {
        if x < self.width() && y < self.height() {
            let (column, row) = self.place(x, y);
            self.buffer.set_stringn(column, row, text, self.width() - x, style);
        }
    }

    fn place(&self, x: usize, y: usize) -> (u16, u16) {
        let small = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        (self.area.x.saturating_add(small(x)), self.area.y.saturating_add(small(y)))
    }
}
