//! The configuration: a TOML file or flags, one type.
