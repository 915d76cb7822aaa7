//! Chromium without a window, driven by chromedriver: W3C WebDriver, which is JSON over HTTP.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::process::{self, Endpoint, Server};
use super::sandbox::Sandbox;

/// How long a page may take until it is what a test waits for, on a slow and busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(50);

/// The key that stands before an element's id in an answer. WebDriver §12.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One browser with one window, an empty profile, and no way to anybody but who a test tells it to visit.
pub struct Browser {
    driver: Server,
    session: String,
    address: SocketAddr,
}

impl Browser {
    /// Starts chromedriver, and the browser by it. Everything they write is inside the sandbox.
    pub fn start(sandbox: &Sandbox) -> Self {
        let driver = process::find_program(&["chromedriver"]).unwrap_or_else(|error| panic!("{error}"));
        let browser = process::find_program(&["chromium", "google-chrome", "chromium-browser"])
            .unwrap_or_else(|error| panic!("{error}"));
        let home = sandbox.make_dir("browser");
        let mut command = sandbox.command(driver);
        command
            .arg("--port=0")
            .current_dir(&home)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &home)
            .env("TMPDIR", &home);
        let log = sandbox.path().join("log/chromedriver.log");
        let ready = Endpoint::Announced {
            log: log.clone(),
            before: "ChromeDriver was started successfully on port ",
        };
        let driver =
            Server::start("chromedriver", command, &log, &ready).unwrap_or_else(|log| panic!("{log}"));
        let address = ready.address().expect("it was read already");
        let mut this = Self { driver, session: "/session".to_owned(), address };
        let answer = this.post("", &capabilities(&browser.to_string_lossy(), &home.to_string_lossy()));
        this.session = format!("/session/{}", answer["sessionId"].as_str().expect("a session"));
        this
    }

    /// Goes to an address.
    pub fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Clicks, with the mouse, on what a CSS selector finds; it must be visible and not covered.
    pub fn click(&self, selector: &str) {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }));
        let id = found[ELEMENT].as_str().expect("an element");
        self.post(&format!("/element/{id}/click"), &json!({}));
    }

    /// What the body of a JavaScript function returns; a promise is waited for.
    pub fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression is true in whatever page is there.
    pub fn wait_for(&self, expression: &str) {
        let started = Instant::now();
        while self.run(&format!("return Boolean({expression});")) != json!(true) {
            assert!(started.elapsed() < PATIENCE, "still not true in the page: {expression}");
            thread::sleep(PAUSE);
        }
    }

    /// The errors of the console since the last call, exceptions of scripts among them.
    pub fn console_errors(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().expect("a list of entries");
        entries
            .iter()
            .filter(|entry| entry["level"] == "SEVERE")
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Sends a command and gives the answer's value.
    fn post(&self, command: &str, body: &Value) -> Value {
        let target = format!("{}{command}", self.session);
        let (status, mut answer) =
            exchange(self.address, &target, &body.to_string()).expect("chromedriver answers");
        assert!(status.contains(" 200 "), "{target} {body}: {status} {answer}");
        answer["value"].take()
    }
}

/// Posts JSON and reads an answer of the announced length: chromedriver keeps the connection open, whatever it is asked.
fn exchange(address: SocketAddr, target: &str, body: &str) -> io::Result<(String, Value)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    write!(
        stream,
        "POST {target} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json; charset=utf-8\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )?;
    let mut lines = BufReader::new(stream);
    let mut status = String::new();
    lines.read_line(&mut status)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            Some(_) => {}
            None => break,
        }
    }
    Ok((status, serde_json::from_reader(lines.take(length))?))
}

impl Drop for Browser {
    fn drop(&mut self) {
        let children = process::descendants(self.driver.id());
        self.driver.terminate();
        process::end_all(&children);
    }
}

/// What the browser is to be like. Its own sandbox needs rights that neither root in a container nor `nobody` has. By a
/// pipe, not a port, it learns when chromedriver is gone, and ends.
fn capabilities(program: &str, home: &str) -> Value {
    let profile = format!("--user-data-dir={home}/profile");
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--remote-debugging-pipe",
        "--window-size=1200,900",
        &profile,
    ];
    json!({ "capabilities": { "alwaysMatch": {
        "pageLoadStrategy": "none",
        "goog:chromeOptions": { "binary": program, "args": arguments },
        "goog:loggingPrefs": { "browser": "ALL" },
    }}})
}
