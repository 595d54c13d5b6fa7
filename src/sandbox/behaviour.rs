//! How the sandbox answers where servers differ: strict by default, else as a preset's application does.

use super::schema;
use super::trouble::Words;
use super::validate::Doc;
use crate::model::ObjectKind;
use crate::scim::error::{ScimError, ScimType};
use crate::target::Dialect;
use crate::target::presets::Limits;
use serde_json::Value;

/// Plain flags and limits.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools)]
pub struct Behaviour {
    /// PATCH works; otherwise it answers 501.
    pub patch: bool,
    /// Filters work; otherwise they answer 501.
    pub filter: bool,
    /// Groups exist; otherwise `/Groups` answers 404.
    pub groups: bool,
    /// A changed `userName` answers 400 `mutability`.
    pub user_name_immutable: bool,
    /// Resources in a page when no `count` is given.
    pub default_page: usize,
    /// Most resources in a page.
    pub max_page: usize,
    /// Most members that one request may add and remove; `None`: any number.
    pub members_per_patch: Option<usize>,
    /// Attributes of users that exist, as in [`Dialect::user_attributes`]; empty: all.
    pub user_attributes: Vec<String>,
    /// `remove` of `members` with an array as `value` removes those listed, as Entra ID asks for it; otherwise 400.
    pub remove_with_value: bool,
    /// `remove` of a member that is none answers 400 `noTarget` instead of success.
    pub remove_must_match: bool,
    /// `externalId` is accepted and not kept.
    pub drop_external_id: bool,
    /// A user with one of these anywhere in a string is refused with 400 `invalidValue`.
    pub refuse: Vec<String>,
    /// Name of the application, for the page; empty: none in particular.
    pub application: String,
    /// Paths without which a user is refused.
    pub required: Vec<String>,
    /// `userName` must be an email address.
    pub email_names: bool,
    /// Attributes of users that do not exist are accepted and not kept.
    pub drops_unknown: bool,
    /// Attributes of groups that exist, besides `members`; empty: all.
    pub group_attributes: Vec<String>,
    /// Groups can be created; otherwise 501.
    pub group_create: bool,
    /// Groups can be renamed; otherwise 400 `mutability`.
    pub group_update: bool,
    /// Groups can be deleted; otherwise 501.
    pub group_delete: bool,
    /// A second group of one name is refused with 409.
    pub group_names_unique: bool,
    /// DELETE of a user removes it; otherwise it becomes inactive.
    pub delete_removes: bool,
    /// `op` of a PATCH has to be in lower case.
    pub rfc_patch: bool,
    /// A PATCH may write booleans as texts.
    pub text_booleans: bool,
    /// Attributes that can be filtered by, as in [`Dialect::filters`]; empty: all.
    pub filters: Vec<String>,
    /// A group that is read shows its members.
    pub members_shown: bool,
    /// The only attributes of users that can be changed later, lower case; an externalId can be given later. Empty: all.
    pub changeable: Vec<String>,
    /// What else is refused.
    pub limits: Limits,
    /// How it refuses.
    pub words: Words,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            patch: true,
            filter: true,
            groups: true,
            user_name_immutable: false,
            default_page: 100,
            max_page: 1000,
            members_per_patch: None,
            user_attributes: Vec::new(),
            remove_with_value: false,
            remove_must_match: false,
            drop_external_id: false,
            refuse: Vec::new(),
            application: String::new(),
            required: Vec::new(),
            email_names: false,
            drops_unknown: false,
            group_attributes: Vec::new(),
            group_create: true,
            group_update: true,
            group_delete: true,
            group_names_unique: false,
            delete_removes: true,
            rfc_patch: false,
            text_booleans: false,
            filters: Vec::new(),
            members_shown: true,
            changeable: Vec::new(),
            limits: Limits::default(),
            words: Words::default(),
        }
    }
}

impl From<&Dialect> for Behaviour {
    /// An application with the limits that the dialect says it has.
    fn from(dialect: &Dialect) -> Self {
        let page = usize::try_from(dialect.page_size).unwrap_or(usize::MAX).max(1);
        Self {
            patch: dialect.patch,
            filter: dialect.filter,
            groups: dialect.groups,
            user_name_immutable: dialect.user_name_immutable,
            default_page: page,
            max_page: page,
            members_per_patch: Some(dialect.members_per_patch),
            user_attributes: dialect.user_attributes.clone(),
            filters: dialect.filters.clone(),
            members_shown: dialect.members_shown,
            ..Self::default()
        }
    }
}

impl Behaviour {
    /// The kinds of resources served.
    pub(super) fn kinds(&self) -> &'static [ObjectKind] {
        if self.groups { &[ObjectKind::User, ObjectKind::Group] } else { &[ObjectKind::User] }
    }

    /// Refuses values that are not allowed, and attributes that this application does not know.
    pub(super) fn check(&self, kind: ObjectKind, doc: &Doc) -> Result<(), ScimError> {
        self.complete(kind, doc)?;
        self.within_limits(kind, doc)?;
        if kind != ObjectKind::User {
            return Ok(());
        }
        if !self.refuse.is_empty() {
            doc.values().try_for_each(|value| super::validate::allowed(value, &self.refuse))?;
        }
        if self.user_attributes.is_empty() {
            return Ok(());
        }
        let refuse = |path: String| {
            Err(ScimError::bad_request(ScimType::InvalidSyntax, format!("this application has no attribute `{path}`")))
        };
        for (name, value) in doc {
            match value {
                Value::Object(object) if super::validate::is_urn(name) => {
                    if let Some(attr) = object.keys().find(|attr| !self.knows(&format!("{name}:{attr}"))) {
                        return refuse(format!("{name}:{attr}"));
                    }
                }
                Value::Object(object) => {
                    if let Some(sub) = object.keys().find(|sub| !self.knows(&format!("{name}.{sub}"))) {
                        return refuse(format!("{name}.{sub}"));
                    }
                }
                _ if !self.knows(name) => return refuse(name.clone()),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn knows_extension(&self, urn: &str) -> bool {
        let urn = urn.to_lowercase();
        self.user_attributes.is_empty() || self.user_attributes.iter().any(|known| known.starts_with(&urn))
    }

    /// Leaves out of a schema what this application does not know.
    pub(super) fn reduce(&self, schema: &mut Value) {
        let extension = schema["id"] != schema::core(ObjectKind::User).id;
        let prefix = if extension { format!("{}:", schema["id"].as_str().unwrap_or_default()) } else { String::new() };
        if let Some(attributes) = schema.get_mut("attributes").and_then(Value::as_array_mut) {
            attributes.retain(|attr| self.knows(&format!("{prefix}{}", attr["name"].as_str().unwrap_or_default())));
        }
    }

    /// Whether a path, the attribute it is in, or a part of it is known.
    pub(super) fn knows(&self, path: &str) -> bool {
        let path = path.to_lowercase();
        let within = |long: &str, short: &str| {
            long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ':']))
        };
        self.user_attributes.is_empty()
            || matches!(path.as_str(), "username" | "externalid" | "active")
            || self.user_attributes.iter().any(|known| within(&path, known) || within(known, &path))
    }
}
