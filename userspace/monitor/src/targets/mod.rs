//! Which processes belong to which target.
