"""Makes the pages of docs/tutorial/ out of the notebooks: their text, their code, and what it gives.

    python docs/make/tutorial.py              # all of them; make demo first, whose bundle they take
    python docs/make/tutorial.py 1_quick_start

The notebooks themselves are kept without outputs.  A test holds text and code of the pages against them.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOTEBOOKS, PAGES = ROOT / "notebooks", ROOT / "docs" / "tutorial"
DEMO = ROOT / "build" / "demo"
PER_INCH = 80  # of pictures, in pixels


def main() -> None:
    os.environ.setdefault("MPLBACKEND", "agg")
    os.chdir(NOTEBOOKS)
    for name in sys.argv[1:] or sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")):
        page = PAGES / f"{name}.md"
        page.write_text("\n\n".join(parts(name, PAGES)) + "\n", encoding="utf-8")
        print(page)


def cells(name: str) -> list[tuple[str, str]]:
    """(kind, source) of each cell: markdown or code."""
    found = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return [(cell["cell_type"], "".join(cell["source"])) for cell in found]


def code_block(source: str) -> str:
    return f"```python\n{source.rstrip()}\n```"


def parts(name: str, folder: Path) -> Iterator[str]:
    """The page in Markdown, part by part; pictures and pages that it shows are written into the folder."""
    names: dict[str, object] = {}
    for number, (kind, source) in enumerate(cells(name)):
        if kind == "markdown":
            yield source.rstrip()
            if number == 0:
                yield f"This is the notebook `notebooks/{name}.ipynb`, run on the demo's bundle on a PC."
            continue
        yield code_block(source)
        yield from outputs(source, names, folder, f"{name}_{number}")


def outputs(source: str, names: dict[str, object], folder: Path, stem: str) -> Iterator[str]:
    """What a cell prints, plots and ends with; `names` are the notebook's, and stay."""
    import matplotlib.pyplot as plt

    printed, figures, shown = io.StringIO(), [], None
    plt.show = lambda *_, **__: (figures.append(plt.gcf()), plt.close())
    body = ast.parse(source)
    last = body.body.pop() if body.body and isinstance(body.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(printed):
        exec(compile(body, stem, "exec"), names)
        if last is not None:
            shown = eval(compile(ast.Expression(last.value), stem, "eval"), names)
    if printed.getvalue():
        yield f"```text\n{printed.getvalue().replace(str(DEMO.resolve()), 'build/demo').rstrip()}\n```"
    for index, figure in enumerate(figures):
        file = folder / f"{stem}{'abcdef'[index]}.png"
        figure.savefig(file, dpi=PER_INCH, bbox_inches="tight", metadata={"Software": None})
        yield f"![What the cell above plots]({file.name})"
    if hasattr(shown, "page"):
        file = folder / f"{stem}.html"
        file.write_text(shown.page(), encoding="utf-8")
        yield f"It shows itself as [a page]({file.name}):"
        yield f'<iframe src="{file.name}" title="The report as a page" width="100%" height="600"></iframe>'


if __name__ == "__main__":
    main()
