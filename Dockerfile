# One image for the job, the trader and the local exchange, so that a pod pulls once.
#
#   docker build -t warmup-job .
#   docker build --target sbom --output dist .         # its contents: dist/sbom.cdx.json
#   docker build --target test -t warmup-job:test .    # the image with its tests: make test-image
#
# The same commit gives the same files in the same layers: packages are pinned by hash, bytecode
# contains no time, and all copied files have one time. A release pins the base image too:
#   --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:…
ARG PYTHON_IMAGE=python:3.13-slim


FROM ${PYTHON_IMAGE} AS packages
ENV UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    UV_CACHE_DIR=/var/cache/uv \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
COPY requirements-uv.lock requirements-image.lock requirements.lock ./
RUN pip install --no-cache-dir --root-user-action ignore --require-hashes -r requirements-uv.lock
RUN --mount=type=cache,target=/var/cache/uv \
    uv venv -q /opt/build && \
    uv pip install -q --python /opt/build --require-hashes -r requirements-image.lock && \
    uv venv -q /opt/venv && \
    uv pip install -q --python /opt/venv --require-hashes -r requirements.lock
COPY .ci/slim_image.py .ci/
ARG SOURCE_DATE_EPOCH=1704067200
RUN python .ci/slim_image.py slim /opt/venv/lib/python3.*/site-packages && \
    python .ci/slim_image.py compile /opt/venv && \
    mkdir -p /packages/opt && \
    mv /opt/venv /packages/opt/ && \
    ln -s /packages/opt/venv /opt/venv && \
    python .ci/slim_image.py set-times /packages


FROM packages AS ours
COPY pyproject.toml README.md LICENSE ./
COPY warmup_job warmup_job
RUN /opt/build/bin/python -m hatchling build -t wheel -d dist && \
    pip --python /opt/venv/bin/python install --root-user-action ignore --no-cache-dir --no-deps --no-compile \
        --prefix /layer/opt/venv dist/*.whl && \
    mkdir -p /layer/usr/bin && \
    cp /opt/build/bin/dumb-init /layer/usr/bin/ && \
    python .ci/slim_image.py compile /layer /usr/local/lib/python3.* && \
    find /usr/local/lib/python3.* -name __pycache__ -not -path '*/site-packages/*' \
        -exec cp -r --parents -t /layer {} + && \
    mkdir -p /layer/etc /layer/usr/share/bash-completion/completions && \
    /opt/venv/bin/python -m warmup_job completion bash \
        > /layer/usr/share/bash-completion/completions/warmup-job && \
    cp /etc/bash.bashrc /layer/etc/ && \
    echo '. /usr/share/bash-completion/completions/warmup-job' >> /layer/etc/bash.bashrc && \
    mkdir -m 2775 /layer/snapshot /layer/state && \
    chown 10001:0 /layer/snapshot /layer/state
COPY configs /layer/app/configs
# A checkout's file modes depend on the user's umask: make all files readable for everybody, in every build.
RUN chmod -R u=rwX,go=rX /layer/app && \
    python .ci/slim_image.py set-times /layer


FROM packages AS make-sbom
COPY pyproject.toml ./
RUN /opt/build/bin/cyclonedx-py environment /opt/venv --pyproject pyproject.toml \
    --mc-type application --output-reproducible --of JSON -o /sbom.cdx.json

FROM scratch AS sbom
COPY --from=make-sbom /sbom.cdx.json /


FROM ${PYTHON_IMAGE} AS runtime
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    WARMUP_ROOT=/snapshot \
    WARMUP_STATE_DIR=/state \
    WARMUP_HTTP_HOST=0.0.0.0
COPY --from=packages /packages /
COPY --from=ours /layer /
WORKDIR /app
# A numeric user, so that Kubernetes can see that it is not root; group 0, so that any other user of that
# group can write the same folders.
USER 10001:0
# dumb-init forwards signals from the first moment; Python can handle them only after 0.3 s.
ENTRYPOINT ["dumb-init", "--single-child", "--", "warmup-job"]
CMD ["--help"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --start-interval=1s \
    CMD ["python", "-m", "warmup_job.process.healthcheck"]
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="warmup-job" \
      org.opencontainers.image.description="Warms NautilusTrader bots: job, trader and local exchange" \
      org.opencontainers.image.licenses="MIT AND Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim"


FROM runtime AS test
# hadolint ignore=DL3002
USER 0
COPY --from=packages /usr/local/bin/uv /usr/local/bin/uv
COPY requirements-dev.lock ./
RUN --mount=type=cache,target=/var/cache/uv \
    UV_LINK_MODE=copy UV_CACHE_DIR=/var/cache/uv \
    uv pip install -q --python /opt/venv --require-hashes -r requirements-dev.lock
COPY pyproject.toml README.md LICENSE ./
COPY docs docs
COPY examples examples
COPY tests tests
ENTRYPOINT ["dumb-init", "--", "python", "-m", "pytest", "-n", "auto", "--dist", "loadgroup"]
CMD ["tests"]


# `docker build` builds the last stage by default.
FROM runtime
