import type { Config } from '../config.ts'
import { createElasticsearch, type Elasticsearch } from './elasticsearch.ts'
import { createColdStorage, type ColdStorage } from './s3.ts'

/** The sinks beside PostgreSQL, by the name that `--sink` takes. */
export const SINKS = ['elasticsearch', 's3'] as const
export type SinkName = (typeof SINKS)[number]

export function isSink(name: string): name is SinkName {
  return (SINKS as readonly string[]).includes(name)
}

export function elasticsearchOf(config: Config): Elasticsearch {
  return createElasticsearch({
    url: config.ELASTICSEARCH_URL,
    index: config.ELASTICSEARCH_INDEX,
    apiKey: config.ELASTICSEARCH_API_KEY,
  })
}

export function coldStorageOf(config: Config): ColdStorage {
  return createColdStorage({
    endpoint: config.S3_ENDPOINT,
    bucket: config.S3_BUCKET,
    region: config.S3_REGION,
    accessKeyId: config.S3_ACCESS_KEY,
    secretAccessKey: config.S3_SECRET_KEY,
    formats: config.S3_FORMATS,
    ageMs: config.S3_OBJECT_INTERVAL,
  })
}
