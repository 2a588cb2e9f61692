//! A decoded picture that is kept, so that parts of it can be looked at one after the other.

use std::sync::Arc;

use super::decode::{Decoder, Form, is_decoded_for_all};
use super::error::PreprocessError;
use super::picture::Picture;
use crate::frame::{Frame, Image, Payload, SharedFrame};

/// One picture, decoded once.
#[derive(Debug)]
pub(super) enum Held {
    /// In the decoder's own buffer.
    Own(Form),
    /// In the frame, where its other readers look at it as well.
    Shared(Arc<SharedFrame>),
}

impl Held {
    /// Decodes the picture of `frame`; of one with several readers (`shared`) at most once for all of them.
    pub fn new(
        decoder: &mut Decoder,
        frame: &Frame,
        shared: Option<&Arc<SharedFrame>>,
        grey: bool,
    ) -> Result<Held, PreprocessError> {
        let image = image(frame)?;
        match shared.filter(|shared| is_decoded_for_all(shared, image, grey)) {
            Some(shared) => {
                decoder.shared(shared, image, grey)?;
                Ok(Held::Shared(shared.clone()))
            }
            None => Ok(Held::Own(decoder.keep(image, grey)?)),
        }
    }

    /// The picture, which `decoder` has decoded.
    pub fn picture<'a>(&'a self, decoder: &'a mut Decoder, grey: bool) -> Result<Picture<'a>, PreprocessError> {
        match self {
            Held::Own(form) => Ok(decoder.kept(*form)),
            Held::Shared(frame) => decoder.shared(frame, image(frame)?, grey),
        }
    }
}

fn image(frame: &Frame) -> Result<&Image, PreprocessError> {
    match &frame.payload {
        Payload::Image(image) => Ok(image),
        Payload::Window(_) => {
            Err(PreprocessError::Mismatch("tiles are parts of pictures, and the source gives readings".into()))
        }
    }
}
