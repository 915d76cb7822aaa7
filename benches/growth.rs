//! Measures the gate in galleries of a thousand, a hundred thousand and a million pictures. One signed-in
//! visitor with many grants requests up to 300 thumbnails of private pictures in turn, through a real nginx,
//! with a real MariaDB for each size. All sizes run at once and get requests in turn, so that other work of
//! the machine affects them alike.
//!
//! Prints, for `MyISAM` and `InnoDB`, requests a second and processor time per request (medians of the
//! rounds), and the gate's memory with two hundred connections. Needs `wrk`, which `benches/run.sh` installs.
//! The arguments `myisam` and `innodb` choose one of the two; `index` adds the index on `user_group` that
//! docs/speed.md proposes.

mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use std::thread;
use std::time::{Duration, Instant};

use measure::{Load, cpu_seconds, cycling_script, median, resident_mib};
use support::gate::Gate;
use support::http;
use support::large_gallery::{LargeGallery, Size, Storage};
use support::nginx::{self, Nginx};

const SIZES: [Size; 3] = [
    Size { images: 1_000, albums: 10, grants: 10 },
    Size { images: 100_000, albums: 1_000, grants: 10_000 },
    Size { images: 1_000_000, albums: 10_000, grants: 100_000 },
];

const ROUNDS: usize = 7;
const SECONDS: u32 = 3;
const CONNECTIONS: u32 = 16;
/// Number of connections while the benchmark measures memory.
const MANY: u32 = 200;
/// Number of distinct thumbnails; the smallest gallery has fewer.
const THUMBNAILS: usize = 300;

/// One gallery with its servers. Rust drops the fields in this order: MariaDB and the directory last.
struct Place {
    nginx: Nginx,
    gate: Gate,
    cookie: String,
    gallery: LargeGallery,
    thumbnails: usize,
    rates: Vec<f64>,
    gate_cpu: Vec<f64>,
    database_cpu: Vec<f64>,
}

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_chosen = |wanted: &str| chosen.iter().any(|word| word == wanted);
    for (name, storage) in [("myisam", Storage::MyIsam), ("innodb", Storage::InnoDb)] {
        if !["myisam", "innodb"].iter().any(|one| is_chosen(one)) || is_chosen(name) {
            growth(storage, is_chosen("index"));
        }
    }
}

fn growth(storage: Storage, index: bool) {
    let mut places = SIZES.map(|size| {
        let started = Instant::now();
        let place = Place::start(size, storage, index);
        println!("{storage:?}, {size:?}: filled in {:.0} s", started.elapsed().as_secs_f64());
        place
    });
    for round in 0..=ROUNDS {
        for place in &mut places {
            place.measure(round > 0);
        }
    }
    println!(
        "{storage:?}: thumbnails of private pictures, {CONNECTIONS} connections kept alive, {ROUNDS} interleaved rounds of \
         {SECONDS} s, medians:"
    );
    println!(
        "  {:>9} {:>7} {:>8} {:>10} {:>11} {:>5}  {:>8} {:>11} {:>15}",
        "images",
        "albums",
        "grants",
        "thumbnails",
        "requests/s",
        "",
        "gate µs",
        "MariaDB µs",
        "both, to first"
    );
    let costs = |place: &Place| median(&place.gate_cpu) + median(&place.database_cpu);
    let (first_rate, first_cost) = (median(&places[0].rates), costs(&places[0]));
    for place in &places {
        let Size { images, albums, grants } = place.gallery.size;
        let rate = median(&place.rates);
        println!(
            "  {images:>9} {albums:>7} {grants:>8} {:>10} {rate:>11.0} {:>5.2}  {:>8.0} {:>11.0} {:>15.2}",
            place.thumbnails,
            rate / first_rate,
            median(&place.gate_cpu),
            median(&place.database_cpu),
            costs(place) / first_cost,
        );
    }
    for place in &places {
        println!(
            "  resident memory of the gate, {} images, at most, with {MANY} connections: {:.1} MiB",
            place.gallery.size.images,
            place.memory(MANY)
        );
    }
}

impl Place {
    fn start(size: Size, storage: Storage, index: bool) -> Self {
        let gallery = LargeGallery::start(size, storage, true);
        if index {
            gallery.database.sql("CREATE INDEX gate_user ON piwigo_user_group (user_id)");
        }
        let pictures = gallery.pictures(THUMBNAILS);
        let mut list = String::new();
        for picture in &pictures {
            // Without its original a derivative counts as stale.
            gallery.write(&picture.path, b"an original");
            let path = picture.derivative("th");
            // A thumbnail of the usual size.
            gallery.write(&path, &[0xd8; 10_000]);
            list.push_str(&http::url(&path));
            list.push('\n');
        }
        gallery.sandbox.hand_over_tree(&gallery.sandbox.gallery());
        let list = gallery.sandbox.write("urls", list);
        gallery.sandbox.write("wrk.lua", cycling_script(&list));
        let gate = Gate::start(&gallery.sandbox, &["--log", "warn"], &[]);
        let nginx = Nginx::start_gallery(&gallery.sandbox, nginx::ACCEL);
        Place {
            nginx,
            gate,
            cookie: gallery.cookie("bob"),
            gallery,
            thumbnails: pictures.len(),
            rates: Vec::new(),
            gate_cpu: Vec::new(),
            database_cpu: Vec::new(),
        }
    }

    /// Requests the thumbnails; fails if an answer was no picture.
    fn ask(&self, connections: u32) -> measure::Report {
        let script = self.gallery.sandbox.path().join("wrk.lua");
        let load = Load { connections, seconds: SECONDS, cookie: &self.cookie };
        let report = measure::wrk(self.nginx.address(), "/", Some(&script), load);
        assert!(report.refused < 0.5, "{report:?}\n{}", self.gate.log_text());
        report
    }

    /// The gate's largest memory in MiB under requests over this number of connections.
    fn memory(&self, connections: u32) -> f64 {
        thread::scope(|scope| {
            let load = scope.spawn(|| self.ask(connections));
            let mut most: f64 = 0.0;
            while !load.is_finished() {
                most = most.max(resident_mib(self.gate.id()));
                thread::sleep(Duration::from_millis(50));
            }
            most
        })
    }

    /// Measures one round; the first round only warms caches and connections.
    fn measure(&mut self, counts: bool) {
        let database = self.gallery.database.id().expect("MariaDB runs");
        let before = (cpu_seconds(self.gate.id()), cpu_seconds(database));
        let report = self.ask(CONNECTIONS);
        if counts {
            let each = |spent: f64| spent * 1e6 / report.requests;
            self.rates.push(report.requests_a_second);
            self.gate_cpu.push(each(cpu_seconds(self.gate.id()) - before.0));
            self.database_cpu.push(each(cpu_seconds(database) - before.1));
        }
    }
}
