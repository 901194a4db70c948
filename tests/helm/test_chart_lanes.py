"""Lanes in the chart: each tenant's token where the config looks for it, and workers by what waits in the lanes."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.helm.rendering import CHART, HELM, HELMS, MINIMAL, changed, one, refusal, render, rendered

LANES = CHART / "values" / "lanes.yaml"
SANDBOX = CHART / "values" / "lanes-sandbox.yaml"
CLUSTER = HELM / "examples" / "cluster.yaml"
TWO = changed(
    MINIMAL,
    {"lanes": {"emea": {"existingSecret": "a"}, "us": {"token": "b"}}, "config.sources.slack.lane": "us"},
)


def config_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(one(objects, "ConfigMap", "-config")["data"]["relay.yaml"])
    return loaded


def files_of(objects: list[dict[str, Any]], component: str) -> dict[str, tuple[str, str]]:
    """What lies under /run/secrets/lanes: name -> (Secret, key)."""
    pod = one(objects, "Deployment", f"-{component}")["spec"]["template"]["spec"]
    for container in (pod["initContainers"][-1], pod["containers"][0]):
        assert {"name": "lanes", "mountPath": "/run/secrets/lanes", "readOnly": True} in container[
            "volumeMounts"
        ]
    [volume] = [volume for volume in pod["volumes"] if volume["name"] == "lanes"]
    secrets = [source["secret"] for source in volume["projected"]["sources"]]
    return {one["items"][0]["path"]: (one["name"], one["items"][0]["key"]) for one in secrets}


@pytest.mark.parametrize("helm", HELMS, ids=lambda path: pathlib.Path(path).parent.name)
@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (CLUSTER, {"emea": ("planhat-emea", "planhat-token"), "us": ("planhat-us", "planhat-token")}),
        (
            LANES,
            {
                "apac": ("demo-planhat-relay-secrets", "lane-apac"),
                "emea": ("planhat-emea", "planhat-token"),
                "us": ("planhat-all", "us-token"),
            },
        ),
        (
            SANDBOX,
            {name: ("demo-planhat-relay-secrets", f"lane-{name}") for name in ("emea", "us")},
        ),
    ],
    ids=["cluster", "lanes", "sandbox"],
)
def test_each_lane_has_its_token_where_the_config_looks_for_it(
    helm: str, path: pathlib.Path, wanted: dict[str, tuple[str, str]]
) -> None:
    objects = rendered(path, helm=helm)
    lanes = config_of(objects)["lanes"]
    assert {name: lane["token"] for name, lane in lanes.items()} == {
        name: f"${{file:/run/secrets/lanes/{name}}}" for name in wanted
    }
    for component in ("web", "worker"):
        assert files_of(objects, component) == wanted
    # No value of a secret stands anywhere but in the Secret.
    held = [
        found
        for found in objects
        if found["kind"] == "Secret" and found["metadata"]["name"].endswith("-secrets")
    ]
    rest = yaml.safe_dump([found for found in objects if found not in held])
    for value in (
        value for secret in held for key, value in secret["stringData"].items() if key.startswith("lane-")
    ):
        assert value not in rest
    assert len({value for secret in held for value in secret["stringData"].values()}) == sum(
        len(secret["stringData"]) for secret in held
    ), "two lanes with one token would be one tenant"


def test_what_else_a_lane_has_goes_into_the_config_and_nothing_of_the_charts() -> None:
    lanes = config_of(rendered(LANES))["lanes"]
    assert lanes["us"] == {
        "token": "${file:/run/secrets/lanes/us}",
        "types": ["Support email"],
        "url": "us4",
    }
    assert lanes["apac"]["companies"] == [{"default": "extid-unsorted"}], "of config.lanes"
    sandbox = one(rendered(SANDBOX), "Deployment", "-sandbox")["spec"]["template"]["spec"]
    assert {"--type=Slack thread", "--type=Support email"} <= set(sandbox["containers"][0]["args"])


def test_a_config_that_is_a_text_stays_as_it_is() -> None:
    text = (
        "# mine\nlanes:\n  us: {token: '${file:/run/secrets/lanes/us}', timeout: 3m}\n"
        "sources: {slack: {adapter: slack, secrets: ['${file:/run/secrets/sources/slack}']}}\n"
    )
    values = changed(MINIMAL, {"config": text, "lanes": {"us": {"existingSecret": "a"}}, "planhat": {}})
    objects = render(HELMS[-1], values)
    assert one(objects, "ConfigMap", "-config")["data"]["relay.yaml"] == text
    assert files_of(objects, "worker") == {"us": ("a", "planhat-token")}
    worker = one(objects, "Deployment", "-worker")["spec"]["template"]["spec"]
    assert "RELAY_PLANHAT_TOKEN_FILE" not in {entry["name"] for entry in worker["containers"][0]["env"]}
    assert worker["terminationGracePeriodSeconds"] == 195, "the longest call of a lane"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lanes.us.existingSecret": "c"}, "lanes.us: token and existingSecret are both set"),
        (
            {"config.lanes.us.token": "${US}"},
            "lanes.us and config.lanes.us.token both say where its token is",
        ),
        ({"config.sources.mail": {"adapter": "postmark"}}, "config.sources.mail names no lane"),
        ({"config": "sources: {}"}, "lanes.emea: the config is a text and does not use its token"),
        (
            {"config": "sources: {}", "lanes.us.url": "us4"},
            "lanes.us: url can only be put into a config that is a mapping",
        ),
        ({"lanes": {"no spaces": {"token": "a"}}}, "no spaces"),
        (
            {"lanes": {"us": {"types": ["A"]}}, "planhat": {}},
            "or one for each lane in lanes.NAME.existingSecret",
        ),
        ({"worker.flushWorkers": 0}, "flushWorkers"),
        ({"redis.keyPrefix": "a b"}, "keyPrefix"),
        (
            {"worker.fullestLaneThreshold": 5},
            "worker.fullestLaneThreshold: KEDA asks Prometheus for it",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_mistakes_in_lanes_are_named(changes: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(HELMS[-1], changed(TWO, changes))


def test_pods_are_more_than_one_spread_and_may_go_one_at_a_time() -> None:
    objects = rendered(CLUSTER)
    for component, budget in (("web", {"minAvailable": 2}), ("worker", {"maxUnavailable": 1})):
        spec = one(objects, "PodDisruptionBudget", f"-{component}")["spec"]
        assert budget.items() <= spec.items()
        deployment = one(objects, "Deployment", f"-{component}")["spec"]
        assert "replicas" not in deployment, "an autoscaler's"
        spread = deployment["template"]["spec"]["topologySpreadConstraints"]
        assert [one["topologyKey"] for one in spread] == [
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
        ]
        assert all(one["labelSelector"] == spec["selector"] for one in spread)


def test_what_waits_is_counted_by_lane_in_redis() -> None:
    triggers = one(rendered(LANES), "ScaledObject", "-worker")["spec"]["triggers"]
    assert {one["metadata"]["listName"] for one in triggers if one["type"] == "redis"} == {
        "brand:{emea}:due:slack", "brand:{apac}:due:slack", "brand:{us}:due:mail",
    }  # fmt: skip


# -- the queries of the autoscaler, on series as the relay has them ---------------------------------------------------

JOB = 'namespace="relay", job="demo-planhat-relay-operators"'
SERIES: dict[str, list[Any]] = {
    # Two pods tell the same. Of apac all is refused; of us one source is held by a person.
    "pending": [
        ("emea", "a", 9000),
        ("emea", "b", 600),
        ("us", "a", 300),
        ("us", "c", 4000),
        ("apac", "a", 7000),
    ],
    "state": [("emea", "open"), ("us", "open"), ("apac", "blocked")],
    "paused": [("us", "c")],
}


def told(pod: int) -> list[dict[str, str]]:
    of = f'{JOB}, pod="{pod}"'
    rows = [
        f'relay_pending_items{{{of}, lane="{lane}", source="{source}"}} {n}'
        for lane, source, n in SERIES["pending"]
    ]
    rows += [
        f'relay_delivery_state{{{of}, lane="{lane}", state="{word}"}} {int(word == now)}'
        for lane, now in SERIES["state"]
        for word in ("open", "backing_off", "blocked", "paused")
    ]
    rows += [
        f'relay_paused_timestamp_seconds{{{of}, lane="{lane}", source="{source}", by="ann"}} 17'
        for lane, source in SERIES["paused"]
    ]
    return [{"series": row.rpartition(" ")[0], "values": f"{row.rpartition(' ')[2]}x5"} for row in rows]


#: A relay without `lanes:`: the state of delivery has no lane.
ALONE = [
    {"series": f'relay_pending_items{{{JOB}, lane="main", source="a"}}', "values": "9000x5"},
    {"series": f'relay_delivery_state{{{JOB}, state="open"}}', "values": "1x2 0x3"},
    {"series": f'relay_delivery_state{{{JOB}, state="paused"}}', "values": "0x2 1x3"},
]


def test_workers_are_wanted_by_what_can_go_out_and_a_lane_wants_one_pod_at_most(
    tmp_path: pathlib.Path,
) -> None:
    if not shutil.which("promtool"):
        pytest.skip("no promtool here: it comes with Debian's prometheus")
    triggers = one(rendered(LANES), "ScaledObject", "-worker")["spec"]["triggers"]
    total, fullest = (one["metadata"]["query"] for one in triggers if one["type"] == "prometheus")
    cases = [
        # (series, when, total of which no lane has more than the threshold of 1000, the fullest lane)
        ([*told(1), *told(2)], "1m", 1300, 9600),
        (ALONE, "1m", 1000, 9000),
        (ALONE, "5m", None, None),
    ]
    tests = [
        {
            "interval": "1m",
            "input_series": series,
            "promql_expr_test": [
                {
                    "expr": expr,
                    "eval_time": at,
                    "exp_samples": [] if value is None else [{"labels": "{}", "value": value}],
                }
                for expr, value in ((total, whole), (fullest, most))
            ],
        }
        for series, at, whole, most in cases
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
