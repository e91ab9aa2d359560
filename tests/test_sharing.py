"""`make test` shares the files of tests among two processes: every test runs once."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT, untaken


@given(st.lists(st.integers(1, 3), max_size=8), st.randoms(use_true_random=False))
def test_every_test_runs_in_one_process_and_a_file_in_one(tmp_path_factory, sizes, rng):
    tests = [SimpleNamespace(path=ROOT / f"tests/test_{file}.py", number=number)
             for file, size in enumerate(sizes) for number in range(size)]
    folder = tmp_path_factory.mktemp("share")
    backwards = sorted(tests, key=lambda test: -int(test.path.stem.removeprefix("test_")))
    left = {"forwards": untaken(tests, folder), "backwards": untaken(backwards, folder)}
    ran = {process: [] for process in left}
    while left:
        process = rng.choice(sorted(left))
        test = next(left[process], None)
        if test is None:
            del left[process]
        else:
            ran[process].append(test)
    assert sorted(map(id, ran["forwards"] + ran["backwards"])) == sorted(map(id, tests))
    files = [{test.path for test in each} for each in ran.values()]
    assert not files[0] & files[1]
