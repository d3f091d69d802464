"""Records of earlier versions lack keys that have defaults; they belong with those of this one."""

import json
from pathlib import Path


def as_before(path: Path) -> None:
    """Writes a record's settings as version 0.1.0 wrote them."""
    record = json.loads(path.read_text())
    settings = record["settings"]
    settings["hand_on"] = settings.pop("carry_over")
    for node in settings["path"]:
        for key in ("scope", "gradual"):
            del node["phase"][key]
    path.write_text(json.dumps(record))


def test_runs_of_two_versions_share_a_mean(house):
    as_before(house.run("dsd", 0, 30.0))
    house.run("dsd", 1, 31.0)
    assert house.group.values("dsd", "test") == {0: 30.0, 1: 31.0}


def test_runs_that_differ_in_a_setting_do_not(house, rewrite):
    house.run("dsd", 0, 30.0)
    other = house.run("dsd", 1, 31.0)
    content = json.loads(other.read_text())
    rewrite(other, settings={**content["settings"], "momentum": "keep"})
    assert len(house.results.groups) == 2
