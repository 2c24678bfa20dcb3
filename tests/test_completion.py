"""Shell completion: words that continue a line, and real shells on a terminal that complete by them."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import Command, environment

from w2v_exp.config import register_schema
from w2v_exp.experiment.completion import SCRIPTS, completions


@pytest.mark.cases(every=4)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("w2v-exp optimizer=la", ["optimizer=lazy_adam", "optimizer=lazy_momentum"]),
        ("w2v-exp window=3,5 -m optimizer=adam,mo", ["optimizer=adam,momentum"]),
        ("/usr/bin/python3 -m w2v_exp ask n", ["neighbours"]),
        ("w2v-exp ask explore latest --out", ["--out"]),
        ("w2v-exp ask comp", ["compare"]),
        ("w2v-exp cache ", ["clear", "list"]),
        ("w2v-exp compare --fi", ["--filter"]),
        ("w2v-exp estimate hydra/l", ["hydra/launcher="]),
        ("w2v-exp --cfg ", ["all", "hydra", "job"]),
        ("w2v-exp --help opt", ["optimizer"]),
        ("w2v-exp --multi", ["--multirun"]),
        ("w2v-exp ~optimizer", ["~optimizer="]),
        ("w2v-exp optimizer=adam ++optimizer.b", ["++optimizer.beta1=", "++optimizer.beta2="]),
        ("w2v-exp force=", ["force=false", "force=true"]),
        ("w2v-exp corpus.path=", []),
        ("w2v-exp comp", ["compare"]),
        ("w2v-exp window=3 comp", []),
        ("w2v-exp 'a b wind", ["window="]),
        ("w2v-exp --no-such-flag wind", ["window="]),
        ("w2v-exp optimizer=none wind", ["window="]),
    ],
)
def test_a_line_is_continued(line: str, expected: list[str]) -> None:
    register_schema()
    assert completions(line) == expected


def test_every_sub_command_and_group_is_offered_at_the_start() -> None:
    register_schema()
    found = completions("w2v-exp ")
    assert {"ask", "sync", "optimizer=", "experiment=", "hydra/launcher=", "window=", "schedule="} <= {*found}
    assert not any(word.count(".") > 1 for word in found)


def test_options_of_a_folder_are_offered_and_names_that_are_no_words_are_not(
    command: Command, tmp_path: Path
) -> None:
    for name in ("mine", "my own", "a$(touch x)", "b\x1b[2J"):
        (tmp_path / "conf" / "tokenizer").mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / "tokenizer" / f"{name}.yaml").write_text("lower: true\n")
    line = "w2v-exp --config-dir conf tokenizer="
    found = command("-sc", "query=bash", COMP_LINE=line).stdout.split("\n")
    assert "tokenizer=mine" in found
    assert "tokenizer=article" in found
    assert not any("own" in word or "\x1b" in word for word in found)
    assert command("-sc", "query=bash", COMP_LINE="w2v-exp --config-dir nowhere wind").stdout.strip() == ""


@pytest.mark.parametrize("request_", [[], ["install=tcsh"], ["install=bash", "window=3"], ["open=bash"]])
def test_a_request_that_is_not_known_is_refused(command: Command, request_: list[str]) -> None:
    done = command("-sc", *request_)
    assert done.returncode == 2
    assert "--shell-completion: needs install=SHELL or uninstall=SHELL" in done.stderr


class Terminal:
    """A shell on a terminal, which is typed into."""

    def __init__(self, *command: str, folder: Path) -> None:
        self._end, other = pty.openpty()
        paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
        variables = environment(PATH=os.pathsep.join(paths), TERM="dumb", PS1="> ", INPUTRC="/dev/null")
        self._process = subprocess.Popen(
            command,
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=folder,
            env=variables,
            start_new_session=True,
        )
        os.close(other)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def wait_for(self, expected: str, seconds: float = 120.0) -> None:
        """Read until a text appears that was not there before."""
        until = time.monotonic() + seconds
        start = len(self.seen)
        while expected not in self.seen[start:]:
            assert time.monotonic() < until, f"{expected!r} not in {self.seen[start:]!r}"
            if select.select([self._end], [], [], 0.2)[0]:
                self.seen += os.read(self._end, 65536).decode(errors="replace")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._end)


SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$({} -sc install=bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'eval "$({} -sc install=zsh)"'),
}


@pytest.mark.parametrize("program", ["w2v-exp", "python -m w2v_exp"])
@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_on_a_terminal(
    tmp_path: Path, shell: str, program: str, starts_processes: None
) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "my_text.txt").write_text("a rose is a rose")
    started, install = SHELLS[shell]
    terminal = Terminal(*started, folder=tmp_path)
    try:
        terminal.type(install.format(program) + "; echo rea''dy\n")
        terminal.wait_for("ready")
        for typed, completed in [
            ("optimizer=lazy_a", "optimizer=lazy_adam"),
            ("ask neig", "ask neighbours"),
            ("--multi", "--multirun"),
            ("corpus.path=my_t", "corpus.path=my_text.txt"),
        ]:
            if shell == "bash" or "corpus.path" not in typed:
                terminal.type(f"{program} {typed}\t\x01echo +\n")  # ^A: to the begin of the line
                terminal.wait_for(f"+{program} {completed}")
    finally:
        terminal.close()


def test_fish_completes(tmp_path: Path, starts_processes: None) -> None:
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    lines = [
        "w2v-exp optimizer=lazy_a",
        "python -m w2v_exp ask neig",
        "python3 -m w2v_exp --multi",
        "python my.py ",
    ]
    (tmp_path / "script").write_text(
        "w2v-exp -sc install=fish | source\n" + "\n".join(f"complete -C '{line}'" for line in lines)
    )
    paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
    done = subprocess.run(
        ["fish", "--no-config", "script"],
        cwd=tmp_path,
        env=environment(PATH=os.pathsep.join(paths)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split()[:3] == ["optimizer=lazy_adam", "neighbours", "--multirun"]
    assert done.stderr == ""


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_script_is_valid_for_its_shell(tmp_path: Path, shell: str, starts_processes: None) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    for script in SCRIPTS[shell]:
        (tmp_path / "script").write_text(script)
        done = subprocess.run([shell, "-n", "script"], cwd=tmp_path, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")


def test_python_keeps_its_own_completion_in_bash(tmp_path: Path, starts_processes: None) -> None:
    script = "\n".join(
        [
            "_mine() { COMPREPLY=(mine); }",
            "complete -F _mine python",
            SCRIPTS["bash"][0],
            'COMP_LINE="python my.py " COMP_POINT=13',
            '_w2v_exp_completion python "" my.py; echo "${COMPREPLY[@]}"',
            SCRIPTS["bash"][1],
            "complete -p python; complete -p w2v-exp",
        ]
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "mine\ncomplete -F _mine python\n"
