//! One allowed thumbnail through a real nginx, in four ways, in one run: served unguarded; after a responder that
//! decides nothing; after the gate's verdict on a real MariaDB, for a signed-in visitor and a private picture; and
//! refused. Prints requests a second (median of interleaved rounds), the ratios, and the processor time that each
//! process took. Needs `wrk`; `benches/run.sh` brings it.

mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::{Child, Command};

use measure::{Load, Report, cpu_seconds, median, resident_mib};
use support::gate::Gate;
use support::http;
use support::nginx::{self, Nginx};
use support::scene::Scene;

const ROUNDS: usize = 5;
const SECONDS: u32 = 3;
const CONNECTIONS: u32 = 16;

struct Way {
    name: &'static str,
    url: String,
    cookie: String,
    expected: u16,
    processes: Vec<(&'static str, u32)>,
    rates: Vec<f64>,
    cpu: Vec<Vec<f64>>,
}

fn main() {
    let scene = Scene::start();
    let world = &scene.world;
    let bob = world.user("bob").id;
    let verdict = |user: u32, image: u32| world.verdicts.iter().any(|v| (v.0, v.1, v.2) == (user, image, 1));
    let image = world
        .images
        .iter()
        .find(|image| image.is_picture() && verdict(bob, image.id) && !verdict(2, image.id))
        .expect("a private picture of bob's");
    let path = image.derivative("th").expect("a thumbnail");
    // A thumbnail of the usual size, not of the tests' few bytes.
    let file = scene.sandbox.gallery().join(&path);
    let time = std::fs::metadata(&file).and_then(|file| file.modified()).expect("the thumbnail");
    std::fs::write(&file, vec![0xd8; 10_000]).expect("the thumbnail");
    std::fs::File::options()
        .append(true)
        .open(&file)
        .and_then(|file| file.set_modified(time))
        .expect("its time");

    let gate = Gate::start(&scene.sandbox, &["--log", "warn"], &[]);
    let nothing_socket = scene.sandbox.path().join("nothing.sock");
    let nothing = Nothing::start(&nothing_socket, &path);
    let root = scene.sandbox.gallery();
    let shipped = nginx::fill_in(&scene.sandbox, nginx::ACCEL);
    let ask_nothing = format!(
        "location ^~ /nothing/ {{ include /etc/nginx/fastcgi_params; fastcgi_param GATE_DELIVER x-accel-redirect; \
         fastcgi_pass_request_body off; fastcgi_param CONTENT_LENGTH \"\"; fastcgi_pass unix:{}; }}\n\
         location ^~ /unguarded/ {{ alias {}/; }}\n",
        nothing_socket.display(),
        root.display(),
    );
    let nginx =
        Nginx::start(&scene.sandbox, &nginx::gallery(&scene.sandbox, &format!("{shipped}\n{ask_nothing}")));
    let url = http::url(&path);
    let cookie = world.session("bob").cookie_header();
    let database = scene.database.id().expect("MariaDB runs");
    let with_database = vec![("gate", gate.id()), ("MariaDB", database)];
    let way = |name, url: String, cookie: &str, expected, processes| Way {
        name,
        url,
        cookie: cookie.to_owned(),
        expected,
        processes,
        rates: Vec::new(),
        cpu: Vec::new(),
    };
    let mut ways = [
        way("nginx alone, unguarded", format!("/unguarded{url}"), &cookie, 200, vec![]),
        way(
            "a responder that decides nothing",
            format!("/nothing{url}"),
            &cookie,
            200,
            vec![("responder", nothing.0.id())],
        ),
        way("the gate, allowed", url.clone(), &cookie, 200, with_database.clone()),
        way("the gate, refused", url, "", 403, with_database),
    ];
    for round in 0..=ROUNDS {
        for way in &mut ways {
            let before: Vec<f64> = way.processes.iter().map(|(_, id)| cpu_seconds(*id)).collect();
            let (rate, requests) = wrk(&nginx, way);
            let cpu = way
                .processes
                .iter()
                .zip(before)
                .map(|((_, id), before)| (cpu_seconds(*id) - before) * 1e6 / requests)
                .collect();
            // The first round warms caches and connections.
            if round > 0 {
                way.rates.push(rate);
                way.cpu.push(cpu);
            }
        }
    }
    println!(
        "one thumbnail of 10 kB through nginx, {CONNECTIONS} connections kept alive, {ROUNDS} interleaved rounds of \
         {SECONDS} s, medians:"
    );
    let rates: Vec<f64> = ways.iter().map(|way| median(&way.rates)).collect();
    println!(
        "  {:<34} {:>10} {:>12} {:>13}   processor time per request",
        "", "requests/s", "to unguarded", "to nothing"
    );
    for (way, rate) in ways.iter().zip(&rates) {
        let cpu: Vec<String> = way
            .processes
            .iter()
            .enumerate()
            .map(|(index, (name, _))| {
                let values: Vec<f64> = way.cpu.iter().map(|round| round[index]).collect();
                format!("{name} {:.0} µs", median(&values))
            })
            .collect();
        println!(
            "  {:<34} {rate:>10.0} {:>12.2} {:>13.2}   {}",
            way.name,
            rate / rates[0],
            rate / rates[1],
            cpu.join(", ")
        );
    }
    println!("  resident memory of the gate: {:.1} MiB", resident_mib(gate.id()));
}

/// `layers serve`, the responder that decides nothing.
struct Nothing(Child);

impl Nothing {
    fn start(socket: &PathBuf, file: &str) -> Self {
        let program =
            std::env::var_os("LAYERS").expect("LAYERS names the layers benchmark: use benches/run.sh");
        let child =
            Command::new(program).arg("serve").arg(socket).arg(file).spawn().expect("the responder starts");
        let nothing = Nothing(child);
        for _ in 0..500 {
            if std::os::unix::net::UnixStream::connect(socket).is_ok() {
                return nothing;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the responder does not listen");
    }
}

impl Drop for Nothing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Requests a second and requests in all; fails if any answer was not the expected one.
fn wrk(nginx: &Nginx, way: &Way) -> (f64, f64) {
    let load = Load { connections: CONNECTIONS, seconds: SECONDS, cookie: &way.cookie };
    let Report { requests_a_second, requests, refused } = measure::wrk(nginx.address(), &way.url, None, load);
    let expected = if way.expected == 200 { 0.0 } else { requests };
    assert!((refused - expected).abs() < 0.5, "{}: {refused} of {requests} answers were not 2xx", way.name);
    (requests_a_second, requests)
}
