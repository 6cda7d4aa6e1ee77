"""Captions print how often intervals and null bands held what they should (bench/README.md)."""

import re
from math import ceil, floor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CAPTIONS = ROOT / "workflow/report"
# Where the intervals of an area of bench/calibration are shown.
SHOWN = {
    "accuracy": ["fig2a", "accuracy_by_tissue", "headline"],
    "comparison": ["pair_counts"],
    "partial": ["partial"],
    "status": ["fig3cd", "fig_s15"],
    "traits": ["traits", "fig_s12", "fig_s13", "fig_s14"],
    "fold changes": ["disease"],
    "transfer": ["fig4", "transfer"],
    "genes": ["fig_s10", "fig_s11", "fig_s8_connectivity"],
    "similarity of tissues": ["tissue_similarity", "decoding", "fig_s8", "fig_s9"],
    "codes": ["codes", "fig_s8"],
    "ceiling": ["ceiling"],
    "predicted": ["predicted_differences"],
    "external": ["external", "external_headline"],
    "growth": ["growth", "growth_table"],
    "sources": ["sources"],
    "probes": ["probes", "codes_probed"],
    "intervals": ["interval_coverage", "reliability"],
    "landmarks": ["landmarks", "landmark_accuracy"],
    "imputation": ["imputation", "imputation_accuracy"],
    "ranks": ["ranks"],
    "profiles": ["profiles", "profile_accuracy"],
}
NOMINAL = 93, 97
# What a caption has nothing of, by words of the row's name.
NOT_SHOWN = {
    ("fig_s15", "difference"),
    ("fig3cd", "null band"),
    ("headline", " a tissue"),
    ("interval_coverage", "reliability"),
    ("reliability", "coverage"),
    ("profiles", "coverage"),
    ("imputation", "tissues named"),
    ("imputation_accuracy", "tissues named"),
}
RANGE = re.compile(r"(\d+)(?:% to (\d+(?=%)|all)|-(\d+)%|%)")


def held() -> dict[str, list[tuple[str, list[float]]]]:
    """Rows of the tables of coverage by area: name, and shares in percent."""
    found, area, inside = {}, "", False
    for line in (ROOT / "bench/README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| area | interval"):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and len(cells) == 3 and set(cells[0]) != {"-"}:
            area = re.sub(r" \(.*", "", cells[0]) or area
            shares = [float(number) for number in re.findall(r"\d+\.\d", cells[2])]
            found.setdefault(area, []).append((cells[1], shares))
    return found


def printed(text: str) -> set[int]:
    """Percentages that a text names, and those within its ranges."""
    numbers = set()
    for low, *high in RANGE.findall(text.replace("always", "100%")):
        end = "".join(high).replace("all", "100") or low
        numbers |= set(range(int(low), int(end) + 1))
    return numbers


def sentences_of(caption: str, bands: bool) -> str:
    """The sentences on coverage: of null bands, or of intervals."""
    text = " ".join((CAPTIONS / f"{caption}.rst").read_text().split())
    told = [part for part in re.split(r"(?<=[.:;]) ", text) if "%" in part]
    of_bands = re.compile(r"\bnull|\bbox|\bband", re.IGNORECASE)
    return " ".join(part for part in told if not bands or of_bands.search(part))


def test_every_area_is_shown_somewhere():
    assert set(held()) == set(SHOWN)
    assert sum(map(len, held().values())) > 50


@pytest.mark.parametrize(
    ("caption", "area"), [(name, area) for area, names in SHOWN.items() for name in names]
)
def test_what_lies_off_the_nominal_95_is_printed(caption, area):
    low, high = NOMINAL
    missing = []
    for name, shares in held()[area]:
        if any(caption == where and word in name for where, word in NOT_SHOWN):
            continue
        numbers = printed(sentences_of(caption, "null band" in name))
        off = [share for share in shares if not low <= share <= high]
        missing += [(name, s) for s in off if not {floor(s), ceil(s)} & numbers]
    assert missing == []


def test_percentages_are_read():
    text = "held the truth in 92% to 94%, of others in 98% to all; of 40 donors 87%, 4-6% there"
    assert printed(text) == {87, 92, 93, 94, 98, 99, 100, 4, 5, 6}
