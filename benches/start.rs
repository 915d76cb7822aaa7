//! Measures how long a visitor waits if the web server starts the gate on demand (`mod_fcgid`): from the
//! start of the process to its first complete answer, a private thumbnail, while MariaDB runs. The program
//! lies in the gallery and has no arguments. `PIWIGO_GATE_STATIC_BINARY` names the static program, which is
//! measured in turn with the usual one; `benches/run.sh` builds it. The files are in memory; the first start
//! after a boot also reads them from the disk.

mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use fastcgi_client::Params;
use support::http;
use support::scene::Scene;
use support::{fastcgi, gate, process};

const STARTS: usize = 50;

fn main() {
    let scene = Scene::start();
    let mut programs = vec![("the program", install(&scene, "gate.fcgi", &gate::program()))];
    if let Some(program) = std::env::var_os("PIWIGO_GATE_STATIC_BINARY") {
        programs.push(("the static program", install(&scene, "static.fcgi", Path::new(&program))));
    }
    let mut times = vec![Vec::new(); programs.len()];
    for _ in 0..STARTS {
        for ((_, program), times) in programs.iter().zip(&mut times) {
            times.push(first_answer(&scene, program).as_secs_f64() * 1e3);
        }
    }
    println!("from the start to the first answer, {STARTS} starts in turn, ms:");
    for ((name, _), mut times) in programs.into_iter().zip(times) {
        times.sort_by(f64::total_cmp);
        println!(
            "  {name:<20} median {:>5.1}, 9 of 10 within {:>5.1}, all within {:>5.1}",
            measure::median(&times),
            times[STARTS * 9 / 10 - 1],
            times[STARTS - 1]
        );
    }
}

fn install(scene: &Scene, name: &str, program: &Path) -> PathBuf {
    let place = scene.sandbox.gallery().join(name);
    gate::copy_program(program, &place);
    scene.sandbox.hand_over(&place);
    place
}

fn first_answer(scene: &Scene, program: &Path) -> Duration {
    let socket = scene.sandbox.path().join("run/start.sock");
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).expect("a socket");
    let image = scene.world.private_image("erin");
    let url = http::url(&image.derivative("th").expect("a picture"));
    let cookie = scene.world.session("erin").cookie_header();
    let params = Params::default()
        .request_method("GET")
        .request_uri(url.as_str())
        .remote_addr("127.0.0.1")
        .custom("GATE_DELIVER", "x-sendfile")
        .custom("HTTP_COOKIE", cookie.as_str());
    let mut command = scene.sandbox.command(program);
    command.env_clear().stdin(OwnedFd::from(listener)).stdout(Stdio::null()).stderr(Stdio::null());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let started = Instant::now();
    let mut gate = command.spawn().expect("it starts");
    let answer = runtime.block_on(async {
        let stream = UnixStream::connect(&socket).expect("it listens");
        stream.set_nonblocking(true).expect("a socket");
        fastcgi::ask(tokio::net::UnixStream::from_std(stream).expect("a socket"), params).await
    });
    let took = started.elapsed();
    process::signal("TERM", gate.id());
    gate.wait().expect("it ends");
    assert!(answer.starts_with("Status: 200"), "{answer}");
    took
}
