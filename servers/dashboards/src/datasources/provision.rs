//! Data sources from provisioning files.

use std::path::Path;

use kit::yaml::{ConfigError, Node, Section};

use super::{DataSource, DataSources, Secrets, uid_of_name};
use crate::interpolate::Env;
use crate::provisioning;

/// What the files say.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    sources: Vec<DataSource>,
    /// Names to delete.
    deleted: Vec<String>,
    prune: bool,
    /// With file, line and column.
    pub(crate) errors: Vec<ConfigError>,
}

/// Reads `<provisioning>/datasources`.
pub(crate) fn read(dir: &Path, env: &Env) -> Wanted {
    let (files, errors) = provisioning::read_folder(&dir.join("datasources"), env, &[]);
    let mut wanted = Wanted { errors, ..Wanted::default() };
    for file in &files {
        if let Err(error) = read_file(&file.root, &file.path, &mut wanted) {
            wanted.errors.push(error.in_file(&file.path));
        }
    }
    wanted
}

fn read_file(root: &Node, path: &Path, wanted: &mut Wanted) -> Result<(), ConfigError> {
    let mut section = Section::new(root, "data sources")?;
    provisioning::check_version(&mut section)?;
    wanted.prune |= section.or("prune", false)?;
    let mut errors = Vec::new();
    let deleted = provisioning::items(&mut section, "deleteDatasources", path, &mut errors, |node| {
        let mut section = Section::new(node, "data source to delete")?;
        provisioning::check_org(&mut section)?;
        let name = provisioning::needed(&mut section, "name")?;
        provisioning::finish(section, path);
        Ok(name)
    });
    let found = provisioning::items(&mut section, "datasources", path, &mut errors, |node| {
        Ok((read_source(node, path)?, node.clone()))
    });
    provisioning::finish(section, path);
    wanted.deleted.extend(deleted);
    for (source, node) in found {
        let clash = wanted.sources.iter().find(|other| other.name == source.name || other.uid == source.uid);
        if let Some(other) = clash {
            let message = format!("name or uid is that of data source {:?}, which was read before", other.name);
            errors.push(ConfigError::at(&node, message).in_file(path));
        } else if source.is_default && wanted.sources.iter().any(|other| other.is_default) {
            errors.push(
                ConfigError::at(&node, "only one data source can be the default").in_field("isDefault").in_file(path),
            );
        } else {
            wanted.sources.push(source);
        }
    }
    wanted.errors.extend(errors);
    Ok(())
}

fn read_source(node: &Node, path: &Path) -> Result<DataSource, ConfigError> {
    let mut section = Section::new(node, "data source")?;
    provisioning::check_org(&mut section)?;
    let name = provisioning::needed(&mut section, "name")?;
    let kind = provisioning::needed(&mut section, "type")?;
    let uid: String = section.get("uid")?;
    let access: String = section.or("access", "proxy".to_owned())?;
    if access != "proxy" && access != "direct" {
        return Err(section.error("access", format!("{access:?} is neither proxy nor direct")));
    }
    let mut secrets = provisioning::text_map(&mut section, "secureJsonData")?;
    // Where passwords once stood in the open.
    for (key, name) in [("password", "password"), ("basicAuthPassword", "basicAuthPassword")] {
        let old: String = section.get(key)?;
        if !old.is_empty() {
            secrets.entry(name.to_owned()).or_insert(old);
        }
    }
    let source = DataSource {
        uid: if uid.is_empty() { uid_of_name(&name) } else { uid },
        name,
        kind,
        access,
        url: section.get("url")?,
        user: section.get("user")?,
        database: section.get("database")?,
        basic_auth: section.or("basicAuth", false)?,
        basic_auth_user: section.get("basicAuthUser")?,
        with_credentials: section.or("withCredentials", false)?,
        is_default: section.or("isDefault", false)?,
        json_data: provisioning::json_object(&mut section, "jsonData")?,
        secrets: Secrets(secrets),
        read_only: !section.or("editable", false)?,
        provisioned: true,
        ..DataSource::default()
    };
    let _: Option<i64> = section.opt("version")?;
    let _ = section.raw("apiVersion");
    if let Err(message) = source.check() {
        let field = message.split(':').next().unwrap_or("").to_owned();
        return Err(section.error(&field, message.split_once(": ").map_or(message.as_str(), |(_, rest)| rest)));
    }
    provisioning::finish(section, path);
    Ok(source)
}

impl DataSources {
    /// Makes the store say what the files say. Sources of other origins stay, unless a file names them.
    pub(crate) async fn apply(&self, wanted: Wanted, now_ms: i64) -> Vec<String> {
        let mut errors: Vec<String> = wanted.errors.iter().map(ToString::to_string).collect();
        let mut gone: Vec<String> = wanted.deleted.iter().filter_map(|name| Some(self.by_name(name)?.uid)).collect();
        if wanted.prune {
            let named = |source: &DataSource| {
                wanted.sources.iter().any(|wanted| wanted.uid == source.uid || wanted.name == source.name)
            };
            gone.extend(
                self.all().into_iter().filter(|source| source.provisioned && !named(source)).map(|source| source.uid),
            );
        }
        for uid in gone {
            // One that is named again below keeps its place.
            if !wanted.sources.iter().any(|source| source.uid == uid)
                && let Err(error) = self.delete(&uid, true).await
            {
                errors.push(format!("data source {uid}: {error}"));
            }
        }
        for source in wanted.sources {
            let name = source.name.clone();
            if let Err(error) = self.put(source, now_ms).await {
                errors.push(format!("data source {name:?}: {error}"));
            }
        }
        errors
    }

    async fn put(&self, wanted: DataSource, now_ms: i64) -> Result<(), crate::error::ApiError> {
        let Some(known) = self.by_uid(&wanted.uid).or_else(|| self.by_name(&wanted.name)) else {
            return self.add(wanted, now_ms).await.map(drop);
        };
        let same = DataSource {
            id: known.id,
            version: known.version,
            created_ms: known.created_ms,
            updated_ms: known.updated_ms,
            is_default: wanted.is_default,
            ..wanted.clone()
        };
        if same == known {
            return Ok(());
        }
        self.update(&known.uid, true, now_ms, |source| {
            *source = same;
            Ok(())
        })
        .await
        .map(drop)
    }
}
