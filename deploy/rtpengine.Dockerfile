# rtpengine in userspace, from Debian's package. Production wants 13.4.1.1 or later (docs/media.md): choose a BASE whose
# package is that new; the build prints which one it took.
ARG BASE=debian:sid-slim
FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends rtpengine-daemon \
    && rm -rf /var/lib/apt/lists/* \
    && rtpengine --version
USER nobody
ENTRYPOINT ["rtpengine"]
