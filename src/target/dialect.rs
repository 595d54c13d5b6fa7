//! How a target really speaks SCIM: plain flags, from preset, discovery and configuration (in this order).

/// Plain flags and limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Dialect {
    /// PATCH is supported; otherwise GET, merge, PUT.
    pub patch: bool,
    /// Members per group PATCH (and per group create).
    pub members_per_patch: usize,
    /// Resources asked for per page.
    pub page_size: u32,
    /// Filters are supported at all.
    pub filter: bool,
    /// `userName` cannot be changed after creation.
    pub user_name_immutable: bool,
    /// Groups exist at this target.
    pub groups: bool,
    /// Core and extension attributes that may be sent for users, lower-case canonical paths without value filters;
    /// empty: all.
    pub user_attributes: Vec<String>,
    /// Requests per second; `None`: not paced.
    pub rate: Option<f64>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            patch: true,
            members_per_patch: 100,
            page_size: 100,
            filter: true,
            user_name_immutable: false,
            groups: true,
            user_attributes: Vec::new(),
            rate: None,
        }
    }
}
