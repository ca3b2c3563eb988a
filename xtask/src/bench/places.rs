//! The files of the measurement.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;

use super::processes::Job;
use super::{Failure, Plan};

/// Where they are.
pub(super) struct Places {
    pub(super) home: PathBuf,
    pub(super) plain: PathBuf,
    pub(super) sealed: PathBuf,
    pub(super) out: PathBuf,
    /// The program that is measured.
    pub(super) bulla: String,
}

impl Places {
    pub(super) fn make(plan: &Plan) -> Result<Self, Failure> {
        let in_dir = |name: &str| plan.dir.join(name);
        let places = Self {
            home: in_dir("home"),
            plain: in_dir("plain"),
            sealed: in_dir("sealed"),
            out: in_dir("out"),
            bulla: plan.binary.to_string_lossy().into_owned(),
        };
        std::fs::create_dir_all(&places.home)?;
        // Random bytes of one MiB, over and over: nothing here compresses or deduplicates, and making them is quick.
        let mut block = vec![0; 1 << 20];
        File::open("/dev/urandom")?.read_exact(&mut block)?;
        let mut file = File::create(&places.plain)?;
        let mut left = plan.size_bytes;
        while left > 0 {
            let piece = usize::try_from(left.min(1 << 20))?;
            file.write_all(block.get(..piece).ok_or("piece")?)?;
            left -= piece as u64;
        }
        // Written out now, so that the kernel does not do it during the timing.
        file.sync_all()?;
        let create = [&*places.bulla, "key", "create", "alias/bench"];
        Job::new("key create", &places.home, &create).into_null().seconds()?;
        let (plain, sealed) = (places.plain.to_string_lossy(), places.sealed.to_string_lossy());
        let seal = [&*places.bulla, "encrypt", "-q", "-k", "alias/bench", "-o", &sealed, &plain];
        Job::new("seal", &places.home, &seal).seconds()?;
        Ok(places)
    }

    /// What was measured was the right thing: opened, the file is the same.
    pub(super) fn compare(&self) -> Result<(), Failure> {
        let (sealed, out) = (self.sealed.to_string_lossy(), self.out.to_string_lossy());
        let open = [&*self.bulla, "decrypt", "-q", "-o", &out, &sealed];
        let open = Job::new("open", &self.home, &open).creating(&self.out);
        open.seconds()?;
        let same = Command::new("cmp").args([&self.plain, &self.out]).status()?;
        open.clear()?;
        if same.success() { Ok(()) } else { Err("what was opened differs from what was sealed".into()) }
    }
}
