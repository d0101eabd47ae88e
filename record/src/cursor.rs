//! Writing bytes into a buffer of fixed size.

/// The buffer was too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The part of a buffer that has not been written yet.
#[derive(Debug)]
pub struct Cursor<'a> {
    rest: &'a mut [u8],
}

impl<'a> Cursor<'a> {
    /// Writes from the start of `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { rest: buffer }
    }

    /// Writes `bytes` whole, or nothing.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let (target, rest) = core::mem::take(&mut self.rest).split_at_mut_checked(bytes.len()).ok_or(Full)?;
        target.copy_from_slice(bytes);
        self.rest = rest;
        Ok(())
    }

    /// Number of bytes that can still be written.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }
}
