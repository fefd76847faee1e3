//! A list of which a part is seen.

use std::ops::Range;

/// Where one stands in a list, and what is seen of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// The row that is marked.
    pub cursor: usize,
    offset: usize,
    /// Rows that were seen at last.
    page: usize,
}

impl List {
    /// With that row marked.
    pub fn at(cursor: usize) -> Self {
        Self { cursor, ..Self::default() }
    }

    /// Moves by so many rows.
    pub fn go(&mut self, rows: isize, len: usize) {
        self.cursor = self.cursor.saturating_add_signed(rows).min(len.saturating_sub(1));
    }

    /// Moves by a page.
    pub fn turn(&mut self, forward: bool, len: usize) {
        let page = isize::try_from(self.page.max(1)).unwrap_or(isize::MAX);
        self.go(if forward { page } else { -page }, len);
    }

    /// The rows to draw where `height` are seen, and the marked one among them.
    pub fn seen(&mut self, height: usize, len: usize) -> Range<usize> {
        self.page = height;
        self.cursor = self.cursor.min(len.saturating_sub(1));
        let lowest = (self.cursor + 1).saturating_sub(height);
        self.offset =
            self.offset.clamp(lowest, self.cursor.max(lowest)).min(len.saturating_sub(height).max(lowest));
        self.offset.min(len)..len.min(self.offset + height)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_page_is_what_was_seen() {
        let mut list = List::default();
        assert_eq!(list.seen(10, 25), 0..10);
        list.turn(true, 25);
        assert_eq!((list.cursor, list.seen(10, 25)), (10, 1..11));
        list.go(isize::MAX, 25);
        assert_eq!((list.cursor, list.seen(10, 25)), (24, 15..25));
        list.go(-3, 25);
        assert_eq!((list.cursor, list.seen(10, 25)), (21, 15..25));
        assert_eq!(list.seen(10, 3), 0..3);
        assert_eq!(list.seen(0, 3).len(), 0);
    }

    proptest! {
        #[test]
        fn the_marked_row_is_seen(moves in prop::collection::vec((-30isize..30, 0usize..12, 0usize..40), 1..20)) {
            let mut list = List::default();
            for (by, height, len) in moves {
                list.go(by, len);
                let seen = list.seen(height, len);
                prop_assert!(seen.end <= len && seen.len() <= height);
                prop_assert!(height == 0 || len == 0 || seen.contains(&list.cursor), "{seen:?} {}", list.cursor);
                prop_assert!(len < height || seen.len() == height, "no room is left empty");
            }
        }
    }
}
