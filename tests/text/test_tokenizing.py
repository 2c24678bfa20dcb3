"""Chunks of text as words and numbers: the same in one process and in several."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp import processes
from w2v_exp.errors import SettingError, UserError
from w2v_exp.processes import Terminated, termination_as_exception
from w2v_exp.text import tokenizers
from w2v_exp.text.tokenizers import (
    ArticleTokenizer,
    CustomTokenizer,
    WhitespaceTokenizer,
    WordTokenizer,
    available_processes,
    encode_chunk,
    encode_chunks,
)


def words_of(chunks):
    return [words[number] for words, numbers, _ in chunks for number in numbers]


@given(st.text(alphabet=st.sampled_from("abÄß'9 \n\u3000"), max_size=60))
@property_settings(max_examples=examples(200), deadline=None)
def test_the_numbers_stand_for_the_tokens_however_the_text_is_parted(text):
    whole = ArticleTokenizer()(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizers, "PART_CHARACTERS", 5)
        words, numbers, *_ = encode_chunk(ArticleTokenizer(), text)
    assert [words[number] for number in numbers] == whole
    assert words == list(dict.fromkeys(whole))
    assert numbers.dtype == np.int32


@pytest.mark.usefixtures("starts_processes")
def test_several_processes_give_what_one_gives():
    chunks = [
        f"Some words of chunk {number}, and the words of all: ein Wörter {number % 3}\n"
        for number in range(20)
    ]
    for tokenizer in (WhitespaceTokenizer(), WordTokenizer()):
        alone = list(encode_chunks(tokenizer, chunks))
        shared = list(encode_chunks(tokenizer, chunks, processes=2))
        assert [words for words, *_ in shared] == [words for words, *_ in alone]
        for (_, ours, *_), (_, theirs, *_) in zip(shared, alone, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.usefixtures("starts_processes")
def test_chunks_are_read_only_as_they_are_needed():
    read = []

    def chunks():
        for number in range(1000):
            read.append(number)
            yield f"chunk {number} "

    numbered = encode_chunks(WhitespaceTokenizer(), chunks(), processes=2)
    next(numbered)
    numbered.close()
    assert len(read) < 10


@pytest.mark.usefixtures("starts_processes")
def test_what_a_tokenizer_raises_in_another_process_arrives(tmp_path, monkeypatch):
    (tmp_path / "hard_to_please.py").write_text(
        "def tokens(text):\n"
        "    if 'bad' in text:\n"
        "        raise ValueError('a bad word')\n"
        "    return text.split()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    tokenizer = CustomTokenizer("hard_to_please.tokens")
    with pytest.raises(UserError, match=r"hard_to_please\.tokens raised ValueError: a bad word\."):
        list(encode_chunks(tokenizer, ["good ", "bad ", "good "], processes=2))


@pytest.mark.usefixtures("starts_processes")
def test_what_reading_raises_ends_the_processes():
    def chunks():
        yield "good "
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        list(encode_chunks(WordTokenizer(), chunks(), processes=2))


@pytest.mark.usefixtures("starts_processes")
def test_a_process_that_dies_is_told(tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text("import os\ndef tokens(text):\n    os._exit(9)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="One of 2 tokenizer processes died"):
        list(encode_chunks(CustomTokenizer("deadly.tokens"), ["some text "] * 3, processes=2))


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_signal_that_reached_the_processes_first_is_an_interruption(tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text("import os\ndef tokens(text):\n    os.kill(os.getpid(), 15)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(processes, "sleep", lambda seconds: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Terminated), termination_as_exception():
        list(encode_chunks(CustomTokenizer("deadly.tokens"), ["some text "] * 3, processes=2))


def test_a_setting_error_is_the_same_after_its_way_from_another_process():
    sent = pickle.loads(pickle.dumps(SettingError("callable", "no.such", "cannot be imported.")))
    assert str(sent) == "callable=no.such: cannot be imported."
    assert str(sent.within("tokenizer")) == "tokenizer.callable=no.such: cannot be imported."


def test_there_is_at_least_one_process_and_no_more_than_one_a_core():
    assert 1 <= available_processes() <= (os.cpu_count() or 1)


def living(group):
    """Return the processes of a process group that have not ended."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, of_group = file.read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == group and state != "Z":
                found.append(file)
    return found


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's list of processes")
@pytest.mark.parametrize(
    ("number", "tokenizer"),
    [
        (signal.SIGINT, "WordTokenizer"),
        (signal.SIGTERM, "WordTokenizer"),
        (signal.SIGKILL, "WordTokenizer"),
        (signal.SIGINT, "WhitespaceTokenizer"),  # threads
    ],
    ids=["Ctrl-C", "SIGTERM", "SIGKILL", "Ctrl-C in threads"],
)
def test_an_interruption_ends_all_processes_without_a_word_of_theirs(tmp_path, number, tokenizer):
    program = tmp_path / "endless.py"
    program.write_text(
        textwrap.dedent(f"""
        from w2v_exp.processes import termination_as_exception
        from w2v_exp.text.tokenizers import {tokenizer}
        from w2v_exp.text.tokenizers import encode_chunks

        def endless():
            while True:
                yield "some words " * 1000

        if __name__ == "__main__":
            with termination_as_exception():
                try:
                    for number, _ in enumerate(encode_chunks({tokenizer}(), endless(), processes=2)):
                        if number == 10:
                            print("running", flush=True)
                except KeyboardInterrupt:
                    print("interrupted", flush=True)
        """)
    )
    process = subprocess.Popen(
        [sys.executable, str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == "running\n"
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does it: to the whole group
        else:
            process.send_signal(number)
        out, errors = process.communicate()
        if number == signal.SIGKILL:
            assert (out, process.returncode) == ("", -signal.SIGKILL)
        else:
            assert (out, errors, process.returncode) == ("interrupted\n", "", 0)
        while living(process.pid):  # else the test hangs, which is a failure, too
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
