# Muster for nodes without GPUs. Built from the repository's root:
#
#   docker build -f infra/images/cpu.Dockerfile -t registry.example/muster:0.1.0 .
#
# Pass the base by digest where builds must be the same for ever:
# --build-arg PYTHON_IMAGE=python:3.11.14-slim-bookworm@sha256:…
#checkov:skip=CKV_DOCKER_2:Kubernetes does not look at it; the probes of infra/k8s/base/rayservice.yaml are what is asked
#checkov:skip=CKV_DOCKER_7:The base is an argument, with an exact version

ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm
FROM ${PYTHON_IMAGE} AS build

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /srv/muster
# Versions before code, so that a change of code does not download torch again.
COPY constraints.txt locks/service.txt ./
RUN /srv/muster/bin/pip install --no-deps --require-hashes --only-binary :all: -r service.txt
RUN /srv/muster/bin/pip install --no-deps --index-url "${TORCH_INDEX}" "$(grep '^torch==' constraints.txt)"
COPY pyproject.toml README.md LICENSE ./
COPY allocation allocation
COPY cluster cluster
COPY ingest ingest
COPY serve_apps serve_apps
COPY training training
RUN /srv/muster/bin/pip install --no-deps --no-build-isolation .

FROM ${PYTHON_IMAGE}

RUN groupadd --gid 10001 muster && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/muster muster
COPY --from=build /srv/muster /srv/muster
# KubeRay starts Ray from a login shell, which forgets the PATH it was given.
RUN echo 'PATH=/srv/muster/bin:$PATH' > /etc/profile.d/muster.sh
ENV PATH=/srv/muster/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/muster
CMD ["muster", "--help"]
