//! A web server's configuration as a list of directives, each with the block around it.

/// One directive, or the head of a block.
#[derive(Debug)]
pub(super) struct Directive {
    pub(super) words: Vec<String>,
    within: Option<usize>,
}

impl Directive {
    pub(super) fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// What follows the name.
    pub(super) fn values(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    pub(super) fn text(&self) -> String {
        self.words.join(" ")
    }
}

/// All directives in their order. The index in the list names a directive.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    all: Vec<Directive>,
    open: Vec<usize>,
}

impl Blocks {
    /// Adds a directive to the open block. Returns its index.
    pub(super) fn push(&mut self, words: Vec<String>) -> usize {
        self.all.push(Directive { words, within: self.open.last().copied() });
        self.all.len() - 1
    }

    /// Opens the block of the directive at `index`.
    pub(super) fn enter(&mut self, index: usize) {
        self.open.push(index);
    }

    pub(super) fn leave(&mut self) {
        self.open.pop();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Directive)> {
        self.all.iter().enumerate()
    }

    /// The directives directly in the block at `index`; `None`: those outside of every block.
    pub(super) fn children(&self, index: Option<usize>) -> impl Iterator<Item = &Directive> {
        self.all.iter().filter(move |directive| directive.within == index)
    }

    /// The directives in the block at `index`, and in the blocks in it.
    pub(super) fn inside(&self, index: usize) -> impl Iterator<Item = &Directive> {
        self.iter()
            .filter(move |(own, _)| self.around(*own).any(|(block, _)| block == index))
            .map(|(_, directive)| directive)
    }

    /// The blocks around the directive at `index`, the innermost first.
    pub(super) fn around(&self, index: usize) -> impl Iterator<Item = (usize, &Directive)> {
        let next = |index: usize| {
            let block = self.all.get(index)?.within?;
            Some((block, self.all.get(block)?))
        };
        std::iter::successors(next(index), move |(block, _)| next(*block))
    }
}
