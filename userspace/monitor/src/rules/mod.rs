//! Conditions over windows.
