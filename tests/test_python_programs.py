"""`w2v_exp.train` in a notebook, in a program that uses Hydra, and in a script that is interrupted."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import environment, run_python

pytestmark = pytest.mark.usefixtures("starts_processes")

APP = """
import logging
import os
import signal
from dataclasses import dataclass

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf


@dataclass
class Schema:
    rate: float = 0.05


ConfigStore.instance().store(name="schema", node=Schema)
ConfigStore.instance().store(name="mine", node={"defaults": ["schema"], "rate": 0.1})


def state():
    return (
        HydraConfig.get().job.name,
        os.getcwd(),
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        [*logging.getLogger().handlers],
        logging.getLogger().level,
    )


@hydra.main(version_base="1.3", config_path=None, config_name="mine")
def main(config):
    import w2v_exp

    before = state()
    trained = w2v_exp.train("a rose is a rose is a rose", dim=5, learning_rate=config.rate, epochs=3)
    assert state() == before
    assert hydra.compose("schema").rate == 0.05
    assert OmegaConf.create({"name": "${hydra:job.name}"}).name == "app"
    logging.info("trained %s words", len(trained))


main()
"""


@pytest.mark.parametrize("arguments", [["rate=0.2"], ["rate=0.1,0.2", "-m"]], ids=str)
def test_a_program_that_uses_hydra_itself(tmp_path, arguments):
    (tmp_path / "app.py").write_text(APP)
    done = run_python("app.py", *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    logs = [*tmp_path.rglob("app.log")]
    assert len(logs) == (2 if "-m" in arguments else 1)
    assert all("trained 3 words" in log.read_text() for log in logs)


SCRIPT = """
import os
import signal

import w2v_exp

signal.signal(signal.SIGTERM, lambda *_: print("own handler", flush=True))


def sentences():
    print("reading", flush=True)
    yield from [["a", "b"], ["b", "c"]] * 10


try:
    w2v_exp.train(sentences(), epochs=10**9, experiment=None, folder="kept")
except KeyboardInterrupt:
    print("interrupted", w2v_exp.load_run("kept").words)
"""


def test_ctrl_c_in_a_script_is_a_keyboard_interrupt_and_keeps_the_results(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "reading\n"
    costs = tmp_path / "kept" / "journal.jsonl"
    while not (costs.exists() and b'"cost"' in costs.read_bytes()):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "own handler\n"
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output == "interrupted ['b', 'a', 'c']\n"


def test_a_notebook_shows_progress_and_tables(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cells = [
        "import w2v_exp\nw2v_exp.train([['<b>', 'rose'], ['rose', 'is', '<b>']], epochs=3)",
        "import threading\nfound = []\nthread = threading.Thread(target=lambda: found.append("
        "w2v_exp.train('a rose is a rose', dim=5, progress=False)))\nthread.start()\nthread.join()\nlen(found[0])",
        "w2v_exp.train('a rose is a rose', windw=3)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    resources = {"metadata": {"path": str(tmp_path)}}
    environment_of_kernel = environment(PYTHONPATH=str(Path(__file__).parents[1]))
    runner = client.NotebookClient(notebook, timeout=300, allow_errors=True, resources=resources)
    runner.execute(env=environment_of_kernel)
    first, second, third = (cell.outputs for cell in notebook.cells)
    (bar,) = (each.data for each in first if each.output_type == "display_data")
    assert "epoch 3/3" in bar["text/plain"]
    assert "<progress" not in bar["text/html"]  # the last state
    (shown,) = (each.data for each in first if each.output_type == "execute_result")
    assert "&lt;b&gt;" in shown["text/html"]
    assert "objective=softmax" in "".join(each.text for each in first if each.output_type == "stream")
    assert second[-1].data["text/plain"] == "3"
    (error,) = (each for each in third if each.output_type == "error")
    assert error.ename == "UserError"
    assert "did you mean window?" in error.evalue
    assert not any(tmp_path.iterdir())
