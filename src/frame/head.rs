//! Layouts of the outputs of detectors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares [`Head`]: for each layout its word in a manifest, the shapes of its outputs, and its meaning.
macro_rules! heads {
    ($($(#[$about:meta])* $head:ident = $word:literal, $form:literal;)*) => {
        /// Layout of the outputs of a network that finds objects. `R` is the number of possible objects.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum Head {
            $($(#[$about])* $head,)*
        }

        impl Head {
            /// Every head.
            pub const ALL: &'static [Head] = &[$(Head::$head),*];

            /// Name in a manifest.
            pub fn word(self) -> &'static str {
                match self {
                    $(Head::$head => $word,)*
                }
            }

            /// Shapes of the outputs.
            pub fn form(self) -> &'static str {
                match self {
                    $(Head::$head => $form,)*
                }
            }
        }
    };
}

heads! {
    /// Objectness, box (dx, dy, w, h) and class scores of each cell.
    FastestDet = "fastestdet", "[N, 5 + classes, H, W]";
    /// cx, cy, w, h, objectness, class scores, in input pixels (YOLOv5, YOLOv6, YOLOv7, YOLOX with `decode_in_inference`).
    Yolov5 = "yolov5", "[N, R, 5 + classes]";
    /// cx, cy, w, h, class scores, in input pixels, and what belongs to the task: key points, mask coefficients with an output of
    /// prototypes `[N, coefficients, H, W]`, or the angle (YOLOv8, YOLO11, RT-DETR of Ultralytics).
    Yolov8 = "yolov8", "[N, 4 + classes, R] or [N, R, 4 + classes]";
    /// x1, y1, x2, y2, score, class number, and what belongs to the task as in `yolov8`; suppressed inside the network, unused rows
    /// have score 0 (YOLOv10, YOLO26, exports with `nms=True`).
    End2end = "end2end", "[N, R, 6]";
    /// Boxes relative to anchors and class scores (SSD, EfficientDet, RetinaNet).
    Ssd = "ssd", "boxes [N, R, 4] and scores [N, R, classes]";
    /// As `yolov5`, but boxes relative to the cells of strides 8, 16 and 32, sizes as logarithms (YOLOX as its authors export it).
    Yolox = "yolox", "[N, R, 5 + classes]";
    /// Corners in input pixels and class scores (YOLO-NAS, DAMO-YOLO, PicoDet and PP-YOLOE before suppression).
    YoloNas = "yolonas", "boxes [N, R, 4] and scores [N, R, classes] or [N, classes, R]";
    /// Corners as shares of the input and class scores (the PyTorch form of YOLOv4).
    Yolov4 = "yolov4", "boxes [N, R, 1, 4] and scores [N, R, classes]";
    /// cx, cy, w, h as shares of the input and class logits; nothing is suppressed (DETR, RT-DETR, RF-DETR, D-FINE).
    Detr = "detr", "boxes [N, R, 4] and logits [N, R, classes]";
    /// Class scores and, for each side, a distribution of its distance from the cell in strides, in one output; the cells are at
    /// multiples of the stride (NanoDet-Plus).
    NanoDet = "nanodet", "[N, R, classes + 4 x bins]";
    /// The same in two outputs for each stride, from the middle of the cell (PicoDet, the first NanoDet).
    PicoDet = "picodet", "for each stride scores [N, R, classes] and distances [N, R, 4 x bins]";
    /// Faces with five key points: class, objectness, box and points for the strides 8, 16 and 32 (YuNet).
    YuNet = "yunet", "for each stride [N, R, 1], [N, R, 1], [N, R, 4] and [N, R, 10]";
    /// Faces with five key points: score, distances of the sides in strides and points, two for each cell (SCRFD).
    Scrfd = "scrfd", "for each stride [R, 1], [R, 4] and [R, 10]";
    /// Faces with five key points relative to two anchors for each cell, and scores of background and face (RetinaFace).
    RetinaFace = "retinaface", "boxes [N, R, 4], scores [N, R, 2] and points [N, R, 10]";
    /// Faces: corners as shares of the input, and scores of background and face (UltraFace).
    UltraFace = "ultraface", "boxes [N, R, 4] and scores [N, R, 2]";
    /// Boxes with key points relative to the anchors of MediaPipe's detectors, and logits (BlazeFace, palms, persons).
    MediaPipe = "mediapipe", "[N, R, 4 + 2 x key points] and [N, R, 1]";
    /// Suppressed inside the network: corners y1, x1, y2, x2 as shares of the input, class numbers, scores, and the number of rows that
    /// count, in any order (`TFLite_Detection_PostProcess`, TensorFlow's object detection).
    TensorFlow = "tensorflow", "boxes [N, R, 4], classes [N, R], scores [N, R] and count [N]";
    /// Suppressed inside the network: corners x1, y1, x2, y2 in input pixels, class numbers and scores, in any order (RT-DETR and
    /// D-FINE with `orig_target_sizes`, torchvision, TensorRT's EfficientNMS).
    Selected = "selected", "boxes [N, R, 4], classes [N, R] and scores [N, R]";
    /// Suppressed inside the network: item, x1, y1, x2, y2, class number, score in input pixels (YOLOv7 with `--end2end`, YOLO-NAS).
    Yolov7 = "yolov7", "[R, 7]";
    /// Suppressed inside the network: class number, score, x1, y1, x2, y2 in input pixels, and how many rows count (PaddleDetection).
    Paddle = "paddle", "[R, 6] and [N]";
    /// Suppressed inside the network: x1, y1, x2, y2, score in input pixels, and class numbers (MMDetection).
    MmDet = "mmdet", "[N, R, 5] and [N, R]";
    /// The key points of one object that fills the picture, in input pixels, and whether it is there (MediaPipe's landmarks of a body, a hand or
    /// a face, over crops).
    Landmarks = "landmarks", "points [N, 195], [N, 63] or [N, 1404] and presence [N, 1]";
    /// Lines of text as the probability of each place to be inside of one (DBNet, the detector of PP-OCR).
    DbNet = "dbnet", "[N, 1, H, W]";
    /// The key points y, x, score of one person, or of several with box and score, as shares of the input (MoveNet).
    MoveNet = "movenet", "[N, 1, 17, 3] or [N, R, 56]";
}

impl Head {
    /// True if nothing is left to suppress.
    pub fn is_suppressed(self) -> bool {
        matches!(
            self,
            Head::End2end
                | Head::Detr
                | Head::TensorFlow
                | Head::Selected
                | Head::Yolov7
                | Head::Paddle
                | Head::MmDet
                | Head::MoveNet
                | Head::DbNet
                | Head::Landmarks
        )
    }

    /// True if boxes may be in either unit, so that [`Boxes`] decides.
    pub fn takes_boxes(self) -> bool {
        matches!(
            self,
            Head::Yolov5
                | Head::Yolov8
                | Head::End2end
                | Head::YoloNas
                | Head::Selected
                | Head::Yolov7
                | Head::Paddle
                | Head::MmDet
        )
    }
}

/// Unit of a detection model's boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Boxes {
    /// Pixels of the model's input.
    #[default]
    Pixels,
    /// Shares of the model's input, 0 to 1.
    Normalised,
}
