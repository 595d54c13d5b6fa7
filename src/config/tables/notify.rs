//! `[notify]`.

use super::{NET, TEXTS, WEB};
use crate::config::spec::{Key, Kind, Table};

pub(super) const NOTIFY: Table = Table {
    title: "[notify]",
    keys: &[&[
        Key::optional("smtp", Kind::Table(&SMTP), "Mail."),
        Key::optional("webhook", Kind::Table(&WEBHOOK), "A POST of JSON."),
    ]],
};

const SMTP: Table = Table {
    title: "smtp = { … }",
    keys: &[&[
        Key::required(
            "url",
            Kind::Url(&["smtps", "smtp"]),
            "Mail server: smtps://host (TLS from the start, port 465) or smtp://host (STARTTLS, port 587; without it 25).",
        ),
        Key::with_default(
            "starttls",
            Kind::Bool,
            "true",
            "Whether smtp:// is upgraded by STARTTLS; false only to loopback, or with allow_plaintext.",
        ),
        Key::required("from", Kind::Text, "Sender address, \"scim-sync@corp.example\" or \"scim-sync <..@..>\"."),
        Key::required("to", TEXTS, "Recipients, but for syncs with a `notify` of their own."),
        Key::optional("user", Kind::Text, "User name at the mail server."),
        Key::optional("password", Kind::Secret, "Password at the mail server."),
        Key::optional("ca_file", Kind::Input, "PEM file with the CAs to trust instead of the system's."),
        Key::with_default("timeout", Kind::Duration, "\"30s\"", "Longest time in which the mail server takes one mail."),
        Key::with_default("allow_plaintext", Kind::Bool, "false", "Whether mail may leave this machine unencrypted."),
    ]],
};

const WEBHOOK: Table = Table {
    title: "webhook = { … }",
    keys: &[
        &[
            Key::required("url", Kind::Url(WEB), "Address; whoever knows it may post there, so it is not shown."),
            Key::optional("secret", Kind::Secret, "Key of the signature: HMAC-SHA256 over the body."),
        ],
        NET,
    ],
};
