"""The house: arrows between rooms, and how large a file or a function may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES_OF_FILE, LINES_OF_FUNCTION = 500, 60
REASON = "# Long"


def long_functions(text: str) -> list[str]:
    """Names of functions of more than 60 lines that give no reason above them."""
    lines = text.splitlines()
    return [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
        and node.end_lineno - node.lineno >= LINES_OF_FUNCTION
        and not lines[min([node, *node.decorator_list], key=lambda n: n.lineno).lineno - 2]
        .strip()
        .startswith(REASON)
    ]


def test_arrows_point_downwards_and_there_is_no_circle():
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


# Scripts that compute nothing on PyTorch, or only with a model or an option that does.
WITHOUT_TORCH = """
build_cohort build_page certify_bundle combine_status compare_tissue_similarity
compare_with_paper draw_figure fetch_dataset find_contrasts join_gene_contrasts
list_skipped_analyses make_folds measure_connectivity measure_conservation
measure_expression_level predict_fold predict_oracle print_headline simulate_cohort
summarise_accuracy summarise_dysregulation summarise_external summarise_intervals
summarise_traits train_fold
"""


@pytest.mark.slow
def test_torch_is_imported_where_it_computes_alone():
    code = "import sys\nfrom scripts import load_script\n"
    code += "".join(f"load_script({name!r})\n" for name in WITHOUT_TORCH.split())
    code += "assert 'torch' not in sys.modules"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_files_and_functions_are_of_readable_size():
    too_long = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found = long_functions(text)
        if len(text.splitlines()) > LINES_OF_FILE:
            found.append("the file")
        if found:
            too_long[str(path.relative_to(ROOT))] = found
    assert not too_long


def test_a_long_function_is_seen_unless_it_says_why():
    body = "def long():\n" + "    x = 1\n" * LINES_OF_FUNCTION
    assert long_functions(body) == ["long"]
    assert long_functions(REASON + " as a step is read at once.\n" + body) == []
    assert long_functions("def short():\n" + "    x = 1\n" * (LINES_OF_FUNCTION - 1)) == []
