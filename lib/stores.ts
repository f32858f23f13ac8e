import { z } from 'zod'
import { about, choice, duration, list, port, text } from './kinds.ts'

/** The formats in which readings lie in cold storage. */
export const COLD_FORMATS = ['ndjson', 'parquet'] as const

/** Variables of PostgreSQL. */
export const databaseVariables = {
  DATABASE_URL: about(
    z.url({ protocol: /^postgres(ql)?$/ }).optional(),
    'PostgreSQL',
    'Default postgresql://factory_user:factory_pass@localhost:5432/factory_monitoring (plus PORT_OFFSET), or made of POSTGRES_*',
    true,
  ),
  POSTGRES_HOST: about(text.default('localhost'), 'PostgreSQL', 'Host, where DATABASE_URL is not set'),
  POSTGRES_PORT: about(port.optional(), 'PostgreSQL', 'Port; default 5432 (plus PORT_OFFSET)'),
  POSTGRES_DB: about(text.default('factory_monitoring'), 'PostgreSQL', 'Database'),
  POSTGRES_USER: about(text.default('factory_user'), 'PostgreSQL', 'User, owner of the schema'),
  POSTGRES_PASSWORD: about(text.default('factory_pass'), 'PostgreSQL', 'Password of that user', true),
}

/** Variables of the stores beside PostgreSQL: where they are, and who asks. Part of the environment's schema. */
export const storeVariables = {
  SINKS: about(
    choice(['off', 'on']).default('off'),
    'Sinks',
    'on: bun start brings up a search server and S3 storage with their sinks, as --sinks does',
  ),
  ELASTICSEARCH_URL: about(
    z.url({ protocol: /^https?$/ }).optional(),
    'Sinks',
    'Elasticsearch or OpenSearch, for consumer.ts --sink elasticsearch; default http://localhost:9200 (plus PORT_OFFSET)',
    true,
  ),
  ELASTICSEARCH_INDEX: about(
    z
      .string()
      .regex(/^[a-z0-9][a-z0-9_.-]{0,99}$/, 'must be lower case letters, digits, _ . -')
      .default('sensor_readings'),
    'Sinks',
    'Its index; another one is filled from the start of the log',
  ),
  ELASTICSEARCH_API_KEY: about(text.optional(), 'Sinks', 'Key for it, where it asks for one', true),
  S3_ENDPOINT: about(
    z.url({ protocol: /^https?$/ }).optional(),
    'Sinks',
    'S3, for consumer.ts --sink s3; default http://localhost:9000 (plus PORT_OFFSET)',
  ),
  S3_BUCKET: about(
    z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be 3 to 63 lower case letters, digits, . -')
      .default('sensor-cold'),
    'Sinks',
    'Its bucket, made where it is missing; another one is filled from the start of the log',
  ),
  S3_REGION: about(text.default('us-east-1'), 'Sinks', 'Region that requests are signed for'),
  S3_ACCESS_KEY: about(text.default('minioadmin'), 'Sinks', 'Access key id'),
  S3_SECRET_KEY: about(text.default('minioadmin'), 'Sinks', 'Secret access key', true),
  S3_FORMATS: about(
    list.prefault(COLD_FORMATS.join(',')).pipe(z.array(choice(COLD_FORMATS)).min(1)),
    'Sinks',
    'Formats that each object is written in: ndjson (zstd), parquet',
  ),
  S3_OBJECT_INTERVAL: about(
    duration.default(30_000),
    'Sinks',
    'Readings wait so long for others before an object is written; default 30s',
  ),
}
