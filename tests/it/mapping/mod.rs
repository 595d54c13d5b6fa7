//! The mapping language from outside: its reference, and what the binary makes of it.

mod changed;
mod manager;
mod reference;
mod rows;
mod time;
mod unknown;
