"""MMLU, GSM8K and HumanEval: their prompts, what is read in answers, whole runs."""

import gzip
import json
import shutil

import pytest
import torch

import evaluate
import model
from evaluation.benchmarks import BENCHMARKS, read_tasks
from evaluation.benchmarks.gsm8k import find_number, grade
from evaluation.benchmarks.humaneval import make_program
from evaluation.benchmarks.mmlu import read_hashes
from evaluation.choices import LETTERS, letter_logits, letter_prompt
from evaluation.predictions import decode_after
from evaluation.programs import PASSED, run, run_all
from evaluation.tasks import MissingFile
from plumbing.files import InputError, sha256_of
from tests.conftest import ROOT, assert_one_line_error, real
from tests.evaluation.loopback import Loopback, chat, completion
from tokenizer import Tokenizer


def write_lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


# ---- MMLU ----

@pytest.fixture(scope="module")
def mmlu(tmp_path_factory):
    """Two subjects of five examples and four and two questions."""
    folder = tmp_path_factory.mktemp("mmlu")
    for part, counts in {"dev": (5, 6), "test": (4, 2)}.items():
        (folder / part).mkdir()
        for subject, n in zip(("birds", "wild_beasts"), counts, strict=True):
            rows = [f'"Is {i} a {subject}, or ""not""?",{i},None,"a, b",d,{i % 4}'
                    for i in range(n)]
            text = "\n".join(["question,choice0,choice1,choice2,choice3,answer", *rows])
            (folder / part / f"{subject}_{part}.csv").write_text(f"{text}\n")
    return folder


@pytest.fixture(scope="module")
def lettered(tmp_path_factory):
    """A random checkpoint whose tokenizer has the four letters."""
    path = tmp_path_factory.mktemp("lettered")
    shutil.copy(ROOT / "data" / "tiny" / "tokenizer.model", path)
    config = model.Config(vocab_size=Tokenizer(path).vocab_size, hidden_size=32,
                          intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                          num_key_value_heads=2, head_dim=8, initializer_range=0.2)
    model.save(model.initialise(config, seed=5), path)
    return path


def test_a_prompt_of_mmlu_byte_for_byte(mmlu):
    """Written out after the authors' code: two spaces before the subject, five examples."""
    shots = "".join(
        f'Is {i} a wild_beasts, or "not"?\nA. {i}\nB. None\nC. a, b\nD. d\nAnswer: {letter}\n\n'
        for i, letter in enumerate("ABCDA"))
    expected = ("The following are multiple choice questions (with answers) about  wild beasts."
                f'\n\n{shots}Is 1 a wild_beasts, or "not"?\nA. 1\nB. None\nC. a, b\nD. d\nAnswer:')
    task = read_tasks("mmlu", mmlu)[-1]
    assert (task.id, task.group, task.expected) == ("wild_beasts/1", "wild_beasts", "B")
    assert task.turns[-1].content == expected


OFFICIAL = """\
The following are multiple choice questions (with answers) about  abstract algebra.

Find all c in Z_3 such that Z_3[x]/(x^2 + c) is a field.
A. 0
B. 1
C. 2
D. 3
Answer: B

Statement 1 | If aH is an element of a factor group, then |aH| divides |a|. Statement 2 | If H and \
K are subgroups of G then HK is a subgroup of G.
A. True, True
B. False, False
C. True, False
D. False, True
Answer: B

Statement 1 | Every element of a group generates a cyclic subgroup of the group. Statement 2 | The \
symmetric group S_10 has 10 elements.
A. True, True
B. False, False
C. True, False
D. False, True
Answer: C

Statement 1| Every function from a finite set onto itself must be one to one. Statement 2 | Every \
subgroup of an abelian group is abelian.
A. True, True
B. False, False
C. True, False
D. False, True
Answer: A

Find the characteristic of the ring 2Z.
A. 0
B. 3
C. 12
D. 30
Answer: A

Find the degree for the given field extension Q(sqrt(2), sqrt(3), sqrt(18)) over Q.
A. 0
B. 4
C. 2
D. 6
Answer:"""


def test_the_published_questions_of_mmlu():
    tasks = read_tasks("mmlu", real("benchmarks/mmlu"))
    assert tasks[0].turns[-1].content == OFFICIAL
    assert len(tasks) == 14042 and len({task.group for task in tasks}) == 57
    assert all(task.turns[-1].content.count("\nAnswer:") == 6 for task in tasks)
    choices = [line for task in tasks for line in task.turns[-1].content.split("\n")[-5:-1]]
    assert sum(line[3:] == "None" for line in choices) == 10


def test_hashes_of_mmlu_are_those_of_its_files():
    hashes = read_hashes()
    assert len(hashes) == 2 * 57
    folder = real("benchmarks/mmlu")
    for path in sorted(hashes)[::17]:
        assert sha256_of(folder / path).hex() == hashes[path]


def test_letters_are_those_of_whole_forward_passes(mmlu, lettered):
    """One row after the other, no padding, the whole vocabulary, ids of the text as it stands."""
    tokenizer = Tokenizer(lettered)
    transformer = model.load(lettered)
    prompts = []
    expected = []
    for task in read_tasks("mmlu", mmlu):
        text = task.turns[-1].content
        prompt, letters = letter_prompt(tokenizer, text)
        prompts.append(prompt)
        for letter, id in zip(LETTERS, letters, strict=True):
            assert [*prompt, id] == [tokenizer.bos_id, *tokenizer.encode(f"{text} {letter}")]
        expected.append(transformer(torch.tensor([prompt])).detach()[0, -1, letters])
    assert len(set(map(len, prompts))) > 1
    found = letter_logits(transformer, prompts, letters)
    assert (found - torch.stack(expected)).abs().max() < 1e-5 < torch.stack(expected).std()


def run_bench(bench, folder, *flags):
    device = [] if "--predictions" in flags else ["--device", "cpu"]
    evaluate.main(["--bench", bench, "--data", str(folder), *device, *map(str, flags)])


def test_a_model_chooses_letters_and_goes_on_after_a_kill(mmlu, lettered, tmp_path, capsys):
    run_bench("mmlu", mmlu, "--model", lettered, "--out", tmp_path / "whole", "--batch-size", 2)
    out = capsys.readouterr().out
    scores = json.loads((tmp_path / "whole" / "scores.json").read_text())
    assert scores["n"] == 6 and scores["groups"]["birds"]["n"] == 4
    assert scores["right"] == sum(part["right"] for part in scores["groups"].values())
    assert f"{scores['right']}{scores['right'] / .06:>8.2f}%" in out and "wild_beasts" in out
    items = [json.loads(line) for line in (tmp_path / "whole" / "items.jsonl").open()]
    golds = [task.expected for task in read_tasks("mmlu", mmlu)]
    assert [item["right"] for item in items] == [
        int(item["found"] == gold) for item, gold in zip(items, golds, strict=True)]
    answers = (tmp_path / "whole" / "answers.0.jsonl").read_bytes()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "run.json").write_bytes((tmp_path / "whole" / "run.json").read_bytes())
    (tmp_path / "cut" / "answers.0.jsonl").write_bytes(answers[:len(answers) // 2])
    run_bench("mmlu", mmlu, "--model", lettered, "--out", tmp_path / "cut", "--batch-size", 2)
    for name in ("scores.json", "items.jsonl"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_tokenizer_without_the_letters_is_refused(mmlu, model_dir):
    """Its pieces write C and D byte by byte."""
    with pytest.raises(InputError, match="the letters A to D are not a piece each"):
        run_bench("mmlu", mmlu, "--model", model_dir)


@pytest.mark.parametrize("flags", [("--predictions", "x"), ("--export", "x", "--served-model", "m"),
                                   ("--server", "http://localhost:1", "--served-model", "m")])
def test_a_likelihood_is_no_text(mmlu, flags):
    with pytest.raises(InputError, match=f"{flags[0]}: a model must answer here"):
        run_bench("mmlu", mmlu, *flags)


@pytest.mark.parametrize("text, words", [
    ("question,choice0\n", "the first line must be"), ("", "no table"), ("\0", "the first line"),
    ("question,choice0,choice1,choice2,choice3,answer\na,b,c,d,e,4\n", "row 1: not a question"),
    ("question,choice0,choice1,choice2,choice3,answer\na,b,c,d,0\n", "row 1: not a question"),
    ('question,choice0,choice1,choice2,choice3,answer\n"a,b,c,d,e,0\n', "no table"),
])
def test_a_table_that_is_none_of_mmlu_s_is_refused(tmp_path, text, words):
    (tmp_path / "test").mkdir()
    (tmp_path / "dev").mkdir()
    (tmp_path / "test" / "x_test.csv").write_text("")
    with pytest.raises(MissingFile, match="x_dev.csv: no such file"):
        BENCHMARKS["mmlu"].read(tmp_path)
    (tmp_path / "dev" / "x_dev.csv").write_text(text)
    with pytest.raises(InputError, match=f"x_dev.csv: {words}"):
        read_tasks("mmlu", tmp_path)


# ---- GSM8K ----

MODELS = {"6b_finetuning": 286, "6b_verification": 515, "175b_finetuning": 458,
          "175b_verification": 742}


@pytest.mark.parametrize("name", MODELS)
def test_released_solutions_of_gsm8k_are_judged_as_they_were_upstream(name):
    folder = real("benchmarks/gsm8k")
    tasks = read_tasks("gsm8k", folder)
    assert len(tasks) == 1319
    lines = (folder / "example_model_solutions.jsonl").read_text().splitlines()
    solved = [json.loads(line)[name] for line in lines]
    grades = grade(None, tasks, [each["solution"] for each in solved])
    assert [each.right for each in grades] == [each["is_correct"] for each in solved]
    assert sum(each.right for each in grades) == MODELS[name]


@pytest.mark.parametrize("text, number", [
    ("so 3 * 4 = 12\n#### 12", "12"), ("#### -1,234", "-1234"), ("#### 5\n#### 6", "5"),
    ("A: 7", "7"), ("A: 7\n#### 8", "8"), ("first 1, then 2.5.", "2.5"), ("costs $1,000.", "1000"),
    ("is -3", "-3"), ("none", ""), ("", ""), ("It is 4.\n\nQuestion: And 5?\nAnswer: 6", "4"),
    ("#### $5", "5"), ("The answer is $18.00.", "18"), ("10-4", "4"), ("(3+7)-4", "4"),
    ("Part A: 5 apples. Part B: 13 apples. In total 18 apples.", "18"), ("so\nA: 7\n8", "7"),
])
def test_the_number_of_an_answer(text, number):
    assert find_number(text) == number


@pytest.fixture
def gsm8k(tmp_path):
    folder = tmp_path / "gsm8k"
    folder.mkdir()
    write_lines(folder / "train.jsonl",
                [{"question": f"{i} + 1?", "answer": f"It is {i + 1}\n#### {i + 1}"}
                 for i in range(9)])
    write_lines(folder / "test.jsonl", [{"question": "2 * 2?", "answer": "#### 4"},
                                        {"question": "500 * 2?", "answer": "#### 1,000"}])
    return folder


def test_gsm8k_shows_eight_examples_and_scores_a_file(gsm8k, tmp_path, capsys):
    task = read_tasks("gsm8k", gsm8k)[1]
    shots = "".join(f"Question: {i} + 1?\nAnswer: It is {i + 1}\n#### {i + 1}\n\n"
                    for i in range(8))
    assert task.turns[-1].content == f"{shots}Question: 500 * 2?\nAnswer:"
    write_lines(tmp_path / "p", [{"index": 1, "prediction": " #### 1000"},
                                 {"index": 0, "prediction": "about 5"}])
    run_bench("gsm8k", gsm8k, "--predictions", tmp_path / "p", "--out", tmp_path / "out")
    assert "1   50.00%   (9.5-90.5)" in capsys.readouterr().out
    run_bench("gsm8k", gsm8k, "--predictions", tmp_path / "out" / "items.jsonl",
              "--out", tmp_path / "again")
    for name in ("scores.json", "items.jsonl"):
        assert (tmp_path / "again" / name).read_text() == (tmp_path / "out" / name).read_text()


def test_a_model_reads_the_plain_prompt(gsm8k, model_dir, tmp_path):
    run_bench("gsm8k", gsm8k, "--model", model_dir, "--max-new-tokens", 5, "--out", tmp_path)
    tokenizer = Tokenizer(model_dir)
    transformer = model.load(model_dir)
    items = [json.loads(line) for line in (tmp_path / "items.jsonl").open()]
    for task, item in zip(read_tasks("gsm8k", gsm8k), items, strict=True):
        ids = [tokenizer.bos_id, *tokenizer.encode(task.turns[-1].content)]
        [answer] = model.generate(transformer, [ids], 5, tokenizer.eos_id)
        assert item["prediction"] == decode_after(tokenizer, ids, answer.ids)


def serve(gold_of):
    """The `respond` of a server; gold_of: function of a prompt -> the answer."""
    def respond(path, body):
        if path.endswith("/chat/completions"):
            [message] = body["messages"]
            return chat(gold_of(message["content"]))
        return completion(gold_of(body["prompt"]))

    return respond


@pytest.mark.parametrize("template", ["gpt", "tl-codellama2"])
def test_a_server_answers_gsm8k(gsm8k, tmp_path, template):
    golds = {task.turns[-1].content: f" #### {task.expected}"
             for task in read_tasks("gsm8k", gsm8k)}
    with Loopback(serve(golds.get)) as server:
        run_bench_of_server("gsm8k", gsm8k, server, tmp_path / "out", "--template", template)
        assert len(server.seen) == 2
        run_bench_of_server("gsm8k", gsm8k, server, tmp_path / "out", "--template", template)
        assert len(server.seen) == 2, "what is answered is not asked again"
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["right"] == 2


def run_bench_of_server(bench, folder, server, out, *flags):
    evaluate.main(["--bench", bench, "--data", str(folder), "--server", server.url,
                   "--served-model", "m", "--out", str(out), *flags])


def test_a_server_answers_humaneval(humaneval, tmp_path):
    if run("", 20) != PASSED:
        pytest.skip("no namespaces here")
    fenced = "```python\ndef double(x):\n    return 2 * x\n```"
    with Loopback(serve(lambda prompt: fenced)) as server:
        run_bench_of_server("humaneval", humaneval, server, tmp_path / "out", "--execute")
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["right"] == 2


def test_the_requests_of_gsm8k_are_its_prompts(gsm8k, tmp_path):
    run_requests = ["--bench", "gsm8k", "--data", str(gsm8k), "--served-model", "m", "--template",
                    "tl-codellama2", "--export", str(tmp_path / "requests")]
    evaluate.main(run_requests)
    lines = [json.loads(line) for line in (tmp_path / "requests").open()]
    assert [line["body"]["prompt"] for line in lines] == [
        task.turns[-1].content for task in read_tasks("gsm8k", gsm8k)]


# ---- HumanEval ----

PROBLEM = {
    "task_id": "HumanEval/0", "entry_point": "double",
    "prompt": 'from typing import List\n\ndef half(x):\n    return x / 2\n\n\n'
              'def double(x: int) -> int:\n    """Twice x.\n    """\n',
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n"}


@pytest.fixture
def humaneval(tmp_path):
    folder = tmp_path / "humaneval"
    folder.mkdir()
    records = [PROBLEM, {**PROBLEM, "task_id": "HumanEval/1"}]
    text = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "HumanEval.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    return folder


@pytest.mark.parametrize("text, body", [
    ("    return 2 * x\n", "    return 2 * x\n"),
    ("    return 2 * x\n\ndef other():\n    pass\n", "    return 2 * x\n"),
    ("    return 2 * x\nprint(1)\n# more", "    return 2 * x"),
])
def test_a_completion_ends_where_other_code_begins(humaneval, text, body):
    task = read_tasks("humaneval", humaneval)[0]
    tail = f"\n{PROBLEM['test']}\ncheck(double)"
    assert make_program(task, text) == PROBLEM["prompt"] + body + tail


def test_a_whole_function_in_a_fence_replaces_the_prompt_s(humaneval):
    task = read_tasks("humaneval", humaneval)[0]
    answer = "Sure!\n```python\ndef double(x):\n    return half(x) * 4\n```\nDone."
    assert make_program(task, answer) == (
        "from typing import List\n\ndef half(x):\n    return x / 2\n\n\n\n"
        "def double(x):\n    return half(x) * 4\n\n" + task.expected)


@pytest.mark.parametrize("answer, holds", [
    ("```python3\ndef double(x):\n    return x + x\n```", "def double(x):\n    return x + x"),
    ("```Python\ndef double (x):\n    return x + x\n```", "def double (x):\n    return x + x"),
    ("The body:\n```python\n    return x + x\n```\nDone.", PROBLEM["prompt"] + "    return x + x"),
    ("    return x + x\n\nprint(1)\n```\n    1\n```", PROBLEM["prompt"] + "    return x + x"),
])
def test_fences_of_any_name_hold_a_function_or_its_body(humaneval, answer, holds):
    task = read_tasks("humaneval", humaneval)[0]
    program = make_program(task, answer)
    compile(program, "program", "exec")
    assert holds in program and "Done" not in program and "print" not in program


def test_programs_run_with_execute_alone(humaneval, tmp_path, capsys, run_main):
    write_lines(tmp_path / "p", [{"id": "HumanEval/1", "prediction": "    return 4\n"},
                                 {"id": "HumanEval/0", "prediction": "    return x\n"}])
    flags = ("--bench", "humaneval", "--data", humaneval, "--predictions", tmp_path / "p")
    assert_one_line_error(run_main(evaluate, *flags), "--execute")
    assert_one_line_error(run_main(evaluate, *flags, "--unsafe"), "--unsafe", "--execute")
    if run("", 20) != PASSED:
        pytest.skip("no namespaces here")
    done = run_main(evaluate, *flags, "--execute", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    items = [json.loads(line) for line in (tmp_path / "out" / "items.jsonl").open()]
    assert [(item["right"], item["found"]) for item in items] == [
        (0, "AssertionError: "), (1, PASSED)]


def test_answers_that_are_not_run_are_kept_for_another_machine(humaneval, model_dir, tmp_path,
                                                              capsys):
    run_bench("humaneval", humaneval, "--model", model_dir, "--max-new-tokens", 3,
              "--out", tmp_path / "out")
    assert "not run" in capsys.readouterr().out
    items = [json.loads(line) for line in (tmp_path / "out" / "items.jsonl").open()]
    assert len(items) == 2 and all("right" not in item for item in items)
    assert not (tmp_path / "out" / "scores.json").exists()


def test_an_answer_keeps_the_indentation_that_it_begins_with():
    """By themselves the ids of "    return" decode to three spaces."""
    tokenizer = Tokenizer(real("tokenizers/llama"))
    prompt = [tokenizer.bos_id, *tokenizer.encode(PROBLEM["prompt"])]
    whole = [tokenizer.bos_id, *tokenizer.encode(PROBLEM["prompt"] + "    return 2 * x\n")]
    assert whole[:len(prompt)] == prompt
    assert decode_after(tokenizer, prompt, whole[len(prompt):]) == "    return 2 * x\n"
    assert tokenizer.decode(whole[len(prompt):]) == "   return 2 * x\n"


def published():
    """The published problems, as records and as Tasks."""
    folder = real("benchmarks/humaneval")
    lines = gzip.decompress((folder / "HumanEval.jsonl.gz").read_bytes()).splitlines()
    return [json.loads(line) for line in lines], read_tasks("humaneval", folder)


@pytest.mark.parametrize("before, passes", [("", 164), ("    return None\n", 0)])
def test_published_solutions_pass_and_programs_that_return_nothing_fail(before, passes):
    """Every eighth; `python -m tests.stress.humaneval` runs all of them."""
    records, tasks = published()
    assert len(tasks) == 164
    if run("", 20) != PASSED:
        pytest.skip("no namespaces here")
    programs = [make_program(task, before + record["canonical_solution"])
                for record, task in zip(records[::8], tasks[::8], strict=True)]
    outcomes = run_all(programs, 30)
    assert [outcome == PASSED for outcome in outcomes] == [bool(passes)] * len(programs)
