"""The front of the model: its names, and its command line."""

import json
from pathlib import Path

import model
from tests.conftest import CONFIG, assert_one_line_error, run_script


def test_init_writes_a_checkpoint_that_loads(tmp_path, tokenizer_file):
    (tmp_path / "c.json").write_text(json.dumps(CONFIG))
    done = run_script("model.py", "--init", tmp_path / "c.json", tmp_path / "m",
                      "--tokenizer", tokenizer_file)
    assert done.returncode == 0, done.stderr
    assert model.load(tmp_path / "m").config.rope_theta == 1e6
    assert (tmp_path / "m" / "tokenizer.model").read_bytes() == Path(tokenizer_file).read_bytes()
    done = run_script("model.py", "--init", tmp_path / "none.json", tmp_path / "n")
    assert_one_line_error(done, "none.json")
    done = run_script("model.py", "--init", tmp_path / "c.json", tmp_path / "m")
    assert_one_line_error(done, "holds a model already")
