//! scim-sync: the program. Everything is in the library; this only hands over.

// Entries are made on one thread and dropped on another, hundreds of thousands in a read: glibc's allocator spends a
// quarter of the time of a quiet cycle on that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    scim_sync::cli::main()
}
