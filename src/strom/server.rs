//! What PG-Strom is on a server: loaded or not, which release, which GPUs it uses, and how.
//!
//! Nothing is taken at its word. That `pg_strom.enabled` answers means little, since a line of
//! postgresql.conf is enough for it; that `pg_settings` lists it means that the module is there.
//! The version in the extension's control file lags behind, so the release is told by which
//! settings exist.

mod process;

use serde::Serialize;
use serde_json::Value;

use crate::pg::{self, Session};

use super::settings::{self, Inventory, KNOWN};
pub(crate) use process::ServerProcess;

/// Whether pages can go from the disk to the GPU without passing through the server's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GpuDirect {
    /// A driver is chosen and it is switched on.
    Possible,
    /// The driver is `vfs`, which copies.
    NoDriver,
    /// `pg_strom.gpudirect_enabled` is off; it is so by itself where no GPU can do it.
    SwitchedOff,
}

/// A GPU that PG-Strom uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// PG-Strom's number for it.
    pub id: u32,
    /// Product name.
    pub name: Option<String>,
    /// Its identity, the same as the driver's.
    pub uuid: Option<String>,
    /// All of its memory, as PG-Strom writes it.
    pub memory: Option<String>,
}

/// What PG-Strom is on a server, seen from one database and one role.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StromServer {
    /// Whether the module is in the server.
    pub loaded: bool,
    /// Whether `shared_preload_libraries` names it; `None` if our role may not see.
    pub preload: Option<bool>,
    /// The version that `CREATE EXTENSION` would make, by the control file; `None` without one.
    pub available: Option<String>,
    /// The version of the extension in this database; `None` if it was not created here.
    pub extension: Option<String>,
    /// The newest release whose settings it has; `5.2` also stands for older ones.
    pub release: Option<&'static str>,
    /// The commit that it was built from, where it says so.
    pub githash: Option<String>,
    /// Whether it found a GPU when the server started; `None` if it is not loaded.
    pub found_gpu: Option<bool>,
    /// The GPUs that it uses; `None` if they could not be listed.
    pub devices: Option<Vec<Device>>,
    /// Why they could not.
    pub devices_unknown: Option<String>,
    /// Whether the vendor's module heterodb_extra brought a driver for GPU-Direct.
    pub extra_module: Option<bool>,
    /// Whether GPU-Direct is possible; `None` if it is not loaded or found no GPU.
    pub gpu_direct: Option<GpuDirect>,
    /// Its settings.
    #[serde(flatten)]
    pub inventory: Inventory,
}

impl StromServer {
    /// Whether the role's own SET could have fooled somebody: `pg_strom.enabled` answers, and no
    /// module is behind it.
    pub fn is_pretended(&self) -> bool {
        self.inventory.placeholders().any(|setting| setting.name == "pg_strom.enabled")
    }

    /// What the settings prove. Pure.
    pub fn of_settings(inventory: Inventory) -> Self {
        let loaded = inventory.real("pg_strom.enabled").is_some_and(|enabled| !enabled.hidden);
        if !loaded {
            return Self { inventory, ..Self::default() };
        }
        let existing = KNOWN.iter().filter(|known| inventory.real(known.name).is_some());
        let release = existing.map(|known| known.since).max();
        // It defines these only after it has found a GPU.
        let found_gpu = inventory.real("pg_strom.enable_gpuscan").is_some();
        let driver = inventory.real("pg_strom.gpudirect_driver");
        let extra_module = driver
            .filter(|driver| !driver.enumvals.is_empty())
            .map(|driver| driver.enumvals.iter().any(|value| value != "vfs"));
        let gpu_direct = driver.filter(|_| found_gpu).map(|driver| {
            let enabled = inventory.real("pg_strom.gpudirect_enabled");
            if driver.is("vfs") {
                GpuDirect::NoDriver
            } else if enabled.is_some_and(|enabled| enabled.is("off")) {
                GpuDirect::SwitchedOff
            } else {
                GpuDirect::Possible
            }
        });
        Self {
            loaded,
            release,
            found_gpu: Some(found_gpu),
            extra_module,
            gpu_direct,
            inventory,
            ..Self::default()
        }
    }
}

/// Finds out what PG-Strom is on this server. The session must be fresh: what it has SET is taken
/// for the server's. What our role may not see is left open; it is no error.
///
/// # Errors
/// When the server does not answer.
pub(crate) async fn examine(session: &mut Session) -> Result<StromServer, pg::Error> {
    let mut strom = StromServer::of_settings(settings::inventory(session).await?);
    let act = "look for PG-Strom's extension";
    let preload = settings::probe(session, &["shared_preload_libraries"]).await?;
    let preload = preload.first().and_then(|setting| setting.value.as_deref());
    strom.preload = preload.map(names_pg_strom);
    let available = "SELECT default_version FROM pg_catalog.pg_available_extensions \
                     WHERE name = 'pg_strom'";
    strom.available = session.text(act, available).await?;
    let created = "SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'pg_strom'";
    strom.extension = session.text(act, created).await?;
    strom.githash = ask(session, "githash()", "pgstrom.githash()").await?.ok().and_then(one);
    if strom.loaded {
        let listed = "(SELECT pg_catalog.json_agg(pg_catalog.row_to_json(d)) \
                      FROM pgstrom.gpu_device_info() d)";
        match ask(session, "gpu_device_info()", listed).await? {
            Ok(json) => strom.devices = Some(devices(&one(json).unwrap_or_default())),
            Err(why) => strom.devices_unknown = Some(why),
        }
    }
    Ok(strom)
}

/// The process of the server, if it is on this machine, and its GPU service.
///
/// # Errors
/// When the server does not answer.
pub(crate) async fn locate(session: &mut Session) -> Result<Option<ServerProcess>, pg::Error> {
    let sql = "SELECT pg_catalog.pg_backend_pid()";
    let backend = session.text("ask for the session's process", sql).await?;
    let backend = backend.and_then(|pid| pid.parse().ok());
    Ok(backend.and_then(ServerProcess::of_backend))
}

/// Evaluates an expression over one of PG-Strom's functions, which may be absent, closed to our
/// role, or fail. The inner error says why in a line.
async fn ask(
    session: &mut Session,
    function: &str,
    expression: &str,
) -> Result<Result<Option<String>, String>, pg::Error> {
    let act = format!("call pgstrom.{function}");
    // Looked up first: a refusal would be an error in the server's log.
    let sql = format!(
        "SELECT CASE WHEN n.oid IS NULL THEN 'absent' \
         WHEN NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE') THEN 'closed' \
         WHEN pg_catalog.to_regprocedure('pgstrom.{function}') IS NULL THEN 'absent' \
         WHEN NOT pg_catalog.has_function_privilege('pgstrom.{function}', 'EXECUTE') THEN 'closed' \
         ELSE 'there' END \
         FROM (SELECT 1) one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'pgstrom'"
    );
    match session.text(&act, &sql).await?.as_deref() {
        Some("there") => {}
        Some("closed") => {
            return Ok(Err(format!("our role may not call pgstrom.{function}")));
        }
        _ => return Ok(Err(format!("this database has no pgstrom.{function}"))),
    }
    match session.text(&act, &format!("SELECT {expression}")).await {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.is_lost() => Err(error),
        Err(error) => Ok(Err(error.to_string().lines().next().unwrap_or_default().to_owned())),
    }
}

/// A text that says something.
fn one(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

/// Whether a list of libraries names pg_strom, with or without its folder.
fn names_pg_strom(libraries: &str) -> bool {
    libraries.split(',').any(|library| {
        let name = library.trim().trim_matches('"').rsplit('/').next().unwrap_or_default();
        name.strip_suffix(".so").unwrap_or(name) == "pg_strom"
    })
}

/// Devices from the rows of `pgstrom.gpu_device_info()` as JSON: an attribute each, with the
/// device's number. Columns are known by what they are called, whatever their place; rows and
/// values that do not fit are passed over.
pub(crate) fn devices(json: &str) -> Vec<Device> {
    let rows: Vec<Value> = serde_json::from_str(json).unwrap_or_default();
    let mut devices: Vec<Device> = Vec::new();
    for row in &rows {
        let text = |names: [&str; 2]| {
            let value = names.iter().find_map(|name| row.get(name))?;
            Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        let Some(id) = text(["gpu_id", "id"]).and_then(|id| id.parse().ok()) else { continue };
        let at = devices.iter().position(|device| device.id == id).unwrap_or_else(|| {
            devices.push(Device { id, name: None, uuid: None, memory: None });
            devices.len() - 1
        });
        let value = text(["att_value", "value"]).filter(|value| value != "null");
        match text(["att_name", "attribute"]).as_deref() {
            Some("DEV_NAME") => devices[at].name = value,
            Some("DEV_UUID") => devices[at].uuid = value,
            Some("DEV_TOTAL_MEMSZ") => devices[at].memory = value,
            _ => {}
        }
    }
    devices
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::settings::{Context, Existence, Setting};
    use super::*;

    /// The inventory that 6.2-dev printed on a real GPU without the vendor's module, or what an
    /// older release would have of it.
    pub(crate) fn printed(release: &str) -> Inventory {
        let lines = include_str!("../../tests/pgstrom/settings-6.2-dev.psv").lines();
        let settings = lines.map(|line| {
            let columns: Vec<&str> = line.split('|').collect();
            let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let enumvals: &[&str] = match columns[0] {
                "pg_strom.gpudirect_driver" => &["vfs"],
                "pg_strom.cpu_fallback" => &["notice", "on", "off"],
                _ => &[],
            };
            Setting {
                existence: Existence::Real,
                value: Some(columns[1].to_owned()),
                raw: Some(columns[1].to_owned()),
                unit: filled(columns[2]),
                context: Context::from_name(columns[3]),
                vartype: filled(columns[4]),
                enumvals: enumvals.iter().map(|value| (*value).to_owned()).collect(),
                description: filled(columns[5]),
                may_set: matches!(columns[3], "user" | "superuser"),
                may_alter_system: columns[3] != "internal",
                ..Setting::absent(columns[0])
            }
        });
        let is_there = |setting: &Setting| {
            let known = KNOWN.iter().find(|known| known.name == setting.name).unwrap();
            known.since <= release
        };
        Inventory {
            settings: settings.filter(is_there).collect(),
            mentions: Vec::new(),
            files_readable: true,
        }
    }

    /// The same with a setting changed.
    pub(crate) fn with(mut inventory: Inventory, name: &str, value: &str) -> Inventory {
        let setting = inventory.settings.iter_mut().find(|setting| setting.name == name).unwrap();
        setting.value = Some(value.to_owned());
        setting.raw = Some(value.to_owned());
        inventory
    }

    #[test]
    fn the_release_is_told_by_the_settings_that_exist() {
        for release in ["5.2", "6.0", "6.1", "6.2"] {
            let strom = StromServer::of_settings(printed(release));
            assert_eq!(strom.release, Some(release));
            assert_eq!((strom.loaded, strom.found_gpu), (true, Some(true)));
        }
    }

    #[test]
    fn without_the_vendors_module_there_is_no_driver_for_gpu_direct() {
        let strom = StromServer::of_settings(printed("6.2"));
        assert_eq!(strom.extra_module, Some(false));
        assert_eq!(strom.gpu_direct, Some(GpuDirect::NoDriver));
        let mut inventory = with(printed("6.1"), "pg_strom.gpudirect_driver", "cufile");
        for setting in &mut inventory.settings {
            if setting.name == "pg_strom.gpudirect_driver" {
                setting.enumvals = vec!["cufile".to_owned(), "vfs".to_owned()];
            }
        }
        let strom = StromServer::of_settings(inventory.clone());
        assert_eq!(strom.extra_module, Some(true));
        assert_eq!(strom.gpu_direct, Some(GpuDirect::SwitchedOff));
        let inventory = with(inventory, "pg_strom.gpudirect_enabled", "on");
        assert_eq!(StromServer::of_settings(inventory).gpu_direct, Some(GpuDirect::Possible));
    }

    #[test]
    fn a_module_that_found_no_gpu_lacks_the_settings_of_one() {
        let mut inventory = printed("6.1");
        inventory.settings.retain(|setting| !setting.name.contains("gpu"));
        let strom = StromServer::of_settings(inventory);
        assert_eq!((strom.loaded, strom.found_gpu, strom.gpu_direct), (true, Some(false), None));
        assert_eq!(strom.release, Some("6.1"));
    }

    #[test]
    fn a_placeholder_is_no_module() {
        let mut inventory = Inventory::default();
        let placeholder = Setting {
            existence: Existence::Placeholder,
            value: Some("on".to_owned()),
            ..Setting::absent("pg_strom.enabled")
        };
        inventory.settings.push(placeholder);
        let strom = StromServer::of_settings(inventory);
        assert!(!strom.loaded && strom.is_pretended());
    }

    #[test]
    fn a_library_is_known_in_every_form_of_the_list() {
        for list in
            ["pg_strom", "auto_explain, pg_strom", "\"/opt/lib/pg_strom.so\"", "$libdir/pg_strom"]
        {
            assert!(names_pg_strom(list), "{list}");
        }
        for list in ["", "pg_stat_statements", "my_pg_strom"] {
            assert!(!names_pg_strom(list), "{list}");
        }
    }

    #[test]
    fn devices_are_put_together_from_their_attributes() {
        let json = r#"[
            {"gpu_id":0,"att_name":"DEV_NAME","att_value":"NVIDIA H100 80GB HBM3","att_desc":"GPU Device Name"},
            {"gpu_id":0,"att_name":"DEV_UUID","att_value":"GPU-1","att_desc":null},
            {"gpu_id":0,"att_name":"DEV_TOTAL_MEMSZ","att_value":"79.19GB"},
            {"gpu_id":0,"att_name":"WARP_SIZE","att_value":null},
            {"id":"1","attribute":"DEV_NAME","value":"another"},
            {"id":"1","attribute":"DEV_NAME_OF_OLD","value":7},
            {"nothing":"known"}, 5
        ]"#;
        let found = devices(json);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].name.as_deref(), Some("NVIDIA H100 80GB HBM3"));
        assert_eq!(found[0].memory.as_deref(), Some("79.19GB"));
        assert_eq!((found[1].id, found[1].name.as_deref()), (1, Some("another")));
        assert_eq!(devices("{, \"nitems\""), []);
        assert_eq!(devices(""), []);
    }
}
