//! The text of a changed configuration, before anything is written.

use super::config_set::ConfigSet;
use crate::config::{self, Config, Loaded, Origin};
use crate::runtime::config_file::ConfigFile;

/// A change that can be written.
pub(in crate::runtime) struct Plan {
    /// The text as it is.
    pub(in crate::runtime) before: String,
    /// The text with the change.
    pub(in crate::runtime) text: String,
    /// The keys that change.
    pub(super) keys: Vec<String>,
}

/// The text to write; `None` where every value is so already. Models are opened to check it.
///
/// # Errors
/// The reason for which it cannot be, in words.
pub(in crate::runtime) fn plan(
    file: &ConfigFile,
    running: &Config,
    digest: &str,
    wanted: &ConfigSet,
) -> Result<Option<Plan>, String> {
    let text = (file.read)()?;
    let standing = (file.check)(&text)?;
    if standing.digest != digest {
        let path = file.path.display();
        return Err(format!("{path} has changes that do not apply yet: systemctl reload leptond, or take them back"));
    }
    let edited = config::edited(&text, running, &wanted.values, wanted.reach).map_err(|error| error.to_string())?;
    for key in &edited.keys {
        let elsewhere =
            standing.sources.get(key).filter(|origin| matches!(origin, Origin::Env { .. } | Origin::Flag { .. }));
        if let Some(origin) = elsewhere {
            return Err(format!("{key}: the file's value has no effect, since {origin} sets it"));
        }
    }
    let Loaded { config, .. } = (file.check)(&edited.text)?;
    if !config::is_within_reach(running, &config, wanted.reach) {
        return Err("the change would reach beyond the keys that may be changed".into());
    }
    let config::Edited { text: new, keys } = edited;
    Ok((new != text).then_some(Plan { before: text, text: new, keys }))
}
