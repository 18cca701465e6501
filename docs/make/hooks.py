"""Hooks of MkDocs: pages made of what lies elsewhere, and links that lead out of docs/.

README, CONTRIBUTING, CHANGELOG and the zoo's page are pages of the site; the options are the parsers'.  What else of
the repository a page links to is no part of the site, and stands there as text.
"""

from __future__ import annotations

import argparse
import importlib
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "zoo/README.md": "zoo.md",
}
# The modules of the commands, in the order of pyproject.toml.
COMMANDS = re.findall(
    r'^lognet-\w+ = "lognet_fpga\.cli\.(\w+):main"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^()\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for source, name in ELSEWHERE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=moved(text, posixpath.dirname(source), "docs")))
    files.append(File.generated(config, "options.md", content=options_page()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links out of docs/ lead to the page made of what they name, or are text."""
    here = posixpath.dirname(page.file.src_uri)

    def led(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        if "://" in target or target.startswith(("#", "mailto:")):
            return match[0]
        name, _, anchor = target.partition("#")
        place = posixpath.normpath(posixpath.join("docs", here, name))
        if place.startswith("docs/"):
            return match[0].replace(text, title(text, files, place.removeprefix("docs/")), 1)
        if place in ELSEWHERE:
            text = title(text, files, ELSEWHERE[place])
            return f"{mark}[{text}]({posixpath.relpath(ELSEWHERE[place], here or '.')}{'#' + anchor if anchor else ''})"
        return text

    return _LINK.sub(led, markdown)


def title(text: str, files: Files, target: str) -> str:
    """A link's text; where that is the name of a file, in the repository, it is the title of the page in the site."""
    file = files.get_file_from_path(target)
    named = re.fullmatch(r"[\w./]+\.md", text) and file is not None and file.page is not None and file.page.title
    return f"*{named}*" if named else text


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """No empty cell is the head of a column, and pictures of their own paragraph are drawings (see site.css)."""
    html = re.sub(r"<th( style=[^>]*)?></th>", r"<td\1></td>", html)
    return re.sub(r"<p>(<img [^>]*\.svg[^>]*>)</p>", r'<p class="drawing">\1</p>', html)


def moved(text: str, here: str, there: str) -> str:
    """Text with its relative links as they are from another folder; both below the repository's root."""

    def led(match: re.Match[str]) -> str:
        mark, shown, target = match.groups()
        if "://" in target or target.startswith(("#", "mailto:")):
            return match[0]
        name, _, anchor = target.partition("#")
        place = posixpath.relpath(posixpath.normpath(posixpath.join(here, name)), there)
        return f"{mark}[{shown}]({place}{'#' + anchor if anchor else ''})"

    return _LINK.sub(led, text)


def options_page() -> str:
    """Every command's options as its parser has them."""
    parts = [
        "# Options",
        "What `--help` says of every command, group by group. What the options do in full, and the commands' results: "
        "[commands.md](commands.md).",
    ]
    for name in COMMANDS:
        parser = importlib.import_module(f"lognet_fpga.cli.{name}").parser()
        parts += [f"## {parser.prog}", " ".join(parser.description.split())]
        parser.format_help()  # puts the groups in order
        for group in parser._action_groups:
            rows = [row(parser, action) for action in group._group_actions if action.help != argparse.SUPPRESS]
            if rows:
                title = {"positional arguments": "arguments", "options": "general"}.get(group.title, group.title)
                parts += [
                    f"### {parser.prog}: {title}",
                    *([" ".join(group.description.split())] if group.description else []),
                ]
                parts.append("\n".join(["| option | meaning |", "|---|---|", *rows]))
        examples = re.match(r"examples:\n((?:  .*\n)+)", parser.epilog or "")
        if examples:
            parts.append("```\n" + re.sub(r"^  ", "", examples[1], flags=re.MULTILINE) + "```")
    return "\n\n".join(parts) + "\n"


def row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """An option as a row of a table."""
    value = action.metavar or ("{" + ",".join(map(str, action.choices)) + "}" if action.choices else "")
    names = [f"{name} {value}".rstrip() if action.nargs != 0 else name for name in action.option_strings] or [
        str(value)
    ]
    said = parser._get_formatter()._expand_help(action).replace("|", "\\|")
    return f"| {', '.join(f'`{name}`' for name in names)} | {said} |"
