//! What tests share: real servers as child processes.
