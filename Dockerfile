FROM python:3.13-slim-trixie AS base

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PATH=/opt/venv/bin:$PATH

# The owner of these folders is set here, because a fresh named volume takes over that of the folder it is mounted on.
RUN groupadd --gid 10001 lakelet \
    && useradd --uid 10001 --gid 10001 --create-home --shell /bin/bash lakelet \
    && install -d -o lakelet -g lakelet /state /tls /scratch

WORKDIR /app


# The tools of the dev container. The code is not in here: the workspace is mounted on /app.
FROM base AS dev

RUN apt-get update \
    && apt-get install -y --no-install-recommends git less make openssh-client procps \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory /app

# Anyone may write here, so that `pip install` works for the user's own id, whatever id the editor gives it.
COPY requirements/dev.txt requirements/notebook.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    umask 000 && python -m venv /opt/venv \
    && pip install --require-hashes -r requirements/dev.txt -r requirements/notebook.txt

# A notebook reads with the reader's key, whatever key the container's other programs have.
RUN umask 000 && python -m ipykernel install --sys-prefix \
    --env AWS_ACCESS_KEY_ID '${READER_USER}' --env AWS_SECRET_ACCESS_KEY '${READER_PASSWORD}'

COPY pyproject.toml README.md LICENSE ./
RUN umask 000 && pip install --no-deps --no-build-isolation --editable .

# In the home, because that is what an editor gives to the user's own id when it opens the container.
RUN install -d -o lakelet -g lakelet /home/lakelet/state
ENV IN_DEV_IMAGE=1

USER 10001:10001


# JupyterLab and what reads the lake in it; none of our code.
FROM base AS notebook

COPY requirements/notebook.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /opt/venv && pip install --require-hashes -r requirements/notebook.txt

COPY notebooks/.jupyter /opt/venv/etc/jupyter
RUN chmod -R a+rX /opt/venv/etc/jupyter

# The user of most clones on Linux has this id, and a name for it is what some libraries ask for.
RUN groupadd --gid 1000 notebook && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /tmp notebook
ENV HOME=/tmp

WORKDIR /notebooks
USER 1000:1000
CMD ["jupyter", "lab"]


# The jars that Spark needs beside its own.
FROM base AS spark-jars

RUN apt-get update \
    && apt-get install -y --no-install-recommends maven openjdk-21-jre-headless \
    && rm -rf /var/lib/apt/lists/*

# The hashes are compared like those of pip. After a change of pom.xml, what diff prints with a `>` belongs there.
COPY spark/pom.xml spark/jars.sha256 ./
RUN --mount=type=cache,target=/root/.m2 \
    mvn -q -B dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=/jars \
    && cd /jars && sha256sum -- * | diff /app/jars.sha256 -


# Spark's master and workers, and the notebook with PySpark.
FROM notebook AS spark

USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends openjdk-21-jre-headless \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -m 1777 /scratch

# PySpark comes as source. It is built with what is pinned here: pip would fetch the newest for that.
COPY requirements/spark-build.txt requirements/spark.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes -r requirements/spark-build.txt \
    && pip install --require-hashes --no-build-isolation -r requirements/spark.txt

COPY --from=spark-jars /jars/ /opt/venv/lib/python3.13/site-packages/pyspark/jars/
COPY spark/health.py spark/spark-defaults.conf /opt/spark/
RUN chmod -R a+rX /opt/spark
ENV SPARK_CONF_DIR=/opt/spark

# The owner of the notebooks may have any id, and a JVM's user needs a name.
ARG NOTEBOOK_USER=1000:1000
RUN getent passwd "${NOTEBOOK_USER%:*}" || echo "owner:x:$NOTEBOOK_USER::/tmp:/bin/sh" >> /etc/passwd

USER 1000:1000


# All our services. Editable, so that the code is in /app as in the dev container, and an edit installs nothing again.
FROM base AS runtime

COPY requirements/runtime.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /opt/venv && pip install --require-hashes -r requirements/runtime.txt

COPY pyproject.toml README.md LICENSE ./
RUN pip install --no-deps --no-build-isolation --editable .

COPY common common
COPY lake lake
COPY simulator simulator
COPY pipeline pipeline
COPY dashboard dashboard
# A clone made under a strict umask cannot be read by others, and a read-only root cannot keep bytecode later.
RUN chmod -R a+rX /app && python -m compileall -q -x pipeline/datasets/ common lake simulator pipeline dashboard

USER 10001:10001
