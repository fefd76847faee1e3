//! What is measured in a window, and what it may cost.
