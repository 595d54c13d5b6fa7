//! scim-sync: the program. Everything is in the library; this only hands over.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    scim_sync::cli::main()
}
