import { readFileSync } from 'node:fs'
import type { z } from 'zod'

type Given = Record<string, string | undefined>

/** `NAME_FILE` gives the value of a secret `NAME` from a file, as Docker secrets do. Empty variables count as unset. */
export function withSecretFiles(
  env: Given,
  shape: Readonly<Record<string, z.ZodType>>,
): { given: Given; faults: string[] } {
  const given: Given = {}
  const faults: string[] = []
  for (const [key, type] of Object.entries(shape)) {
    const file = type.meta()?.secret ? env[`${key}_FILE`] : undefined
    if (file) {
      try {
        given[key] = readFileSync(file, 'utf8').trim()
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        faults.push(`${key}_FILE must name a file that can be read (${code}): got "${file}"`)
      }
    } else if (env[key] !== undefined && env[key] !== '') {
      given[key] = env[key]
    }
  }
  return { given, faults }
}

/** A user without a password, or a key without its certificate, would only be told by the broker, late. */
export function loginHalfTold(given: Given): string[] {
  const together = [
    ['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'],
    ['KAFKA_SSL_CERT', 'KAFKA_SSL_KEY'],
  ]
  return together.flatMap((names) => {
    const missing = names.filter((name) => given[name] === undefined)
    if (missing.length === 0 || missing.length === names.length) return []
    return [
      `${missing.join(' and ')} must be set where ${names.filter((n) => !missing.includes(n)).join(' and ')} is: got nothing`,
    ]
  })
}
