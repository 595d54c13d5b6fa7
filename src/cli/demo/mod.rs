//! `demo`: the whole job on embedded parts. A directory export, the sandbox as the application, a state store in a
//! temporary folder: a first cycle, a day of changes, a second cycle.

use super::show::{self, Bars};
use super::{CliError, Ctx};
use crate::apply::Stop;
use crate::config::{self, Config};
use crate::exit::Exit;
use crate::sandbox::{Options, Running, Sandbox};
use crate::state::Store;
use crate::sync::{Cycle, Report, Request};
use serde_json::{Value, json};
use std::path::Path;

/// The directory on Monday: an export as `slapcat` writes it.
const MONDAY: &str = include_str!("monday.ldif");

/// What happens until Tuesday, as edits of the export: what an administrator would see in the directory's own log.
const DAY: [(&str, &str, &str); 4] = [
    (
        "Maja Holm joins Engineering",
        "dn: cn=engineering,ou=Groups,dc=corp,dc=example\nobjectClass: groupOfNames\ncn: engineering\n",
        "dn: uid=maja,ou=People,dc=corp,dc=example\nobjectClass: inetOrgPerson\nuid: maja\ncn: Maja Holm\n\
         displayName: Maja Holm\ngivenName: Maja\nsn: Holm\nmail: maja@corp.example\ndepartmentNumber: Engineering\n\
         entryUUID: 5f0c8a52-6f2b-4f0e-9c31-1d6a51b0a7e4\n\n\
         dn: cn=engineering,ou=Groups,dc=corp,dc=example\nobjectClass: groupOfNames\ncn: engineering\n\
         member: uid=maja,ou=People,dc=corp,dc=example\n",
    ),
    ("Jonas leaves", "", ""),
    ("Kira Lund marries and is Kira Nygaard from now on", "", ""),
    ("Emeka moves from Operations to Sales", "member: uid=emeka,ou=People,dc=corp,dc=example\n", ""),
];

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep the application running afterwards, to look at it in a browser; Ctrl-C ends it
    #[arg(long)]
    pub stay: bool,
}

/// Runs the command.
///
/// # Errors
/// No temporary folder, or a part of the demonstration failed.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let failed = |e: &dyn std::fmt::Display| CliError::bug(format!("demo: {e}"));
    let folder = tempfile::Builder::new().prefix("scim-sync-demo-").tempdir().map_err(|e| failed(&e))?.keep();
    let application = Sandbox::start(Options::default()).map_err(|e| failed(&e))?;
    let export = folder.join("directory.ldif");
    std::fs::write(&export, MONDAY).map_err(|e| failed(&e))?;
    let config = configuration(&folder, &application)?;
    ctx.out.line("A directory export with people and groups (some nested, names in several scripts), and an application that");
    ctx.out.line("speaks SCIM 2.0. Both are embedded; nothing leaves this machine.");
    ctx.out.line("");

    ctx.out.heading("Monday: the plan, before anything is written");
    let mut cycles = vec![day(ctx, &config).await?];
    ctx.out.line("");

    ctx.out.heading("A day passes in the directory");
    for (words, _, _) in DAY {
        ctx.out.line(format!("  {words}"));
    }
    std::fs::write(&export, tuesday(MONDAY)).map_err(|e| failed(&e))?;
    ctx.out.line("");

    ctx.out.heading("Tuesday: the plan");
    cycles.push(day(ctx, &config).await?);
    ctx.out.line("");

    let exit = Exit::worst(cycles.iter().map(|r| r.exit));
    summary(ctx, &application, &folder, &cycles);
    if args.stay {
        ctx.out.line(format!("  The application stays at {} until Ctrl-C.", root(&application)));
        // Without a signal to wait for there is nothing to stay for.
        let _ = tokio::signal::ctrl_c().await;
    }
    Ok(exit)
}

/// Plan, then cycle.
async fn day(ctx: &Ctx, config: &Config) -> Result<Report, CliError> {
    let sync = config.syncs.first().ok_or_else(|| CliError::bug("demo: no sync"))?;
    let request = Request { by_hand: true, ..Request::default() };
    let planned = Cycle::new(config, sync, Bars::new(ctx), Stop::new())?.plan(&config.state.path, &request).await?;
    if !ctx.json {
        show::plan(&ctx.out, &planned, false)?;
    }
    drop(planned);
    ctx.out.line("");
    let store = Store::open(&config.state.path)?;
    let (_, report) = Cycle::new(config, sync, Bars::new(ctx), Stop::new())?.run(store, &request).await;
    ctx.out.heading("Applied");
    if !ctx.json {
        show::report(&ctx.out, &report);
    }
    match &report.error {
        Some(e) => Err(CliError::new(report.exit, e.message.clone())),
        None => Ok(report),
    }
}

fn configuration(folder: &Path, application: &Running) -> Result<Config, CliError> {
    let text = format!(
        "version = 1\n\n[state]\npath = \"state.db\"\n\n[source.directory]\ntype = \"file\"\npath = \"directory.ldif\"\n\n\
         [target.application]\nurl = \"{}\"\ntoken = {{ file = \"token\" }}\n\n\
         [[sync]]\nname = \"demo\"\nsource = \"directory\"\ntarget = \"application\"\n",
        application.base_url
    );
    let io = |e: std::io::Error| CliError::bug(format!("demo: {e}"));
    private(&folder.join("token"), &application.token).map_err(io)?;
    let path = folder.join("config.toml");
    std::fs::write(&path, &text).map_err(io)?;
    Ok(config::parse(&path, text)?.config)
}

/// A secret's file: for its owner only, from the first moment.
fn private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::File::options();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

/// The export a day later.
fn tuesday(monday: &str) -> String {
    let mut text = monday.to_owned();
    for (_, old, new) in DAY.iter().filter(|(_, old, _)| !old.is_empty()) {
        text = text.replacen(old, new, 1);
    }
    let emeka = "member: uid=frida,ou=People,dc=corp,dc=example\n";
    text = text.replacen(emeka, &format!("{emeka}member: uid=emeka,ou=People,dc=corp,dc=example\n"), 1);
    text = text.replace("member: uid=jonas,ou=People,dc=corp,dc=example\n", "");
    let records = text.split("\n\n").filter(|r| !r.starts_with("dn: uid=jonas,"));
    let records = records.map(|r| {
        if r.starts_with("dn: uid=kira,") { r.replace("Lund", "Nygaard").replace("kira@", "kira.nygaard@") } else { r.to_owned() }
    });
    records.collect::<Vec<_>>().join("\n\n")
}

fn summary(ctx: &Ctx, application: &Running, folder: &Path, cycles: &[Report]) {
    if ctx.json {
        ctx.out.json(&json!({"version": 1, "folder": folder, "cycles": cycles, "accounts": accounts(application)}));
        return;
    }
    ctx.out.heading("What the application holds now");
    let rows = accounts(application).into_iter().map(|u| {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let groups = u["groups"].as_array().map(|g| g.iter().map(|g| text(&g["display"])).collect::<Vec<_>>().join(", "));
        let active = if u["active"] == false { "inactive" } else { "active" };
        vec![text(&u["userName"]), text(&u["displayName"]), active.to_owned(), groups.unwrap_or_default()]
    });
    ctx.out.table(&["USER ID", "NAME", "STATE", "GROUPS"], rows);
    let config = folder.join("config.toml");
    ctx.out.line("");
    ctx.out.heading("Look at the result");
    ctx.out.line(format!("  scim-sync --config {} status", config.display()));
    ctx.out.line(format!("  scim-sync --config {} log --who jonas@corp.example", config.display()));
    ctx.out.line(format!("  everything is in {} (remove it when done)", folder.display()));
    ctx.out.line("  scim-sync demo --stay keeps the application running, with a page that shows what it holds");
}

/// The application's accounts, by name.
fn accounts(application: &Running) -> Vec<Value> {
    let mut users = application.users();
    users.sort_by_key(|u| u["userName"].as_str().unwrap_or_default().to_owned());
    users
}

fn root(application: &Running) -> String {
    application.base_url.trim_end_matches("/scim/v2").to_owned()
}

#[cfg(test)]
mod tests {
    use super::{DAY, MONDAY, tuesday};

    #[test]
    fn every_edit_of_the_day_finds_its_place() {
        for (words, old, _) in DAY {
            assert!(MONDAY.contains(old), "{words}");
        }
        let after = tuesday(MONDAY);
        assert!(!after.contains("uid=jonas,"), "the leaver is gone everywhere");
        assert!(after.contains("dn: uid=maja,") && after.contains("kira.nygaard@corp.example"));
        assert_eq!(after.matches("member: uid=emeka,").count(), 1);
        assert!(after.ends_with('\n'));
    }
}
