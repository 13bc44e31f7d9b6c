//! Where the time of a load went, and what to change about it.
//!
//! In: seconds that the parts of the load counted about themselves, by blocks and chunks and never
//! by rows. Out: one [`TableTiming`] for each table and, from all of them, one sentence that names
//! the part all others waited for. The parts are joined by short queues, so the slowest one is the
//! one that is busy all the time, and the others show as waiting. Nothing here reads a clock but
//! [`timed`].

use crate::config::CopyFormat;
use serde::Serialize;
use std::future::Future;
use std::time::Instant;

/// What the load of one table counted, in seconds where nothing else is said.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TableTiming {
    /// From the connection to the commit.
    pub seconds: f64,
    /// COPY statements side by side.
    pub streams: u32,
    /// Threads that decompressed and cut side by side; 0 counts as 1.
    pub readers: u32,
    /// Of the raw objects, as stored.
    pub bytes_read: u64,
    /// Of COPY rows.
    pub bytes_sent: u64,
    pub rows: u64,
    /// Sum over the readers: nothing had come from the fetch yet.
    pub waiting_for_input_s: f64,
    /// Sum over the readers: they hashed, decompressed and cut.
    pub decompress_cpu_s: f64,
    /// Sum over the workers.
    pub parse_cpu_s: f64,
    /// Sum over the streams: they had no rows to send.
    pub waiting_for_parse_s: f64,
    /// Sum over the streams: the server had not taken what was sent, or had not answered.
    pub waiting_for_server_s: f64,
    /// Sum over the workers, for a table that is sorted on the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort_cpu_s: Option<f64>,
}

/// What the load was allowed to use, and how long it took.
#[derive(Debug, Clone, Copy)]
pub struct LoadUse {
    pub seconds: f64,
    /// `--connections`.
    pub connections: usize,
    /// `--workers`.
    pub workers: usize,
    /// Cores of this machine.
    pub cores: usize,
    pub copy_format: CopyFormat,
}

/// Below this a load is mostly connecting and committing.
const SHORTEST_S: f64 = 1.0;
/// What is busy for a smaller part of the time holds nobody up.
const BUSY: f64 = 0.5;
/// A load that sends fewer Mbit/s may be held up by the network: up to there narrow rows were
/// loaded faster as text: docs/PERFORMANCE.md, "Slow links".
const SLOW_LINK_MBIT: f64 = 1_000.0;

/// Waits for `work` and adds the seconds to `spent`.
pub async fn timed<T>(spent: &mut f64, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = work.await;
    *spent += began.elapsed().as_secs_f64();
    done
}

/// Returns one sentence: what held the load back, and the knob that moves it.
pub fn bottleneck(tables: &[(&str, &TableTiming)], used: LoadUse) -> String {
    if used.seconds < SHORTEST_S || tables.is_empty() {
        return format!(
            "a load of {:.2} s is too short to tell what held it back",
            used.seconds
        );
    }
    let sum = |of: fn(&TableTiming) -> f64| tables.iter().map(|(_, table)| of(table)).sum::<f64>();
    let streams = sum(|table| table.seconds * f64::from(table.streams.max(1)));
    let readers = sum(|table| table.seconds * f64::from(table.readers.max(1)));
    let share = |part: f64, whole: f64| (part / whole.max(f64::MIN_POSITIVE)).min(1.0);
    let server = share(sum(|table| table.waiting_for_server_s), streams);
    let input = share(sum(|table| table.waiting_for_input_s), readers);
    let decompress = share(sum(|table| table.decompress_cpu_s), readers);
    let workers = used.seconds * used.workers as f64;
    let parse = share(
        sum(|table| table.parse_cpu_s + table.sort_cpu_s.unwrap_or_default()),
        workers,
    );
    // On a tie the first: the part nearest to the end holds up those before it.
    let parts = [
        (Part::Server, server),
        (Part::Parse, parse),
        (Part::Decompress, decompress),
        (Part::Input, input),
    ];
    let slowest = parts
        .into_iter()
        .reduce(|most, part| if part.1 > most.1 { part } else { most });
    match slowest {
        Some((part, busy)) if busy >= BUSY => {
            let side_by_side = streams / used.seconds;
            let sentence = part.sentence(busy * 100.0, tables, side_by_side, used);
            let mbit = sum(|table| table.bytes_sent as f64) * 8.0 / 1e6 / used.seconds;
            match (part, used.copy_format) {
                (Part::Server, CopyFormat::Binary) if mbit < SLOW_LINK_MBIT => format!(
                    "{sentence}; it was sent {mbit:.0} Mbit/s: if the link carries no more, `--copy-format text` makes fewer bytes of it"
                ),
                _ => sentence,
            }
        }
        _ => last_table(tables, used),
    }
}

#[derive(Clone, Copy)]
enum Part {
    Server,
    Parse,
    Decompress,
    Input,
}

impl Part {
    fn sentence(
        self,
        per_cent: f64,
        tables: &[(&str, &TableTiming)],
        side_by_side: f64,
        used: LoadUse,
    ) -> String {
        match self {
            // Connections that stood unused were not missing.
            Part::Server if side_by_side < used.connections as f64 * 0.7 => format!(
                "the server: {} took its rows as fast as one session can for {per_cent:.0} % of the time, and only {side_by_side:.1} of {} connections were in use; more tables or partitions load side by side",
                longest(tables),
                used.connections
            ),
            Part::Server => format!(
                "the server: {per_cent:.0} % of the time of the connections went by waiting for it; where it has cores to spare raise `--connections` (now {}), otherwise it needs more or faster ones",
                used.connections
            ),
            Part::Parse if used.workers < used.cores => format!(
                "parsing: the workers were busy for {per_cent:.0} % of the time; raise `--workers` (now {}, this machine has {} cores)",
                used.workers, used.cores
            ),
            Part::Parse => format!(
                "parsing: all {} workers were busy for {per_cent:.0} % of the time; this machine needs more cores, or the tables cheaper types",
                used.workers
            ),
            Part::Decompress => format!(
                "decompression: the reading thread of {} was busy for most of its time ({per_cent:.0} % over all tables); deliver zstd instead of gzip, or the source as more files",
                longest_of(tables, |table| table.decompress_cpu_s)
            ),
            Part::Input => format!(
                "the input: the reading threads waited for bytes {per_cent:.0} % of the time; run nearer to the files, or raise `--connections` (now {}) so that more files are fetched at once",
                used.connections
            ),
        }
    }
}

/// No part was busy all the time: often one table is left over at the end.
fn last_table(tables: &[(&str, &TableTiming)], used: LoadUse) -> String {
    let most = tables
        .iter()
        .map(|(_, table)| table.seconds)
        .fold(0.0, f64::max);
    if tables.len() > 1 && most > used.seconds * 0.8 {
        return format!(
            "no part alone: {} alone took {:.0} % of the time of the load; smaller parts of it load side by side",
            longest(tables),
            most / used.seconds * 100.0
        );
    }
    "no part alone: server, parsing, decompression and input each waited for the others".to_owned()
}

fn longest(tables: &[(&str, &TableTiming)]) -> String {
    longest_of(tables, |table| table.seconds)
}

fn longest_of(tables: &[(&str, &TableTiming)], of: fn(&TableTiming) -> f64) -> String {
    tables
        .iter()
        .max_by(|a, b| of(a.1).total_cmp(&of(b.1)))
        .map_or_else(String::new, |(name, _)| format!("`{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USED: LoadUse = LoadUse {
        seconds: 10.0,
        connections: 2,
        workers: 2,
        cores: 4,
        copy_format: CopyFormat::Binary,
    };

    /// A table that loaded for ten seconds on one connection.
    fn table() -> TableTiming {
        TableTiming {
            seconds: 10.0,
            streams: 1,
            readers: 1,
            ..TableTiming::default()
        }
    }

    #[track_caller]
    fn named(tables: &[TableTiming], used: LoadUse, words: &[&str]) {
        let names = ["prices", "plans", "networks"];
        let tables: Vec<_> = names.into_iter().zip(tables).collect();
        let sentence = bottleneck(&tables, used);
        for word in words {
            assert!(sentence.contains(word), "{word}: {sentence}");
        }
    }

    #[test]
    fn the_server_is_named_when_every_connection_waits_for_it() {
        let busy = TableTiming {
            waiting_for_server_s: 9.0,
            parse_cpu_s: 3.0,
            decompress_cpu_s: 2.0,
            ..table()
        };
        named(
            &[busy.clone(), busy.clone()],
            USED,
            &["the server", "90 %", "`--connections` (now 2)"],
        );
        // The network may be what the server is reached by too slowly.
        let sent = |bytes_sent| TableTiming {
            bytes_sent,
            ..busy.clone()
        };
        let slow = [sent(50_000_000), sent(60_000_000)];
        named(&slow, USED, &["88 Mbit/s", "`--copy-format text`"]);
        let text = LoadUse {
            copy_format: CopyFormat::Text,
            ..USED
        };
        let fast = [sent(2_000_000_000)];
        for (tables, used) in [(&slow[..], text), (&fast[..], USED)] {
            let tables: Vec<_> = tables.iter().map(|table| ("prices", table)).collect();
            let sentence = bottleneck(&tables, used);
            assert!(!sentence.contains("Mbit/s"), "{sentence}");
        }
        // One table cannot use a second connection: more of them would not help.
        named(
            std::slice::from_ref(&busy),
            USED,
            &["the server", "`prices`", "1.0 of 2"],
        );
        let two_streams = TableTiming {
            streams: 2,
            waiting_for_server_s: 18.0,
            ..busy
        };
        named(
            &[two_streams],
            USED,
            &["the server", "90 %", "`--connections`"],
        );
    }

    #[test]
    fn parsing_is_named_when_the_workers_never_rest() {
        let busy = TableTiming {
            parse_cpu_s: 9.0,
            waiting_for_parse_s: 7.0,
            waiting_for_server_s: 3.0,
            ..table()
        };
        named(
            &[busy.clone(), busy.clone()],
            USED,
            &["parsing", "90 %", "`--workers` (now 2", "4 cores"],
        );
        let all = LoadUse { cores: 2, ..USED };
        named(
            &[busy.clone(), busy.clone()],
            all,
            &["parsing", "all 2 workers", "more cores"],
        );
        let sorted = TableTiming {
            parse_cpu_s: 4.0,
            sort_cpu_s: Some(5.0),
            ..busy
        };
        named(&[sorted.clone(), sorted], USED, &["parsing", "90 %"]);
    }

    #[test]
    fn decompression_is_named_with_the_table_that_it_holds_up() {
        let other = TableTiming {
            decompress_cpu_s: 6.0,
            ..table()
        };
        let busy = TableTiming {
            decompress_cpu_s: 9.0,
            waiting_for_parse_s: 8.0,
            parse_cpu_s: 3.0,
            ..table()
        };
        named(
            &[other, busy],
            USED,
            &["decompression", "`plans`", "more files"],
        );
    }

    #[test]
    fn the_input_is_named_when_no_bytes_come() {
        let busy = TableTiming {
            waiting_for_input_s: 8.0,
            waiting_for_parse_s: 9.0,
            ..table()
        };
        named(
            &[busy.clone(), busy],
            USED,
            &["the input", "80 %", "nearer to the files"],
        );
    }

    #[test]
    fn without_a_slowest_part_the_longest_table_is_named() {
        let even = TableTiming {
            waiting_for_server_s: 4.0,
            parse_cpu_s: 4.0,
            ..table()
        };
        let short = TableTiming {
            seconds: 1.0,
            waiting_for_server_s: 0.3,
            ..even.clone()
        };
        let idle = TableTiming {
            waiting_for_server_s: 3.0,
            ..even
        };
        named(
            &[short, idle.clone()],
            LoadUse {
                workers: 4,
                seconds: 11.0,
                ..USED
            },
            &["no part alone", "`plans`", "91 %"],
        );
        named(&[idle], USED, &["no part alone", "each waited"]);
    }

    #[test]
    fn a_short_load_names_nothing() {
        let short = LoadUse {
            seconds: 0.3,
            ..USED
        };
        named(&[table()], short, &["0.30 s is too short"]);
        named(&[], USED, &["too short"]);
    }

    #[tokio::test]
    async fn timed_adds_and_hands_the_answer_on() {
        let mut spent = 5.0;
        assert_eq!(timed(&mut spent, async { 7 }).await, 7);
        assert!(spent >= 5.0);
    }
}
