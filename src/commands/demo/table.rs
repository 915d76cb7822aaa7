//! Every address of the plan, fetched as every visitor, and the answers printed beside what they should be.

use std::fmt::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::nginx::COOKIE;
use super::plan::Plan;

/// The longest answer that is read. The largest picture of the gallery has about 1 MiB.
const LONGEST_ANSWER: u64 = 16 * 1024 * 1024;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DemoAnswer {
    /// HTTP status.
    pub status: u16,
    /// Bytes after the header.
    pub bytes: u64,
}

/// Gets `url` (path and query, as it is to be sent) from 127.0.0.1.
///
/// # Errors
/// When there is no answer in time, or when it is not HTTP.
pub(super) async fn fetch(port: u16, url: &str, cookie: Option<&str>) -> io::Result<DemoAnswer> {
    let cookie = cookie.map_or(String::new(), |value| format!("Cookie: {COOKIE}={value}\r\n"));
    let request =
        format!("GET {url} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{cookie}Connection: close\r\n\r\n");
    let exchange = async {
        let mut connection = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        connection.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        connection.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
        parse(&answer)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("no HTTP answer to {url}")))
    };
    timeout(PATIENCE, exchange)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer to {url}")))?
}

/// The status line's code and the number of bytes after the empty line. A body in chunks is counted with its
/// chunk sizes; nginx sends files whole.
fn parse(answer: &[u8]) -> Option<DemoAnswer> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let line = std::str::from_utf8(&answer[..end]).ok()?.lines().next()?;
    let status = line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some(DemoAnswer { status, bytes: (answer.len() - end) as u64 })
}

/// One address with the answers to all visitors.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    title: String,
    label: String,
    cells: Vec<Cell>,
}

/// An answer and what it should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    answer: DemoAnswer,
    wanted: u16,
    /// Length of the file that a 200 must bring.
    length: Option<u64>,
}

impl Cell {
    fn is_right(self) -> bool {
        self.answer.status == self.wanted
            && (self.answer.status != 200 || self.length.is_none_or(|length| length == self.answer.bytes))
    }
}

/// Visitor × file × status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    visitors: Vec<&'static str>,
    lines: Vec<Line>,
}

impl Table {
    /// Fetches everything, one after the other.
    ///
    /// # Errors
    /// When an address gives no answer at all, or when the gallery below `root` cannot be read.
    pub(super) async fn fetched(plan: &Plan, root: &Path, port: u16) -> io::Result<Self> {
        let mut lines = Vec::new();
        for (title, file) in plan.files() {
            let length = file
                .path
                .as_ref()
                .map(|path| fs::metadata(root.join(path)))
                .transpose()?
                .map(|file| file.len());
            let mut cells = Vec::new();
            for (visitor, why) in plan.visitors.iter().zip(file.row) {
                let answer = fetch(port, &file.url, visitor.cookie.as_deref()).await?;
                cells.push(Cell { answer, wanted: why.status(), length });
            }
            lines.push(Line { title: title.to_owned(), label: file.label.clone(), cells });
        }
        Ok(Self { visitors: plan.visitors.iter().map(|visitor| visitor.name).collect(), lines })
    }

    /// How many answers are not what they should be.
    pub(super) fn wrong(&self) -> usize {
        self.lines.iter().flat_map(|line| &line.cells).filter(|cell| !cell.is_right()).count()
    }
}

/// Width of the column with the files.
const LABELS: usize = 48;

/// Width of a visitor's column: `403`, or `200 ≠ 403` where the answer is wrong.
const CELL: usize = 11;

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head: String = self.visitors.iter().fold(String::new(), |mut head, name| {
            let _ = write!(head, "{name:<CELL$}");
            head
        });
        writeln!(out, "{:LABELS$}{}", "", head.trim_end())?;
        let mut title = "";
        for line in &self.lines {
            if line.title != title {
                title = &line.title;
                writeln!(out, "{title}")?;
            }
            let mut cells = String::new();
            for cell in &line.cells {
                let Cell { answer: DemoAnswer { status, bytes }, wanted, .. } = cell;
                let text = match (cell.is_right(), status == wanted) {
                    (true, _) => status.to_string(),
                    (_, false) => format!("{status} ≠ {wanted}"),
                    (_, true) => format!("{status} {bytes} B!"),
                };
                write!(cells, "{text:<CELL$}")?;
            }
            writeln!(out, "  {:width$}{}", line.label, cells.trim_end(), width = LABELS - 2)?;
        }
        let (wrong, all) = (self.wrong(), self.lines.len() * self.visitors.len());
        if wrong == 0 {
            write!(out, "\n{all} answers, all as they should be.")
        } else {
            write!(
                out,
                "\n{wrong} of {all} answers are wrong: marked ≠ with what they should be, or ! for wrong bytes."
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_the_bytes_behind_the_header() {
        for (text, wanted) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\nabc", Some((200, 3))),
            ("HTTP/1.1 403 Forbidden\r\nA: b\r\n\r\n", Some((403, 0))),
            ("HTTP/1.1 303\r\n\r\n", Some((303, 0))),
            ("HTTP/1.1 20", None),
            ("SSH-2.0-x\r\n\r\n", None),
            ("", None),
        ] {
            let wanted = wanted.map(|(status, bytes)| DemoAnswer { status, bytes });
            assert_eq!(parse(text.as_bytes()), wanted, "{text:?}");
        }
    }

    fn table(cells: &[(u16, u64, u16)]) -> Table {
        let cell = |&(status, bytes, wanted)| Cell {
            answer: DemoAnswer { status, bytes },
            wanted,
            length: Some(10),
        };
        Table {
            visitors: vec!["guest", "alice"],
            lines: vec![Line {
                title: "Dunes".to_owned(),
                label: "RAW (cr2)".to_owned(),
                cells: cells.iter().map(cell).collect(),
            }],
        }
    }

    #[test]
    fn right_is_the_right_status_and_for_a_file_all_its_bytes() {
        for (cells, wrong) in [
            ([(403, 5, 403), (200, 10, 200)], 0),
            ([(200, 10, 403), (200, 10, 200)], 1),
            ([(200, 9, 200), (404, 0, 200)], 2),
        ] {
            assert_eq!(table(&cells).wrong(), wrong, "{cells:?}");
        }
    }

    #[test]
    fn a_wrong_answer_stands_out() {
        let text = table(&[(200, 10, 403), (200, 9, 200)]).to_string();
        assert!(text.contains("200 ≠ 403  200 9 B!\n"), "{text}");
        assert!(
            text.ends_with(
                "2 of 2 answers are wrong: marked ≠ with what they should be, or ! for wrong bytes."
            )
        );
        let text = table(&[(403, 0, 403), (200, 10, 200)]).to_string();
        assert!(
            text.contains("\nDunes\n  RAW (cr2)") && text.ends_with("2 answers, all as they should be."),
            "{text}"
        );
    }

    #[test]
    fn the_table_fits_a_terminal() {
        let plan = super::super::plan::tests::sample();
        for (_, file) in plan.files() {
            assert!(file.label.chars().count() <= LABELS - 3, "{}", file.label);
        }
        assert!(LABELS + CELL * plan.visitors.len() <= 110);
    }
}
