//! Windows on their way to the store.
