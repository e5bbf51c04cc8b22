//! The application's manifest, `wadm.yaml`.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use serde_yaml_ng::{Mapping, Value};
use url::Url;

use crate::error::SiteError;
use crate::placement::SITE_LABEL;
use crate::process::file_error;

/// The part that polls a site's field.
const POLLING: &str = "nats-polling";

/// The part that answers requests about all sites.
const GATEWAY: &str = "http-gateway";

/// An OAM application whose settings can be changed before it is deployed.
#[derive(Debug, Clone)]
pub struct Manifest {
    path: PathBuf,
    name: String,
    document: Value,
}

impl Manifest {
    /// Reads the manifest at `path`, and makes `file://` references relative to it absolute, which
    /// a host needs.
    ///
    /// # Errors
    ///
    /// [`SiteError::File`] if it cannot be read, [`SiteError::Manifest`] if it is no application.
    pub fn load(path: &Path) -> Result<Self, SiteError> {
        let path = std::path::absolute(path).map_err(|source| file_error("find", path, source))?;
        let text = fs::read_to_string(&path).map_err(|source| file_error("read", &path, source))?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: PathBuf) -> Result<Self, SiteError> {
        let fail = |problem: String| SiteError::Manifest {
            path: path.clone(),
            problem,
        };
        let mut document: Value =
            serde_yaml_ng::from_str(text).map_err(|error| fail(error.to_string()))?;
        let name = document["metadata"]["name"]
            .as_str()
            .ok_or_else(|| fail("metadata.name is missing".to_owned()))?
            .to_owned();
        let folder = path.parent().unwrap_or(Path::new("/"));
        let components = document["spec"]["components"]
            .as_sequence_mut()
            .ok_or_else(|| fail("spec.components is missing or no list".to_owned()))?;
        for component in components {
            let properties = component.get_mut("properties");
            let Some(image) = properties.and_then(|properties| properties.get_mut("image")) else {
                continue;
            };
            if let Some(absolute) = image.as_str().and_then(|image| absolute(image, folder)) {
                *image = Value::String(absolute);
            }
        }
        Ok(Self {
            path,
            name,
            document,
        })
    }

    /// The application's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Changes a setting of `component` wherever the manifest gives it: in its own configuration
    /// and in that of its links.
    ///
    /// # Errors
    ///
    /// [`SiteError::UnknownSetting`] if the manifest does not have the setting already. It lists
    /// every setting, so what it lacks is misspelt.
    pub fn set(&mut self, component: &str, property: &str, value: &str) -> Result<(), SiteError> {
        let mut known = Vec::new();
        let mut found = false;
        for settings in self.settings_of(component) {
            for (name, current) in settings {
                let Some(name) = name.as_str() else { continue };
                if name == property {
                    *current = Value::String(value.to_owned());
                    found = true;
                }
                known.push(name.to_owned());
            }
        }
        match found {
            true => Ok(()),
            false => Err(SiteError::UnknownSetting {
                component: component.to_owned(),
                property: property.to_owned(),
                known: known.join(", "),
            }),
        }
    }

    /// Adds a setting of `component` beside one that it has. For those that mean something as soon as they
    /// are there, so that the manifest cannot list them without a value.
    ///
    /// # Errors
    ///
    /// [`SiteError::UnknownSetting`] if the one beside which it belongs is not there.
    pub(crate) fn add_beside(
        &mut self,
        component: &str,
        beside: &str,
        property: &str,
        value: &str,
    ) -> Result<(), SiteError> {
        let mut found = false;
        for settings in self.settings_of(component) {
            if settings.contains_key(beside) {
                settings.insert(property.into(), value.into());
                found = true;
            }
        }
        match found {
            true => Ok(()),
            // It is not there, and this says so.
            false => self.set(component, beside, value),
        }
    }

    /// Adds the polling of a further site, as that of the main one is but on the host of its own, and
    /// links it to the gateway under the site's name. Returns the name of the part.
    ///
    /// # Errors
    ///
    /// [`SiteError::Manifest`] if there is nothing of which it could be a further one.
    pub fn add_site(&mut self, site: &str) -> Result<String, SiteError> {
        let name = format!("{POLLING}-{site}");
        let fail = |what: &str| SiteError::Manifest {
            path: self.path.clone(),
            problem: format!("{what}, so there is nothing to make a further site like"),
        };
        let parts = self.document["spec"]["components"].as_sequence();
        let part = |name: &str| {
            let mut parts = parts.into_iter().flatten();
            parts.find(|part| part["name"] == name).cloned()
        };
        let mut further = part(POLLING).ok_or_else(|| fail("it has no nats-polling"))?;
        let gateway = part(GATEWAY).ok_or_else(|| fail("it has no http-gateway"))?;
        let traits = gateway["traits"].as_sequence().into_iter().flatten();
        let mut link = traits
            .filter(|part| part["properties"]["target"]["name"] == POLLING)
            .find(|part| part["properties"]["name"].is_null())
            .cloned()
            .ok_or_else(|| fail("its http-gateway has no link to nats-polling"))?;
        further["name"] = Value::String(name.clone());
        for part in items(further.get_mut("traits")) {
            let properties = part.get_mut("properties");
            for spread in items(properties.and_then(|properties| properties.get_mut("spread"))) {
                let labels = spread.get_mut("requirements");
                if let Some(label) = labels.and_then(|labels| labels.get_mut(SITE_LABEL)) {
                    *label = Value::String(site.to_owned());
                }
            }
            // Two blocks of settings of one name would be one.
            for settings in link_settings(part) {
                let former = settings["name"].as_str().unwrap_or_default();
                settings["name"] = Value::String(format!("{former}-{site}"));
                // Events are kept at the centre, where the event logger is.
                if let Some(events) = settings["properties"].get_mut("EVENTS") {
                    *events = Value::String(String::new());
                }
            }
        }
        link["properties"]["target"]["name"] = Value::String(name.clone());
        link["properties"]["name"] = Value::String(site.to_owned());

        let sites = self.setting(GATEWAY, "sites").unwrap_or_default();
        self.set(GATEWAY, "sites", &format!("{sites},{site}"))?;
        if let Some(parts) = self.document["spec"]["components"].as_sequence_mut() {
            let gateway = parts.iter_mut().find(|part| part["name"] == GATEWAY);
            if let Some(traits) = gateway.and_then(|part| part["traits"].as_sequence_mut()) {
                traits.push(link);
            }
            parts.push(further);
        }
        Ok(name)
    }

    fn setting(&mut self, component: &str, property: &str) -> Option<String> {
        let mut blocks = self.settings_of(component);
        blocks.find_map(|settings| Some(settings.get(property)?.as_str()?.to_owned()))
    }

    /// Every block of settings of `component`.
    fn settings_of(&mut self, component: &str) -> impl Iterator<Item = &mut Mapping> {
        let components = items(self.document["spec"].get_mut("components"));
        let component = components.filter(move |item| item["name"] == component);
        let blocks = component.flat_map(|item| {
            let parts = item.as_mapping_mut().into_iter().flatten();
            parts.flat_map(|(name, part)| match name.as_str() {
                Some("properties") => items(part.get_mut("config")).collect(),
                Some("traits") => items(Some(part)).flat_map(link_settings).collect(),
                _ => Vec::new(),
            })
        });
        blocks.filter_map(|block| block.get_mut("properties")?.as_mapping_mut())
    }

    /// The manifest as wadm takes it. Its version carries a digest of the content, because wadm
    /// refuses another content under a version it has.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut document = self.document.clone();
        let content =
            serde_yaml_ng::to_string(&document).expect("what was read as YAML is written as YAML");
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let version = &mut document["metadata"]["annotations"]["version"];
        let base = version.as_str().unwrap_or("0.0.0");
        *version = Value::String(format!("{base}+{:016x}", hasher.finish()));
        serde_yaml_ng::to_string(&document).expect("what was read as YAML is written as YAML")
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The blocks of settings of a link, at its source and at its target.
fn link_settings(link: &mut Value) -> Vec<&mut Value> {
    let properties = link.get_mut("properties");
    let ends = properties
        .and_then(Value::as_mapping_mut)
        .into_iter()
        .flatten();
    ends.filter(|(name, _)| matches!(name.as_str(), Some("source" | "target")))
        .flat_map(|(_, end)| items(end.get_mut("config")))
        .collect()
}

fn items(value: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    let list = value.and_then(Value::as_sequence_mut);
    list.into_iter().flatten()
}

/// `file://./build/x.wasm` as an absolute reference; `None` for any other reference.
fn absolute(image: &str, folder: &Path) -> Option<String> {
    let relative = image.strip_prefix("file://")?;
    let path = Path::new(relative);
    let path = match path.is_absolute() {
        true => path.to_owned(),
        false => folder.join(path.strip_prefix(".").unwrap_or(path)),
    };
    Url::from_file_path(path).ok().map(String::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const EXAMPLE: &str = "
metadata:
  name: example
  annotations: { version: v1.2.3 }
spec:
  components:
    - name: poller
      type: capability
      properties:
        image: file://./build/poller.par.gz
        config:
          - { name: own, properties: { log: 'yes' } }
      traits:
        - type: spreadscaler
          properties: { instances: 1 }
        - type: link
          properties:
            target: { name: reader }
            source:
              config:
                - { name: poll, properties: { URI: 'nats://a', RATE: '1' } }
    - name: reader
      type: component
      properties: { image: 'wasmcloud+builtin://x' }
";

    fn example() -> Manifest {
        Manifest::parse(EXAMPLE, "/a folder/wadm.yaml".into()).unwrap()
    }

    #[test]
    fn references_become_absolute() {
        let manifest = example();
        let components = &manifest.document["spec"]["components"];
        assert_eq!(
            components[0]["properties"]["image"],
            "file:///a%20folder/build/poller.par.gz"
        );
        assert_eq!(
            components[1]["properties"]["image"],
            "wasmcloud+builtin://x"
        );
    }

    #[test]
    fn a_setting_is_found_at_the_component_and_at_its_links() {
        let mut manifest = example();
        manifest.set("poller", "log", "quiet").unwrap();
        manifest.set("poller", "URI", "nats://b").unwrap();
        let yaml = manifest.to_yaml();
        assert!(yaml.contains("log: quiet"), "{yaml}");
        assert!(yaml.contains("URI: nats://b"), "{yaml}");
        // wadm refuses lists that are there without items.
        assert!(!yaml.contains("null"), "{yaml}");
    }

    #[test]
    fn a_misspelt_setting_is_refused_with_those_there_are() {
        let error = example().set("poller", "URL", "x").unwrap_err();
        assert!(
            error.to_string().ends_with("it has: log, URI, RATE"),
            "{error}"
        );
    }

    #[test]
    fn a_setting_is_added_beside_the_one_it_belongs_to() {
        let mut manifest = example();
        manifest
            .add_beside("poller", "URI", "tls_ca", "a\nb")
            .unwrap();
        let blocks: Vec<Mapping> = manifest
            .settings_of("poller")
            .map(|map| map.clone())
            .collect();
        assert!(!blocks[0].contains_key("tls_ca"));
        assert_eq!(blocks[1]["tls_ca"], "a\nb");
        assert_eq!(blocks[1]["URI"], "nats://a");
        let refused = manifest.add_beside("poller", "URL", "tls_ca", "x");
        assert!(refused.unwrap_err().to_string().contains("log, URI"));
    }

    #[test]
    fn looking_for_a_setting_adds_nothing() {
        let mut manifest = example();
        manifest.set("reader", "log", "quiet").unwrap_err();
        manifest.set("poller", "RATE", "1").unwrap();
        assert_eq!(manifest.to_yaml(), example().to_yaml());
    }

    #[test]
    fn another_content_is_another_version() {
        let mut manifest = example();
        let before = manifest.to_yaml();
        assert_eq!(before, example().to_yaml());
        manifest.set("poller", "RATE", "2").unwrap();
        let version = |yaml: &str| {
            let document: Value = serde_yaml_ng::from_str(yaml).unwrap();
            document["metadata"]["annotations"]["version"].clone()
        };
        assert_ne!(version(&before), version(&manifest.to_yaml()));
    }

    #[test]
    fn a_further_site_has_polling_of_its_own_and_the_gateway_knows_it() {
        let artifacts = crate::Artifacts::of_checkout();
        let mut manifest = Manifest::load(&artifacts.manifest()).unwrap();
        let north = manifest.add_site("north").unwrap();
        manifest.set(&north, "URI", "nats://north").unwrap();
        manifest.set("nats-polling", "URI", "nats://main").unwrap();
        let parts = manifest.document["spec"]["components"].clone();
        let part = |name: &str| {
            let parts = parts.as_sequence().unwrap();
            parts.iter().find(|part| part["name"] == name).unwrap()
        };
        for (name, site, uri, settings) in [
            ("nats-polling", "main", "nats://main", "polling"),
            (
                "nats-polling-north",
                "north",
                "nats://north",
                "polling-north",
            ),
        ] {
            let traits = &part(name)["traits"];
            let spread = &traits[0]["properties"]["spread"];
            assert_eq!(spread[0]["requirements"][SITE_LABEL], site);
            let config = &traits[1]["properties"]["source"]["config"][0];
            assert_eq!(config["name"], settings);
            assert_eq!(config["properties"]["URI"], uri);
        }
        let gateway = part("http-gateway");
        let config = &gateway["properties"]["config"][0]["properties"];
        assert_eq!(config["sites"], "main,north");
        let traits = gateway["traits"].as_sequence().unwrap();
        let links = traits.iter().map(|part| &part["properties"]);
        let links = links.filter(|link| link["interfaces"][0] == "registry");
        let links: Vec<_> = links
            .map(|link| (link["name"].as_str(), link["target"]["name"].as_str()))
            .collect();
        assert_eq!(
            links,
            [
                (None, Some("nats-polling")),
                (Some("north"), Some("nats-polling-north"))
            ]
        );
        assert!(example().add_site("north").is_err());
    }

    #[test]
    fn what_is_no_application_is_refused() {
        for text in ["", "a: b", "metadata: {name: x}", "["] {
            assert!(
                Manifest::parse(text, "/wadm.yaml".into()).is_err(),
                "{text}"
            );
        }
    }
}
