//! The mapping language from outside: its reference, and what the binary makes of it.

mod changed;
mod manager;
mod matched;
mod reference;
mod rows;
mod several;
mod time;
mod unknown;
