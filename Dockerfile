# The image of the operator: Python, the packages it runs on, and nothing to build with. hack/image builds it without a
# registry; with one: docker build --tag mutualtls-operator .
#
# BASE has Python 3.11 or later; BUILD is the same with pip, of which nothing but the packages ends up in the image.
ARG BASE=docker.io/library/python:3.13-slim
ARG BUILD=${BASE}

FROM ${BUILD} AS packages
WORKDIR /src
COPY hack/requirements.txt pyproject.toml README.md LICENSE ./
COPY operator operator
# The official client, 74 MB, is for kubeconfigs that need a plugin, of which the image has none. Byte code that is checked
# by no time of a file is the same in every build, and nothing is compiled at each start.
RUN python3 -m pip install --no-cache-dir --no-compile --root-user-action=ignore --constraint requirements.txt \
        --target /app . && \
    rm -rf /app/bin /app/kubernetes /app/kubernetes-*.dist-info && \
    python3 -m compileall -q --invalidation-mode unchecked-hash /app

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="mutualtls-operator" \
      org.opencontainers.image.description="Issues and renews mutual-TLS certificates for Kubernetes workloads" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=packages /app /app
ENV PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 MUTUALTLS_REVISION=${REVISION}
# Any other will do as well: nothing is written, and nothing belongs to anybody.
USER 65532:65532
ENTRYPOINT ["python3", "-m", "mutualtls"]
CMD ["run"]
