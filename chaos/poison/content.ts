import { BROKEN_JSON, isPlain, NAUGHTY, STRANGE_JSON, WRONG_FIELDS } from './corpus.ts'
import { letter, stored, storedAs, type Desk } from './draft.ts'

/** What is wrong inside the value: bytes, JSON, numbers, fields, text. */
export function badContent(desk: Desk): void {
  const { add, message, withNumber, withMetadata, sensorOf } = desk
  // ── values that are no JSON text ──
  add('tombstone: no value', letter('tombstone'), { value: null })
  add('empty value', letter('empty'), { value: '' })
  add('white space only', letter('decode'), { value: ' \n\t ' })
  add('Avro in the Confluent wire format', letter('not_json'), {
    value: Buffer.from('00000000010c48656c6c6f', 'hex'),
  })
  add('a single byte 0', letter('not_json'), { value: Buffer.from([0]) })
  add('invalid UTF-8: a stray continuation byte in the sensor id', letter('encoding'), {
    value: replaceByte(message(), 0x80),
  })
  add('invalid UTF-8: an overlong slash', letter('encoding'), {
    value: Buffer.from([0x22, 0xc0, 0xaf, 0x22]),
  })
  add('invalid UTF-8: a surrogate half in three bytes', letter('encoding'), {
    value: Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]),
  })
  add('invalid UTF-8: cut in the middle of a character', letter('encoding'), {
    value: Buffer.from('"°').subarray(0, 2),
  })
  add('invalid UTF-8: byte ff', letter('encoding'), { value: Buffer.from([0xff]) })
  add('Latin-1: the degree sign in one byte', letter('encoding'), { value: Buffer.from(message(), 'latin1') })
  add('UTF-16, little endian, with its mark', letter('encoding'), {
    value: Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(message(), 'utf16le')]),
  })
  add('UTF-16, little endian, without a mark', letter('decode'), { value: Buffer.from('{"a":1}', 'utf16le') })
  add('UTF-16, big endian, without a mark', letter('not_json'), {
    value: Buffer.from('{"a":1}', 'utf16le').swap16(),
  })
  add('UTF-8 with a byte order mark', letter('decode'), { value: `\uFEFF${message()}` })
  add('gzip bytes', letter('encoding'), { value: Buffer.from(Bun.gzipSync(Buffer.from(message()))) })
  add('an ANSI escape sequence', letter('decode'), { value: '\u001b[2J\u001b[31mowned' })
  add('XML', letter('decode'), { value: '<reading><value>25</value></reading>' })
  add('a line of CSV', letter('decode'), { value: '2025-01-01T00:00:00Z,temp-1,25.5' })
  add('a form', letter('decode'), { value: 'value=25&sensor_id=temp-1' })
  add('a thousand times the same brace', letter('decode'), { value: '{'.repeat(1000) })

  // ── text that is almost JSON ──
  for (const [what, text] of BROKEN_JSON) add(`broken JSON: ${what}`, letter('decode'), { value: text })
  add('broken JSON: the message cut before its last brace', letter('decode'), {
    value: message().slice(0, -1),
  })
  add('broken JSON: half a message', letter('decode'), { value: message().slice(0, 60) })
  add('broken JSON: garbage behind the message', letter('decode'), { value: `${message()}x` })
  add('broken JSON: two messages in one', letter('decode'), { value: `${message()}\n${message()}` })
  add('broken JSON: a message in quotes that were not escaped', letter('decode'), { value: `"${message()}"` })
  for (const [what, text] of STRANGE_JSON)
    add(`JSON, but no reading: ${what}`, letter('schema'), { value: text })
  add('JSON, but no reading: a list of one good message', letter('schema'), { value: `[${message()}]` })
  add('JSON, but no reading: a good message as a string', letter('schema'), {
    value: JSON.stringify(message()),
  })
  add('a good message in odd but right JSON', storedAs(25.5), { value: oddly(message()) })
  add('a key written with an escape', stored(), { value: message().replace('"value"', '"v\\u0061lue"') })
  add('duplicate keys: the last one counts', storedAs(26), { value: message().replace(/}$/, ',"value":26}') })
  add('duplicate keys: the last one is wrong', letter('schema'), {
    value: message().replace(/}$/, ',"value":"26"}'),
  })

  // ── numbers ──
  add('1e400 would become Infinity', letter('schema'), { value: withNumber('1e400') })
  add('-1e400 would become -Infinity', letter('schema'), { value: withNumber('-1e400') })
  add('1e-400 would become 0', letter('schema'), { value: withNumber('1e-400') })
  add('-1e-400 would become 0', letter('schema'), { value: withNumber('-1e-400') })
  add('the same smallness without an exponent', letter('schema'), {
    value: withNumber(`0.${'0'.repeat(400)}1`),
  })
  add('a 0 of its own beside a small number elsewhere', storedAs(0), {
    value: message({ value: 0, metadata: { value: 0.001, raw: '"value":1e-9' } }).replace('0.001', '1e-3'),
  })
  add('0e-400 is 0', storedAs(0), { value: withNumber('0e-400') })
  add('-0 is stored as 0', storedAs(0), { value: withNumber('-0') })
  add('-0.0 is stored as 0', storedAs(0), { value: withNumber('-0.0') })
  add('the smallest number that a double holds', storedAs(5e-324), { value: withNumber('5e-324') })
  add('2^53, beyond which digits are lost', letter('schema'), { value: withNumber('9007199254740992') })
  add('2^53 + 1, which would become 2^53', letter('schema'), { value: withNumber('9007199254740993') })
  add('-2^53', letter('schema'), { value: withNumber('-9007199254740992') })
  add('beyond 2^63', letter('schema'), { value: withNumber('9223372036854775808') })
  add('the largest double', letter('schema'), { value: withNumber('1.7976931348623157e308') })
  add('2^53 − 1 is the largest that is taken', storedAs(9007199254740991, 'outOfRange'), {
    value: withNumber('9007199254740991'),
  })
  add('an exponent form', storedAs(25.5), { value: withNumber('2.55E+1') })
  add('more digits than a double has', storedAs(25.123456789012344), {
    value: withNumber('25.123456789012345678901234'),
  })
  for (const literal of [
    'NaN',
    'Infinity',
    '-Infinity',
    '+25',
    '25.',
    '.5',
    '025',
    '0x19',
    '1_000',
    '25,5',
    '1e',
    '١٢',
  ]) {
    add(`a number that JSON does not know: ${literal}`, letter('decode'), { value: withNumber(literal) })
  }
  add('outside the physical range: 300 °C', storedAs(300, 'outOfRange'), { value: message({ value: 300 }) })
  add('outside the physical range: −1 mm/s', storedAs(-1, 'outOfRange'), {
    value: message({ value: -1, sensor_type: 'vibration', unit: 'mm/s' }),
  })
  add('a negative temperature is a temperature', storedAs(-20), { value: message({ value: -20 }) })

  // ── types and fields ──
  for (const [field, wrong] of WRONG_FIELDS) {
    const shown = wrong === undefined ? 'missing' : JSON.stringify(wrong)
    add(`${field} is ${shown.length > 40 ? `${shown.slice(0, 40)}…` : shown}`, letter('schema'), {
      value: message({ [field]: wrong }),
    })
  }
  for (const missing of ['factory_section', 'machine_id', 'zone']) {
    const location: Record<string, string> = { factory_section: 'a', machine_id: 'b', zone: 'c' }
    delete location[missing]
    add(`location without ${missing}`, letter('schema'), { value: message({ location }) })
  }
  add('unknown fields are ignored and counted', stored(), {
    value: message({ firmware: '1.2', signal: { rssi: -70 } }),
  })
  add('an unknown sensor type is a sensor without limits', storedAs(7), {
    value: message({ sensor_type: 'torque', unit: 'Nm', value: 7 }),
  })
  add('a sensor type with the name of something built in', storedAs(7), {
    value: message({ sensor_type: 'constructor', unit: '', value: 7 }),
  })
  add('the fields that may be missing are missing', stored(), {
    value: message({ alert_level: undefined, quality: undefined }),
  })
  add('quality below a half', stored('badQuality'), { value: message({ quality: 0.49 }) })
  add('quality too small for the column', stored('badQuality'), { value: message({ quality: 1e-50 }) })
  add('quality that is too small for a double', stored('badQuality'), {
    value: message({ quality: 0.77777 }).replace('0.77777', '1e-400'),
  })
  add('the claim of the producer is only a claim', stored(), {
    value: message({ alert_level: 'critical', value: 20 }),
  })
  add('__proto__ as a field', storedAs(25.5), {
    value: message().replace(/}$/, ',"__proto__":{"value":99,"polluted":1}}'),
  })
  add('__proto__ in place of the fields', letter('schema'), { value: `{"__proto__":${message()}}` })
  add('constructor.prototype as a field', stored(), {
    value: message().replace(/}$/, ',"constructor":{"prototype":{"polluted":1}}}'),
  })
  add('__proto__ in the metadata: a number', stored(), { value: withMetadata('{"__proto__":5,"a":1}') })
  add('__proto__ in the metadata: an object', stored(), {
    value: withMetadata('{"__proto__":{"polluted":1},"a":1}'),
  })
  add('toString and hasOwnProperty in the metadata', stored(), {
    value: withMetadata('{"toString":1,"hasOwnProperty":2}'),
  })

  // ── text that PostgreSQL or a page could choke on ──
  add('NUL in the sensor id', letter('schema'), { value: message({ sensor_id: 'a\0b' }) })
  add('NUL in the unit', letter('schema'), { value: message({ unit: '°\0C' }) })
  add('NUL in a metadata value', letter('schema'), { value: message({ metadata: { note: 'a\0b' } }) })
  add('NUL in a metadata key', letter('schema'), { value: message({ metadata: { 'a\0b': 1 } }) })
  add('NUL deep in the metadata', letter('schema'), {
    value: message({ metadata: { a: { b: ['x', '\0'] } } }),
  })
  add('half a surrogate in the zone', letter('schema'), {
    value: message({ location: { factory_section: 'a', machine_id: 'b', zone: 'c' } }).replace(
      '"c"',
      '"\\ud800"',
    ),
  })
  add('half a surrogate in a metadata value', letter('schema'), {
    value: withMetadata('{"note":"\\udc00x"}'),
  })
  add('half a surrogate in a metadata key', letter('schema'), { value: withMetadata('{"\\ud83d":1}') })
  add('a whole surrogate pair is a character', stored(), { value: withMetadata('{"note":"\\ud83d\\ude80"}') })
  for (const text of NAUGHTY) {
    const shown = text.length > 30 ? `${text.slice(0, 30)}… (${text.length})` : text
    add(`as a sensor id: ${shown}`, letter('schema'), { value: message({ sensor_id: text }) })
    if (isPlain(text)) {
      const location = {
        factory_section: text.slice(0, 64),
        machine_id: text.slice(0, 64),
        zone: text.slice(0, 64),
      }
      if (isPlain(location.zone)) add(`as a place: ${shown}`, stored(), { value: message({ location }) })
      const unit = text.slice(0, 16)
      if (isPlain(unit))
        add(`as a unit and a note: ${shown}`, stored(), {
          value: message({ unit, metadata: { note: text } }),
        })
    } else {
      add(`as a place: ${shown}`, letter('schema'), {
        value: message({ location: { factory_section: text, machine_id: 'b', zone: 'c' } }),
      })
      add(`as a unit: ${shown}`, letter('schema'), { value: message({ unit: text.slice(0, 16) }) })
    }
  }
  add('a sensor id of 64 characters', stored(), {
    value: message({ sensor_id: `${sensorOf()}.`.padEnd(64, 'x') }),
  })
  add('a sensor id of 65 characters', letter('schema'), { value: message({ sensor_id: 'x'.repeat(65) }) })
  add('a place of 65 characters', letter('schema'), {
    value: message({ location: { factory_section: 'x'.repeat(65), machine_id: 'b', zone: 'c' } }),
  })
  add('the same id in other letters is another sensor', stored(), {
    value: message({ sensor_id: sensorOf().toUpperCase() }),
  })
}

function replaceByte(text: string, byte: number): Buffer {
  const bytes = Buffer.from(text)
  bytes[bytes.indexOf('"sensor_id"') + 15] = byte
  return bytes
}

/** The same JSON with white space wherever it may be. */
function oddly(text: string): string {
  return `\r\n\t ${text.replaceAll(',"', ' ,\n\t"').replaceAll('":', '" :\r\n ')} \n`
}

/** An object of this many levels. */
