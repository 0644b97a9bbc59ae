//! Client → box → federation → box → client, measured end to end, beside a bare rustls pipe of the same shape.
//!
//! `scripts/bench` builds and runs it. Two boxes are two real `tombolo run` processes with default limits, joined by
//! one federation link; the pipe is two processes that do nothing but copy bytes between rustls connections. Sender
//! and receiver are two threads of this program in either case. The sender stays at most `--window` events ahead of
//! the receiver, so that a full outbox (which may drop tracks, as it should) is not what is measured; what is lost
//! all the same is reported.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a benchmark measures the real clock, in threads of its own"
)]

mod memory;
mod meter;
mod pipe;
#[allow(dead_code, unused_imports, reason = "shared with the scenario tests")]
#[path = "../scenarios/support/mod.rs"]
mod support;
mod tracks;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use meter::{Figures, Meter};
use support::{joined_pair, tls_stream};
use tracks::Tracks;

/// One measured shape.
struct Row {
    name: &'static str,
    flood: Figures,
    paced: Figures,
    /// Peak resident memory of the process at either end of the link, KiB.
    peak_kib: [u64; 2],
}

/// What the command line says.
struct Plan {
    events: usize,
    rate: u32,
    seconds: u32,
    window: usize,
}

impl Plan {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let mut plan = Self {
            events: 100_000,
            rate: 1_000,
            seconds: 10,
            window: 256,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut number = || {
                let value = words.next().and_then(|value| value.parse::<u32>().ok());
                value
                    .filter(|&value| value > 0)
                    .ok_or(format!("{word} wants a number above 0"))
            };
            match word.as_str() {
                // What `cargo bench` itself hands to every benchmark.
                "--bench" => {}
                "--events" => plan.events = number()? as usize,
                "--rate" => plan.rate = number()?,
                "--seconds" => plan.seconds = number()?,
                "--window" => plan.window = number()? as usize,
                other => {
                    return Err(format!(
                        "unknown option {other}; known: --events N --rate PER_SECOND --seconds N --window EVENTS"
                    ));
                }
            }
        }
        Ok(plan)
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("relay", rest)) = arguments
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    {
        pipe::relay(rest);
        return;
    }
    if let Some((_, rest)) = arguments
        .split_first()
        .filter(|(first, _)| *first == "memory")
    {
        let seconds = rest.first().and_then(|seconds| seconds.parse().ok());
        memory::run(seconds.unwrap_or(60));
        return;
    }
    match Plan::read(&arguments) {
        Ok(plan) => run(&plan),
        Err(error) => {
            eprintln!("bench: {error}");
            std::process::exit(64);
        }
    }
}

fn run(plan: &Plan) {
    let tracks = Tracks::new(plan.events + (plan.rate * plan.seconds) as usize);
    println!(
        "{} distinct tracks of {} bytes, window {} events; latency at {} events/s for {} s",
        plan.events,
        tracks.mean_size(),
        plan.window,
        plan.rate,
        plan.seconds
    );
    println!();
    println!("| path | delivered | events/s | of the pipe | p50 ms | p99 ms | peak RSS MiB |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let pipe = bare_pipe(plan, &tracks);
    let yardstick = pipe.flood.per_second();
    print_row(&pipe, yardstick);
    print_row(
        &boxes("two boxes, TLS clients", true, plan, &tracks),
        yardstick,
    );
    print_row(
        &boxes("two boxes, plain clients", false, plan, &tracks),
        yardstick,
    );
}

fn boxes(name: &'static str, tls: bool, plan: &Plan, tracks: &Tracks) -> Row {
    let (alpha, bravo) = joined_pair();
    let (flood, paced) = if tls {
        let mut sender = tls_stream(alpha.clients_tls(), &alpha.issue("sender")).unwrap();
        let mut receiver = tls_stream(bravo.clients_tls(), &bravo.issue("receiver")).unwrap();
        receiver
            .sock
            .set_read_timeout(Some(meter::PATIENCE))
            .unwrap();
        bravo.wait_clients(1);
        measure(&mut sender, &mut receiver, plan, tracks)
    } else {
        let mut sender = TcpStream::connect(alpha.clients_tcp()).unwrap();
        sender.set_nodelay(true).unwrap();
        let mut receiver = TcpStream::connect(bravo.clients_tcp()).unwrap();
        receiver.set_read_timeout(Some(meter::PATIENCE)).unwrap();
        bravo.wait_clients(1);
        measure(&mut sender, &mut receiver, plan, tracks)
    };
    for (node, peer) in [(&alpha, "bravo"), (&bravo, "alpha")] {
        let status = node.status();
        eprintln!(
            "{name}: local {} | {peer} {}",
            status.0["local"]["dropped"],
            status
                .peer(peer)
                .map_or(&serde_json::Value::Null, |peer| &peer["dropped"])
        );
    }
    Row {
        name,
        flood,
        paced,
        peak_kib: [alpha.peak_kib(), bravo.peak_kib()],
    }
}

fn bare_pipe(plan: &Plan, tracks: &Tracks) -> Row {
    let pipe = pipe::Pipe::start();
    let mut receiver = tls_stream(pipe.far, &pipe.leaf).unwrap();
    receiver
        .sock
        .set_read_timeout(Some(meter::PATIENCE))
        .unwrap();
    let mut sender = tls_stream(pipe.near, &pipe.leaf).unwrap();
    let (flood, paced) = measure(&mut sender, &mut receiver, plan, tracks);
    Row {
        name: "bare rustls pipe",
        flood,
        paced,
        peak_kib: pipe.peak_kib(),
    }
}

fn measure(
    // Both stay open after the run: the processes between them must live until their memory was read.
    sender: &mut (impl Write + Send),
    receiver: &mut (impl Read + Send),
    plan: &Plan,
    tracks: &Tracks,
) -> (Figures, Figures) {
    let mut meter = Meter::new(sender, receiver, tracks);
    let flood = meter.flood(0..plan.events, plan.window);
    let interval = Duration::from_secs(1) / plan.rate;
    let paced = meter.paced(plan.events..tracks.len(), interval);
    (flood, paced)
}

fn print_row(row: &Row, yardstick: f64) {
    println!(
        "| {} | {}/{} + {}/{} | {:.0} | {:.0} % | {:.2} | {:.2} | {:.1} + {:.1} |",
        row.name,
        row.flood.delivered,
        row.flood.sent,
        row.paced.delivered,
        row.paced.sent,
        row.flood.per_second(),
        100.0 * row.flood.per_second() / yardstick,
        row.paced.latency_ms(50),
        row.paced.latency_ms(99),
        mebibytes(row.peak_kib[0]),
        mebibytes(row.peak_kib[1]),
    );
    match row.flood.duplicates + row.paced.duplicates {
        0 => {}
        twice => eprintln!("{}: {twice} events came twice", row.name),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "memory sizes are far below 2^52"
)]
fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
