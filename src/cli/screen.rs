//! What a run looks like while it is under way: bars on a terminal, else a line every 30 s.

use super::output;
use crate::progress::{Progress, Snapshot, TableProgress};
use crate::units::{Bytes, grouped};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const REDRAW: Duration = Duration::from_millis(100);

fn bars() -> &'static MultiProgress {
    static BARS: OnceLock<MultiProgress> = OnceLock::new();
    BARS.get_or_init(MultiProgress::new)
}

/// Runs something that writes to stderr with the bars out of the way.
pub fn suspended<T>(write: impl FnOnce() -> T) -> T {
    bars().suspend(write)
}

/// Watches a run until dropped.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts drawing. With `quiet` nothing is drawn. A run without a terminal says at least
    /// `every` so often that it is alive.
    pub fn start(progress: Arc<Progress>, quiet: bool, every: Duration) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = (!quiet).then(|| {
            std::thread::spawn(move || {
                if output::stderr_is_terminal() {
                    draw(&progress, &stopped);
                } else {
                    say(&progress, &stopped, every);
                }
            })
        });
        Watch { stop, thread }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there was reported by the panic hook; the run itself is not affected.
            drop(thread.join());
        }
    }
}

fn draw(progress: &Progress, stop: &AtomicBool) {
    let overall = bars().add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        overall.set_style(style);
    }
    let mut tables: HashMap<String, ProgressBar> = HashMap::new();
    while !stop.load(Ordering::Relaxed) {
        if let Some(now) = progress.snapshot() {
            overall.set_message(overall_text(&now));
            overall.tick();
            tables.retain(|name, bar| {
                let stays = now
                    .tables
                    .iter()
                    .any(|table| table.table == *name && !table.done.load(Ordering::Relaxed));
                if !stays {
                    bar.finish_and_clear();
                }
                stays
            });
            for table in now
                .tables
                .iter()
                .filter(|table| begun(table) && !table.done.load(Ordering::Relaxed))
            {
                let bar = tables
                    .entry(table.table.clone())
                    .or_insert_with(|| table_bar(table));
                bar.set_position(table.bytes.load(Ordering::Relaxed));
                bar.set_message(format!(
                    "{} rows",
                    grouped(table.rows.load(Ordering::Relaxed))
                ));
            }
        }
        std::thread::park_timeout(REDRAW);
    }
    for bar in tables.values() {
        bar.finish_and_clear();
    }
    overall.finish_and_clear();
}

fn begun(table: &TableProgress) -> bool {
    table.bytes.load(Ordering::Relaxed) > 0
}

fn table_bar(table: &TableProgress) -> ProgressBar {
    let bar = bars().add(ProgressBar::new(table.bytes_total));
    let template = "  {prefix:26} [{bar:24}] {percent:>3}% {binary_bytes_per_sec:>12} {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(table.table.clone());
    bar
}

fn say(progress: &Progress, stop: &AtomicBool, every: Duration) {
    let mut last = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        std::thread::park_timeout(every.saturating_sub(last.elapsed()).max(REDRAW));
        if last.elapsed() >= every {
            last = Instant::now();
            if let Some(now) = progress.snapshot() {
                output::message(&overall_text(&now));
            }
        }
    }
}

/// `planinfo: load, 1,234,567 rows, 410,000 rows/s, 43% of 1.20 GiB, about 12 s left`
fn overall_text(now: &Snapshot) -> String {
    let seconds = now.stage_elapsed.as_secs_f64();
    let head = format!("{}: {}", now.dataset, now.stage);
    if now.stage != "load" || now.tables.is_empty() {
        return format!("{head}, {seconds:.0} s");
    }
    let sum = |of: fn(&TableProgress) -> u64| now.tables.iter().map(|table| of(table)).sum::<u64>();
    let rows = sum(|table| table.rows.load(Ordering::Relaxed));
    let bytes = sum(|table| table.bytes.load(Ordering::Relaxed));
    let total = sum(|table| table.bytes_total);
    let left = match bytes {
        0 => String::new(),
        bytes => format!(
            ", about {:.0} s left",
            seconds * (total.saturating_sub(bytes)) as f64 / bytes as f64
        ),
    };
    format!(
        "{head}, {} rows, {} rows/s, {}% of {}{left}",
        grouped(rows),
        grouped((rows as f64 / seconds.max(0.001)) as u64),
        bytes * 100 / total.max(1),
        Bytes(total)
    )
}
