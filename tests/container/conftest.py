"""What the tests in containers share: an engine, the image, a network of its own, an exchange."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.support.containers import (
    LABEL,
    Engine,
    ExchangeContainer,
    checked,
    health,
    wait_until_healthy,
)
from tests.support.pods import Pods, load_into_podman
from tests.support.suite import VERSION


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All in this folder need an engine."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("container")


@pytest.fixture(scope="session")
def client() -> Any:
    """The engine that the environment names; `make test-containers` brings one up where it can."""
    try:
        made = docker.from_env(timeout=120)
        made.ping()
    except docker.errors.DockerException as error:
        pytest.fail(f"no Docker Engine answers: {error}", pytrace=False)
    return made


@pytest.fixture(scope="session")
def image(client: Any, job_image: str) -> str:
    """The image of this tree, built as the docs build one that is to be published.

    It is built right after the job's: a build without a cache, as one test makes, gives layers with
    the same files but another digest, and then the two images would share none of them.
    """
    name = "warmup-job:under-test"
    checked("docker", "build", "-q", "--build-arg", f"VERSION={VERSION}", "-t", name, ".")
    return name


@pytest.fixture(scope="session")
def job_image(client: Any) -> str:
    """The image without Nautilus."""
    name = "warmup-job:job-under-test"
    build = ("docker", "build", "-q", "--target", "job", "--build-arg", f"VERSION={VERSION}")
    checked(*build, "-t", name, ".")
    return name


@pytest.fixture(scope="session")
def engine(client: Any, image: str) -> Iterator[Engine]:
    """An engine whose containers reach each other, and nothing else."""
    session = secrets.token_hex(4)
    network = client.networks.create(
        f"warmup-test-{session}", internal=True, labels={LABEL: session}
    )
    made = Engine(client, image, session, network)
    try:
        yield made
    finally:
        made.clear()
        mine = {"label": f"{LABEL}={session}"}
        for container in client.containers.list(all=True, filters=mine):
            container.remove(force=True, v=True)
        for volume in client.volumes.list(filters=mine):
            volume.remove(force=True)
        network.remove()


@pytest.fixture(scope="session")
def the_exchange(engine: Engine) -> ExchangeContainer:
    """One exchange for all, at http://exchange:8080."""
    container = engine.start(
        *("exchange", "--host", "0.0.0.0", "--volatility-bps", "30"),
        hostname="exchange",
        healthcheck=health("http://127.0.0.1:8080/fapi/v1/ping"),
    )
    engine.begun.remove(container)  # it stays until the session ends
    engine.network.disconnect(container)
    engine.network.connect(container, aliases=["exchange"])
    wait_until_healthy(container)
    return ExchangeContainer(container)


@pytest.fixture
def exchange(the_exchange: ExchangeContainer) -> Iterator[ExchangeContainer]:
    """The exchange, with whose faults each test is done when it ends."""
    yield the_exchange
    the_exchange.mend()


@pytest.fixture(autouse=True)
def _tidy(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "engine" in request.fixturenames:
        request.getfixturevalue("engine").clear()


@pytest.fixture
def volume(engine: Engine) -> str:
    """A new snapshot volume."""
    return engine.volume()


@pytest.fixture(scope="session")
def podman_image(image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image in podman's own store."""
    if not shutil.which("podman"):
        pytest.skip("podman is not here; CI has it")
    return load_into_podman(image, tmp_path_factory.mktemp("image"))


@pytest.fixture
def pods(podman_image: str, tmp_path: Path) -> Iterator[Pods]:
    """Pods that end with the test."""
    made = Pods(tmp_path, podman_image, secrets.token_hex(3))
    try:
        yield made
    finally:
        made.clear()
