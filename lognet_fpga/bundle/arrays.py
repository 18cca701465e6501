"""The arrays in a bundle: of the types and sizes that the manifest asks for.  Who reads them looks at their numbers."""

from __future__ import annotations

from lognet_fpga.bundle.contents import SCORES, VECTORS, Bundle
from lognet_fpga.errors import BundleError, InputError
from lognet_fpga.machine.array_file import ONLY, ArrayFile


def require_arrays(bundle: Bundle) -> None:
    """Raise BundleError unless the vectors and scores, where there are some, are what they must be by their headers."""
    try:
        if SCORES in bundle.files:
            scores = ArrayFile(bundle.files[SCORES], SCORES).header(ONLY)
            if scores.dtype.kind not in "fiub" or not scores.shape:
                raise BundleError(f"{SCORES} of the bundle holds no numbers a frame, but {scores}")
        if VECTORS in bundle.files:
            _require_vectors(bundle, ArrayFile(bundle.files[VECTORS], VECTORS))
    except InputError as error:
        raise BundleError(f"in the bundle {error.message}") from error


def _require_vectors(bundle: Bundle, vectors: ArrayFile) -> None:
    if missing := {"frames", bundle.last_layer} - {*vectors.names}:
        raise BundleError(f"{VECTORS} of the bundle lacks {', '.join(sorted(missing))}")
    frames, activations = vectors.header("frames"), vectors.header(bundle.last_layer)
    count = frames.shape[0] if frames.shape else 0
    if count < 1 or frames.dtype != "uint8" or frames.shape[1:] != bundle.input_shape:
        raise BundleError(f"{VECTORS} of the bundle has frames, {frames}, that the overlay does not take")
    if activations.dtype.kind not in "iu" or activations.shape != (count, *bundle.output_shape):
        raise BundleError(f"{VECTORS} of the bundle has activations, {activations}, that the overlay does not give")
