"""A deployment's accuracy on its page: figures, confused classes, frames that changed class."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

from lognet_fpga.errors import brief
from lognet_fpga.page.charts import shortened
from lognet_fpga.page.document import table, wide
from lognet_fpga.page.markup import Markup, Part, element, joined
from lognet_fpga.page.words import Data, counted, percent
from lognet_fpga.report import Table

_CLASS = 26  # characters of a class's name


def accuracy_part(data: Data, pictures: Mapping[str, bytes]) -> list[Part]:
    """Of the original and of the deployed model, on the same frames."""
    accuracy, answers = data["accuracy"], data["answers"]
    if accuracy is None:
        return [element("p", "Not known: it is counted on the frames of --eval, or of --frames.")]
    if accuracy["agreement"] is None:
        return [_outputs(accuracy)]
    rows = [
        _judged("original model (float)", accuracy, "float", 1.0, None, None),
        *(
            _judged(name, accuracy, key, accuracy[agreement], accuracy[lost], accuracy[error])
            for name, key, agreement, lost, error in (
                ("with log2 weights", "weights", "weights_agreement", "weights_lost", "weights_lost_error"),
                ("deployed model", "deployed", "agreement", "lost", "lost_error"),
            )
        ),
    ]
    columns = ("model", "top-1", "top-5", "AUC", "class as original", "points lost", "standard error")
    used = [place for place in range(len(columns)) if any(row[place] is not None for row in rows)]
    low, high = (accuracy["lost"] + sign * 2 * accuracy["lost_error"] for sign in (-1, 1))
    parts: list[Part] = [
        element(
            "p",
            f"Counted on {counted(accuracy['frames'], 'frame')}. With this many the true loss lies between {low:.2f} "
            f"and {high:.2f} points in 19 of 20 cases.",
        ),
        table(
            Table(tuple(columns[place] for place in used), tuple(tuple(row[place] for place in used) for row in rows)),
            "The original and the deployed model on the same frames",
        ),
    ]
    if answers is not None:
        parts += [*_confusion(answers), *_changed(answers, accuracy, pictures)]
    return parts


def _judged(
    name: str, accuracy: Data, key: str, agreement: float, lost: float | None, error: float | None
) -> tuple[object, ...]:
    top1, top5, auc = (accuracy[f"{key}_{figure}"] for figure in ("top1", "top5", "auc"))
    shares = [None if share is None else percent(share, 2) for share in (top1, top5)]
    return name, *shares, None if auc is None else f"{auc:.4f}", percent(agreement, 2), lost, error


def _outputs(accuracy: Data) -> Markup:
    rows = tuple(
        (
            output["name"],
            None if output["cosine"] is None else f"{output['cosine']:.4f}",
            percent(output["relative_error"]),
            percent(output["equal"]),
            percent(output["comparable"]),
        )
        for output in accuracy["outputs"]
    )
    columns = ("output", "cosine", "relative error", "equal frames", "comparable frames")
    caption = (
        f"Outputs beside the original model's, {counted(accuracy['frames'], 'frame')}; no classes are read from them"
    )
    return table(Table(columns, rows), caption)


def _confusion(answers: Data) -> list[Part]:
    truth = "label" if answers["truth"] == "labels" else "class by the original model"
    parts: list[Part] = [element("h3", "Which classes it confuses")]
    matrix = answers["confusion"]
    if matrix is not None:
        parts.append(_matrix(matrix, answers, truth))
    if not answers["confused"]:
        return [*parts, element("p", "None on these frames.")]
    rows = tuple(
        (
            f"{_class(answers, pair['truth'])} taken for {_class(answers, pair['class'])}",
            pair["frames"],
            *([pair["float_frames"]] if answers["truth"] == "labels" else []),
        )
        for pair in answers["confused"]
    )
    both = answers["truth"] == "labels"
    columns = ("confusion", "frames, deployed", "frames, original") if both else ("confusion", "frames")
    caption = "Most frequent confusions of the deployed model" + (", beside the original model's" if both else "")
    parts.append(table(Table(columns, rows), caption))
    return [parts[0], element("div", parts[1:], class_="pair")]


def _matrix(matrix: list[list[int]], answers: Data, truth: str) -> Markup:
    """Rows: true classes; columns: classes of the deployed model."""
    worst = max((n for row, line in enumerate(matrix) for place, n in enumerate(line) if place != row), default=0)

    def cell(row: int, place: int, frames: int) -> Markup:
        kind = None
        if frames:
            kind = "right" if row == place else "many" if 2 * frames > worst else "some"
        return element("td", f"{frames:,}" if frames else "·", class_=kind)

    caption = f"Frames by {truth} (rows) and class by the deployed model (columns)"
    numbers = range(len(matrix))
    head = element("tr", element("th", truth, scope="col"), [element("th", str(n), scope="col") for n in numbers])
    body = [
        joined(
            [
                element(
                    "tr",
                    element("th", _class(answers, row), scope="row", class_="name"),
                    [cell(row, place, frames) for place, frames in enumerate(line)],
                ),
                "\n",
            ]
        )
        for row, line in enumerate(matrix)
    ]
    content = element(
        "table",
        element("caption", element("span", caption)),
        element("thead", head),
        element("tbody", body),
        class_="matrix",
    )
    return wide(content, caption)


def _class(answers: Data, number: int) -> str:
    names = answers["class_names"]
    if not names or not 0 <= number < len(names):
        return f"class {number}"
    return f"{shortened(names[number], _CLASS)} ({number})"


def _changed(answers: Data, accuracy: Data, pictures: Mapping[str, bytes]) -> list[Part]:
    changed = answers["changed"]
    line = f"{counted(changed['frames'], 'frame')} of {accuracy['frames']:,} changed class"
    if changed["lost"] is not None:
        line += f": {changed['lost']:,} from right to wrong, {changed['gained']:,} from wrong to right"
    shown = changed["shown"]
    if len(shown) < changed["frames"]:
        line += f"; {len(shown)} of them are shown here"
    items = []
    for frame in shown:
        name = f"frame {frame['frame']}" + (f", {brief(frame['name'])}" if frame["name"] else "")
        before, after = _class(answers, frame["float_class"]), _class(answers, frame["deployed_class"])
        content = pictures.get(frame["picture"]) if frame["picture"] else None
        source = None if content is None else f"data:image/bmp;base64,{b64encode(content).decode()}"
        items.append(
            element(
                "li",
                None if source is None else element("img", src=source, alt=f"picture of {name}"),
                element("strong", name),
                element("br"),
                f"was {before}, now {after}",
                None if frame["label"] is None else [element("br"), f"label {_class(answers, frame['label'])}"],
            )
        )
    return [
        element("h3", "Frames that changed class"),
        element("p", f"{line}."),
        element("ul", items, class_="pictures") if items else None,
    ]
