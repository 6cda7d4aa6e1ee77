"""What an environment without PyTorch can do, and what it says of the rest."""

import subprocess
import sys

import pytest
from pages import ROOT
from tests.hostile.models import SOURCE

from mtm.errors import DISTRIBUTION

KEPT = ROOT / "tests/bundles/version_2"
NEED_IT = {"ensemble", "joint", "joint_of_ranks", "mlp", "mtm"}
WITHOUT = """
import sys

class Missing:
    @staticmethod
    def find_spec(name, *_):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing)
from mtm.cli import main
out, people, traits, source, *bundles = sys.argv[1:]
for bundle in bundles:
    given = ["--expression", people, "--traits", traits, "--source", source]
    command = ["predict", "--bundle", bundle, *given, "--align", "none", "--out", out, "--force"]
    print(main(command))
"""


@pytest.mark.slow
def test_linear_bundles_predict_without_pytorch_and_others_name_the_extra(tmp_path):
    bundles = sorted(KEPT.glob("*.safetensors"))
    given = [tmp_path / "told.tsv", KEPT / "people.tsv", KEPT / "traits.tsv", SOURCE, *bundles]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *map(str, given)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    codes = dict(zip([path.stem for path in bundles], done.stdout.split(), strict=True))
    assert codes == {name: "1" if name in NEED_IT else "0" for name in codes}
    told = [line for line in done.stderr.splitlines() if "no package torch" in line]
    assert len(told) == len(NEED_IT)
    assert all(f"pip install '{DISTRIBUTION}[torch]'" in line for line in told)
