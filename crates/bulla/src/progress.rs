//! Progress of work that takes longer than a second: a bar on a terminal, for programs an event each second.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::exit::one_line;
use crate::say::{Say, error_event};

/// Shorter work shows nothing.
const DELAY: Duration = Duration::from_secs(1);
const REDRAW: Duration = Duration::from_millis(100);

/// Shows progress until it is dropped.
pub(crate) struct Progress {
    started: Instant,
    // Dropped first, which ends the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts watching `moved`, as the options and standard error let it be told. `length` is the whole work, when that is
    /// known.
    pub(crate) fn start(name: String, moved: Arc<AtomicU64>, length: Option<u64>, say: Say) -> Self {
        let started = Instant::now();
        let shown = !say.quiet && (say.json || std::io::stderr().is_terminal());
        if !shown {
            return Self { started, stop: None, thread: None };
        }
        let (stop, stopped) = channel::<()>();
        let watch = move || {
            if stopped.recv_timeout(DELAY) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            if say.json {
                return tell_each_second(&name, &moved, length, started, &stopped);
            }
            // Until something has moved there is no speed, and nothing to show.
            while moved.load(Ordering::Relaxed) == 0 {
                if stopped.recv_timeout(REDRAW) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
            let bar = match length {
                Some(length) => ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr()),
                None => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
            };
            // Of the whole time: the bar's own estimates begin with it, when much was moved already.
            let bar = bar.with_elapsed(started.elapsed());
            let template = match length {
                Some(_) => "{msg} [{wide_bar}] {bytes}/{total_bytes} {prefix}",
                None => "{msg} {bytes} {prefix} {elapsed}",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            let mut bar = bar.with_message(one_line(&name));
            loop {
                let now = moved.load(Ordering::Relaxed);
                // Drawn by the position, with all that stands beside it.
                let speed = speed(now, length, bar.elapsed());
                bar = bar.with_prefix(speed);
                bar.set_position(now);
                if stopped.recv_timeout(REDRAW) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            bar.finish_and_clear();
        };
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(watch).ok();
        Self { started, stop: Some(stop), thread }
    }

    /// How long it took.
    pub(crate) fn end(self) -> Duration {
        self.started.elapsed()
    }
}

/// Events for programs, until the work is over.
fn tell_each_second(
    name: &str,
    moved: &AtomicU64,
    length: Option<u64>,
    started: Instant,
    stopped: &Receiver<()>,
) {
    loop {
        let event = serde_json::json!({
            "event": "progress",
            "input": name,
            "bytes": moved.load(Ordering::Relaxed),
            "total_bytes": length,
            "seconds": started.elapsed().as_secs_f64(),
        });
        error_event(&event);
        if stopped.recv_timeout(DELAY) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Bytes a second since the start, and how long the rest takes at that speed.
pub(crate) fn speed(moved: u64, length: Option<u64>, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let bytes_per_second = moved as f64 / seconds;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and shown rounded"
    )]
    let shown = format!("{}/s", HumanBytes(bytes_per_second as u64));
    match length {
        #[expect(clippy::cast_precision_loss, reason = "shown in seconds")]
        Some(length) if bytes_per_second >= 1.0 => {
            let rest = length.saturating_sub(moved) as f64 / bytes_per_second;
            format!("{shown} {}", HumanDuration(Duration::try_from_secs_f64(rest).unwrap_or(Duration::MAX)))
        }
        _ => shown,
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It holds nothing that matters.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_that_of_the_whole_time() {
        let told = speed(3 << 20, Some(9 << 20), Duration::from_secs(3));
        assert_eq!(told, "1.00 MiB/s 6 seconds");
        assert_eq!(speed(0, Some(5), Duration::ZERO), "0 B/s");
        assert_eq!(speed(2048, None, Duration::from_secs(2)), "1.00 KiB/s");
    }
}
