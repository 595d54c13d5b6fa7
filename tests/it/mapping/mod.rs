//! The mapping language from outside: its reference, and what the binary makes of it.

mod manager;
mod reference;
mod rows;
