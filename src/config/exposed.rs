//! Secrets in files that others can read: what would use one is not done, and nothing else waits for it.

use super::{Config, GraphAuth, LdapBind, OktaAuth, Secret, SourceConfig, SyncConfig, TargetAuth, TargetConfig};

impl Config {
    /// Why a sync is not run: others can read what its source or its target is signed in to with.
    #[must_use]
    pub fn exposed(&self, sync: &SyncConfig) -> Option<String> {
        let source = self.sources.get(&sync.source).and_then(SourceConfig::secret);
        let target = self.targets.get(&sync.target).and_then(TargetConfig::secret);
        [("source", &sync.source, source), ("target", &sync.target, target)]
            .into_iter()
            .find_map(|(kind, name, secret)| Some(format!("{kind} {name}: {}", secret?.exposed()?)))
    }

    /// The same where it is so of every sync that is not paused: then nothing at all can be done.
    #[must_use]
    pub fn all_exposed(&self) -> Option<String> {
        let whys: Option<Vec<String>> = self.syncs.iter().filter(|s| s.enabled).map(|sync| self.exposed(sync)).collect();
        whys?.into_iter().next()
    }
}

impl SourceConfig {
    /// What the source is signed in to with.
    fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Ldap(c) => match &c.bind {
                LdapBind::Auto => c.password.as_ref(),
                LdapBind::Kerberos { keytab, .. } => keytab.as_ref(),
            },
            Self::Graph(c) => match &c.auth {
                GraphAuth::Secret(secret) | GraphAuth::Certificate { private_key: secret, .. } => Some(secret),
            },
            Self::Okta(c) => match &c.auth {
                OktaAuth::Token(secret) | OktaAuth::PrivateKey { private_key: secret, .. } => Some(secret),
            },
            Self::File(_) => None,
        }
    }
}

impl TargetConfig {
    /// What the target is signed in to with.
    fn secret(&self) -> Option<&Secret> {
        match self.auth.as_ref()? {
            TargetAuth::Token(secret) | TargetAuth::OAuth { client_secret: secret, .. } => Some(secret),
        }
    }
}
