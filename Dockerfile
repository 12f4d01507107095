# docker build --build-arg VERSION=1.0.0 -t sitrep .
# docker run -p 9098:9098 -v ./config:/etc/sitrep:ro -v sitrep:/data sitrep
#
# With --storage=postgres://… it keeps nothing in /data, and needs no volume: contrib/compose.yml.
#
# In a container it can be reached from outside, so the configuration needs access.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
ARG REVISION=
RUN CGO_ENABLED=0 go build -trimpath \
      -ldflags "-s -w -X github.com/prometheus/common/version.Version=${VERSION} -X github.com/prometheus/common/version.Revision=${REVISION}" \
      -o /out/sitrep ./cmd/sitrep \
 && mkdir -p /out/data /out/tmp

FROM scratch
# Time zones are in the binary; what certificates to trust is not.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/sitrep /sitrep
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/tmp /tmp
USER 65532:65532
VOLUME /data
EXPOSE 9098
# A stop waits for what is being sent: give it more than 20 s (docker stop -t 30).
STOPSIGNAL SIGTERM
# Asks by TLS where --web.config.file has it; another port is named by SITREP_URL.
HEALTHCHECK --interval=30s --timeout=6s --start-period=30s CMD ["/sitrep", "healthy"]
ENTRYPOINT ["/sitrep"]
CMD ["serve", "--config.file=/etc/sitrep/sitrep.yml", "--storage=/data/sitrep.db", "--web.listen-address=:9098"]
