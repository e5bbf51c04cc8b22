//! Which site's polling provider the next call goes to.

use fieldledger_contract::Error;
use wasmcloud_component::wasi::config::store as config;
use wasmcloud_component::wasmcloud::bus::lattice::{CallTargetInterface, set_link_name};

/// The setting with their names.
const SETTING: &str = "sites";

/// The one site of an application that names none.
const ONLY: &str = "main";

/// wasmCloud's name of links without a name.
const UNNAMED: &str = "default";

/// The sites, the first of which is linked without a name.
pub(crate) fn configured() -> Result<Vec<String>, Error> {
    let setting = config::get(SETTING).map_err(|error| {
        Error::Unavailable(format!("the setting {SETTING} cannot be read: {error:?}"))
    })?;
    let names = setting.unwrap_or_default();
    let names = names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let mut sites: Vec<String> = names.map(str::to_owned).collect();
    if sites.is_empty() {
        sites.push(ONLY.to_owned());
    }
    Ok(sites)
}

/// Has calls of the registry go to the polling provider of `site`.
pub(crate) fn select(site: &str) -> Result<(), Error> {
    let sites = configured()?;
    let link = match sites.first().is_some_and(|first| first == site) {
        true if sites.len() == 1 => return Ok(()),
        true => UNNAMED,
        false => site,
    };
    let registry = CallTargetInterface::new("fieldledger", "field", "registry");
    set_link_name(link, vec![registry]).map_err(|problem| {
        Error::Unavailable(format!(
            "the polling of site {site} is not linked: {problem}"
        ))
    })
}
