//! The commands that are run for one small file after another, parsed by their own part of the grammar: to make the whole
//! of it, with the options of some sixty commands, takes as long as to seal the file.

use std::ffi::OsString;

use clap::{ArgMatches, Args, FromArgMatches};

use crate::cli::{Cli, Common, Decrypt, Encrypt};
use crate::parse;

/// The command line, if it begins with one of those commands and is right. Anything else is for the whole grammar, which
/// says what is wrong.
pub(crate) fn parsed(arguments: &[OsString]) -> Option<(Cli, ArgMatches)> {
    let name = arguments.get(1)?.to_str()?;
    let command = clap::Command::new(name.to_owned());
    let command = match name {
        "encrypt" => Encrypt::augment_args(command),
        "decrypt" => Decrypt::augment_args(command),
        _ => return None,
    };
    let matches =
        parse(Common::augment_args(clap::Command::new("bulla")).subcommand(command), arguments).ok()?;
    Some((Cli::from_arg_matches(&matches).ok()?, matches))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::cli::grammar;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn a_command_parsed_alone_is_what_the_whole_grammar_says() {
        for line in [
            "bulla encrypt",
            "bulla encrypt -q -k alias/x -o - small",
            "bulla encrypt a b --region eu-home-1 -c a=b -c c=d --threads 2 --json",
            "bulla encrypt -o db.sealed --force -- pg_dump --help",
            "bulla decrypt -q -o - small.sealed",
            "bulla decrypt --range 0-511 -o - x --xks-connect a=b,c=d --kms embedded",
            "bulla decrypt -v x -- tar x",
        ] {
            let whole = parse(grammar(), &words(line)).unwrap();
            let (cli, matches) = parsed(&words(line)).expect(line);
            assert_eq!(format!("{cli:?}"), format!("{:?}", Cli::from_arg_matches(&whole).unwrap()), "{line}");
            let (name, inner) = matches.subcommand().unwrap();
            let (whole_name, whole_inner) = whole.subcommand().unwrap();
            assert_eq!(name, whole_name);
            for id in whole_inner.ids() {
                let id = id.as_str();
                assert_eq!(inner.value_source(id), whole_inner.value_source(id), "{line}: {id}");
            }
        }
    }

    #[test]
    fn what_is_not_right_and_every_other_command_is_for_the_whole_grammar() {
        for line in [
            "bulla",
            "bulla encrypt --help",
            "bulla encrypt --version",
            "bulla encrypt --nonsense",
            "bulla encrypt --archive x -- y",
            "bulla decrypt --kms nobody x",
            "bulla -q encrypt x",
            "bulla verify x",
            "bulla help encrypt",
        ] {
            assert!(parsed(&words(line)).is_none(), "{line}");
        }
    }
}
