# syntax=docker/dockerfile:1
# One image for every process of the relay: `relay serve`, `relay work`, `relay check`, `relay sandbox`.
# The base by digest: what was tested is what is built. Move it on when Debian or Python mends something:
# `docker buildx imagetools inspect docker.io/library/python:3.13-slim-trixie` shows today's.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim-trixie@sha256:bb2988715db2cf7ace7b53f38f3cffbef7c7046a656bee66245eb0ed386e2e81

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# The environment has no pip of its own: what runs in production cannot install anything.
RUN python -m venv --without-pip /opt/venv && python -m venv /opt/build
COPY .ci/requirements-build.lock .ci/requirements.lock ./
# Wheels only: no compiler is needed here, and none is in the result.
RUN /opt/build/bin/pip install --require-hashes --only-binary=:all: --requirement requirements-build.lock \
 && /opt/build/bin/pip --python /opt/venv/bin/python install --no-deps --require-hashes --only-binary=:all: --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY relay ./relay
COPY workers ./workers
RUN /opt/build/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheel . \
 && /opt/build/bin/pip --python /opt/venv/bin/python install --no-deps --no-index /wheel/*.whl

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="planhat-relay" \
      org.opencontainers.image.description="Webhook-driven event relay: Slack, mail and help-desk events become Planhat conversations, durably, once." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 relay \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin relay
COPY --from=build /opt/venv /opt/venv
# Bytecode is compiled above, and the root is read-only: nothing is to be written but /tmp.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 RELAY_HOST=0.0.0.0 RELAY_PORT=8080
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["relay"]
CMD ["serve"]
