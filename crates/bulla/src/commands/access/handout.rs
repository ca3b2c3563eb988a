//! How an access key is given to its user: once, in a file that is all a client needs.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use bulla_api as api;
use bulla_api::iam::{AccessKey, DeleteAccessKeyInput};
use zeroize::Zeroizing;

use crate::app::{App, FoundKms};
use crate::aws_files::profile_title;
use crate::cli::Handout;
use crate::commands::profile::Reached;
use crate::exit::{Exit, Failure};
use crate::output::{self, MODE_PRIVATE, OutputRules, Target};

/// A place for an access key that isn't made yet: everything that could keep it from getting there has been looked at.
pub(super) struct Prepared {
    profile: String,
    reached: Reached,
    to: PathBuf,
    target: Target<'static>,
}

impl Prepared {
    /// Looks at everything before anything is made. `user` is the profile's name.
    pub(super) fn of(app: &App, found: &FoundKms, command: &Handout, user: &str) -> Result<Self, Failure> {
        let mut reached = match (&found.remote, &found.local) {
            (Some((remote, at)), _) => Reached {
                endpoint_url: at.endpoint.clone().unwrap_or_default(),
                region: remote.region().to_owned(),
                ca_bundle: at.ca_files.first().map(|(path, _)| path.display().to_string()),
            },
            (None, Some(local)) => {
                let directory = &local.place().directory;
                let mut reached = match (Reached::of_server(directory), &command.server_url) {
                    (Ok(reached), _) => reached,
                    (Err(_), Some(url)) => Reached {
                        endpoint_url: url.clone(),
                        region: crate::kms::local::DEFAULT_REGION.to_owned(),
                        ca_bundle: None,
                    },
                    (Err(failure), None) => {
                        return Err(
                            failure.although("or say with --server-url where one will be; nothing was done")
                        );
                    }
                };
                if let Some(region) = &local.place().region {
                    reached.region = region.to_string();
                }
                reached
            }
            (None, None) => return Err(Failure::usage("there is no server to give access to")),
        };
        if let Some(url) = &command.server_url {
            crate::kms::choice::check_url(url, "--server-url")?;
            url.trim_end_matches('/').clone_into(&mut reached.endpoint_url);
        }
        let to = command.output.clone().unwrap_or_else(|| PathBuf::from(format!("{user}.profile")));
        let rules = OutputRules {
            force: app.common.force,
            sync: true,
            mode: MODE_PRIVATE,
            inputs: &[],
            within: None,
        };
        let target = output::open(&to, rules)?;
        Ok(Self { profile: user.to_owned(), reached, to, target })
    }

    /// Puts an access key there. One that doesn't get there is deleted again: nobody could use it.
    pub(super) async fn give(self, found: &FoundKms, key: &AccessKey) -> Result<(), Failure> {
        let text = self.text(key);
        let Self { profile, to, target, .. } = self;
        let written = match target {
            Target::Stream(mut file) => file.write_all(text.as_bytes()).map_err(|error| failed(&to, &error)),
            Target::Fresh(mut fresh) => match fresh.file.write_all(text.as_bytes()) {
                Ok(()) => fresh.commit(),
                Err(error) => Err(failed(&to, &error)),
            },
        };
        let Err(failure) = written else { return Ok(()) };
        let id = key.access_key_id.clone();
        let input = DeleteAccessKeyInput { user_name: Some(profile), access_key_id: id.clone() };
        let deleted =
            found.as_caller(async |caller| Ok(caller.call::<api::DeleteAccessKey>(&input).await?)).await;
        Err(failure.although(&match deleted {
            Ok(_) => "its access key was deleted again".to_owned(),
            Err(_) => format!("access key {id} was made, can't be shown again, and could not be deleted"),
        }))
    }

    /// Whether it goes to standard output, so that nothing else may.
    pub(super) fn is_stdout(&self) -> bool {
        is_stream(&self.to)
    }

    /// The file, for messages.
    pub(super) fn shown(&self) -> String {
        crate::app::shown(&self.to, "standard output")
    }

    /// What to type with the file.
    pub(super) fn usage(&self) -> String {
        let name = &self.profile;
        match self.is_stdout() {
            true => format!("bulla encrypt --profile {name} …"),
            false => format!("AWS_CONFIG_FILE={} bulla encrypt --profile {name} …", self.to.display()),
        }
    }

    /// What the user's host needs beside the file.
    pub(super) fn needs(&self) -> Option<String> {
        let path = self.reached.ca_bundle.as_ref()?;
        Some(format!(
            "the user's host needs `{path}` too, there under the name that ca_bundle has in the file"
        ))
    }

    /// A configuration file of aws, which may hold the credentials too.
    ///
    /// Source: AWS SDKs and Tools Reference Guide, "Shared config and credentials files".
    fn text(&self, key: &AccessKey) -> Zeroizing<String> {
        let (profile, services) =
            self.reached.sections(&profile_title(&self.profile), &format!("{}-bulla", self.profile));
        let mut text = Zeroizing::new(String::with_capacity(1024));
        text.push_str(&profile);
        // Writing to a string doesn't fail.
        let _ = writeln!(text, "aws_access_key_id = {}", key.access_key_id);
        let _ = writeln!(text, "aws_secret_access_key = {}\n", key.secret_access_key.expose());
        text.push_str(&services);
        text
    }
}

fn failed(to: &Path, error: &std::io::Error) -> Failure {
    Failure::io("cannot write", crate::app::shown(to, "standard output"), error)
}

fn is_stream(path: &Path) -> bool {
    path == Path::new("-")
}

/// A user's name, which is a profile's name too.
pub(super) fn user_name(name: &str) -> Result<&str, Failure> {
    if bulla_server::aws_profile::is_valid_name(name) {
        return Ok(name);
    }
    Err(Failure::new(
        Exit::Usage,
        format!("`{name}` is no name for a user here; use at most 64 letters, digits and - _ . @ +"),
    ))
}
