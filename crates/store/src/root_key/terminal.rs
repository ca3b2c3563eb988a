//! Asking for a passphrase: on the controlling terminal, without echo.

use super::RootKeyError;
use super::passphrase::PASSPHRASE_BYTES_MAX;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use zeroize::Zeroizing;

/// Asks once.
pub(super) fn ask(prompt: &str) -> Result<Zeroizing<Vec<u8>>, RootKeyError> {
    let mut terminal = Silent::open()?;
    terminal.prompt(prompt)?;
    terminal.read_line()
}

/// Asks twice, for a passphrase that nothing can check yet.
pub(super) fn ask_twice() -> Result<Zeroizing<Vec<u8>>, RootKeyError> {
    let mut terminal = Silent::open()?;
    terminal.prompt("new passphrase for the root key: ")?;
    let first = terminal.read_line()?;
    terminal.prompt("the same again: ")?;
    let second = terminal.read_line()?;
    if bulla_crypto::constant_time_eq(&first, &second) { Ok(first) } else { Err(RootKeyError::Mismatch) }
}

/// The controlling terminal without echo; put back when dropped.
struct Silent {
    terminal: File,
    before: Termios,
}

impl Silent {
    fn open() -> Result<Self, RootKeyError> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
        let terminal = terminal.map_err(|_| RootKeyError::NoTerminal)?;
        let before = tcgetattr(&terminal).map_err(|_| RootKeyError::NoTerminal)?;
        let mut silent = before.clone();
        // Without signals too: an interrupt arrives as a character, and the terminal is put back before the
        // program ends.
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        silent.local_modes.insert(LocalModes::ICANON | LocalModes::ECHONL);
        // And at once, as if it were the end of the line.
        silent.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
        silent.special_codes[SpecialCodeIndex::VEOL2] = QUIT;
        tcsetattr(&terminal, OptionalActions::Flush, &silent).map_err(|_| RootKeyError::NoTerminal)?;
        Ok(Self { terminal, before })
    }

    fn prompt(&mut self, text: &str) -> Result<(), RootKeyError> {
        self.terminal.write_all(text.as_bytes()).map_err(|_| RootKeyError::NoTerminal)
    }

    fn read_line(&mut self) -> Result<Zeroizing<Vec<u8>>, RootKeyError> {
        // Of its full size from the start, for a vector that grows leaves copies behind.
        let mut line = Zeroizing::new(Vec::with_capacity(PASSPHRASE_BYTES_MAX + 1));
        let mut byte = Zeroizing::new([0; 1]);
        loop {
            match self.terminal.read(&mut *byte) {
                Ok(0) => return Err(RootKeyError::Cancelled),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(RootKeyError::NoTerminal),
            }
            match *byte {
                [b'\n'] => return Ok(line),
                [INTERRUPT | QUIT] => return Err(RootKeyError::Cancelled),
                [_] if line.len() > PASSPHRASE_BYTES_MAX => return Err(RootKeyError::PassphraseLength),
                [other] => line.push(other),
            }
        }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // The terminal is gone otherwise.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Control-C and control-backslash.
const INTERRUPT: u8 = 3;
const QUIT: u8 = 28;
