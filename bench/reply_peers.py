"""Other projects that take quotations out of mails, each installed at a pinned version into a folder of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 600

_PYTHON = """import sys, json
{imports}
def reply(text):
    {body}
json.dump([reply(text) for text in json.load(sys.stdin)], sys.stdout)
"""
_NODE = """import fs from "fs";
{imports}
const texts = JSON.parse(fs.readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(texts.map(text => {body})));
"""
_RUBY = """require "json"
require "{name}"
$stdout.write(JSON.dump(JSON.parse($stdin.read).map {{ |text| {body} }}))
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """`kind` is pip, npm or gem; `packages` are pinned; `program` reads a JSON list of texts and writes one of replies."""

    name: str
    kind: str
    packages: tuple[str, ...]
    program: str


PEERS = (
    Peer(
        "mail-parser-reply",
        "pip",
        ("mail-parser-reply==1.36",),
        _PYTHON.format(
            imports="from mailparser_reply import EmailReplyParser\nfrom mailparser_reply.constants import MAIL_LANGUAGES",
            body="found = EmailReplyParser(languages=list(MAIL_LANGUAGES)).read(text).replies\n    return found[0].content if found else ''",
        ),
    ),
    Peer(
        "talon",
        "pip",
        (
            "--no-deps",
            "talon==1.4.4",
            "lxml==6.1.3",
            "regex",
            "chardet",
            "six",
            "cssselect",
            "html5lib",
            "webencodings",
            "faust-cchardet",
        ),
        _PYTHON.format(
            imports="import talon\nfrom talon import quotations\ntalon.init()",
            body="return quotations.extract_from_plain(text)",
        ),
    ),
    Peer(
        "quotequail",
        "pip",
        ("quotequail==0.5.4",),
        _PYTHON.format(
            imports="from quotequail import quote",
            body="return '\\n'.join(part for shown, part in quote(text, quote_intro_line=True) if shown)",
        ),
    ),
    Peer(
        "unquotemail",
        "pip",
        ("unquotemail==1.0.11",),
        _PYTHON.format(
            imports="from unquotemail import Unquote",
            body="if not text: return ''\n    found = Unquote(None, text, parse=False); found.parse()\n    return found.get_text() or ''",
        ),
    ),
    Peer(
        "zapier/email-reply-parser",
        "pip",
        ("email-reply-parser==0.5.12",),
        _PYTHON.format(
            imports="from email_reply_parser import EmailReplyParser",
            body="return EmailReplyParser.parse_reply(text)",
        ),
    ),
    Peer(
        "planer",
        "npm",
        ("planer@1.2.0",),
        _NODE.format(imports='import planer from "planer";', body='planer.extractFrom(text, "text/plain")'),
    ),
    Peer(
        "crisp/email-reply-parser",
        "npm",
        ("email-reply-parser@2.3.7",),
        _NODE.format(
            imports='import Parser from "email-reply-parser";',
            body='new Parser().read(text).getFragments().filter(f => !f.isQuoted()).map(f => f.toString()).join("\\n")',
        ),
    ),
    Peer(
        "email_reply_trimmer",
        "gem",
        ("email_reply_trimmer:0.2.0",),
        _RUBY.format(name="email_reply_trimmer", body="EmailReplyTrimmer.trim(text).to_s"),
    ),
)


class NotInstalled(Exception):
    """This machine cannot have the peer; the message says why."""


def replies_of(peer: Peer, texts: list[str], folder: Path, checkouts: Path) -> list[str]:
    """What the peer makes of each text. Raises NotInstalled.

    A gem that no registry here has is run from its checkout among the suites.
    """
    command, where = _installed(peer, folder / peer.name.replace("/", "-"), checkouts)
    done = subprocess.run(
        command,
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        cwd=where,
        check=False,
    )
    if done.returncode:
        raise NotInstalled(done.stderr.strip().rpartition("\n")[2] or "it failed")
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return [str(reply or "") for reply in found]


def _installed(peer: Peer, folder: Path, checkouts: Path) -> tuple[list[str], Path]:
    folder.mkdir(parents=True, exist_ok=True)
    if peer.kind == "pip":
        python = folder / "bin" / "python"
        if not python.exists():
            venv.create(folder, with_pip=True)
        _run([str(python), "-m", "pip", "install", "--quiet", *peer.packages], folder)
        return [str(python), "-c", peer.program], folder
    if peer.kind == "npm":
        if shutil.which("npm") is None:
            raise NotInstalled("no npm here")
        _run(["npm", "install", "--silent", "--no-audit", "--prefix", str(folder), *peer.packages], folder)
        program = folder / "run.mjs"
        program.write_text(peer.program, encoding="utf-8")
        return ["node", str(program)], folder
    if shutil.which("ruby") is None:
        raise NotInstalled("no ruby here")
    checkout = checkouts / peer.name / "lib"
    if checkout.is_dir():
        return ["ruby", "-I", str(checkout), "-e", peer.program], folder
    _run(["gem", "install", "--silent", "--install-dir", str(folder), *peer.packages], folder)
    library = next(folder.glob("gems/*/lib"))
    return ["ruby", "-I", str(library), "-e", peer.program], folder


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from None
    if done.returncode:
        raise NotInstalled((done.stderr or done.stdout).strip().rpartition("\n")[2])
