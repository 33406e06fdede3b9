# `graft serve` as an image, without a model, which is mounted: see docs/serve.md and compose.yaml.
FROM python:3.11-slim
COPY requirements-runtimes.lock /
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /requirements-runtimes.lock \
    && useradd --system --uid 10001 graft
COPY src /graft/src
WORKDIR /graft
USER 10001
# Nothing is built or written: the root file system may be read-only. Keras wants a home that it may write to.
ENV PYTHONPATH=/graft/src PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=3)"]
ENTRYPOINT ["python", "-c", "from graft.cli.main import app; app()", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["two_stage"]
