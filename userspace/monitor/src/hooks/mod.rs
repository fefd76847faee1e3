//! Whom an alert is told.
