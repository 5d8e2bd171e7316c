# The server with its embedded default (private Redis, SQLite) in one image: data in the volume /data, or REDIS_URL and
# MONGODB_URL for shared ones. Runs in production mode and so wants a JWT_SECRET; every setting is in docs/settings.md.
ARG NODE_IMAGE=node:26-trixie-slim

FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No install scripts: of ours only the package `node` needs one, to bring a Node to checkouts, and the image has its own.
RUN npm ci --omit=dev --ignore-scripts && rm -rf node_modules/node node_modules/.bin/node

FROM ${NODE_IMAGE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends redis-server tini \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json LICENSE ./
COPY proto proto
COPY openapi openapi
COPY asyncapi asyncapi
COPY web/public web/public
COPY src src
RUN install -d -o node -g node -m 0700 /data
USER node
VOLUME /data
ENV NODE_ENV=production \
    RIDESTREAM_MODE=production \
    DATA_DIR=/data
EXPOSE 8080 7443 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.HTTP_LISTEN_ADDR ?? ':8080').split(':').pop() + '/readyz').then((reply) => process.exit(reply.ok ? 0 : 1), () => process.exit(1))"]
# tini passes SIGTERM on, which starts the drain, and takes in what a killed process leaves behind.
ENTRYPOINT ["tini", "--", "node", "src/main.ts"]
