//! `bulla profile`: a profile of the aws configuration for a server on this host.

use std::fmt::Write as _;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bulla_api::Region;
use bulla_server::aws_profile::{SERVICES, is_valid_name, render_credentials};
use bulla_store::{DataDir, names};
use zeroize::Zeroizing;

use crate::app::App;
use crate::aws_files::{AwsFile, profile_title};
use crate::cli::Profile;
use crate::dirs;
use crate::exit::{Exit, Failure};
use crate::output::{self, MODE_PRIVATE, OutputRules};

/// The profile's name in the files that a server writes.
const SERVERS_OWN: &str = "bulla";

/// Writes the profile.
pub(crate) fn run(app: &App, command: &Profile) -> Result<(), Failure> {
    let name = command.profile_name.as_str();
    if !is_valid_name(name) {
        return Err(Failure::usage(format!(
            "`{name}` is no profile name; use letters, digits and - _ . @ +"
        )));
    }
    if let Some(account) = &app.common.account_id {
        return Err(Failure::usage(format!(
            "--account-id {account}: a profile is for the account whose access key is in the data directory's credentials; \
             put the key that bulla account create printed into the aws credentials instead"
        )));
    }
    let region = app.common.region.as_deref().map(region).transpose()?;
    let config_path = dirs::aws_config_file().ok_or_else(no_place)?;
    let credentials_path = dirs::aws_credentials_file().ok_or_else(no_place)?;
    let directory = &app.place()?.directory;
    wait_for_start(app, directory);
    let mut server = Server::read(directory)?;
    if let Some(region) = region {
        server.reached.region = region;
    }

    // One lock for both files, which nearly always stand in one directory.
    let _held = hold(&config_path)?;
    make_directory_of(&credentials_path)?;
    let config = read_or_empty(&config_path)?;
    let credentials = read_or_empty(&credentials_path)?;
    let (config_file, credentials_file) = (AwsFile::parse(&config), AwsFile::parse(&credentials));
    let services = format!("{name}-bulla");
    let titles = (profile_title(name), format!("services {services}"));
    let taken = [
        (config_file.has(&titles.0), &titles.0, &config_path),
        (config_file.has(&titles.1), &titles.1, &config_path),
        (credentials_file.has(name), &command.profile_name, &credentials_path),
    ];
    if let Some((_, title, path)) = taken.iter().find(|(taken, ..)| *taken)
        && !app.common.force
    {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "[{title}] is there already, in `{}`; nothing was written; replace it with --force or choose another name",
                path.display()
            ),
        ));
    }
    let (profile, service) = server.reached.sections(&titles.0, &services);
    let with_profile = config_file.with_section(&titles.0, &profile);
    let new_config = AwsFile::parse(&with_profile).with_section(&titles.1, &service);
    let section = render_credentials(name, &server.access_key_id, &server.secret_access_key);
    let new_credentials = Zeroizing::new(credentials_file.with_section(name, &section));

    // Credentials without a profile are of no use to anyone, the other way round they would be asked for.
    write(&credentials_path, &new_credentials, MODE_PRIVATE)?;
    write(&config_path, &new_config, mode_of(&config_path))?;
    let event = serde_json::json!({ "event": "profile_written", "profile": name, "endpoint_url": server.reached.endpoint_url });
    let summary =
        format!("wrote profile {name} for {} to `{}`", server.reached.endpoint_url, config_path.display());
    app.say.done(&summary, &event, false)
}

/// How often it is looked whether a server has started.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a server that starts is waited for.
const START_MAX: Duration = Duration::from_secs(5);
/// How long nothing is to be seen of a server that was started just before, such as by `bulla serve &`.
const SIGN_MAX: Duration = Duration::from_secs(1);

/// Waits for a server that starts on the data directory, or may be about to: it says where it is once it is ready.
fn wait_for_start(app: &App, directory: &Path) {
    let has = |name: &str| directory.join(name).exists();
    let is_held = || DataDir::open_to_reach(directory).is_ok_and(|directory| directory.is_held());
    let (mut waited, mut told) = (Duration::ZERO, false);
    loop {
        let held = is_held();
        // What a server wrote that has stopped since serves too.
        let is_told = has(names::ENDPOINT) || (!held && has(names::CONFIG));
        if is_told || waited >= if held { START_MAX } else { SIGN_MAX } {
            return;
        }
        if held && !told {
            app.say.note(&format!("bulla: waiting for the server that starts on {}", directory.display()));
            told = true;
        }
        std::thread::sleep(LOOK_EVERY);
        waited += LOOK_EVERY;
    }
}

/// The region of `--region`, which the server must serve.
fn region(text: &str) -> Result<String, Failure> {
    let region: Region = text.parse().map_err(|error| Failure::usage(format!("--region {text}: {error}")))?;
    Ok(region.to_string())
}

/// Where a server is reached, and how.
pub(crate) struct Reached {
    pub(crate) endpoint_url: String,
    pub(crate) region: String,
    /// The certificate authorities to trust, where they aren't the system's.
    pub(crate) ca_bundle: Option<String>,
}

/// What a server's data directory says of it.
struct Server {
    reached: Reached,
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
}

impl Server {
    fn read(directory: &Path) -> Result<Self, Failure> {
        let reached = Reached::of_server(directory)?;
        let credentials = match read(directory, names::CREDENTIALS) {
            Err(failure) if !directory.join(names::CREDENTIALS).exists() => {
                return Err(failure.although(
                    "if the access key of the root was taken out of use, give users theirs with bulla access add",
                ));
            }
            credentials => credentials?,
        };
        let credentials = AwsFile::parse(&credentials);
        let value = |name: &str| {
            let value = credentials.get(SERVERS_OWN, name);
            value.map(str::to_owned).ok_or_else(|| lacks(directory, "access key"))
        };
        let access_key_id = value("aws_access_key_id")?;
        Ok(Self { reached, access_key_id, secret_access_key: value("aws_secret_access_key")?.into() })
    }
}

fn read(directory: &Path, name: &str) -> Result<Zeroizing<String>, Failure> {
    let path = directory.join(name);
    std::fs::read_to_string(&path).map(Zeroizing::new).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::new(
            Exit::Failed,
            format!(
                "no server has run on {}: `{}` is not there; start bulla serve, or name its --data-dir",
                directory.display(),
                path.display()
            ),
        ),
        _ => Failure::io("cannot read", path.display(), &error),
    })
}

fn lacks(directory: &Path, what: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("the files in {} lack the {what}; start bulla serve again", directory.display()),
    )
}

impl Reached {
    /// As a server's data directory says.
    pub(crate) fn of_server(directory: &Path) -> Result<Self, Failure> {
        let config = read(directory, names::CONFIG)?;
        let config = AwsFile::parse(&config);
        let profile = profile_title(SERVERS_OWN);
        let services = format!("services {}", config.get(&profile, "services").unwrap_or(SERVERS_OWN));
        // The port may have been picked anew since: the endpoint file is the newest.
        let running = std::fs::read_to_string(directory.join(names::ENDPOINT)).ok();
        let endpoint_url = running
            .as_deref()
            .map(str::trim)
            .filter(|url| !url.is_empty())
            .or_else(|| config.get(&services, "kms.endpoint_url"));
        Ok(Self {
            endpoint_url: endpoint_url.ok_or_else(|| lacks(directory, "endpoint"))?.to_owned(),
            region: config.get(&profile, "region").ok_or_else(|| lacks(directory, "region"))?.to_owned(),
            ca_bundle: config.get(&profile, "ca_bundle").map(str::to_owned),
        })
    }

    /// The sections of the profile and of its services. Never a global `endpoint_url`, which would send the requests
    /// to every other service here too.
    pub(crate) fn sections(&self, profile: &str, services: &str) -> (String, String) {
        let mut section = format!("[{profile}]\nregion = {}\nservices = {services}\n", self.region);
        if let Some(path) = &self.ca_bundle {
            // Writing to a string doesn't fail.
            let _ = writeln!(section, "ca_bundle = {path}");
        }
        let mut service = format!("[services {services}]\n");
        for name in SERVICES {
            let _ = write!(service, "{name} =\n  endpoint_url = {}\n", self.endpoint_url);
        }
        (section, service)
    }
}

fn no_place() -> Failure {
    Failure::usage(
        "no place for the profile: HOME is not set to a directory; set it, or AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE",
    )
}

/// Makes the file's directory, and keeps other runs from writing in it meanwhile, so that of two profiles none is lost.
fn hold(path: &Path) -> Result<File, Failure> {
    let directory = make_directory_of(path)?;
    let failed = |error: std::io::Error| Failure::io("cannot use", directory.display(), &error);
    let held = File::open(&directory).map_err(failed)?;
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|errno| failed(errno.into()))?;
    Ok(held)
}

fn make_directory_of(path: &Path) -> Result<PathBuf, Failure> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(|error| Failure::io("cannot make", directory.display(), &error))?;
    Ok(directory)
}

fn read_or_empty(path: &Path) -> Result<Zeroizing<String>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Zeroizing::default()),
        Err(error) => Err(Failure::io("cannot read", path.display(), &error)),
    }
}

fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).map_or(MODE_PRIVATE, |meta| meta.permissions().mode() & 0o777)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let rules = OutputRules { force: true, sync: true, mode, inputs: &[], within: None };
    output::write_whole(path, rules, text.as_bytes())
}
