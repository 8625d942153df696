# Muster for nodes with NVIDIA GPUs: the same, with the torch that brings CUDA along. Built from the repository's root:
#
#   docker build -f infra/images/cuda.Dockerfile -t registry.example/muster-cuda:0.1.0 .
#
# Pass the base by digest where builds must be the same for ever:
# --build-arg PYTHON_IMAGE=python:3.11.14-slim-bookworm@sha256:…
#checkov:skip=CKV_DOCKER_2:Kubernetes does not look at it; the probes of infra/k8s/base/rayservice.yaml are what is asked
#checkov:skip=CKV_DOCKER_7:The base is an argument, with an exact version

ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm
FROM ${PYTHON_IMAGE} AS build

ARG TORCH_INDEX=https://download.pytorch.org/whl/cu130
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /srv/muster
# Versions before code, so that a change of code does not download torch again.
COPY constraints.txt locks/service.txt ./
RUN /srv/muster/bin/pip install --no-deps --require-hashes --only-binary :all: -r service.txt
# What torch brings along for CUDA is in no lock, and neither is torch.
RUN /srv/muster/bin/pip install -c constraints.txt --extra-index-url "${TORCH_INDEX}" "$(grep '^torch==' constraints.txt)"
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
# What NVIDIA's runtime puts into the container: the driver's libraries, for the GPUs it was given.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
ENV PATH=/srv/muster/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/muster
CMD ["muster", "--help"]
