//! How much the program costs beside the least that the same work can cost: `ldapsearch` for a read that finds no changes,
//! a bare loop of the same HTTP client for an initial push and for a migration of user IDs. Both sides run in turns, so that what else the machine does
//! falls on both, against real servers that this starts.
//!
//! ```text
//! cargo bench --bench ratios                       everything (a quarter of an hour)
//! cargo bench --bench ratios -- --quick            a tenth of the size, fewer turns
//! cargo bench --bench ratios -- read               only the parts that are named: read, push, rename
//! ```
//!
//! It judges nothing: exit code 0. docs/benchmarks.md says what was measured, and how to read it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod bare;
mod push;
mod read;
mod rename;
mod turns;

#[path = "../../tests/it/support/mod.rs"]
mod support;

const PARTS: [&str; 3] = ["read", "push", "rename"];

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Size {
    pub people: usize,
    pub groups: usize,
    pub memberships: usize,
    /// Turns of the quiet read.
    pub reads: usize,
    /// People pushed to the sandbox, and to each of the other servers.
    pub pushed: (usize, usize),
    /// Turns of the push at the sandbox, and at each of the other servers.
    pub pushes: (usize, usize),
    /// Accounts that get their user IDs, and turns of that.
    pub renamed: (usize, usize),
}

const FULL: Size = Size {
    people: 100_000,
    groups: 5_000,
    memberships: 600_000,
    reads: 5,
    pushed: (20_000, 1_000),
    pushes: (5, 3),
    renamed: (10_000, 5),
};
const QUICK: Size = Size {
    people: 10_000,
    groups: 500,
    memberships: 60_000,
    reads: 3,
    pushed: (5_000, 300),
    pushes: (3, 1),
    renamed: (2_000, 3),
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs benchmarks too, without `--bench`.
    if !arguments.iter().any(|a| a == "--bench") {
        println!("measures with: cargo bench --bench ratios");
        return;
    }
    let size = if arguments.iter().any(|a| a == "--quick") { QUICK } else { FULL };
    let parts: Vec<&str> = arguments.iter().map(String::as_str).filter(|a| !a.starts_with('-')).collect();
    if let Some(unknown) = parts.iter().find(|p| !PARTS.contains(p)) {
        println!("there is no part {unknown}; there are {}", PARTS.join(", "));
        return;
    }
    scim_sync::http::tls::install_provider();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("scim-sync {}, {cores} cores, load {}", env!("CARGO_PKG_VERSION"), support::measure::load());
    let wanted = |part: &str| parts.is_empty() || parts.contains(&part);
    if wanted("read") {
        read::run(&size);
    }
    if wanted("push") {
        push::run(&size);
    }
    if wanted("rename") {
        rename::run(&size);
    }
}
