//! `prometheus.exporter.unix` and `prometheus.exporter.self`: exporters within the agent.

use std::sync::Arc;

use kit::Shutdown;

use super::{Gather, MEMORY_ADDRESS};
use crate::agent::controller::{Component, Ctx};
use crate::agent::syntax::{Args, Diag, Result, Value};
use crate::node::{COLLECTORS, Collector, Filter, NodeConfig};

struct Exporter {
    ctx: Ctx,
    job: &'static str,
    make: fn(&Ctx, &mut Args) -> Result<Gather>,
}

fn build(
    ctx: Ctx,
    args: Args,
    job: &'static str,
    make: fn(&Ctx, &mut Args) -> Result<Gather>,
) -> Result<Arc<dyn Component>> {
    let exporter = Exporter { ctx, job, make };
    exporter.update(args)?;
    Ok(Arc::new(exporter))
}

impl Component for Exporter {
    fn update(&self, mut args: Args) -> Result<()> {
        let gather = (self.make)(&self.ctx, &mut args)?;
        args.finish()?;
        let path = format!("/api/v0/component/{}/metrics", self.ctx.id);
        self.ctx.exporters.lock().insert(path.clone(), gather);
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let target = Value::object([
            ("__address__", Value::str(MEMORY_ADDRESS)),
            ("__metrics_path__", Value::str(path)),
            ("__scheme__", Value::str("http")),
            ("instance", Value::str(hostname)),
            ("job", Value::str(self.job)),
        ]);
        self.ctx.export([("targets", Value::array(vec![target]))]);
        Ok(())
    }

    fn start(self: Arc<Self>, _: &Shutdown) {}
}

pub(super) fn own(ctx: Ctx, args: Args) -> Result<Arc<dyn Component>> {
    build(ctx, args, "integrations/self", |ctx, _| {
        let registry = ctx.registry.clone();
        Ok(Arc::new(move || registry.gather()))
    })
}

pub(super) fn unix(ctx: Ctx, args: Args) -> Result<Arc<dyn Component>> {
    build(ctx, args, "integrations/unix", |_, args| {
        let config = unix_config(args)?;
        let collector = Collector::new(config).map_err(|message| Diag::new(&args.pos, message))?;
        Ok(Arc::new(move || collector.collect(|_| true)))
    })
}

fn unix_config(args: &mut Args) -> Result<NodeConfig> {
    let mut config = NodeConfig::default();
    let names = |args: &mut Args, attribute: &str| -> Result<Vec<&'static str>> {
        let pos = args.pos_of(attribute);
        args.texts(attribute)?
            .into_iter()
            .map(|name| match COLLECTORS.iter().find(|entry| entry.name == name) {
                Some(entry) if entry.is_built() => Ok(entry.name),
                Some(_) => Err(Diag::new(&pos, format!("collector {name:?} is not built into this agent"))),
                None => Err(Diag::new(&pos, format!("unknown collector {name:?}"))),
            })
            .collect()
    };
    let set = names(args, "set_collectors")?;
    if !set.is_empty() {
        config.enabled = set.into_iter().collect();
    }
    config.enabled.extend(names(args, "enable_collectors")?);
    let pos = args.pos_of("disable_collectors");
    for name in args.texts("disable_collectors")? {
        if !COLLECTORS.iter().any(|entry| entry.name == name) {
            return Err(Diag::new(&pos, format!("unknown collector {name:?}")));
        }
        config.enabled.remove(name.as_str());
    }
    args.bool_or("include_exporter_metrics", false)?;
    config.roots.procfs = args.text_or("procfs_path", "/proc")?.into();
    config.roots.sysfs = args.text_or("sysfs_path", "/sys")?.into();
    config.roots.rootfs = args.text_or("rootfs_path", "/")?.into();
    config.roots.udev = args.text_or("udev_data_path", "/run/udev/data")?.into();
    let filter = |block: &mut Args, name: &str, default: &str| -> Result<Filter> {
        let include = block.text_or(&format!("{name}_include"), "")?;
        let exclude = block.text(&format!("{name}_exclude"))?;
        let exclude = exclude.unwrap_or_else(|| if include.is_empty() { default.to_owned() } else { String::new() });
        Filter::new(name, &include, &exclude).map_err(|message| Diag::new(&block.pos, message))
    };
    if let Some(mut block) = args.block("cpu")? {
        config.cpu_info = block.bool_or("info", false)?;
        block.bool_or("guest", true)?;
        block.finish()?;
    }
    if let Some(mut block) = args.block("disk")? {
        config.disk_devices = filter(&mut block, "device", crate::node::DISK_EXCLUDE)?;
        block.finish()?;
    }
    if let Some(mut block) = args.block("filesystem")? {
        config.fs_types = filter(&mut block, "fs_types", crate::node::TYPES_EXCLUDE)?;
        config.mount_points = filter(&mut block, "mount_points", crate::node::MOUNTS_EXCLUDE)?;
        config.mount_timeout = block.duration_or("mount_timeout", config.mount_timeout)?;
        block.finish()?;
    }
    if let Some(mut block) = args.block("netclass")? {
        let ignored = block.text_or("ignored_devices", "^$")?;
        config.netclass_devices =
            Filter::new("ignored_devices", "", &ignored).map_err(|message| Diag::new(&block.pos, message))?;
        config.ignore_invalid_speed = block.bool_or("ignore_invalid_speed_device", false)?;
        block.finish()?;
    }
    if let Some(mut block) = args.block("netdev")? {
        config.net_devices = filter(&mut block, "device", "")?;
        block.finish()?;
    }
    if let Some(mut block) = args.block("netstat")? {
        config.netstat_fields = block.text_or("fields", crate::node::NETSTAT_FIELDS)?;
        block.finish()?;
    }
    if let Some(mut block) = args.block("vmstat")? {
        config.vmstat_fields = block.text_or("fields", crate::node::VMSTAT_FIELDS)?;
        block.finish()?;
    }
    if let Some(mut block) = args.block("textfile")? {
        config.textfile_directories = block.texts("directories")?;
        config.textfile_directories.extend(block.text("directory")?);
        block.finish()?;
    }
    Ok(config)
}
