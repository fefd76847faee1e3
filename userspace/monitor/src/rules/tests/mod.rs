//! The rules, against windows of known content.

mod hysteresis;
mod kit;
mod language;
mod life;
mod naive;
mod past;
mod quiet;
