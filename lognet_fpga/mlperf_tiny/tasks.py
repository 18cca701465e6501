"""What MLPerf Tiny says of each of its tasks (github.com/mlcommons/tiny, rules 1.2): model, input, quality target."""

from __future__ import annotations

from dataclasses import dataclass

from lognet_fpga.ir.preprocessing import Preprocessing

_TRAINING = "benchmark/training"
_LISTS = "benchmark/evaluation/datasets"
TOP1, AUC = "top-1", "AUC"


@dataclass(frozen=True)
class ReferenceFile:
    """A file of the repository: its path there, and its SHA-256."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Task:
    """name: as of the command.  model_id: as the runner knows it, and its tests; data: name of its folder of frames.
    model: the files of the float reference model, a .tflite, or those of a SavedModel's variables.  labels: the list of
    frames and their classes.  shape: (height, width, channels) of a frame as the runner sends it, dtype its numbers,
    little-endian.  preprocessing: what these are to the float model.  stride: of windows in a file that holds several
    frames, in bytes; None: one frame a file.  metric, target: of quality, a share.
    """

    name: str
    title: str
    model_id: str
    data: str
    model: tuple[ReferenceFile, ...]
    labels: ReferenceFile
    shape: tuple[int, int, int]
    dtype: str
    preprocessing: Preprocessing
    classes: int
    metric: str
    target: float
    stride: int | None = None

    @property
    def frame_bytes(self) -> int:
        height, width, channels = self.shape
        return height * width * channels * {"uint8": 1, "int8": 1, "float32": 4}[self.dtype]


_KWS_VARIABLES = f"{_TRAINING}/keyword_spotting/trained_models/kws_ref_model/variables"


def _image_classification(name: str, model_id: str, title: str, model: ReferenceFile, target: float) -> Task:
    return Task(
        name=name,
        title=title,
        model_id=model_id,
        data="ic01",
        model=(model,),
        labels=ReferenceFile(
            f"{_LISTS}/ic01/y_labels.csv", "79e1f19ad731f046983a1a4480bda6369df26c5acee47505a860f164fb58ccd4"
        ),
        shape=(32, 32, 3),
        dtype="uint8",
        preprocessing=Preprocessing(scale=1.0, dtype="uint8"),
        classes=10,
        metric=TOP1,
        target=target,
    )


_IC_MODELS = f"{_TRAINING}/image_classification/trained_models"
TASKS = {
    task.name: task
    for task in (
        _image_classification(
            "ic",
            "ic01",
            "image classification, ResNet-8 (IC01)",
            ReferenceFile(
                f"{_IC_MODELS}/pretrainedResnet.tflite",
                "b5c0046d6e0328b4956afd6baa29555a29b1f1c65bdd45aaed75b7cd484d9f79",
            ),
            0.85,
        ),
        _image_classification(
            "ic02",
            "ic02",
            "image classification, the larger ResNet (IC02)",
            ReferenceFile(
                f"{_IC_MODELS}/pretrainedResnet_large_float.tflite",
                "fb17ae9c1b6d0e5bd97f0f35024f207556261d7310b249716c87cc0628214b0e",
            ),
            0.91,
        ),
        Task(
            name="kws",
            title="keyword spotting, DS-CNN (KWS01)",
            model_id="kws01",
            data="kws01",
            model=(
                ReferenceFile(
                    f"{_KWS_VARIABLES}/variables.index",
                    "3f21dd9ea6736e20e70c5ed2f40ed9d8a7d12b98316ac0e4ab8f4eb7e303d738",
                ),
                ReferenceFile(
                    f"{_KWS_VARIABLES}/variables.data-00000-of-00001",
                    "5ebfddd34e85a2d35e87e27a8a803353534019bb460907b16db5fa72d757e8c5",
                ),
            ),
            labels=ReferenceFile(
                f"{_LISTS}/kws01/y_labels.csv", "6cb3709762d53fe64eb00eaf4a75796248bb3c1386f1d1f93ccdb07b071e9698"
            ),
            shape=(49, 10, 1),
            dtype="int8",
            # Of the input of the reference's int8 model, in whose numbers the runner's MFCC are written.
            preprocessing=Preprocessing(scale=0.5847029089927673, zero_point=83, dtype="int8"),
            classes=12,
            metric=TOP1,
            target=0.90,
        ),
        Task(
            name="vww",
            title="visual wake words, MobileNetV1 0.25 (VWW01)",
            model_id="vww01",
            data="vww01",
            model=(
                ReferenceFile(
                    f"{_TRAINING}/visual_wake_words/trained_models/vww_96_float.tflite",
                    "115bbc094d2119561320a21f01b6500a18bea8cc8589282ab007097bec8af38c",
                ),
            ),
            labels=ReferenceFile(
                f"{_LISTS}/vww01/y_labels.csv", "3697ca57c48b23b21602ae9bdb32b1925407a1d41d79167cdfb365054cb9c33d"
            ),
            shape=(96, 96, 3),
            dtype="uint8",
            preprocessing=Preprocessing(scale=1 / 255, dtype="uint8"),
            classes=2,
            metric=TOP1,
            target=0.80,
        ),
        Task(
            name="ad",
            title="anomaly detection, autoencoder (AD01)",
            model_id="ad01",
            data="ad01",
            model=(
                ReferenceFile(
                    f"{_TRAINING}/anomaly_detection/trained_models/ad01_fp32.tflite",
                    "c66636f4d7f8af8b10518e7be750a22c9d8d46ec97326b40b0d94c097e0aad9b",
                ),
            ),
            labels=ReferenceFile(
                f"{_LISTS}/ad01/y_labels.csv", "4ecd91868e197ee0a6739d4bd7abde73eac2fa31e9a88d6bc6aedefa136ff2a4"
            ),
            shape=(1, 1, 640),
            dtype="float32",
            preprocessing=Preprocessing(dtype="float32"),
            classes=2,
            metric=AUC,
            target=0.85,
            stride=512,
        ),
    )
}
