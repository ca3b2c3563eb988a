//! Options that every command, or every one that opens, has, and that one of them makes no use of: its help is without them.
//!
//! They stay part of its grammar, for they may stand in a configuration file or a variable that is for all commands.

use clap::{Command, CommandFactory};

use super::Cli;

/// Of each command the options, by their names in the grammar's types.
const IDLE: &[(&str, &[&str])] = &[
    // Nothing is written.
    ("verify", &["sync", "upload_concurrency", "force"]),
    // It refuses those that name another KMS, or a store that is no backup.
    ("drill", &["sync", "upload_concurrency", "force", "data_dir", "kms", "endpoint_url", "profile"]),
    // No KMS is asked, and all is told that there is to tell.
    (
        "inspect",
        &[
            "upload_concurrency",
            "force",
            "verbose",
            "data_dir",
            "root_key",
            "kms",
            "endpoint_url",
            "profile",
            "region",
            "account_id",
            "xks_connect",
            "xks_timeout",
            "kms_wait",
        ],
    ),
    // What is replaced is always asked for, and always on the disk before the command ends.
    ("rewrap", &["sync", "force"]),
];

/// The whole grammar.
pub(crate) fn grammar() -> Command {
    let whole = Cli::command();
    let common: Vec<_> = whole.get_arguments().cloned().collect();
    IDLE.iter().fold(whole, |whole, (name, idle)| {
        whole.mut_subcommand(name, |command| {
            idle.iter().fold(command, |command, id| {
                // What stands at the top, for all commands, is taken over by each that has none of that name.
                match common.iter().find(|option| option.get_id() == *id) {
                    Some(option) => command.arg(option.clone().hide(true)),
                    None => command.mut_arg(id, |option| option.hide(true)),
                }
            })
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use clap::FromArgMatches;

    /// The options that the help of a command shows.
    fn shown(name: &str) -> Vec<String> {
        let mut whole = grammar();
        whole.build();
        let options = whole.find_subcommand(name).unwrap().get_arguments();
        options.filter(|option| !option.is_hide_set()).map(|option| option.get_id().to_string()).collect()
    }

    #[test]
    fn help_shows_what_a_command_makes_use_of_and_nothing_else() {
        grammar().debug_assert();
        for (name, idle) in IDLE {
            let shown = shown(name);
            for id in *idle {
                assert!(!shown.contains(&(*id).to_owned()), "{name} {id}");
            }
            assert!(["json", "s3_profile"].iter().all(|id| shown.contains(&(*id).to_owned())), "{shown:?}");
        }
        let decrypt = shown("decrypt");
        for id in ["sync", "force", "upload_concurrency", "data_dir"] {
            assert!(decrypt.contains(&id.to_owned()), "{id}: {decrypt:?}");
        }
        assert!(shown("verify").contains(&"data_dir".to_owned()));
    }

    #[test]
    fn what_is_not_shown_is_read_all_the_same_before_and_behind_the_command() {
        for line in
            ["inspect --region eu-home-1 --xks-connect a=b,c=d --force x", "--region eu-home-1 inspect x"]
        {
            let words = std::iter::once("bulla").chain(line.split(' '));
            let matches = grammar().try_get_matches_from(words).unwrap();
            let cli = Cli::from_arg_matches(&matches).unwrap();
            assert_eq!(cli.common.region.as_deref(), Some("eu-home-1"), "{line}");
            assert_eq!(cli.common.force, line.contains("--force"));
            assert_eq!(cli.common.xks_connect.len(), if line.contains("xks") { 2 } else { 0 });
        }
    }
}
