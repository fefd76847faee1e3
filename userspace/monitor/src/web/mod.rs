//! HTTP: metrics, health, pprof, the live page.
