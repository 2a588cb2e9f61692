//! Those who say what a small picture shows: the models.

/// A digit's picture as a model sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DigitSeen {
    /// The likeliest digit, with its part of the score of all digits and of none.
    pub digit: u8,
    /// Score of that digit, 0 to 1.
    pub score: f32,
    /// Position of the drum, 0 up to 10, and its score; none where no drum is seen.
    pub position: Option<(f32, f32)>,
}

impl DigitSeen {
    /// Position of the drum, 0 up to 10.
    pub fn place(&self) -> f32 {
        self.position.map_or(f32::from(self.digit), |(position, _)| position)
    }

    /// Score of the position.
    pub fn held(&self) -> f32 {
        self.position.map_or(0.0, |(_, score)| score)
    }

    /// Evidence that a drum or digit is there, 0 to 1: a drum between two digits has a position and no digit.
    pub fn evidence(&self) -> f32 {
        self.score.max(0.95 * self.held())
    }
}

/// Distance of two positions around a turn of ten.
pub fn apart(a: f32, b: f32) -> f32 {
    let apart = (a - b).rem_euclid(10.0);
    apart.min(10.0 - apart)
}

/// A dial's picture as a model sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DialSeen {
    /// Position of the pointer, 0 up to 10, and its score; none where no dial is seen.
    pub position: Option<(f32, f32)>,
}

impl DialSeen {
    /// Evidence that a dial is there, 0 to 1.
    pub fn evidence(&self) -> f32 {
        self.position.map_or(0.0, |(_, score)| score)
    }
}

/// The two models behind one face.
pub trait Judge {
    /// Reason for which a model cannot be run.
    type Error;

    /// Height and width of the pictures of digits.
    fn digit_size(&self) -> [usize; 2];

    /// Height and width of the pictures of dials.
    fn dial_size(&self) -> [usize; 2];

    /// Answers for pictures of digits, each `[H, W]` luminance.
    ///
    /// # Errors
    /// When the model cannot be run.
    fn digits(&mut self, pictures: &[Vec<u8>]) -> Result<Vec<DigitSeen>, Self::Error>;

    /// Answers for pictures of dials, each `[H, W, 3]`.
    ///
    /// # Errors
    /// When the model cannot be run.
    fn dials(&mut self, pictures: &[Vec<u8>]) -> Result<Vec<DialSeen>, Self::Error>;
}
