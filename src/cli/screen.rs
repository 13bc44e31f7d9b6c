//! What a run looks like while it is under way: bars on a terminal, else a line every 30 s.

use super::output;
use super::terminal::{self, Terminal};
use crate::progress::{Progress, Snapshot, TableProgress};
use crate::units::{Bytes, grouped};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const REDRAW: Duration = Duration::from_millis(100);
/// Rates are shown from here on, in seconds.
const RATE_FROM_S: f64 = 1.0;

fn bars() -> &'static MultiProgress {
    static BARS: OnceLock<MultiProgress> = OnceLock::new();
    BARS.get_or_init(|| {
        MultiProgress::with_draw_target(match output::stderr_is_terminal() {
            true => ProgressDrawTarget::term_like_with_hz(Box::<Terminal>::default(), 20),
            false => ProgressDrawTarget::hidden(),
        })
    })
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
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        overall.set_style(style);
    }
    let mut tables: HashMap<String, (ProgressBar, Instant)> = HashMap::new();
    while !stop.load(Ordering::Relaxed) {
        if let Some(now) = progress.snapshot() {
            overall.set_message(overall_text(&now));
            overall.tick();
            tables.retain(|name, (bar, _)| {
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
                let (bar, began) = tables
                    .entry(table.table.clone())
                    .or_insert_with(|| (table_bar(table), Instant::now()));
                bar.set_position(table.bytes.load(Ordering::Relaxed));
                bar.set_message(table_text(table, began.elapsed()));
            }
        }
        std::thread::park_timeout(REDRAW);
    }
    for (bar, _) in tables.values() {
        bar.finish_and_clear();
    }
    overall.finish_and_clear();
}

fn begun(table: &TableProgress) -> bool {
    table.bytes.load(Ordering::Relaxed) > 0
}

fn table_bar(table: &TableProgress) -> ProgressBar {
    let bar = bars().add(ProgressBar::new(table.bytes_total));
    // `!` cuts a longer name; `wide_msg` is cut to what is left of the line.
    let template = match terminal::size().0 {
        ..100 => "  {prefix:20!} [{bar:12}] {percent:>3}% {wide_msg}",
        _ => "  {prefix:26!} [{bar:24}] {percent:>3}% {wide_msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(table.table.clone());
    bar
}

/// `246,862 rows, 4.02 MiB/s`. A rate over less than a second is noise.
fn table_text(table: &TableProgress, elapsed: Duration) -> String {
    let rows = grouped(table.rows.load(Ordering::Relaxed));
    match elapsed.as_secs_f64() {
        ..RATE_FROM_S => format!("{rows} rows"),
        seconds => {
            let rate = table.bytes.load(Ordering::Relaxed) as f64 / seconds;
            format!("{rows} rows, {}/s", Bytes(rate as u64))
        }
    }
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

/// `planinfo: load, 1,234,567 rows, 410,000 rows/s, 43% of 1.20 GiB, about 12 s left`, or
/// `planinfo: load WAITS since 19:27:04 UTC: the disk has 37.0 MiB free, less than 61.3 MiB; …`
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
    let share = format!("{}% of {}", bytes * 100 / total.max(1), Bytes(total));
    if let Some(waits) = &now.waits {
        // At the pace before the wait an estimate would only rise.
        return format!(
            "{head} WAITS since {}: {}; {} rows, {share}",
            waits.since.strftime("%H:%M:%S UTC"),
            waits.reason,
            grouped(rows),
        );
    }
    let loaded = format!("{head}, {} rows", grouped(rows));
    if bytes == 0 || seconds < RATE_FROM_S {
        return format!("{loaded}, {share}");
    }
    format!(
        "{loaded}, {} rows/s, {share}, about {:.0} s left",
        grouped((rows as f64 / seconds) as u64),
        seconds * (total.saturating_sub(bytes)) as f64 / bytes as f64
    )
}
