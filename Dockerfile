# strom-load alone, under a user without rights. The server binaries that it can start are not in
# it: give it a server.
FROM rust:1.89.0-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY profiles profiles
COPY benches benches
COPY tests tests
RUN cargo build --release --locked --bin strom-load

FROM debian:12.11-slim
LABEL org.opencontainers.image.title="strom-load" \
      org.opencontainers.image.description="Streaming-ingestion and load generator for PostgreSQL with GPUs (PG-Strom)" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
RUN useradd --system --uid 10001 --home-dir /results --shell /usr/sbin/nologin strom-load \
    && install -d -o strom-load -g strom-load /results
# For connections that check the server's certificate.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/target/release/strom-load /usr/local/bin/strom-load
USER 10001
WORKDIR /
VOLUME /results
EXPOSE 9464
STOPSIGNAL SIGINT
ENTRYPOINT ["strom-load"]
