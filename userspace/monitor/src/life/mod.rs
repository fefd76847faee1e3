//! Service manager, capabilities.
