//! Templates of this program's own payloads: what is well, and what is not.

use super::template;

/// The node is there: a template of its state.
pub(super) const ONLINE: &str = "{{ (value_json | default({}, true)).state | default('offline', true) }}";

/// `ON` where a meter's reading has been held for five minutes.
pub(super) fn held_long() -> String {
    let (problem, age) = (template::at(&["problem"]), template::at(&["last_good_age_s"]));
    format!(
        "{{% set p = {problem} | default('', true) %}}{{% set age = {age} | default(none) %}}\
         {{{{ 'ON' if p and (age is not number or age > 300) else 'OFF' }}}}"
    )
}

/// A share as a percentage.
pub(super) fn percent(path: &[&str]) -> String {
    format!("{{% set v = {} %}}{{{{ (v * 100) | round(1) if v is number else none }}}}", template::at(path))
}

/// `ON` where no picture has been readable for a minute: a drum on its way to the next digit is no problem.
pub(super) fn unreadable() -> String {
    let (quality, age) = (template::at(&["quality"]), template::at(&["last_good_age_s"]));
    format!(
        "{{% set q = {quality} | default('', true) %}}{{% set age = {age} | default(none) %}}\
         {{{{ 'ON' if q not in ['', 'good', 'rolling'] and (age is not number or age > 60) else 'OFF' }}}}"
    )
}

/// `ON` where a pipeline has no results for a reason that nobody asked for.
pub(super) fn idle(pipeline: &str, yes: &str, no: &str) -> String {
    let health = template::at(&["pipelines", pipeline]);
    format!(
        "{{% set p = {health} | default({{}}, true) %}}\
         {{{{ '{yes}' if p.idle | default('', true) and not p.paused | default(false) else '{no}' }}}}"
    )
}

/// The reason for which a pipeline has no results, as an attribute.
pub(super) fn reason(pipeline: &str) -> String {
    let idle = template::at(&["pipelines", pipeline, "idle"]);
    format!("{{{{ {{'reason': {idle} | default(none)}} | tojson }}}}")
}

/// The version of a pipeline's model as installed and as latest; of a model without one, the beginning of its hash.
pub(super) fn version(pipeline: &str) -> String {
    let models = template::at(&["models"]);
    let name = template::literal(pipeline);
    format!(
        "{{% set m = {models} | default([], true) | selectattr('pipeline', 'eq', {name}) | first | default({{}}, true) %}}\
         {{% set v = m.version | default((m.sha256 | default('', true))[:12], true) %}}\
         {{{{ {{'installed_version': v, 'latest_version': v, 'title': m.name | default('', true)}} | tojson if v else '' }}}}"
    )
}
