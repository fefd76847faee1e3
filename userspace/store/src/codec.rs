//! Between Rust's unsigned quantities and SQLite's signed 64-bit integers and reals.
//!
//! Quantities are clamped to `0..=i64::MAX` (292 years in ns), so that SQL sums and comparisons mean what they say.
//! Addresses and offsets use all 64 bits (vsyscall lives at the top), so their bits are kept and only the sign differs.

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Row, RowIndex};

/// A quantity as stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantity(pub u64);

impl ToSql for Quantity {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Quantity {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(|value| Self(u64::try_from(value).unwrap_or(0)))
    }
}

/// An address or an offset as stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address(pub u64);

impl ToSql for Address {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.cast_signed().into())
    }
}

impl FromSql for Address {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(|value| Self(value.cast_unsigned()))
    }
}

/// SQLite keeps NaN as NULL, and JSON has no infinity: neither may reach a NOT NULL column.
pub(crate) fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// [`finite`] for what may be absent: what is no number is absent.
pub(crate) fn finite_or_null(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

/// A quantity column.
pub(crate) fn quantity(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<u64> {
    row.get(column).map(|Quantity(value)| value)
}

/// A quantity column that may be NULL.
pub(crate) fn quantity_opt(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<u64>> {
    row.get::<_, Option<Quantity>>(column).map(|value| value.map(|Quantity(value)| value))
}

/// A JSON text column.
pub(crate) fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| conversion_failure(row, column, error))
}

fn conversion_failure(row: &Row<'_>, column: &str, error: serde_json::Error) -> rusqlite::Error {
    let index = row.as_ref().column_index(column).unwrap_or(0);
    rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, Box::new(error))
}

/// JSON text of a plain value, which has no way to fail but a map with keys that are no strings.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<T: ToSql + FromSql>(value: T) -> T {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.query_row("SELECT ?1", [value], |row| row.get(0)).unwrap()
    }

    #[test]
    fn addresses_keep_every_bit_and_quantities_clamp() {
        for address in [0, 4096, 0xffff_ffff_ff60_0000, u64::MAX] {
            assert_eq!(round_trip(Address(address)).0, address);
        }
        assert_eq!(round_trip(Quantity(u64::MAX)).0, i64::MAX as u64);
        assert_eq!(round_trip(Quantity(7)).0, 7);
    }

    #[test]
    fn what_is_no_number_never_reaches_the_file() {
        assert_eq!(finite(f64::NAN), 0.0);
        assert_eq!(finite_or_null(Some(f64::INFINITY)), None);
        assert_eq!(finite_or_null(Some(2.5)), Some(2.5));
    }
}
