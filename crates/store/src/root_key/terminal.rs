//! Asking for a passphrase: on the controlling terminal, without echo.

use super::RootKeyError;
use super::passphrase::PASSPHRASE_BYTES_MAX;
use rustix::process::Signal;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use zeroize::Zeroizing;

/// Asks once.
pub(super) fn ask(prompt: &str) -> Result<Zeroizing<Vec<u8>>, RootKeyError> {
    let mut terminal = Silent::open()?;
    terminal.prompt(prompt)?;
    let line = terminal.read_line();
    end_if_told(terminal, line)
}

/// Ends the process as the keys for it do elsewhere, once the terminal is as it was before.
fn end_if_told<T>(terminal: Silent, asked: Result<T, Stopped>) -> Result<T, RootKeyError> {
    drop(terminal);
    match asked {
        Ok(value) => Ok(value),
        Err(Stopped::Failed(error)) => Err(error),
        Err(Stopped::Told(signal)) => {
            // That it can't be sent, or is ignored, leaves what it means.
            let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
            Err(RootKeyError::Cancelled)
        }
    }
}

/// Why there is no line.
enum Stopped {
    /// Somebody has pressed the keys of this signal.
    Told(Signal),
    Failed(RootKeyError),
}

impl From<RootKeyError> for Stopped {
    fn from(error: RootKeyError) -> Self {
        Self::Failed(error)
    }
}

/// Asks twice, for a passphrase that nothing can check yet.
pub(super) fn ask_twice() -> Result<Zeroizing<Vec<u8>>, RootKeyError> {
    let mut terminal = Silent::open()?;
    let mut both = || {
        terminal.prompt("new passphrase for the root key: ")?;
        let first = terminal.read_line()?;
        terminal.prompt("the same again: ")?;
        Ok((first, terminal.read_line()?))
    };
    let both = both();
    let (first, second) = end_if_told(terminal, both)?;
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

    fn read_line(&mut self) -> Result<Zeroizing<Vec<u8>>, Stopped> {
        // Of its full size from the start, for a vector that grows leaves copies behind.
        let mut line = Zeroizing::new(Vec::with_capacity(PASSPHRASE_BYTES_MAX + 1));
        let mut byte = Zeroizing::new([0; 1]);
        loop {
            match self.terminal.read(&mut *byte) {
                Ok(0) => return Err(RootKeyError::Cancelled.into()),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(RootKeyError::NoTerminal.into()),
            }
            match *byte {
                [b'\n'] => return Ok(line),
                [INTERRUPT] => return Err(Stopped::Told(Signal::INT)),
                [QUIT] => return Err(Stopped::Told(Signal::QUIT)),
                [_] if line.len() > PASSPHRASE_BYTES_MAX => {
                    return Err(RootKeyError::PassphraseLength.into());
                }
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
