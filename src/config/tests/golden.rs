//! Everything that can be wrong, in one file: all told at once, each with its place and what to do.

use super::read;

const WRONG: &str = r#"version = 2
colour = "green"
[state]
path = 7
[http]
listen = "9464"
[source.corp]
type = "ldap"
url = ["ldaps://dc1.corp.example", "dc2.corp.example"]
flavor = "active_directory"
bind_dn = "CN=scim-sync,DC=corp,DC=example"
passwrod = { credential = "corp-ldap" }
base = "DC=corp,DC=example"
user_filter = "(&(objectClass=user)(!(cn=x))"
timeout = "60 seconds"
schedule = "@daily"
[source.entra]
type = "graf"
[source.okta]
type = "okta"
url = "http://acme.okta.com"
token = "hunter2"
[target.app]
preset = "generik"
url = "app.example/scim/v2"
token = { file = "/run/token", mode = "0600" }
concurrency = 0
rate = "25"
[[sync]]
name = "corp-app"
source = "crop"
target = "app"
enabled = "yes"
schedule = "*/5 * * * * *"
timezone = "Europe/Copenhagn"
full_read = "0 0 31 2 *"
[sync.scope]
disabled = "inactiv"
members_of = "App Users"
[sync.user_id]
domains = { CORP = "corp" }
[sync.map.user]
name.givenName = "[givenName]"
title = 5
"nickName" = { expr = "[nick]", when_null = "remove" }
[sync.actions]
user = ["create", "updaet"]
[sync.guard]
deactivate = "5 percent"
delete = -1
rename = "200%"
create = "10"
[[sync]]
name = "Corp-App"
target = "ap"
"#;

#[test]
fn all_mistakes_at_once() {
    let errors = read(WRONG).err().expect("a file full of mistakes");
    insta::assert_snapshot!(errors.to_string());
    assert!(!errors.to_string().contains("hunter2"));
}
