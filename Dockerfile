# One image, every program: docker compose names the file to run (producer.ts, consumer.ts, monitor.ts, a command).
ARG BUN_VERSION=1.4.5

FROM oven/bun:${BUN_VERSION}-slim AS packages
WORKDIR /app
# Beside the built-in certificates those of the system count too: a network may have an authority of its own.
ENV NODE_USE_SYSTEM_CA=1
COPY package.json bun.lock bunfig.toml ./
COPY patches patches
# Optional packages are the PostgreSQL that `bun start` brings along; here it has its own container.
RUN bun install --frozen-lockfile --production --omit=optional --ignore-scripts

FROM oven/bun:${BUN_VERSION}-slim
WORKDIR /app
# As with `bun start` (lib/local/plan.ts says why): what the engine does of its own accord.
ENV NODE_ENV=production \
  BUN_GC_TIMER_DISABLE=1 \
  BUN_JSC_percentCPUPerMBForEdenTimer=0.0001 \
  BUN_JSC_percentCPUPerMBForFullTimer=0.00001 \
  MIMALLOC_PURGE_HOLES_MIN_INTERVAL=600000 \
  BUN_JSC_thresholdForJITAfterWarmUp=50 \
  BUN_JSC_thresholdForOptimizeAfterWarmUp=100 \
  BUN_JSC_thresholdForFTLOptimizeAfterWarmUp=1000000
# A named volume takes over the owner of the folder it is mounted on, so these belong to the one who writes there.
RUN install -d -o bun -g bun /data/spool /data/logs /data/objects
COPY --from=packages /app/node_modules node_modules
COPY package.json bunfig.toml tsconfig.json producer.ts consumer.ts monitor.ts ./
COPY sql sql
COPY config config
COPY lib lib
USER bun
ENTRYPOINT ["bun"]
CMD ["monitor.ts"]
