# The image of the job, and on top of its layers the full image: job, trader and local exchange.
#
#   docker build -t warmup-job .                       # the full image
#   docker build --target job -t warmup-job:job .      # without Nautilus: everything but `trade`
#   docker build --target sbom --output dist .         # their contents: dist/sbom.cdx.json, dist/sbom-job.cdx.json
#   docker build --target test -t warmup-job:test .    # the full image with its tests: make test-image
#   docker build --target test --build-arg TESTED=job .    # the job's image with its tests: make test-image-job
#
# The same commit gives the same files in the same layers: packages are pinned by hash, bytecode
# contains no time, and all copied files have one time. A release pins the base image too:
#   --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:…
ARG PYTHON_IMAGE=python:3.13-slim
# The image that the stage `test` tests: full or job.
ARG TESTED=full


FROM ${PYTHON_IMAGE} AS tools
ENV UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    UV_CACHE_DIR=/var/cache/uv \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
COPY requirements-uv.lock requirements-image.lock ./
RUN pip install --no-cache-dir --root-user-action ignore --require-hashes -r requirements-uv.lock
RUN --mount=type=cache,target=/var/cache/uv \
    uv venv -q /opt/build && \
    uv pip install -q --python /opt/build --require-hashes -r requirements-image.lock
COPY .ci/slim_image.py .ci/
ARG SOURCE_DATE_EPOCH=1704067200


FROM tools AS job-packages
COPY requirements-job.lock ./
RUN --mount=type=cache,target=/var/cache/uv \
    uv venv -q /opt/venv && \
    uv pip install -q --python /opt/venv --require-hashes -r requirements-job.lock && \
    python .ci/slim_image.py slim /opt/venv/lib/python3.*/site-packages && \
    python .ci/slim_image.py compile /opt/venv && \
    mkdir -p /packages/opt && \
    mv /opt/venv /packages/opt/ && \
    ln -s /packages/opt/venv /opt/venv && \
    python .ci/slim_image.py set-times /packages


# What the full image has beyond the job's: made as a whole, and then what both have is taken away.
FROM tools AS full-packages
COPY requirements.lock ./
RUN --mount=type=cache,target=/var/cache/uv \
    uv venv -q /opt/venv && \
    uv pip install -q --python /opt/venv --require-hashes -r requirements.lock
RUN --mount=type=bind,from=job-packages,source=/packages,target=/job-packages \
    python .ci/slim_image.py slim /opt/venv/lib/python3.*/site-packages && \
    python .ci/slim_image.py compile /opt/venv && \
    mkdir -p /packages/opt && \
    mv /opt/venv /packages/opt/ && \
    python .ci/slim_image.py subtract /packages /job-packages && \
    python .ci/slim_image.py set-times /packages


FROM job-packages AS ours
COPY pyproject.toml README.md LICENSE ./
COPY .ci/project_urls.py .ci/
COPY warmup_job warmup_job
ARG BUILD_PROJECT_URL=
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


FROM tools AS make-sbom
COPY requirements.lock requirements-job.lock pyproject.toml ./
RUN --mount=type=cache,target=/var/cache/uv \
    for each in "" -job; do \
        uv venv -q "/opt/venv$each" && \
        uv pip install -q --python "/opt/venv$each" --require-hashes -r "requirements$each.lock" && \
        /opt/build/bin/cyclonedx-py environment "/opt/venv$each" --pyproject pyproject.toml \
            --mc-type application --output-reproducible --of JSON -o "/sbom$each.cdx.json" || exit 1; \
    done

FROM scratch AS sbom
COPY --from=make-sbom /sbom.cdx.json /sbom-job.cdx.json /


# The layers that both images have; a node that has one of them pulls only the last layer of the other.
FROM ${PYTHON_IMAGE} AS runtime
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    WARMUP_ROOT=/snapshot \
    WARMUP_STATE_DIR=/state \
    WARMUP_HTTP_HOST=0.0.0.0
COPY --from=job-packages /packages /
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
ARG BUILD_PROJECT_URL=
LABEL org.opencontainers.image.title="warmup-job" \
      org.opencontainers.image.licenses="MIT AND Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${BUILD_PROJECT_URL}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim"


FROM runtime AS job
LABEL org.opencontainers.image.description="Makes the snapshots that warm NautilusTrader bots: the job, without trader and Nautilus"


FROM runtime AS full
COPY --from=full-packages /packages /
LABEL org.opencontainers.image.description="Warms NautilusTrader bots: job, trader and local exchange"


FROM ${TESTED} AS test
ARG TESTED
# hadolint ignore=DL3002
USER 0
WORKDIR /app
COPY --from=tools /usr/local/bin/uv /usr/local/bin/uv
COPY requirements-dev.lock ./
RUN --mount=type=cache,target=/var/cache/uv \
    UV_LINK_MODE=copy UV_CACHE_DIR=/var/cache/uv \
    uv pip install -q --python /opt/venv --require-hashes -r requirements-dev.lock && \
    if [ "$TESTED" = job ]; then uv pip uninstall -q --python /opt/venv nautilus-trader pandas; fi
COPY pyproject.toml README.md LICENSE requirements.lock requirements-job.lock ./
COPY docs docs
COPY examples examples
COPY tests tests
ENTRYPOINT ["dumb-init", "--", "python", "-m", "pytest", "-n", "auto", "--dist", "loadgroup"]
CMD ["tests"]


# `docker build` builds the last stage by default.
FROM full
