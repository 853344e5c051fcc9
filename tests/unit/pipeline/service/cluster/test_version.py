"""Versions of pipeline and workers: what makes a difference is named, and Dask is told of each part."""

import pytest

from common.errors import SettingError
from pipeline.service.cluster.cluster_workers import cluster_workers
from pipeline.service.cluster.connection import check_address, refuse_folder
from pipeline.service.cluster.version import PARTS, as_resources, difference, from_resources, versions

OURS = versions("1a2b", {"companydata": "a", "orders": "b"})


def test_the_same_parts_give_the_same_versions():
    assert versions("1a2b", {"orders": "b", "companydata": "a"}) == OURS
    assert OURS.keys() == PARTS.keys()
    assert difference(OURS, from_resources(as_resources(OURS))) == ""


@pytest.mark.parametrize(
    ("lake", "fingerprints", "told"),
    [
        ("3c4d", {"companydata": "a", "orders": "b"}, "lake: bring both to one version, and restart both"),
        ("1a2b", {"companydata": "a", "orders": "c"}, "contracts or transforms: bring both to one version"),
        ("1a2b", {"companydata": "a"}, "contracts or transforms: bring both to one version"),
    ],
)
def test_another_part_is_named_with_the_way_out(lake, fingerprints, told):
    theirs = versions(lake, fingerprints)
    assert difference(OURS, theirs) == f"it differs from the pipeline in {told}"
    assert not as_resources(OURS).keys() <= as_resources(theirs).keys()  # so the scheduler gives it nothing


def test_all_other_parts_are_named_and_what_is_no_worker_of_ours():
    theirs = dict.fromkeys(OURS, "another")
    assert all(part in difference(OURS, theirs) for part in PARTS.values())
    info = {"workers": {"tcp://a:1": {"name": "a", "host": "h", "nthreads": 4, "resources": {"GPU": 1.0}}}}
    [worker] = cluster_workers(info, OURS).values()
    assert "python -m pipeline worker" in worker.other


@pytest.mark.parametrize("address", ["", "scheduler:8786", "http://a:1", "tls://a", "tcp://:8786", "tls://a:port"])
def test_an_address_that_is_none(address):
    with pytest.raises(SettingError, match="expected tls://HOST:PORT or tcp://HOST:PORT"):
        check_address(address)


def test_a_folder_is_refused():
    with pytest.raises(SettingError, match="a cluster needs a bucket"):
        refuse_folder("./data/lake")
    refuse_folder("s3://lake")
