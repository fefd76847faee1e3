//! Detailed profiles for alerts and requests.
