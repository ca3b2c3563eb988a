"""Pages whose commands are run: every ```console block, a command on each line that begins with `$ `, and below it what it
answers. One shell runs them all, one after the other, in a home of its own."""

import os
import re
import shlex
import subprocess
from pathlib import Path

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)
MARK = "-- end of command"


def commands(page: str) -> list[tuple[str, str]]:
    """Each command of a page with the output that stands below it."""
    found = []
    for block in BLOCK.findall(page):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            lines = part.split("\n")
            length = 1
            while lines[length - 1].endswith("\\"):
                length += 1
            if "<<END" in lines[length - 1]:
                length = lines.index("END") + 1
            found.append(("\n".join(lines[:length]), "\n".join(lines[length:]).rstrip("\n")))
    return found


def run(found: list[str], env: dict, home: Path) -> list[str]:
    """What a shell answers to each command, standard error included."""
    script = "".join(f"{command}\necho; echo {shlex.quote(MARK)}\n" for command in found)
    done = subprocess.run(
        ["/bin/bash"], input=script.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, cwd=home, timeout=300
    )
    outputs = done.stdout.decode(errors="replace").split(MARK + "\n")[:-1]
    assert len(outputs) == len(found), done.stdout[-3000:]
    return [output.rstrip("\n") for output in outputs]


# What differs from run to run, and what stands for it on a page.
SAME = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "1234abcd-12ab-34cd-56ef-1234567890ab"),
    (r"\b(AKIA|ASIA)[A-Z2-7]{16}\b", r"\1IOSFODNN7EXAMPLE"),
    (r"\b[0-9a-f]{64}\b", "0c237476b39f8bc44e45212e08498fbe3151305030726c0590dd8d3e9f3d6a60"),
    (r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "2026-11-27T09:00:00Z"),
    (r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:4599"),
]


def same(text: str, home: Path) -> str:
    """A text in which nothing differs from run to run."""
    text = text.replace(str(home), "~")
    for pattern, standing in SAME:
        text = re.sub(pattern, standing, text)
    return "\n".join(line.rstrip() for line in text.split("\n"))


def check(path: Path, env: dict, home: Path) -> None:
    """Runs a page's commands and compares; with BULLA_RECORD_DOCS=1, writes what they answer into the page."""
    page = path.read_text()
    found = commands(page)
    assert found, f"{path.name} has no commands"
    outputs = [same(output, home) for output in run([command for command, _ in found], env, home)]
    if os.environ.get("BULLA_RECORD_DOCS") == "1":
        answers = iter(zip([command for command, _ in found], outputs))

        def written(_):
            block = ""
            for _ in commands(_.group(0)):
                command, output = next(answers)
                block += f"$ {command}\n" + (f"{output}\n" if output else "")
            return f"```console\n{block}```"

        path.write_text(BLOCK.sub(written, page))
        return
    for (command, expected), output in zip(found, outputs):
        assert output == expected, f"$ {command}\nthe page has\n{expected}\nand it answers\n{output}"
